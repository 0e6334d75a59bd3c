"""The race of an expiring session against readers, in virtual time: one trial, one verdict.

A victim on the leader creates an ephemeral znode, falls silent, is expired, and is told so when
it reconnects with its old session id. From that moment on readers of several kinds look for
the znode. The verdicts are read off the replies that the simulated clients get; nothing here
knows what they should be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.core.config import MemberConfig
from nodes.core.effects import Reply
from nodes.core.errors import ErrorCode
from nodes.core.requests import EPHEMERAL, CloseSession, Create, Delete, Exists, StatResult, Sync
from orchestrator.simulator.connections import Connection
from orchestrator.simulator.elections import elect
from orchestrator.simulator.world import World

TICK_MS = 100
VICTIM_TIMEOUT_MS = 300
READER_TIMEOUT_MS = 60_000
ACK_DELAY_MS = 1500


@dataclass(slots=True)
class Verdict:
    """What one trial saw. `stale` maps a kind of reader to whether it still saw the znode.

    `is_create_refused`: another session's create of the same path got NodeExists.
    `window_ms`: from the commit of the closeSession until the lagging member has applied it.
    """

    stale: dict[str, bool] = field(default_factory=dict)
    told_through: list[str] = field(default_factory=list)
    is_told_before_commit: bool = False
    is_create_refused: bool = False
    window_ms: float | None = None


class Race:
    """One ensemble, for as many trials as wanted; each trial leaves it as it found it.

    `leader` is where the victim is, `reader` is the member that lags (W2) or merely follows.
    """

    def __init__(
        self,
        seed: int,
        *,
        members: int = 3,
        observers: int = 0,
        leader: int | None = None,
        reader: int | None = None,
        local_sessions: bool = False,
    ) -> None:
        """Start the ensemble and elect `leader` (None: whoever wins); `reader` None: the first."""
        voters = tuple(range(1, members + 1))
        config = MemberConfig(
            sid=1,
            voters=voters,
            observers=tuple(range(members + 1, members + observers + 1)),
            tick_time_ms=TICK_MS,
            init_limit=50,
            sync_limit=50,
            min_session_timeout_ms=2 * TICK_MS,
            max_session_timeout_ms=READER_TIMEOUT_MS,
            local_sessions_enabled=local_sessions,
            local_sessions_upgrading_enabled=local_sessions,
        )
        self.world = World(seed, config)
        self.world.start()
        self.leader = self.world.run_until_serving()
        if leader is not None:
            elect(self.world, leader)
            self.leader = leader
        self.reader = next(s for s in voters if s != self.leader) if reader is None else reader
        self._trials = 0
        self._began = 0
        self._awaited = 0
        self._path = ""
        self._victim: Connection
        self._verdict = Verdict()
        self._open_sessions: dict[tuple[int, str], Connection] = {}

    # The trials.

    def w2(self, delay_ms: float) -> Verdict:
        """closeSession is committed; the reader's member hears of it `delay_ms` later."""
        self._begin(("plain", "sync"))
        if delay_ms:
            self.world.link(self.leader, self.reader).set_rule(f"delay={delay_ms}ms")
        self.world.run_until_traced("close_committed", self._victim.session_id)
        committed_ms = self.world.clock.now_ms
        self._tell(self.leader)
        self._read_open("open", self.reader)
        self._read_open("open, sync first", self.reader, sync_first=True)
        self._read_open("open on the leader", self.leader)
        self._read_new("new", self.reader)
        self._read_new("new, sync first", self.reader, sync_first=True)
        self._create()
        verdict = self._end()
        verdict.window_ms = self._applied_ms() - committed_ms
        return verdict

    def w1(self) -> Verdict:
        """closeSession is proposed; the acks take `ACK_DELAY_MS` to the leader."""
        self._begin(("plain", "sync"))
        for peer in self.world.sids:
            if peer != self.leader:
                self.world.link(peer, self.leader).set_rule(f"delay={ACK_DELAY_MS}ms")
        self.world.run_until_traced("close_proposed", self._victim.session_id)
        self._tell(self.leader)
        self._read_all()
        self._create()
        return self._end()

    def w0(self) -> Verdict:
        """The leader has marked the session closing, and its expiry thread stalls there."""
        self._begin(("plain", "sync"))
        self.world.hold_closing()
        self.world.run_until_traced("close_marked", self._victim.session_id)
        self._tell(self.reader)
        self._tell(self.leader)
        self._read_all()
        self._read_new("new on the leader, sync first", self.leader, sync_first=True)
        self._read_new("new on a follower, sync first", self.reader, sync_first=True)
        self._create()
        self._await_rows()
        self._write_elsewhere()
        self._read_new("new, after a committed write", self.reader)
        self._await_rows()
        self.world.release_closing()
        self.world.run_until_idle()
        self._read_open("after the release", self.reader)
        return self._end()

    def _read_all(self) -> None:
        self._read_open("open on the leader", self.leader)
        self._read_open("open on the leader, sync first", self.leader, sync_first=True)
        self._read_open("open on a follower", self.reader)
        self._read_open("open on a follower, sync first", self.reader, sync_first=True)
        self._read_new("new on the leader", self.leader)
        self._read_new("new on a follower", self.reader)

    # Before, and after.

    def _open(self, sid: int, timeout_ms: int) -> Connection:
        connection = self.world.connect(sid, timeout_ms)
        self.world.run_until(lambda: connection.is_connected, what="connected")
        return connection

    def _begin(self, kinds: tuple[str, ...]) -> None:
        """Open the readers' sessions, then the victim's with its znode, known everywhere."""
        self._trials += 1
        self._began = len(self.world.trace.records)
        self._path = f"/race-{self._trials}"
        self._verdict = Verdict()
        for sid in (self.leader, self.reader):
            for kind in kinds:
                known = self._open_sessions.get((sid, kind))
                if known is None or not known.is_connected:
                    reader = self._open_sessions[sid, kind] = self._open(sid, READER_TIMEOUT_MS)
                    # Left idle, it would expire in a later trial, in the victim's stead.
                    reader.keep_alive()
        self._victim = self._open(self.leader, VICTIM_TIMEOUT_MS)
        self._ask(self._victim, Create(self._path, b"", EPHEMERAL))
        self.world.run_until_idle()

    def _end(self) -> Verdict:
        """Wait for every reader, then take away every rule and what the trial has made."""
        self._await_rows()
        self.world.heal()
        self.world.run_until_idle()
        self._ask(self._open_sessions[self.leader, "plain"], Delete(self._path))
        self.world.run_until_idle()
        return self._verdict

    def _ask(self, connection: Connection, op: Create | Delete) -> ErrorCode:
        replies: list[Reply] = []
        connection.submit(op, replies.append)
        self.world.run_until(lambda: bool(replies), what="answered")
        return replies[0].error

    def _await_rows(self) -> None:
        self.world.run_until(lambda: self._awaited == 0, what="all rows read")

    # The victim.

    def _tell(self, sid: int) -> None:
        """Let the victim reconnect with its old session id; it must be told of its end."""
        victim = self._victim
        connection = self.world.connect(
            sid, VICTIM_TIMEOUT_MS, session_id=victim.session_id, password=victim.password
        )
        self.world.run_until(lambda: connection.is_closed or connection.is_connected, what="told")
        if connection.is_expired:
            self._verdict.told_through.append("leader" if sid == self.leader else "follower")
        committed = self.world.trace.of("close_committed", since=self._began)
        self._verdict.is_told_before_commit = victim.session_id not in {
            record.fields["session_id"] for record in committed
        }

    # The readers.

    def _read_open(self, row: str, sid: int, *, sync_first: bool = False) -> None:
        kind = "sync" if sync_first else "plain"
        self._read(row, self._open_sessions[sid, kind], sync_first=sync_first)

    def _read_new(self, row: str, sid: int, *, sync_first: bool = False) -> None:
        """Open a session now, and read on it as soon as it is there."""
        self._awaited += 1
        connection = self.world.connect(sid, READER_TIMEOUT_MS)

        def read() -> None:
            self._awaited -= 1
            self._read(row, connection, sync_first=sync_first, then=close)

        def close() -> None:
            connection.submit(CloseSession())

        connection.on_session = read

    def _read(
        self,
        row: str,
        connection: Connection,
        *,
        sync_first: bool,
        then: Callable[[], None] | None = None,
    ) -> None:
        self._awaited += 1

        def judge(reply: Reply) -> None:
            self._awaited -= 1
            self._verdict.stale[row] = self._shows_victim(reply)
            if then is not None:
                then()

        def look() -> None:
            connection.submit(Exists(self._path), judge)

        if sync_first:
            connection.submit(Sync(self._path), lambda _: look())
        else:
            look()

    def _shows_victim(self, reply: Reply) -> bool:
        owner = reply.result.stat.ephemeral_owner if isinstance(reply.result, StatResult) else 0
        return owner == self._victim.session_id

    def _create(self) -> None:
        """Let another session create the same path."""
        self._awaited += 1

        def judge(reply: Reply) -> None:
            self._awaited -= 1
            self._verdict.is_create_refused = reply.error == ErrorCode.NODE_EXISTS

        connection = self._open_sessions[self.leader, "plain"]
        connection.submit(Create(self._path, b""), judge)

    def _write_elsewhere(self) -> None:
        path = f"{self._path}-other"
        connection = self._open_sessions[self.leader, "plain"]
        self._ask(connection, Create(path, b""))
        self._ask(connection, Delete(path))

    def _applied_ms(self) -> float:
        """When the reader's member applied the closeSession."""
        applied = self.world.trace.of("close_applied", self.reader, since=self._began)
        session_id = self._victim.session_id
        return next(r.at_ms for r in applied if r.fields["session_id"] == session_id)
