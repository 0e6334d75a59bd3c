"""How a program looks for a znode once it was told that its owner has gone.

Owns the reader kinds that can be asked for, the operations of each mitigation, and the loop that
finds out how long a stale answer stays. Counts nothing and opens no session: it is handed a
client, so that the same code serves an open session and a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from client.errors import NodeExistsError, NoNodeError
from client.sync import Client
from loadtests.stale_reads import Kind

OPEN_SESSION = "open session"
NEW_SESSION = "new global session"
LOCAL_SESSION = "new local session"
SLOW, OTHER, LEADER, OBSERVER = "slow", "follower", "leader", "observer"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Told:
    """The end of a session that a program was told of: whose, its znode, when (monotonic, s)."""

    session_id: int
    path: str
    at: float


# One operation (or a short sequence) of a mitigation. If it showed the znode of the session that is
# gone, the zxid that the reply carried, so that how far it was behind can be told; None if fresh.
Look = Callable[[Client, Told], int | None]


def read(client: Client, told: Told) -> int | None:
    """Exists; stale means that the old session still owns what is there.

    A znode of that path with another owner is somebody else's, and fresh.
    """
    stat = client.exists(told.path)
    if stat is None or stat.ephemeral_owner != told.session_id:
        return None
    return client.last_zxid


def sync_and_read(client: Client, told: Told) -> int | None:
    """Let the member catch up with the leader first."""
    client.sync(told.path)
    return read(client, told)


def create(client: Client, told: Told) -> int | None:
    """Create the path anew; stale means NodeExists, since nobody else uses the path."""
    try:
        client.create(told.path, ephemeral=True)
    except NodeExistsError:
        return client.last_zxid
    return None


def delete_and_create(client: Client, told: Told) -> int | None:
    """Read, delete whatever is there, register anew; stale as for `read`.

    Between the read and the delete another program may have taken the path: its znode is what
    the delete then takes away.
    """
    stat = client.exists(told.path)
    zxid = client.last_zxid
    if stat is not None:
        with suppress(NoNodeError):
            client.delete(told.path)
    with suppress(NodeExistsError):
        client.create(told.path, ephemeral=True)
    return zxid if stat is not None and stat.ephemeral_owner == told.session_id else None


@dataclass(frozen=True, slots=True)
class Mitigation:
    """What a program does to be safe. `is_noticed`: it notices a stale answer, waits, asks again.

    `has_rival`: somebody else registers at the same path as soon as it is free. `waits`: it lets
    a session timeout pass first.
    """

    words: str
    look: Look
    operation: str = "read"
    is_noticed: bool = False
    has_rival: bool = False
    waits: bool = False

    @property
    def registers(self) -> bool:
        """Whether it leaves a znode at the path."""
        return self.operation in ("create", "delete")

    @property
    def is_followed(self) -> bool:
        """Whether it can be asked again how long a stale answer stays: a delete cannot."""
        return not self.has_rival


MITIGATIONS = {
    NONE: Mitigation("none", read),
    "sync": Mitigation("sync first", sync_and_read),
    "create": Mitigation("create until it succeeds", create, "create", is_noticed=True),
    "compare": Mitigation("compare ephemeral_owner", read, is_noticed=True),
    "wait": Mitigation("wait one session timeout", read, waits=True),
    "recreate": Mitigation("delete and re-create", delete_and_create, "delete", has_rival=True),
}
SESSIONS = {"open": OPEN_SESSION, "new": NEW_SESSION, "local": LOCAL_SESSION}
ROLES = (SLOW, OTHER, LEADER, OBSERVER)


class UnknownReader(ValueError):
    """A reader kind or mitigation that does not exist; says which are known."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of reader as a user asks for it; `role` is which member it reads on."""

    session: str
    role: str
    mitigation: Mitigation

    @property
    def is_open(self) -> bool:
        """Whether it reads through a session opened before the end of the other."""
        return self.session == OPEN_SESSION

    def kind(self, place: str) -> Kind:
        """The row it counts in, with the member's role in words."""
        cure = self.mitigation
        return Kind(self.session, place, cure.words, cure.operation, cure.is_noticed)


def find_readers(kinds: Iterable[str], mitigations: Iterable[str]) -> list[Reader]:
    """The readers that are asked for, each once, in the order of the kinds.

    A kind is `open`, `new` or `local`, on the slow member or `@` another role, with every
    mitigation, or with its own behind `+`: `open`, `new@leader`, `open@follower+sync`. Raises
    UnknownReader.
    """
    cures = list(mitigations)
    for cure in cures:
        _mitigation(cure)
    found: dict[Reader, None] = {}
    for kind in kinds:
        place, plus, own = kind.partition("+")
        key, _, role = place.partition("@")
        role = role or SLOW
        if key not in SESSIONS or role not in ROLES:
            known = f"{', '.join(SESSIONS)}, each also with @ and one of {', '.join(ROLES)}"
            raise UnknownReader(f"no reader kind {place!r}; known are {known}")
        for cure in [own] if plus else cures:
            found[Reader(SESSIONS[key], role, _mitigation(cure))] = None
    return list(found)


def _mitigation(key: str) -> Mitigation:
    found = MITIGATIONS.get(key)
    if found is None:
        raise UnknownReader(f"no mitigation {key!r}; known are {', '.join(MITIGATIONS)}")
    return found


def wait_until_fresh(
    look: Look, client: Client, told: Told, poll_s: float, bound_s: float
) -> float | None:
    """Look again and again; return how long after `told` the answers were stale, in milliseconds.

    They ended between the asking of the last stale one and the coming of the first fresh one: the
    middle is off by no more than half of that. None if they never did, `bound_s` after `told`.
    """
    stale_at = asked_at = time.monotonic()
    while asked_at < told.at + bound_s:
        time.sleep(poll_s)
        asked_at = time.monotonic()
        if look(client, told) is None:
            return ((stale_at + time.monotonic()) / 2 - told.at) * 1000
        stale_at = asked_at
    return None
