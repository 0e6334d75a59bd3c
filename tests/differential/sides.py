"""What a script may do to an ensemble, whichever of the two it is: the real one or ours.

Owns the words of the scripts, and the waiting that is the same for both.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from tests.wire.raw import four_letters

Address = tuple[str, int]
START_S = 60.0
# Behind relays that hold, a real ensemble now and then elects nobody for minutes.
ELECTION_S = 60.0
# A real member leaves a connection without any answer now and then; the next one has it at once.
WORD_S = 3.0
# The same on both sides; timeouts of scripts are lengths in these ticks.
TICK_MS = 200
INIT_LIMIT = 50
SYNC_LIMIT = 20
MIN_TIMEOUT_MS, MAX_TIMEOUT_MS = 400, 60_000
# None goes while scripts run; the script about them has ensembles of its own.
CONTAINER_INTERVAL_MS = 3_600_000
# All but crst, so that the answer to a word that is not allowed can be compared, too.
WORDS = "ruok,srvr,stat,conf,cons,dump,wchs,wchc,wchp,mntr,isro,envi,srst"
# The digest of super:secret.
SUPER = "super:lK75jTNcA+U9vtVEw5vB51mj/w4="
SUPER_CREDENTIALS = b"super:secret"


class Void(Exception):
    """The real ensemble did not come to where a script begins to compare."""


class Side(ABC):
    """A running ensemble. Roles are asked for anew after each change of leader."""

    name: str
    sids: tuple[int, ...]

    @abstractmethod
    def address(self, sid: int) -> Address:
        """Where a member serves ZooKeeper's clients."""

    @abstractmethod
    def kill(self, sid: int) -> None:
        """SIGKILL."""

    @abstractmethod
    def start(self, sid: int) -> None:
        """Start a member that was killed."""

    @abstractmethod
    def pause(self, sid: int) -> None:
        """SIGSTOP."""

    @abstractmethod
    def resume(self, sid: int) -> None:
        """SIGCONT."""

    @abstractmethod
    def delay(self, sender: int, receiver: int, delay_ms: float) -> None:
        """Delay what one member sends to another; 0 ends it."""

    @abstractmethod
    def hold(self, sender: int, receiver: int) -> None:
        """Silence from one member to another, pings included, until `release`."""

    @abstractmethod
    def release(self) -> None:
        """End every silence; what was sent meanwhile arrives."""

    @abstractmethod
    def close(self) -> None:
        """End the ensemble."""

    @abstractmethod
    def begin_anew(self) -> None:
        """Start another ensemble in place of this one."""

    def wait_for_members(self, is_so: Callable[[], bool], what: str, seconds: float) -> None:
        """Poll what members say of themselves; fail if it is not so in time."""
        wait_until(is_so, f"{self.name}: {what}", seconds)

    def delay_all(self, delay_ms: float) -> None:
        """Delay everything between members."""
        for sender in self.sids:
            for receiver in self.sids:
                if sender != receiver:
                    self.delay(sender, receiver, delay_ms)

    def isolate(self, sid: int) -> None:
        """Silence between a member and all others, both ways."""
        for other in self.sids:
            if other != sid:
                self.hold(sid, other)
                self.hold(other, sid)

    def mode(self, sid: int) -> str:
        """What `srvr` says of a member: leader, follower, or nothing while it serves nobody."""
        return self._srvr(sid).get("Mode", "")

    def wait_until_applied(self, sid: int, zxid: int) -> None:
        """Return when a member has applied so much: it refuses clients that have seen more."""
        self.wait_for_members(
            lambda: int(self._srvr(sid).get("Zxid", "-1"), 16) >= zxid,
            f"member {sid} has applied {zxid:#x}",
            START_S,
        )

    def _srvr(self, sid: int) -> dict[str, str]:
        """What a member says of itself, by heading; nothing while it serves nobody."""
        try:
            answer = four_letters(self.address(sid), "srvr", WORD_S)
        except OSError:
            return {}
        return dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)

    def sessions(self) -> int:
        """How many sessions the leader knows."""
        answer = four_letters(self.address(self.leader()), "mntr")
        lines = [line.split("\t") for line in answer.splitlines()]
        return next(int(line[1]) for line in lines if line[0] == "zk_global_sessions")

    def leader(self) -> int:
        """The sid of who leads."""
        return self.roles()["leader"]

    def roles(self, without: int = 0) -> dict[str, int]:
        """Sids by role: leader, follower (the first) and other (the second follower)."""
        modes = {sid: self.mode(sid) for sid in self.sids if sid != without}
        leaders = [sid for sid, mode in modes.items() if mode in ("leader", "standalone")]
        followers = [sid for sid, mode in modes.items() if mode == "follower"]
        if not leaders:
            return {}
        return dict(zip(("leader", "follower", "other"), leaders + followers, strict=False))

    def wait_for_quorum(self, without: int) -> dict[str, int]:
        """Return the roles when two members serve each other without the third."""
        roles: dict[str, int] = {}

        def is_there() -> bool:
            roles.update(self.roles(without))
            return len(roles) == 2

        self.wait_for_members(is_there, "a new quorum", ELECTION_S)
        return roles

    def wait_until_serving(self) -> None:
        """Return when every member serves and exactly one leads."""

        def serves() -> bool:
            modes = [self.mode(sid) for sid in self.sids]
            leads = modes.count("leader") + modes.count("standalone")
            return all(modes) and leads == 1

        self.wait_for_members(serves, "every member serves", START_S)


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Poll; fail with `what` if it is not so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
