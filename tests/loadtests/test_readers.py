"""What counts as showing the expired znode, against a client that answers from a script."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from client.errors import ConnectionLossError, NodeExistsError, NoNodeError
from client.ops import Stat
from client.sync import Client
from loadtests.readers import (
    MITIGATIONS,
    ROLES,
    SESSIONS,
    Look,
    Told,
    UnknownReader,
    create,
    delete_and_create,
    find_readers,
    read,
    sync_and_read,
    wait_until_fresh,
)

OLD, OTHER = 0x100, 0x200
TOLD = Told(OLD, "/x", 0.0)


class ScriptedClient:
    """Answers `exists` with the owners given, in turn; None: not there."""

    def __init__(self, *owners: int | None, refusals: int = 0) -> None:
        self.calls: list[str] = []
        self.last_zxid = 0
        self._owners = list(owners)
        self._refusals = refusals

    def exists(self, path: str) -> Stat | None:
        self._call("exists")
        owner = self._owners.pop(0) if len(self._owners) > 1 else self._owners[0]
        return None if owner is None else Stat(1, 1, 0, 0, 0, 0, 0, owner, 0, 0, 1)

    def sync(self, path: str) -> str:
        self._call("sync")
        return path

    def create(self, path: str, ephemeral: bool) -> str:
        self._call("create")
        if self._refusals:
            self._refusals -= 1
            raise NodeExistsError("create", path)
        return path

    def delete(self, path: str) -> None:
        self._call("delete")
        if self._owners[0] is None:
            raise NoNodeError("delete", path)

    def _call(self, name: str) -> None:
        # Every reply carries a zxid, and they never go down.
        self.calls.append(name)
        self.last_zxid += 10


def scripted(*owners: int | None, refusals: int = 0) -> Client:
    return cast(Client, ScriptedClient(*owners, refusals=refusals))


@pytest.mark.parametrize(("owner", "is_stale"), [(OLD, True), (OTHER, False), (None, False)])
@pytest.mark.parametrize("look", [read, sync_and_read, delete_and_create])
def test_only_the_old_owner_is_stale(look: Look, owner: int | None, is_stale: bool) -> None:
    assert (look(scripted(owner), TOLD) is not None) is is_stale


def test_sync_comes_before_the_read() -> None:
    client = scripted(None)
    sync_and_read(client, TOLD)
    assert cast(Any, client).calls == ["sync", "exists"]


def test_refused_create_shows_the_znode() -> None:
    assert create(scripted(refusals=1), TOLD) == 10
    assert create(scripted(), TOLD) is None


def test_stale_answer_carries_the_zxid_of_the_reply_that_was_stale() -> None:
    assert read(scripted(OLD), TOLD) == 10
    assert sync_and_read(scripted(OLD), TOLD) == 20
    assert delete_and_create(scripted(OLD), TOLD) == 10


def test_wrong_cure_deletes_whatever_it_finds() -> None:
    for owner, calls in ((OTHER, ["exists", "delete", "create"]), (None, ["exists", "create"])):
        client = scripted(owner, refusals=1)
        delete_and_create(client, TOLD)
        assert cast(Any, client).calls == calls


def test_other_errors_are_no_verdict() -> None:
    class Broken(ScriptedClient):
        def create(self, path: str, ephemeral: bool) -> str:
            raise ConnectionLossError("create", path)

    with pytest.raises(ConnectionLossError):
        create(cast(Client, Broken()), TOLD)


def test_window_ends_with_the_first_fresh_answer() -> None:
    client = scripted(OLD, OLD, OTHER)
    told = Told(OLD, "/x", time.monotonic())

    window_ms = wait_until_fresh(read, client, told, poll_s=0.002, bound_s=30)

    assert cast(Any, client).calls == ["exists"] * 3
    assert window_ms is not None
    assert window_ms >= 5


def test_window_without_end_is_given_up() -> None:
    told = Told(OLD, "/x", time.monotonic())
    assert wait_until_fresh(read, scripted(OLD), told, poll_s=0.001, bound_s=0.01) is None


def test_window_is_never_followed_by_deleting() -> None:
    followed = [cure.look for cure in MITIGATIONS.values() if cure.is_followed]
    assert followed
    assert delete_and_create not in followed


def test_every_kind_is_tried_with_every_mitigation_but_for_those_that_name_their_own() -> None:
    found = find_readers(["open", "new@leader+sync"], ["none", "create"])
    assert [reader.kind(reader.role).name for reader in found] == [
        "read: open session, slow",
        "create: open session, slow, create until it succeeds",
        "read: new global session, leader, sync first",
    ]


def test_rows_of_all_readers_differ() -> None:
    kinds = [f"{session}@{role}" for session in SESSIONS for role in ROLES]
    found = find_readers(kinds, MITIGATIONS)
    names = {reader.kind(reader.role).name for reader in found}
    assert len(names) == len(SESSIONS) * len(ROLES) * len(MITIGATIONS)


@pytest.mark.parametrize("kind", ["", "opn", "open@nowhere", "@slow"])
def test_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(UnknownReader, match="no reader kind"):
        find_readers([kind], ["none"])


@pytest.mark.parametrize(("kind", "cures"), [("open", ["hope"]), ("open+hope", ["none"])])
def test_unknown_mitigation_is_refused(kind: str, cures: list[str]) -> None:
    with pytest.raises(UnknownReader, match="no mitigation 'hope'; known are none, sync"):
        find_readers([kind], cures)
