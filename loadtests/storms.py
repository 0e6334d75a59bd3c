"""Expiry storms as the members' traces show them: from the first mark until gone everywhere.

Owns the storms of a run and the closings of the last while. Starts no storm and fetches no trace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from lagkeeper.v1.admin_pb2 import TraceRecord

from loadtests.record import Storm

_REMEMBERED = 50_000


@dataclass(slots=True)
class _Closing:
    marked: float | None = None
    # By sid.
    applied: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """A storm that is not over; `waiting` are its sessions that are not gone everywhere."""

    storm: Storm
    waiting: set[int] = field(default_factory=set)
    first: float | None = None
    last: float = 0.0


class Storms:
    """`all` has one for each number begun, in order; an entry is filled in once it is over."""

    def __init__(self, sids: Collection[int]) -> None:
        self.all: list[Storm] = []
        self.marked = 0
        self._sids = len(sids)
        self._open: dict[int, _Open] = {}
        self._closings: dict[int, _Closing] = {}

    def begin(self, number: int, t: float) -> None:
        """A storm is asked for."""
        storm = Storm(t=t, sessions=0, gone_everywhere_ms=None)
        self.all.append(storm)
        self._open[number] = _Open(storm)

    def strike(self, number: int, sessions: Iterable[int]) -> None:
        """These sessions are part of it; each process tells of its own."""
        struck = self._open.get(number)
        if struck is not None:
            before = len(struck.waiting)
            struck.waiting.update(sessions)
            struck.storm["sessions"] += len(struck.waiting) - before

    def add(self, trace: TraceRecord) -> None:
        """Take a trace of any kind."""
        if trace.kind not in ("close_marked", "close_applied"):
            return
        session_id = trace.fields["session_id"].number
        closing = self._closings.get(session_id)
        if closing is None:
            if len(self._closings) >= _REMEMBERED:
                del self._closings[next(iter(self._closings))]
            closing = self._closings[session_id] = _Closing()
        if trace.kind == "close_marked":
            self.marked += 1
            closing.marked = trace.at_ms
        else:
            closing.applied[trace.sid] = trace.at_ms

    def settle(self) -> None:
        """See what became of those that are not over."""
        for storm in self._open.values():
            for session_id in list(storm.waiting):
                closing = self._closings.get(session_id)
                if closing and closing.marked and len(closing.applied) >= self._sids:
                    storm.waiting.discard(session_id)
                    storm.first = min(closing.marked, storm.first or closing.marked)
                    storm.last = max(storm.last, *closing.applied.values())
            if storm.first is not None:
                is_over = not storm.waiting
                storm.storm["gone_everywhere_ms"] = (
                    round(storm.last - storm.first, 3) if is_over else None
                )
