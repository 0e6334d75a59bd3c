"""One member on a bench: the test plays its peers, its disk, its clients and its clock.

What the member asks of the disk is answered by the test: epochs, snapshots and cuts at once
while `disk_answers`, logged transactions only by `persist`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.core.config import MemberConfig
from nodes.core.effects import (
    ConnectReply,
    Effect,
    Persist,
    PersistEpochs,
    PersistSnapshot,
    Reply,
    Send,
    Trace,
    TruncateLog,
)
from nodes.core.events import (
    ConnectRequested,
    DeadlineReached,
    EpochsPersisted,
    Event,
    LogTruncated,
    PeerConnected,
    Persisted,
    Received,
    SnapshotPersisted,
    Started,
    Submitted,
)
from nodes.core.member import Member
from nodes.core.messages import (
    Ack,
    AckEpoch,
    Commit,
    Diff,
    FollowerInfo,
    LeaderInfo,
    Message,
    NewLeader,
    Notification,
    ObserverInfo,
    Proposal,
    Revalidated,
    ServerState,
    UpToDate,
)
from nodes.core.requests import Op
from nodes.core.sessions import password_of
from nodes.core.txns import CreateSessionTxn, Recovered, Txn, TxnBody
from nodes.core.zxid import make_zxid

TICK_MS = 100
TIMEOUT_MS = 1000
EPOCH = 1
START_MS = 1000.0
SESSION = 0x0900000000000001
OTHER = 0x0900000000000002


def make_config(sid: int, **settings: object) -> MemberConfig:
    """A member of three with short limits, unless `settings` say otherwise."""
    defaults: dict[str, object] = {
        "voters": (1, 2, 3),
        "tick_time_ms": TICK_MS,
        "init_limit": 10,
        "sync_limit": 4,
        "min_session_timeout_ms": 200,
        "max_session_timeout_ms": 2000,
    }
    return MemberConfig(sid, **(defaults | settings))  # type: ignore[arg-type]


@dataclass
class Bench:
    """The member under test, and what surrounds it."""

    member: Member
    now_ms: float = START_MS
    disk_answers: bool = True
    asked: list[Persist | PersistEpochs | PersistSnapshot | TruncateLog] = field(
        default_factory=list
    )
    traces: list[Trace] = field(default_factory=list)
    connection_of: dict[int, int] = field(default_factory=dict)

    def step(self, event: Event) -> list[Effect]:
        """Take one event; traces are kept apart, and the disk answers if it is to."""
        effects: list[Effect] = []
        events: list[Event] = [event]
        while events:
            for effect in self.member.step(events.pop(0), self.now_ms):
                if isinstance(effect, Trace):
                    self.traces.append(effect)
                    continue
                effects.append(effect)
                if isinstance(effect, Persist | PersistEpochs | PersistSnapshot | TruncateLog):
                    self.asked.append(effect)
                    events += self._answers(effect)
        return effects

    def _answers(
        self, effect: Persist | PersistEpochs | PersistSnapshot | TruncateLog
    ) -> list[Event]:
        if not self.disk_answers or isinstance(effect, Persist | TruncateLog):
            return []
        self.asked.remove(effect)
        if isinstance(effect, PersistEpochs):
            return [EpochsPersisted(effect.accepted_epoch, effect.current_epoch)]
        return [SnapshotPersisted(effect.snapshot.zxid)]

    def after(self, length_ms: float) -> list[Effect]:
        """Let time pass, waking the member at each of its deadlines on the way."""
        until_ms = self.now_ms + length_ms
        effects: list[Effect] = []
        while self.member.deadline() <= until_ms:
            self.now_ms = max(self.now_ms, self.member.deadline())
            effects += self.step(DeadlineReached())
        self.now_ms = until_ms
        return effects

    def receive(self, peer: int, message: Message) -> list[Effect]:
        """A packet of `peer` arrives over its present connection."""
        connection = 0 if isinstance(message, Notification) else self.connection_of.get(peer, 0)
        return self.step(Received(peer, connection, message))

    def persist(self, zxid: int) -> list[Effect]:
        """The disk has the transaction."""
        return self.step(Persisted(zxid))

    def truncated(self, *txns: Txn) -> list[Effect]:
        """The disk has cut the log, and this is left of it."""
        return self.step(LogTruncated(Recovered(txns=txns)))

    # The way into a role.

    def boot(self) -> None:
        """Start, with every peer in reach."""
        self.step(Started())
        for peer in self.member._config.peers:
            self.step(PeerConnected(peer))

    def elect(self, leader: int, voters: tuple[int, ...]) -> list[Effect]:
        """Let `voters` all vote for `leader`, whatever it takes, and wait until it is decided."""
        clock = self.member._election.clock
        for voter in voters:
            self.receive(voter, Notification(ServerState.LOOKING, leader, 1 << 62, clock, 1 << 20))
        return self.after(200)

    def greet(
        self, learner: int, connection: int, *, accepted: int = 0, observes: bool = False
    ) -> list[Effect]:
        """A learner connects to the leader under test."""
        self.connection_of[learner] = connection
        return self.receive(learner, (ObserverInfo if observes else FollowerInfo)(accepted))

    def join(
        self, learner: int, connection: int, *, zxid: int = 0, observes: bool = False
    ) -> list[Effect]:
        """A learner connects to the leader under test and comes as far as it can."""
        self.greet(learner, connection, observes=observes)
        effects = self.receive(learner, AckEpoch(0, zxid))
        return effects + self.receive(learner, Ack(make_zxid(EPOCH, 0)))

    # Clients.

    def connect(self, connection: int, session_id: int = 0) -> list[Effect]:
        """A client asks for a session."""
        password = password_of(session_id) if session_id else b""
        return self.step(ConnectRequested(connection, 0, TIMEOUT_MS, session_id, password))

    def submit(self, connection: int, xid: int, op: Op) -> list[Effect]:
        """A client's request arrives."""
        return self.step(Submitted(connection, xid, op))


def sent(effects: list[Effect], peer: int | None = None) -> list[Message]:
    """The packets among `effects`, to one peer or to all."""
    return [e.message for e in effects if isinstance(e, Send) and peer in (None, e.peer)]


def replies(effects: list[Effect]) -> list[tuple[int, int]]:
    """The replies among `effects`: (xid, error)."""
    return [(e.xid, int(e.error)) for e in effects if isinstance(e, Reply)]


def verdicts(effects: list[Effect]) -> list[tuple[int, bool]]:
    """The answers to connects among `effects`: (connection, is the session alive)."""
    return [(e.connection, e.session_id != 0) for e in effects if isinstance(e, ConnectReply)]


def txn(counter: int, body: TxnBody, *, session: int = SESSION, epoch: int = EPOCH) -> Txn:
    """A transaction as the leader of `epoch` makes them."""
    return Txn(session, 0, make_zxid(epoch, counter), 0, body)


def looking(sid: int = 1, recovered: Recovered | None = None, **settings: object) -> Bench:
    """A member that has started and sees all its peers."""
    bench = Bench(Member(make_config(sid, **settings), recovered or Recovered()))
    bench.boot()
    return bench


def leading(recovered: Recovered | None = None, **settings: object) -> Bench:
    """Member 3 leads epoch 1 with just enough followers, 2 first; 1 is not among them."""
    bench = looking(3, recovered, **settings)
    voters = bench.member._config.voters
    bench.elect(3, tuple(sid for sid in voters if sid != 3))
    learners = [sid for sid in voters if sid not in (1, 3)][: len(voters) // 2]
    for learner in learners:
        bench.greet(learner, 20 + learner)
    for learner in learners:
        bench.receive(learner, AckEpoch(0, bench.member.status().last_zxid))
    for learner in learners:
        bench.receive(learner, Ack(make_zxid(EPOCH, 0)))
    assert bench.member.status().is_serving
    return bench


def greeting(recovered: Recovered | None = None, sid: int = 1, **settings: object) -> Bench:
    """Member 1 has greeted the leader 3, over the connection that `connection_of` names."""
    bench = looking(sid, recovered, **settings)
    others = tuple(voter for voter in bench.member._config.voters if voter != sid)
    effects = bench.elect(3, others)
    hello = [e for e in effects if isinstance(e, Send) and e.peer == 3 and e.connection]
    bench.connection_of[3] = hello[-1].connection
    return bench


def following(recovered: Recovered | None = None, sid: int = 1, **settings: object) -> Bench:
    """Member 1 follows 3 in epoch 1, or observes it, and serves."""
    bench = greeting(recovered, sid, **settings)
    bench.receive(3, LeaderInfo(EPOCH))
    bench.receive(3, Diff(0))
    bench.receive(3, NewLeader(make_zxid(EPOCH, 0)))
    bench.receive(3, UpToDate(make_zxid(EPOCH, 0)))
    assert bench.member.status().is_serving
    return bench


def with_session(bench: Bench, session: int = SESSION) -> int:
    """Give a follower a replicated session and a client on it; return the connection."""
    body = CreateSessionTxn(TIMEOUT_MS)
    counter = (bench.member.status().last_zxid & 0xFFFFFFFF) + 1
    created = txn(counter, body, session=session)
    bench.receive(3, Proposal(created))
    bench.receive(3, Commit(created.zxid))
    connection = session & 0xFF
    bench.connect(connection, session)
    bench.receive(3, Revalidated(session, True))
    return connection
