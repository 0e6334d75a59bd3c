"""What the members' own traces say of a run: how long each window was.

Pure consumers of traces, in whatever order the streams of several members bring them; all instants
are of the host's one monotonic clock. Ask nobody anything: `loadtests.trace_feed` fetches traces.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from lagkeeper.v1.admin_pb2 import TraceRecord

WINDOW_KINDS = ("close_marked", "close_submitted", "close_committed", "close_applied")
BOUNDS_MS = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0),
    *(100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0),
)
# Expiries that never end: a deposed leader's, or a member that is down and applies nothing.
_MAX_OPEN = 50_000


@dataclass(slots=True)
class Histogram:
    """Lengths in milliseconds; `counts` has one more than there are bounds, for those above."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def add(self, length_ms: float) -> None:
        """Count a length; one that equals a bound is not above it."""
        self.counts[bisect_left(BOUNDS_MS, length_ms)] += 1

    def as_json(self) -> dict[str, Any]:
        """In the form of a record's "windows"."""
        return {"bounds_ms": list(BOUNDS_MS), "counts": list(self.counts)}


@dataclass(slots=True)
class _Closing:
    """The instants of one session's end, as far as they are known."""

    marked: float | None = None
    submitted: float | None = None
    committed: float | None = None
    # By sid: known before `committed` if that member's stream is quicker than the leader's.
    applied: dict[int, float] = field(default_factory=dict)


# A window, the member (0 where it has none), how long it was.
Length = tuple[str, int, float]


class WindowTally:
    """The windows of expiries: W0 marked to submitted, W1 submitted to committed, W2 committed by
    the leader to applied, for each member (on the leader itself it has no length).

    Counts only sessions whose mark it has seen: one that its client closed was never expired.
    """

    def __init__(self, members: int) -> None:
        """`members`: how many apply a closing before it is over."""
        self._members = members
        self._open: dict[int, _Closing] = {}
        self._w0 = Histogram()
        self._w1 = Histogram()
        self._w2: dict[int, Histogram] = {}

    def add(self, trace: TraceRecord) -> list[Length]:
        """Take a trace; return the windows that are known by it. Other kinds are passed over."""
        if trace.kind not in WINDOW_KINDS:
            return []
        session_id = trace.fields["session_id"].number
        closing = self._open.get(session_id)
        if closing is None:
            closing = self._begin(session_id)
        lengths = _lengths(closing, trace)
        for window, sid, length_ms in lengths:
            self._histogram(window, sid).add(length_ms)
        if closing.committed is not None and len(closing.applied) >= self._members:
            del self._open[session_id]
        return lengths

    def histograms(self) -> dict[str, Any]:
        """In the form of a record's "windows"; empty while nothing is known."""
        if not sum(self._w0.counts):
            return {}
        w2 = {str(sid): self._w2[sid].as_json() for sid in sorted(self._w2)}
        return {"W0": self._w0.as_json(), "W1": self._w1.as_json(), "W2": w2}

    def _begin(self, session_id: int) -> _Closing:
        if len(self._open) >= _MAX_OPEN:
            del self._open[next(iter(self._open))]
        closing = self._open[session_id] = _Closing()
        return closing

    def _histogram(self, window: str, sid: int) -> Histogram:
        if window == "W2":
            return self._w2.setdefault(sid, Histogram())
        return self._w0 if window == "W0" else self._w1


def _lengths(closing: _Closing, trace: TraceRecord) -> list[Length]:
    """Note an instant; return the windows that it ends."""
    at_ms = trace.at_ms
    match trace.kind:
        case "close_marked":
            # A new leader may expire again what the old one could not finish.
            closing.marked, closing.submitted, closing.committed = at_ms, None, None
        case "close_submitted" if closing.marked is not None:
            closing.submitted = at_ms
            return [("W0", 0, at_ms - closing.marked)]
        case "close_committed":
            closing.committed = at_ms
            if closing.submitted is not None:
                early = [("W2", sid, then - at_ms) for sid, then in closing.applied.items()]
                return [("W1", 0, at_ms - closing.submitted), *early]
        case "close_applied":
            closing.applied[trace.sid] = at_ms
            if closing.committed is not None and closing.submitted is not None:
                return [("W2", trace.sid, at_ms - closing.committed)]
    return []
