"""Counts stale reads a second time, from what the members traced of the reads that they served.

Owns the comparison of one read as its program saw it with the same read as its member served it:
whether both call it stale, and when the stale answers ended. The instants of both are of the
host's one monotonic clock, so programs and members must share a host. Decides nothing of what a
stale read is: `loadtests.stale_reads` says that.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lagkeeper.v1.admin_pb2 import TraceRecord

from loadtests.readers import Told
from loadtests.stale_reads import Observation, quantile
from loadtests.trace_feed import TraceFeed

READ, APPLIED = "read_served", "close_applied"
_PER_MS = 10
# Traces of what has just happened are still on their way.
SETTLE_S = 2.0
# How long a read is remembered, beyond the longest that a program may look.
_SPARE_MS = 10_000.0
_MAX_APPLIED = 100_000


@dataclass(slots=True)
class AuditCounts:
    """What both sides say of the same reads. These add up, so that processes can be added.

    `seen` stale by the programs, `served` stale by the members, both of `reads`; `disagreeing`:
    called stale by one of the two only; `untraced`: no member told of it, so it is not in
    `reads`. `differences`: of stale ones, the end of the stale answers as the program found it
    minus the member's application of the closeSession, in tenths of a millisecond.
    """

    reads: int = 0
    seen: int = 0
    served: int = 0
    disagreeing: int = 0
    untraced: int = 0
    differences: Counter[int] = field(default_factory=Counter)

    def merge(self, other: AuditCounts) -> None:
        """Add another process's."""
        self.reads += other.reads
        self.seen += other.seen
        self.served += other.served
        self.disagreeing += other.disagreeing
        self.untraced += other.untraced
        self.differences.update(other.differences)

    def as_json(self) -> dict[str, Any]:
        """For programs; `window_difference_ms` is null where no window was compared."""
        return {
            "reads": self.reads,
            "stale_seen": self.seen,
            "stale_served": self.served,
            "disagreeing": self.disagreeing,
            "untraced": self.untraced,
            "window_difference_ms": self._difference_ms(),
        }

    def _difference_ms(self) -> dict[str, float] | None:
        if not self.differences:
            return None
        sizes: Counter[int] = Counter()
        for difference, count in self.differences.items():
            sizes[abs(difference)] += count
        within = sum(count for size, count in sizes.items() if size <= 5 * _PER_MS)
        named = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        return {
            "n": sizes.total(),
            **{name: round(quantile(sizes, q) / _PER_MS, 2) for name, q in named.items()},
            "within_5_ms": round(within / sizes.total(), 4),
        }

    def as_message(self) -> list[Any]:
        """For another process: what `from_message` reads."""
        numbers = [self.reads, self.seen, self.served, self.disagreeing, self.untraced]
        return [*numbers, list(self.differences.items())]

    @classmethod
    def from_message(cls, message: list[Any]) -> AuditCounts:
        """Read what `as_message` wrote."""
        reads, seen, served, disagreeing, untraced, differences = message
        return cls(reads, seen, served, disagreeing, untraced, Counter(dict(differences)))


@dataclass(frozen=True, slots=True)
class _Look:
    """A read as its program saw it."""

    session_id: int
    told: Told
    invoked_ms: float
    reported_at: float
    observation: Observation


@dataclass(frozen=True, slots=True)
class _Served:
    """A read as its member served it."""

    at_ms: float
    sid: int
    owner: int


class ReadAudit:
    """One process's. A read is settled once its trace must have come, or at `finish`."""

    def __init__(
        self, addresses: Iterable[str], window_bound_ms: int, settle_s: float = SETTLE_S
    ) -> None:
        self.counts = AuditCounts()
        self._settle_s = settle_s
        self._keep_ms = window_bound_ms + _SPARE_MS
        self._lock = threading.Lock()
        self._looks: deque[_Look] = deque()
        self._served: dict[tuple[int, str], list[_Served]] = {}
        self._order: deque[tuple[float, tuple[int, str]]] = deque()
        self._applied: dict[tuple[int, int], float] = {}
        self._feed = TraceFeed(addresses, (READ, APPLIED), self.add)

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether every member traces its reads by then."""
        return self._feed.wait_until_subscribed(timeout_s)

    def look(
        self, session_id: int, told: Told, invoked_at: float, observation: Observation
    ) -> None:
        """A program read `told.path` on its session, at `invoked_at` (monotonic, s)."""
        now = time.monotonic()
        with self._lock:
            self._looks.append(_Look(session_id, told, invoked_at * 1000, now, observation))
            self._settle(now - self._settle_s)

    def add(self, trace: TraceRecord) -> None:
        """Take a member's trace."""
        fields = trace.fields
        with self._lock:
            if trace.kind == APPLIED:
                if len(self._applied) >= _MAX_APPLIED:
                    del self._applied[next(iter(self._applied))]
                self._applied[trace.sid, fields["session_id"].number] = trace.at_ms
            elif trace.kind == READ:
                owner = fields["ephemeral_owner"].number
                key = (fields["session_id"].number, fields["path"].text)
                self._served.setdefault(key, []).append(_Served(trace.at_ms, trace.sid, owner))
                self._order.append((trace.at_ms, key))
                self._forget(trace.at_ms - self._keep_ms)

    def finish(self) -> list[str]:
        """Wait for the last traces and settle everything; return what is missing, in sentences."""
        if self._looks:
            time.sleep(self._settle_s)
        self.close()
        with self._lock:
            self._settle(time.monotonic())
        if not self._feed.lost:
            return []
        return [f"the audit was too slow for {self._feed.lost} traces, which are lost"]

    def close(self) -> None:
        """Ask the members for no more traces."""
        self._feed.close()

    def _forget(self, before_ms: float) -> None:
        while self._order[0][0] < before_ms:
            _, key = self._order.popleft()
            reads = self._served[key]
            # Of one session all reads come from one member at a time, so the oldest is the first.
            del reads[0]
            if not reads:
                del self._served[key]

    def _settle(self, reported_before: float) -> None:
        while self._looks and self._looks[0].reported_at <= reported_before:
            self._compare(self._looks.popleft())

    def _compare(self, look: _Look) -> None:
        counts, told = self.counts, look.told
        reads = self._served.get((look.session_id, told.path), [])
        place = bisect_left(reads, look.invoked_ms, key=lambda read: read.at_ms)
        if place == len(reads):
            counts.untraced += 1
            return
        served = reads[place]
        is_stale = served.owner == told.session_id
        counts.reads += 1
        counts.seen += look.observation.is_stale
        counts.served += is_stale
        counts.disagreeing += is_stale != look.observation.is_stale
        applied_ms = self._applied.get((served.sid, told.session_id))
        if is_stale and look.observation.window_ms is not None and applied_ms is not None:
            traced_ms = applied_ms - told.at * 1000
            counts.differences[round((look.observation.window_ms - traced_ms) * _PER_MS)] += 1


def sentence_on(audit: dict[str, Any]) -> str:
    """What a record's "audit" says, for people."""
    text = (
        f"audit: {audit['reads']} reads as their members traced them: {audit['stale_served']}"
        f" served stale, {audit['stale_seen']} seen stale, {audit['disagreeing']} disagree,"
        f" {audit['untraced']} untraced"
    )
    difference = audit["window_difference_ms"]
    if difference is None:
        return text
    return text + (
        f"; {difference['n']} windows end within {difference['p50']:.1f} ms (median),"
        f" {difference['p99']:.1f} ms (p99), {difference['max']:.1f} ms (max) of the"
        f" closeSession's application, {difference['within_5_ms']:.1%} within 5 ms"
    )
