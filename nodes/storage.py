"""A member's disk: its epochs and its history in one directory, locked by one process.

One worker thread takes effects first in, first out, and syncs what has gathered while the sync
before it ran (group commit, as ZooKeeper's SyncRequestProcessor). Decides nothing: every effect
ends in one event. Refuses a directory in use and damaged files; what a damage is, `nodes.history`
and its files know.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, assert_never

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
from nodes.core.txns import Recovered
from nodes.core.zxid import epoch_of, show_zxid
from nodes.history import History
from nodes.logfile import StorageError, read_epoch, write_epoch

Replacement = PersistEpochs | TruncateLog | PersistSnapshot | WriteSnapshotPart
DiskEffect = Persist | Replacement
# An effect and, for Persist, the transaction's bytes.
Job = tuple[DiskEffect, bytes]

MAX_BATCH = 1000


class Storage:
    """Invariant: what an event names is on disk before the event is delivered."""

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir
        self._history: History | None = None
        self._lock: IO[str] | None = None
        self._epochs = (0, 0)
        self._jobs: SimpleQueue[Sequence[Job] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self.disk_delay_ms = 0.0
        # Of the log: how often it was synced, how long that took in all, transactions synced.
        self.syncs = 0
        self.sync_s = 0.0
        self.synced_txns = 0

    def open(self) -> Recovered:
        """Lock the directory and return what it holds; raises StorageError."""
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._history = History(self._dir)
            return self._recover()
        except OSError as error:
            raise StorageError(f"{error.filename or self._dir}: {error.strerror}") from None

    def start(
        self, deliver: Callable[[list[Event]], None], fail: Callable[[Exception], None]
    ) -> None:
        """Begin to work. Both callbacks are called in the worker thread."""
        self._thread = threading.Thread(
            target=self._work, args=(deliver, fail), name="storage", daemon=True
        )
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Have these effects carried out, in order, behind all before them."""
        self._jobs.put(jobs)

    def close(self) -> None:
        """Finish what was submitted, stop the thread, give the directory free."""
        if self._thread is not None:
            self._closing.set()
            self._jobs.put(None)
            self._thread.join()
        if self._history is not None:
            self._history.close()
        if self._lock is not None:
            self._lock.close()

    def _take_lock(self) -> None:
        self._lock = (self._dir / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "unknown"
            raise StorageError(f"{self._dir}: in use by process {owner}") from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    # --- recovery

    def _recover(self) -> Recovered:
        accepted = read_epoch(self._dir / "accepted_epoch")
        current = read_epoch(self._dir / "current_epoch")
        if accepted < current:
            where = self._dir / "accepted_epoch"
            raise StorageError(f"{where}: {accepted} is below current_epoch {current}")
        self._epochs = (accepted, current)
        snapshot, txns = self._opened_history().recover()
        last_zxid = txns[-1].zxid if txns else snapshot.zxid if snapshot else 0
        # The current epoch may be older: it is written behind the history that a leader sends.
        if accepted < epoch_of(last_zxid):
            where = self._dir / "accepted_epoch"
            raise StorageError(f"{where}: {accepted} is below the log's {show_zxid(last_zxid)}")
        return Recovered(accepted, current, snapshot, tuple(txns))

    def _opened_history(self) -> History:
        if self._history is None:
            raise StorageError(f"{self._dir}: not open")
        return self._history

    # --- the worker thread

    def _work(
        self, deliver: Callable[[list[Event]], None], fail: Callable[[Exception], None]
    ) -> None:
        try:
            is_open = True
            while is_open:
                batch, is_open = self._gather()
                self._carry_out(batch, deliver)
        except OSError as error:
            fail(StorageError(f"{error.filename or self._dir}: {error.strerror}"))
        except Exception as error:  # the process must not go on without its disk
            fail(error)

    def _gather(self) -> tuple[list[Job], bool]:
        """Wait for a job; return it with all that queued behind it, and whether to go on."""
        batch: list[Job] = []
        jobs = self._jobs.get()
        while jobs is not None:
            batch.extend(jobs)
            if len(batch) >= MAX_BATCH:
                return batch, True
            try:
                jobs = self._jobs.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _carry_out(self, batch: list[Job], deliver: Callable[[list[Event]], None]) -> None:
        history = self._opened_history()
        log = _Batch()
        for effect, encoded in batch:
            match effect:
                case Persist():
                    log.add(effect.txn.zxid, encoded)
                case WriteSnapshotPart(is_last=False):
                    history.write_part(effect)
                    log.answers.append(SnapshotPartWritten(effect.zxid))
                case _:
                    self._append(log, deliver)
                    log = _Batch()
                    self._delay()
                    deliver([self._replace(effect, history)])
        self._append(log, deliver)

    def _append(self, batch: _Batch, deliver: Callable[[list[Event]], None]) -> None:
        if batch.zxids:
            history = self._opened_history()
            history.log.append(batch.zxids, batch.payloads)
            began = time.perf_counter()
            self._delay()
            history.log.sync()
            self.sync_s += time.perf_counter() - began
            self.synced_txns += len(batch.zxids)
            self.syncs += 1
        if batch.answers:
            deliver(batch.answers)

    def _replace(self, effect: Replacement, history: History) -> Event:
        match effect:
            case PersistEpochs():
                self._write_epochs(effect.accepted_epoch, effect.current_epoch)
                return EpochsPersisted(effect.accepted_epoch, effect.current_epoch)
            case TruncateLog():
                return LogTruncated(self._recover() if history.truncate(effect.zxid) else None)
            case PersistSnapshot():
                history.replace(effect.snapshot)
                return SnapshotPersisted(effect.snapshot.zxid)
            case WriteSnapshotPart():
                history.write_part(effect)
                return SnapshotPartWritten(effect.zxid)
            case _:
                assert_never(effect)

    def _delay(self) -> None:
        if self.disk_delay_ms:
            self._closing.wait(self.disk_delay_ms / 1000)

    def _write_epochs(self, accepted: int, current: int) -> None:
        # Accepted first: a crash in between must not leave it below the current one.
        if accepted != self._epochs[0]:
            write_epoch(self._dir / "accepted_epoch", accepted)
        if current != self._epochs[1]:
            write_epoch(self._dir / "current_epoch", current)
        self._epochs = (accepted, current)


class _Batch:
    """Transactions that share a sync, and what to tell once it is done."""

    def __init__(self) -> None:
        self.zxids: list[int] = []
        self.payloads: list[bytes] = []
        self.answers: list[Event] = []

    def add(self, zxid: int, payload: bytes) -> None:
        """Add a transaction."""
        self.zxids.append(zxid)
        self.payloads.append(payload)
        self.answers.append(Persisted(zxid))
