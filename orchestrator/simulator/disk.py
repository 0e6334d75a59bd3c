"""Owns a simulated disk: what a member has asked to write, and what of it is on the platter.

First in, first out, and synced in groups: what is asked for while a sync runs waits for the
next one, as a log writer does. It makes no decision of the protocol and keeps no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from nodes.core.effects import (
    Persist,
    PersistEpochs,
    PersistSnapshot,
    TruncateLog,
    WriteSnapshotPart,
)
from nodes.core.events import (
    EpochsPersisted,
    Event,
    LogTruncated,
    Persisted,
    SnapshotPartWritten,
    SnapshotPersisted,
)
from nodes.core.txns import Recovered, Snapshot, Txn
from orchestrator.simulator.clock import Clock

Write = Persist | PersistEpochs | TruncateLog | PersistSnapshot | WriteSnapshotPart


class Disk:
    """Invariants: every write is answered once, in order, and only when it is synced;

    writes of before a crash are never answered after it. `zxids` are those in the synced log.
    """

    def __init__(
        self, clock: Clock, rng: Random, sync_ms: float, answer: Callable[[Event], None]
    ) -> None:
        """`sync_ms` is the mean length of a sync, `answer` takes the event that ends a write."""
        self.sync_ms = sync_ms
        self.delay_ms = 0.0
        self._clock = clock
        self._rng = rng
        self._answer = answer
        self._unsynced: list[Write] = []
        self._syncing = 0
        self._life = 0
        self._epochs = (0, 0)
        # With the zxid up to which the log must reach for the snapshot to be of use.
        self._snapshots: list[tuple[int, Snapshot]] = []
        self._parts: list[WriteSnapshotPart] = []
        self._log_begins_after = 0
        self.zxids: set[int] = set()
        self._txns: list[Txn] = []
        self._is_stalled = False
        self._owed: Callable[[], None] | None = None

    def write(self, write: Write) -> None:
        """Take a write; `flush` starts the sync, so that the writes of one step share it."""
        self._unsynced.append(write)

    def flush(self) -> None:
        """Start a sync of all that waits, unless one is running already."""
        if self._syncing or not self._unsynced:
            return
        self._syncing = len(self._unsynced)
        length_ms = self.sync_ms * self._rng.uniform(0.7, 1.3) + self.delay_ms
        self._clock.call_at(self._clock.now_ms + length_ms, partial(self._synced, self._life))

    def stall(self) -> None:
        """Let no sync end until `go_on`."""
        self._is_stalled = True

    def go_on(self) -> None:
        """End the stall; the sync that is running ends now."""
        self._is_stalled = False
        owed, self._owed = self._owed, None
        if owed is not None:
            owed()

    def _synced(self, life: int) -> None:
        if life != self._life:
            return
        if self._is_stalled:
            self._owed = partial(self._synced, life)
            return
        batch, self._unsynced = self._unsynced[: self._syncing], self._unsynced[self._syncing :]
        self._syncing = 0
        answers = [self._apply(write) for write in batch]
        self.flush()
        for event in answers:
            self._answer(event)

    def _apply(self, write: Write) -> Event:
        match write:
            case Persist(txn):
                self._txns.append(txn)
                self.zxids.add(txn.zxid)
                return Persisted(txn.zxid)
            case PersistEpochs(accepted_epoch, current_epoch):
                self._epochs = (accepted_epoch, current_epoch)
                return EpochsPersisted(accepted_epoch, current_epoch)
            case TruncateLog(zxid):
                return LogTruncated(self._truncate(zxid))
            case PersistSnapshot(snapshot):
                self._parts = []
                self._snapshots = [(snapshot.zxid, snapshot)]
                self._log_begins_after = snapshot.zxid
                self._keep([])
                return SnapshotPersisted(snapshot.zxid)
            case WriteSnapshotPart(zxid=zxid):
                self._add_part(write)
                return SnapshotPartWritten(zxid)

    def _truncate(self, zxid: int) -> Recovered | None:
        if zxid < self._log_begins_after:
            return None
        self._parts = []
        self._snapshots = [kept for kept in self._snapshots if kept[0] <= zxid]
        self._keep([txn for txn in self._txns if txn.zxid <= zxid])
        return self.recover()

    def _keep(self, txns: list[Txn]) -> None:
        self._txns = txns
        self.zxids = {txn.zxid for txn in txns}

    def _add_part(self, part: WriteSnapshotPart) -> None:
        if self._parts and self._parts[0].zxid != part.zxid:
            self._parts = []
        self._parts.append(part)
        if part.is_last:
            znodes = tuple(znode for each in self._parts for znode in each.znodes)
            sessions = tuple(session for each in self._parts for session in each.sessions)
            self._snapshots.append((part.last_zxid, Snapshot(part.zxid, znodes, sessions)))
            self._parts = []

    def crash(self, survivors: int = 0) -> int:
        """Lose all unsynced writes but the first `survivors`; return how many are lost."""
        for write in self._unsynced[:survivors]:
            self._apply(write)
        lost = max(len(self._unsynced) - survivors, 0)
        self._unsynced = []
        self._parts = []
        self._owed = None
        self._syncing = 0
        self._life += 1
        return lost

    @property
    def unsynced(self) -> int:
        """How many writes a crash would lose now."""
        return len(self._unsynced)

    def recover(self) -> Recovered:
        """Return what a member that starts now finds."""
        snapshot = self.snapshot
        txns = self._txns
        if snapshot is not None:
            txns = [txn for txn in txns if txn.zxid > snapshot.zxid]
        return Recovered(*self._epochs, snapshot, tuple(txns))

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot; one that was taken on the way may be fuzzy."""
        return self._snapshots[-1][1] if self._snapshots else None
