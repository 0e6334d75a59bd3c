"""In which window of an expiry an instant lies, by what the members traced of it.

W0: marked closing, not submitted. W1: submitted, not committed. W2: committed, but not applied on
the member that was asked. A round that its leader could not finish was forgotten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from client.history import Operation, Trace

NO_TRACES = "unknown window"
FORGOTTEN = "verdict forgotten"
_DIGITS = 20  # of an epoch and a counter, each of 32 bits
_KINDS = ("close_marked", "close_submitted", "close_committed", "close_applied")


@dataclass(slots=True)
class _Round:
    """One attempt of a leader to close a session."""

    began_ms: float
    submitted_ms: float = math.inf
    committed_ms: float = math.inf


class Windows:
    """The closings of all sessions that were traced."""

    def __init__(self, traces: list[Trace]) -> None:
        self._rounds: dict[int, list[_Round]] = {}
        self._zxids: dict[int, int] = {}
        for trace in sorted(traces, key=lambda trace: trace.at_ms):
            if trace.kind in _KINDS:
                self._take(trace)

    def _take(self, trace: Trace) -> None:
        session_id = trace.fields.get("session_id")
        if not isinstance(session_id, int):
            return
        rounds = self._rounds.setdefault(session_id, [])
        if trace.kind == "close_marked" or not rounds:
            # A session that its program closed is not marked first.
            rounds.append(_Round(trace.at_ms))
        current = rounds[-1]
        if trace.kind in ("close_committed", "close_applied"):
            if zxid := _zxid(trace.fields.get("zxid")):
                self._zxids.setdefault(session_id, zxid)
            current.submitted_ms = min(current.submitted_ms, trace.at_ms)
            current.committed_ms = min(current.committed_ms, trace.at_ms)
        elif trace.kind == "close_submitted":
            current.submitted_ms = min(current.submitted_ms, trace.at_ms)

    @property
    def zxids(self) -> dict[int, int]:
        """Of each session whose closing was committed, as traced, its zxid."""
        return self._zxids

    def of(self, session_id: int, operation: Operation) -> str:
        """The window in which an operation was asked and answered; two, if one ended meanwhile."""
        rounds = self._rounds.get(session_id)
        if not rounds:
            return NO_TRACES
        begun = [each for each in rounds if each.began_ms <= operation.called_ms]
        current = begun[-1] if begun else rounds[0]
        if current is not rounds[-1] and current.committed_ms == math.inf:
            return FORGOTTEN
        first = _window(current, operation.called_ms)
        last = _window(current, operation.until_ms)
        return first if first == last else f"{first} or {last}"


def _window(current: _Round, at_ms: float) -> str:
    if at_ms < current.submitted_ms:
        return "W0"
    return "W1" if at_ms < current.committed_ms else "W2"


def _zxid(value: object) -> int:
    """A trace shows a zxid as `epoch:counter`."""
    if isinstance(value, int):
        return value
    epoch, _, counter = str(value).partition(":")
    if not (epoch.isdecimal() and counter.isdecimal() and len(epoch) + len(counter) <= _DIGITS):
        return 0
    return int(epoch) << 32 | int(counter)
