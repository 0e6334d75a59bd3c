"""The bound: acted-upon reads, the lower end of the interval, and nothing passes unmeasured."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.report.schema import Record, Sweep, parse
from loadtests.report.verdicts import excesses, sweep_verdict
from tests.loadtests.report.records import poor, reader, record, sweep


def run_of(*rows: dict[str, Any]) -> Record:
    return Record.model_validate(record(readers=list(rows)))


@pytest.mark.parametrize(
    ("stale", "n", "bound", "is_over"),
    [
        (0, 1000, 0.0, False),
        (1, 1000, 0.0, True),
        (60, 100, 0.55, False),
        (600, 1000, 0.55, True),
        (3, 4, 0.5, False),
        (4, 4, 1.0, False),
    ],
)
def test_bound_is_exceeded_only_beyond_chance(
    stale: int, n: int, bound: float, is_over: bool
) -> None:
    found = excesses(run_of(reader("s", "p", "none", stale, n)), bound)
    assert bool(found) == is_over
    if is_over:
        assert found[0].startswith(f"{stale} of {n} acted upon a stale answer")


def test_noticed_stale_answer_is_not_acted_upon() -> None:
    assert excesses(run_of(reader("s", "p", "compare ephemeral_owner", 400)), 0.0) == []


def test_nothing_passes_unmeasured() -> None:
    assert excesses(run_of(reader("s", "p", "none", 0, 0)), 1.0) == [
        "no verdict at all: read: s, p"
    ]
    assert excesses(Record.model_validate(poor()), 1.0) == ["no reader left a figure"]
    found = excesses(Sweep.model_validate(sweep()), 1.0)
    assert "delay=100: did not come about" in found
    assert "delay=0: no verdict at all: read: new local session, leader" in found


def test_point_that_exceeds_is_named() -> None:
    found = excesses(Sweep.model_validate(sweep()), 0.65)
    assert any(line.startswith("delay=50: 290 of 400 acted upon") for line in found)
    assert not any(line.startswith("delay=5: ") and "acted" in line for line in found)


def test_sweep_says_how_the_worst_reader_fared() -> None:
    said = sweep_verdict(Sweep.model_validate(sweep()))
    assert "'read: open session, slow member' was 0.000 at 0, 0.150 at 5" in said
    assert "never stale at any point: " in said


def test_sweep_without_stale_reads_says_so() -> None:
    fresh = record(readers=[reader("s", "p", "none", 0)])
    values = {**sweep(), "points": [{"value": "1", "record": fresh}]}
    assert sweep_verdict(Sweep.model_validate(values)).startswith("No stale read at any of 1")
    nothing = parse({**values, "points": [{"value": "1", "record": None}]}, "here")
    assert isinstance(nothing, Sweep)
    assert sweep_verdict(nothing) == ""
