"""Two runs side by side: which differences are more than chance.

Owns the pairing of rows and the interval of a difference. Percentiles carry no interval (a record
keeps no single values), so of them only the difference is told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from loadtests.report.schema import Reader, Record, Sweep
from orchestrator.race.intervals import wilson


@dataclass(frozen=True, slots=True)
class Pair:
    """A row in both runs. `difference` is B - A of the ratios with its 95 % interval; None where
    one of them has no verdict. `point`: the value of the knob, in a sweep.
    """

    point: str
    name: str
    a: Reader
    b: Reader
    difference: float | None
    interval: tuple[float, float] | None

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    @property
    def words(self) -> str:
        """The verdict on this row."""
        if self.difference is None:
            return "no verdict in one of them"
        if not self.differs:
            return "no difference beyond chance"
        return "more often stale in B" if self.difference > 0 else "less often stale in B"


@dataclass(frozen=True, slots=True)
class Change:
    """A part of the set-up that is not the same in both."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`alone`: rows that only one of the runs has."""

    a_name: str
    b_name: str
    pairs: list[Pair]
    changes: list[Change]
    alone: list[str]
    missing: list[str]

    @property
    def verdict(self) -> str:
        """In a sentence."""
        differing = [pair for pair in self.pairs if pair.differs]
        if not self.pairs:
            return "The two runs have no row in common: there is nothing to compare."
        if not differing:
            return f"None of {len(self.pairs)} rows differs beyond chance (95 %)."
        most = max(differing, key=lambda pair: abs(pair.difference or 0.0))
        low, high = most.interval or (0.0, 0.0)
        return (
            f"{len(differing)} of {len(self.pairs)} rows differ beyond chance (95 %); most of all"
            f" '{label_of(most)}': {most.a.ratio or 0:.3f} in A, {most.b.ratio or 0:.3f} in B,"
            f" a difference of {most.difference or 0:+.3f} ({low:+.3f} to {high:+.3f})."
        )

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "a": self.a_name,
            "b": self.b_name,
            "verdict": self.verdict,
            "rows": [_pair_json(pair) for pair in self.pairs],
            "setup": [asdict(change) for change in self.changes],
            "only_in_one": self.alone,
            "missing": self.missing,
        }


def compare(a_name: str, a: Record | Sweep, b_name: str, b: Record | Sweep) -> Comparison:
    """Pair the rows of A and B by name, and in sweeps by point as well."""
    rows_a, rows_b = _rows(a), _rows(b)
    pairs = [_pair(key, rows_a[key], rows_b[key]) for key in rows_a if key in rows_b]
    alone = [f"only in A: {_label(*key)}" for key in rows_a if key not in rows_b]
    alone += [f"only in B: {_label(*key)}" for key in rows_b if key not in rows_a]
    missing = [f"A: {sentence}" for sentence in a.missing]
    missing += [f"B: {sentence}" for sentence in b.missing]
    return Comparison(a_name, b_name, pairs, _changes(a, b), alone, missing)


def difference_of(a: Reader, b: Reader) -> tuple[float, tuple[float, float]] | None:
    """B - A of two ratios and its 95 % interval: Newcombe's, made of both Wilson intervals.

    R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    if not a.requests or not b.requests:
        return None
    p_a, p_b = a.stale / a.requests, b.stale / b.requests
    (low_a, high_a), (low_b, high_b) = wilson(a.stale, a.requests), wilson(b.stale, b.requests)
    found = p_b - p_a
    low = found - sqrt((p_b - low_b) ** 2 + (high_a - p_a) ** 2)
    high = found + sqrt((high_b - p_b) ** 2 + (p_a - low_a) ** 2)
    return found, (low, high)


def label_of(pair: Pair) -> str:
    """The row, with its point in a sweep."""
    return _label(pair.point, pair.name)


def _label(point: str, name: str) -> str:
    return f"{point}: {name}" if point else name


def _pair(key: tuple[str, str], a: Reader, b: Reader) -> Pair:
    found = difference_of(a, b)
    return Pair(*key, a, b, *(found or (None, None)))


def _rows(found: Record | Sweep) -> dict[tuple[str, str], Reader]:
    if isinstance(found, Record):
        return {("", row.name): row for row in found.readers}
    return {
        (f"{found.swept.knob}={point.value}", row.name): row
        for point in found.points
        for row in (point.record.readers if point.record else ())
    }


def _changes(a: Record | Sweep, b: Record | Sweep) -> list[Change]:
    before, after = _facts(a), _facts(b)
    return [
        Change(what, before.get(what, "-"), after.get(what, "-"))
        for what in {**before, **after}
        if before.get(what) != after.get(what)
    ]


def _facts(found: Record | Sweep) -> dict[str, str]:
    """What can be told apart of the set-ups. Addresses and times always differ and say nothing."""
    if isinstance(found, Sweep):
        record = next((point.record for point in found.points if point.record), None)
        facts = {"swept": f"{found.swept.link} {found.swept.knob}".strip()}
    else:
        record, facts = found, {}
    if record is None:
        return facts
    setup = record.setup
    facts |= {f"knob {key}": str(value) for key, value in setup.knobs.items() if key not in _OWN}
    facts |= {f"version of {key}": value for key, value in setup.versions.items()}
    facts |= {f"machine: {key}": str(value) for key, value in setup.machine.items()}
    facts |= {"users": str(setup.users), "processes": str(setup.processes)}
    facts["members"] = str(len(setup.members))
    facts["duration"] = f"{record.duration_s:.0f} s"
    events = [f"{event.kind}: {event.text}" for event in record.events]
    facts["events"] = "; ".join(events[:_MOST_EVENTS]) or "none"
    return facts


_OWN = ("members", "directory", "dir", "record", "stale_json", "history", "html")
_MOST_EVENTS = 6


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "point": pair.point or None,
        "name": pair.name,
        "a": pair.a.model_dump(exclude={"name"}),
        "b": pair.b.model_dump(exclude={"name"}),
        "difference": pair.difference,
        "interval": pair.interval,
        "differs": pair.differs,
    }
