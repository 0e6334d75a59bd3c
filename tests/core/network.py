"""Members, their links and disks, moved one small step at a time by whoever holds them.

Nothing happens by itself: a packet arrives when `deliver` says so, a write is on disk when `sync`
does, a break is noticed when `notice` does. What it refuses is what no shell does: a packet
of a link before the notice of that link's break.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import inf

from nodes.core.config import MemberConfig
from nodes.core.effects import (
    CloseConnection,
    ConnectReply,
    Effect,
    Persist,
    PersistEpochs,
    PersistSnapshot,
    Reply,
    Send,
    TruncateLog,
    WriteSnapshotPart,
)
from nodes.core.events import (
    ConnectRequested,
    DeadlineReached,
    EpochsPersisted,
    Event,
    LogTruncated,
    PeerConnected,
    PeerLost,
    Persisted,
    Received,
    SnapshotPartWritten,
    SnapshotPersisted,
    Started,
    Submitted,
)
from nodes.core.member import Member
from nodes.core.messages import Message
from nodes.core.requests import Op
from nodes.core.txns import Recovered, Snapshot, Txn, ZnodeImage

Write = Persist | PersistEpochs | PersistSnapshot | TruncateLog | WriteSnapshotPart


class Disk:
    """Invariant: what is in `waiting` is lost in a crash, what is not survives it."""

    def __init__(self) -> None:
        self.waiting: deque[Write] = deque()
        self._epochs = (0, 0)
        self._snapshots: list[tuple[Snapshot, int]] = []
        self._parts: list[WriteSnapshotPart] = []
        self._log_begins = 0
        self._txns: list[Txn] = []

    def sync_one(self) -> Event:
        """Make the oldest waiting write last."""
        match self.waiting.popleft():
            case Persist(txn):
                if self._txns:
                    assert txn.zxid > self._txns[-1].zxid, "a log grows"
                self._txns.append(txn)
                return Persisted(txn.zxid)
            case PersistEpochs(accepted_epoch, current_epoch):
                self._epochs = (accepted_epoch, current_epoch)
                return EpochsPersisted(accepted_epoch, current_epoch)
            case PersistSnapshot(snapshot):
                self._snapshots, self._txns = [(snapshot, snapshot.zxid)], []
                self._parts = []
                self._log_begins = snapshot.zxid
                return SnapshotPersisted(snapshot.zxid)
            case WriteSnapshotPart() as part:
                self._parts.append(part)
                if part.is_last:
                    self._complete(part.last_zxid)
                return SnapshotPartWritten(part.zxid)
            case TruncateLog(zxid):
                self._parts = []
                # A fuzzy snapshot from before `zxid` may hold what is behind it.
                older = [taken for taken in self._snapshots if taken[1] <= zxid]
                if not older and self._log_begins:
                    return LogTruncated(None)
                self._snapshots = older
                self._txns = [txn for txn in self._txns if txn.zxid <= zxid]
                return LogTruncated(self.recover())

    def recover(self) -> Recovered:
        """What a member finds that starts now."""
        newest = self._snapshots[-1][0] if self._snapshots else None
        after = newest.zxid if newest else 0
        return Recovered(*self._epochs, newest, tuple(t for t in self._txns if t.zxid > after))

    def _complete(self, last_zxid: int) -> None:
        """The snapshot under way counts; of those before it two are kept."""
        parts, self._parts = self._parts, []
        assert len({part.zxid for part in parts}) == 1, "parts of one snapshot"
        znodes: list[ZnodeImage] = [znode for part in parts for znode in part.znodes]
        sessions = tuple(session for part in parts for session in part.sessions)
        whole = Snapshot(parts[0].zxid, tuple(znodes), sessions)
        self._snapshots = [*self._snapshots, (whole, last_zxid)][-3:]
        if len(self._snapshots) == 3:
            self._log_begins = self._snapshots[0][0].zxid
            self._txns = [txn for txn in self._txns if txn.zxid > self._log_begins]

    def crash(self) -> None:
        """Lose what waits, and a snapshot that is not complete."""
        self.waiting.clear()
        self._parts = []


class Network:
    """Invariant: a link that is not in `open_links` carries nothing."""

    def __init__(self, config: MemberConfig) -> None:
        self.now_ms = 1000.0
        self.sids = config.voters + config.observers
        self.configs = {sid: replace(config, sid=sid) for sid in self.sids}
        self.disks = {sid: Disk() for sid in self.sids}
        self.members: dict[int, Member] = {}
        self.links: dict[tuple[int, int], deque[tuple[int, Message]]] = {
            (a, b): deque() for a in self.sids for b in self.sids if a != b
        }
        self.open_links: dict[tuple[int, int], None] = {}
        self.notices: dict[int, deque[PeerLost | PeerConnected]] = {s: deque() for s in self.sids}
        self.answers: list[tuple[int, ConnectReply | Reply | CloseConnection]] = []
        self.on_effects: Callable[[int, list[Effect]], None] = lambda sid, effects: None

    def step(self, sid: int, event: Event) -> None:
        """Let `event` happen to a member that is up."""
        effects = self.members[sid].step(event, self.now_ms)
        for effect in effects:
            match effect:
                case Send(peer, connection, message):
                    if (sid, peer) in self.open_links:
                        self.links[sid, peer].append((connection, message))
                case (
                    Persist()
                    | PersistEpochs()
                    | PersistSnapshot()
                    | TruncateLog()
                    | WriteSnapshotPart()
                ):
                    self.disks[sid].waiting.append(effect)
                case ConnectReply() | Reply() | CloseConnection():
                    self.answers.append((sid, effect))
                case _:
                    pass
        self.on_effects(sid, effects)

    # Links.

    def deliverable(self) -> list[tuple[int, int]]:
        """The links whose oldest packet may arrive now."""
        return [
            (a, b)
            for (a, b), packets in self.links.items()
            if packets and (b, a) in self.open_links and not self._has_notice(b, a)
        ]

    def _has_notice(self, sid: int, peer: int) -> bool:
        return any(notice.peer == peer for notice in self.notices[sid])

    def deliver(self, link: tuple[int, int]) -> None:
        """Let the oldest packet of a link arrive."""
        connection, message = self.links[link].popleft()
        self.step(link[1], Received(link[0], connection, message))

    def notice(self, sid: int) -> None:
        """Let a member hear of the oldest thing that happened to its links."""
        self.step(sid, self.notices[sid].popleft())

    def break_off(self, link: tuple[int, int]) -> None:
        """Break a link with all that is on its way; both ends will notice."""
        if link not in self.open_links:
            return
        del self.open_links[link]
        self.links[link].clear()
        for sid, peer in (link, link[::-1]):
            if sid in self.members:
                self.notices[sid].append(PeerLost(peer))
                if (sid, peer) in self.open_links:
                    self.notices[sid].append(PeerConnected(peer))

    def reopen(self) -> None:
        """Open every link that is not, once its sender knows that it was broken."""
        for a, b in self.links:
            is_closed = a in self.members and b in self.members and (a, b) not in self.open_links
            if is_closed and not self._has_notice(a, b):
                self.open_links[a, b] = None
                self.notices[a].append(PeerConnected(b))

    # Members.

    def start(self, sid: int) -> None:
        """Start a member that is down, with what its disk has."""
        self.members[sid] = Member(self.configs[sid], self.disks[sid].recover())
        self.step(sid, Started())

    def crash(self, sid: int, survivors: int) -> None:
        """Kill a member; of its unsynced writes only the first few reach the disk."""
        disk = self.disks[sid]
        for _ in range(min(survivors, len(disk.waiting))):
            disk.sync_one()
        disk.crash()
        del self.members[sid]
        self.notices[sid].clear()
        for link in list(self.open_links):
            if sid in link:
                self.break_off(link)

    def sync(self, sid: int, count: int) -> None:
        """Let a member's oldest writes reach its disk."""
        for _ in range(min(count, len(self.disks[sid].waiting))):
            self.step(sid, self.disks[sid].sync_one())

    def wake(self) -> None:
        """Tell every member whose deadline has come."""
        for sid, member in list(self.members.items()):
            if member.deadline() <= self.now_ms:
                self.step(sid, DeadlineReached())

    def settle(self) -> None:
        """Deliver, sync and notice until nothing is on its way."""
        is_busy = True
        while is_busy:
            is_busy = False
            for sid in self.members:
                while self.notices[sid]:
                    self.notice(sid)
                    is_busy = True
            for link in self.deliverable():
                self.deliver(link)
                is_busy = True
            for sid in self.members:
                if self.disks[sid].waiting:
                    self.sync(sid, len(self.disks[sid].waiting))
                    is_busy = True

    def run(self, length_ms: float) -> None:
        """Let time pass with everything working, from one deadline to the next."""
        until_ms = self.now_ms + length_ms
        while True:
            self.reopen()
            self.settle()
            next_ms = min((m.deadline() for m in self.members.values()), default=inf)
            if next_ms > until_ms:
                break
            self.now_ms = max(self.now_ms, next_ms)
            self.wake()
        self.now_ms = until_ms

    # Clients.

    def connect(self, sid: int, connection: int, timeout_ms: int) -> None:
        """A client asks for a new session."""
        self.step(sid, ConnectRequested(connection, 0, timeout_ms, 0, b""))

    def submit(self, sid: int, connection: int, xid: int, op: Op) -> None:
        """A client's request arrives."""
        self.step(sid, Submitted(connection, xid, op))
