"""Two runs: rows find each other, and a difference is one only beyond chance."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.report.comparison import Comparison, compare, difference_of
from loadtests.report.schema import Reader, parse
from tests.loadtests.report.records import poor, reader, record, sweep


def row(stale: int, n: int) -> Reader:
    return Reader.model_validate(reader("s", "p", "none", stale, n))


def side_by_side(a: dict[str, Any], b: dict[str, Any]) -> Comparison:
    return compare("a", parse(a, "a"), "b", parse(b, "b"))


@pytest.mark.parametrize(
    ("b", "a", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((9, 10), (3, 10), 0.1705, 0.8090),
    ],
)
def test_interval_is_newcombes(
    b: tuple[int, int], a: tuple[int, int], low: float, high: float
) -> None:
    """The examples of table II of his paper, method 10."""
    found = difference_of(row(*a), row(*b))
    assert found is not None
    assert found[0] == pytest.approx(b[0] / b[1] - a[0] / a[1])
    assert found[1] == pytest.approx((low, high), abs=1e-4)


def test_the_same_run_does_not_differ() -> None:
    comparison = side_by_side(record(), record())
    assert len(comparison.pairs) == 9
    assert not any(pair.differs for pair in comparison.pairs)
    assert comparison.verdict == "None of 9 rows differs beyond chance (95 %)."
    assert comparison.changes == []
    assert comparison.alone == []


def test_rarer_stale_reads_are_found() -> None:
    comparison = side_by_side(record(280), record(100))
    (pair,) = [pair for pair in comparison.pairs if pair.differs]
    assert pair.difference == pytest.approx(-0.45)
    assert pair.words == "less often stale in B"
    assert "0.700 in A, 0.250 in B, a difference of -0.450" in comparison.verdict
    shown = [each for each in comparison.as_json()["rows"] if each["differs"]]
    assert [each["name"] for each in shown] == ["read: open session, slow member"]


def test_row_without_a_verdict_has_no_difference() -> None:
    pair = side_by_side(record(), record()).pairs[-1]
    assert (pair.difference, pair.interval, pair.differs) == (None, None, False)
    assert pair.words == "no verdict in one of them"


def test_rows_of_one_run_only_are_told() -> None:
    fewer = record(readers=record()["readers"][:8])
    comparison = side_by_side(record(), fewer)
    assert comparison.alone == ["only in A: read: new local session, leader"]
    nothing = side_by_side(record(), poor())
    assert nothing.verdict == "The two runs have no row in common: there is nothing to compare."
    assert nothing.missing == ["B: Locust was killed"]


def test_other_setup_is_told() -> None:
    other = record()
    other["setup"] = {**other["setup"], "users": 5, "knobs": {"readers": "open"}}
    found = {change.what: (change.a, change.b) for change in side_by_side(record(), other).changes}
    assert found["users"] == ("210", "5")
    assert found["knob readers"] == ("open,new", "open")
    assert found["knob session_timeout_ms"] == ("1000", "-")
    assert "machine: cpus" not in found


def test_points_of_sweeps_find_each_other() -> None:
    comparison = side_by_side(sweep(("0", "5", "9", "x")), sweep(("5", "9", "x")))
    assert {pair.point for pair in comparison.pairs} == {"delay=5", "delay=9"}
    assert all("delay=0" in each for each in comparison.alone)
