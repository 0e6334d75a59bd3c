"""What becomes of expiries when the leader changes, in virtual time: one trial, its verdicts.

A verdict that the next leader has never heard of, a cut-off leader that expires the living, and
timeouts that all begin anew. Verdicts are read off the replies that simulated clients get and
off the members' traces; nothing here knows what they should be.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.core.config import MemberConfig
from nodes.core.effects import Reply
from nodes.core.requests import EPHEMERAL, Create, Exists, Op, StatResult, Sync
from orchestrator.simulator.connections import Connection
from orchestrator.simulator.world import World

TICK_MS = 100
TIMEOUT_MS = 600
READER_TIMEOUT_MS = 60_000


@dataclass(slots=True)
class Lost:
    """A leader that was cut off, and two sessions: one gone silent, one alive on a follower."""

    is_told_expired: bool = False
    is_there: bool = False
    is_there_after_sync: bool = False
    is_valid_again: bool = False
    timeout_again_ms: int = 0
    is_living_told_expired: bool = False
    is_living_answered_meanwhile: bool = False
    is_living_valid: bool = False


@dataclass(slots=True)
class Anew:
    """A session that was silent through a change of leaders.

    `outlived_ms`: from its last touch until its closeSession is applied; `marked_after_ms`: from
    the new leader's beginning until it marks the session closing.
    """

    is_there_when_overdue: bool = False
    outlived_ms: float = 0.0
    marked_after_ms: float = 0.0


class Failover:
    """One ensemble for one trial: its leader is gone afterwards, or cut off."""

    def __init__(self, seed: int, *, members: int = 3, observers: int = 0) -> None:
        config = MemberConfig(
            sid=1,
            voters=tuple(range(1, members + 1)),
            observers=tuple(range(members + 1, members + observers + 1)),
            tick_time_ms=TICK_MS,
            init_limit=10,
            sync_limit=10,
            min_session_timeout_ms=2 * TICK_MS,
            max_session_timeout_ms=READER_TIMEOUT_MS,
        )
        self.world = World(seed, config)
        self.world.start()
        self.old = self.world.run_until_serving()
        self.follower = next(sid for sid in config.voters if sid != self.old)
        self._touched_ms = 0.0

    # The trials.

    def lost(self) -> Lost:
        """Cut the leader off; it expires a silent session and a living one; another leads."""
        world, seen = self.world, Lost()
        silent, living = self._victim(self.old), self._victim(self.follower)
        living.keep_alive()
        world.isolate(self.old)
        leader = world.hosts[self.old].member
        world.run_until(lambda: leader.status().closing_sessions == 2, what="both marked closing")
        seen.is_told_expired = self._present(self.old, silent).is_expired
        seen.is_living_told_expired = self._present(self.old, living).is_expired
        seen.is_living_answered_meanwhile = self._is_there(living, living)
        new = self._next_leader()
        fresh = self._connect(new, READER_TIMEOUT_MS)
        seen.is_there = self._is_there(fresh, silent)
        self._ask(fresh, Sync("/"))
        seen.is_there_after_sync = self._is_there(fresh, silent)
        again = self._present(new, silent)
        seen.is_valid_again, seen.timeout_again_ms = again.is_connected, again.timeout_ms
        seen.is_living_valid = self._present(new, living).is_connected
        world.heal()
        world.run_until_serving()
        return seen

    def anew(self, changes: int = 1) -> Anew:
        """Let the leader die when a silent session's timeout is nearly over; `changes` times."""
        victim = self._silent_victim()
        for _ in range(changes - 1):
            self.world.crash(self.old)
            self.old = self._next_leader()
            self.world.run_for(TIMEOUT_MS - 2 * TICK_MS)
        self.world.crash(self.old)
        return self._outlive(victim, self._next_leader())

    def anew_after_full_restart(self) -> Anew:
        """Let every member die then, and start again."""
        victim = self._silent_victim()
        for sid in self.world.sids:
            self.world.crash(sid)
        self.world.start()
        return self._outlive(victim, self._next_leader(may_be_old=True))

    def _silent_victim(self) -> Connection:
        victim = self._victim(self.old)
        self._touched_ms = self.world.clock.now_ms
        self.world.run_for(TIMEOUT_MS - 2 * TICK_MS)
        return victim

    def _outlive(self, victim: Connection, new: int) -> Anew:
        world, seen = self.world, Anew()
        reader = self._connect(new, READER_TIMEOUT_MS)
        reader.keep_alive()
        overdue_ms = self._touched_ms + TIMEOUT_MS + TICK_MS
        world.run_for(max(0.0, overdue_ms - world.clock.now_ms))
        seen.is_there_when_overdue = self._is_there(reader, victim)
        world.run_until_traced("close_applied", victim.session_id)
        seen.outlived_ms = world.clock.now_ms - self._touched_ms
        *_, serving = world.trace.of("serving", new)
        *_, marked = world.trace.of("close_marked", new)
        seen.marked_after_ms = marked.at_ms - serving.at_ms
        return seen

    # Members and clients.

    def _next_leader(self, *, may_be_old: bool = False) -> int:
        world = self.world
        others = (None,) if may_be_old else (None, self.old)
        world.run_until(lambda: world.leader() not in others, what="led again")
        leader = world.leader()
        assert leader is not None
        return leader

    def _connect(self, sid: int, timeout_ms: int) -> Connection:
        connection = self.world.connect(sid, timeout_ms)
        self.world.run_until(lambda: connection.is_connected, what="connected")
        return connection

    def _victim(self, sid: int) -> Connection:
        """A session with an ephemeral znode that every member has applied."""
        victim = self._connect(sid, TIMEOUT_MS)
        self._ask(victim, Create(self._path(victim), b"", EPHEMERAL))
        self.world.run_until_idle()
        return victim

    def _path(self, victim: Connection) -> str:
        return f"/victim-{victim.session_id:x}"

    def _present(self, sid: int, victim: Connection) -> Connection:
        """Present a session's id to a member; the answer is on the connection."""
        connection = self.world.connect(
            sid, TIMEOUT_MS, session_id=victim.session_id, password=victim.password
        )
        self.world.run_until(lambda: connection.is_answered, what="answered")
        return connection

    def _ask(self, connection: Connection, op: Op) -> Reply:
        replies: list[Reply] = []
        connection.submit(op, replies.append)
        self.world.run_until(lambda: bool(replies), what="answered")
        return replies[0]

    def _is_there(self, reader: Connection, victim: Connection) -> bool:
        result = self._ask(reader, Exists(self._path(victim))).result
        owner = result.stat.ephemeral_owner if isinstance(result, StatResult) else 0
        return owner == victim.session_id
