"""How far reads are behind: what ZooKeeper promises nobody, and many programs rely on.

Owns the measuring, and the anomalies of those who ask for a bound. A read may lag: its member has
not applied yet what others were acknowledged. Even a `sync` before it bounds that only as long as
its member follows the leader of now; a deposed one that has not noticed answers it, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

from client.history import FAILED, OK, History, Operation, show_zxid
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.errors import NO_NODE, plain
from orchestrator.checker.rules import LAG, SYNCED

READS = ("get", "exists", "children", "multi_read")


@dataclass(slots=True)
class Freshness:
    """Of how many reads; `lags` counts transactions of those that lag, `lags_ms` how long ago the
    first write that each misses had been acknowledged. `synced` reads were right behind a sync.
    """

    reads: int = 0
    lags: Counter[int] = field(default_factory=Counter)
    lags_ms: list[float] = field(default_factory=list)
    synced: int = 0
    stale_synced: int = 0

    @property
    def behind(self) -> int:
        """How many reads lag."""
        return self.lags.total()

    def lag(self, share: float) -> int:
        """The quantile of the transactions that lagging reads are behind."""
        rank = max(1, round(share * self.behind))
        for lag in sorted(self.lags):
            rank -= self.lags[lag]
            if rank <= 0:
                return lag
        return 0

    def lag_ms(self, share: float) -> float:
        """The same in milliseconds."""
        ordered = sorted(self.lags_ms)
        return ordered[max(1, round(share * len(ordered))) - 1] if ordered else 0.0


class Gauge:
    """One pass over all operations by the time of their invocation."""

    def __init__(self, history: History, max_lag: int | None, is_fresh_after_sync: bool) -> None:
        self.freshness = Freshness()
        self.anomalies: list[Anomaly] = []
        self._max_lag = max_lag
        self._is_fresh_after_sync = is_fresh_after_sync
        writes = [op for op in history.operations if op.writes and op.outcome == OK and op.zxid]
        self._by_zxid = sorted(writes, key=lambda op: op.zxid)
        self._zxids = [op.zxid for op in self._by_zxid]
        # Of each session whose last operation was a sync: it, and what was acknowledged before it.
        self._synced: dict[int, tuple[Operation, Operation | None]] = {}
        self._measure(history, sorted(writes, key=lambda op: op.until_ms))

    def _measure(self, history: History, by_return: list[Operation]) -> None:
        latest: Operation | None = None
        place, count = 0, len(by_return)
        for operation in sorted(history.operations, key=lambda op: op.called_ms):
            while place < count and by_return[place].until_ms < operation.called_ms:
                if latest is None or by_return[place].zxid > latest.zxid:
                    latest = by_return[place]
                place += 1
            synced = self._synced.pop(operation.session_id, None)
            if operation.kind == "sync" and operation.outcome == OK:
                self._synced[operation.session_id] = operation, latest
            elif operation.kind in READS and operation.zxid and _is_answered(operation):
                self.freshness.reads += 1
                if latest is not None and operation.zxid < latest.zxid:
                    self._lags(operation, latest)
                if synced is not None:
                    self._is_behind_sync(operation, *synced)

    def _lags(self, read: Operation, latest: Operation) -> None:
        first = bisect_right(self._zxids, read.zxid)
        lag = bisect_right(self._zxids, latest.zxid) - first
        missed = self._by_zxid[first]
        since_ms = read.called_ms - min(missed.until_ms, latest.until_ms)
        self.freshness.lags[lag] += 1
        self.freshness.lags_ms.append(since_ms)
        if self._max_lag is not None and lag > self._max_lag:
            text = (
                f"{read.kind} of {read.path} at {show_zxid(read.zxid)} is {lag} transactions behind"
                f" {show_zxid(latest.zxid)}"
            )
            self.anomalies.append(Anomaly(LAG, text, [missed, latest, read]))

    def _is_behind_sync(self, read: Operation, sync: Operation, latest: Operation | None) -> None:
        self.freshness.synced += 1
        if latest is None or read.zxid >= latest.zxid:
            return
        self.freshness.stale_synced += 1
        if self._is_fresh_after_sync:
            text = (
                f"{read.kind} of {read.path} right behind a sync shows {show_zxid(read.zxid)}, not"
                f" {show_zxid(latest.zxid)}, which was acknowledged before the sync"
            )
            self.anomalies.append(Anomaly(SYNCED, text, [latest, sync, read]))


def _is_answered(operation: Operation) -> bool:
    is_absent = operation.outcome == FAILED and plain(operation.error) == NO_NODE
    return operation.outcome == OK or is_absent
