"""What a sweep says in a sentence, and which rows exceed a bound that somebody set.

The bound is held against the reads that a program *acted upon*: a stale answer that a mitigation
lets the program notice has cost it time and nothing else. And against the lower end of the 95 %
interval: a row exceeds the bound only if chance alone would hardly bring it there, so that a
build does not fail at random. With the bound 0 a single stale answer acted upon is enough.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.report.curves import reader_at, readers_of
from loadtests.report.schema import Reader, Record, Sweep
from orchestrator.race.intervals import wilson

_MOST_NAMED = 4


def sweep_verdict(sweep: Sweep) -> str:
    """Where the ratio went most, and who was never stale anywhere."""
    seen = [row for row in readers_of(sweep) if _answered(sweep, row.name)]
    if not seen:
        return ""
    stale = [row for row in seen if any(r.stale for _, r in _answered(sweep, row.name))]
    fresh = [row.name for row in seen if row not in stale]
    named = "; ".join(fresh) if len(fresh) <= _MOST_NAMED else f"{len(fresh)} of {len(seen)} kinds"
    never = f"never stale at any point: {named}" if fresh else ""
    if not stale:
        return f"No stale read at any of {len(sweep.points)} points; {never}."
    worst = max(stale, key=lambda row: max(r.ratio or 0 for _, r in _answered(sweep, row.name)))
    steps = ", ".join(f"{r.ratio or 0:.3f} at {value}" for value, r in _answered(sweep, worst.name))
    unit = f" (in {sweep.swept.unit})" if sweep.swept.unit else ""
    knob = f"{sweep.swept.knob}{unit}"
    return f"With {knob} the stale ratio of '{worst.name}' was {steps}" + (
        f"; {never}." if never else "; no kind was always fresh."
    )


def excesses(found: Record | Sweep, bound: float) -> list[str]:
    """A line for each row whose ratio of stale answers acted upon surely exceeds the bound.

    A row, or a point of a sweep, without a verdict is told as well: nothing vouches for it.
    """
    if isinstance(found, Record):
        return _excesses_of(found, bound, "")
    complaints = []
    for point in found.points:
        where = f"{found.swept.knob}={point.value}: "
        if point.record is None:
            complaints.append(f"{where}did not come about")
        else:
            complaints += _excesses_of(point.record, bound, where)
    return complaints


def _excesses_of(record: Record, bound: float, where: str) -> list[str]:
    if not record.readers:
        return [f"{where}no reader left a figure"]
    return [f"{where}{line}" for row in record.readers for line in _excess(row, bound)]


def _excess(row: Reader, bound: float) -> Iterator[str]:
    if not row.requests:
        yield f"no verdict at all: {row.name}"
        return
    low, high = wilson(min(row.acted_upon, row.requests), row.requests)
    if low > bound:
        yield (
            f"{row.acted_upon} of {row.requests} acted upon a stale answer (95 % interval"
            f" {low:.4f}-{high:.4f}, allowed {bound:g}): {row.name}"
        )


def _answered(sweep: Sweep, name: str) -> list[tuple[str, Reader]]:
    """The values at which this reader got answers, with its rows."""
    rows = [(point.value, reader_at(sweep, i, name)) for i, point in enumerate(sweep.points)]
    return [(value, row) for value, row in rows if row is not None and row.requests]
