"""The table of a race: ratios, intervals, and the comparison with the real ensemble."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.race import ground_truth as truth
from orchestrator.race.ground_truth import GROUND_TRUTH, Seen
from orchestrator.race.intervals import wilson
from orchestrator.race.runner import setups
from orchestrator.race.tally import Experiment, Trial, make_table

W2_20 = truth.W2.format(20)


# Computed from the closed form with an independent calculator, to four digits.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (17, 20, 0.6396, 0.9476), (1, 2, 0.0945, 0.9055)],
)
def test_wilson_interval_matches_the_formula(
    successes: int, n: int, low: float, high: float
) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_no_trials_say_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("real", "ours", "agrees"),
    [
        (Seen(0, 20), Seen(0, 5), True),
        (Seen(0, 20), Seen(1, 20), False),
        (Seen(20, 20), Seen(8, 8), True),
        (Seen(20, 20), Seen(19, 20), False),
        (Seen(17, 20), Seen(20, 20), True),
        (Seen(17, 20), Seen(5, 20), False),
        (Seen(17, 20), Seen(0, 0), False),
    ],
)
def test_all_and_none_are_exact_and_between_them_intervals_overlap(
    real: Seen, ours: Seen, agrees: bool
) -> None:
    assert real.agrees_with(ours) is agrees


def _experiment(stale: list[bool], windows_ms: list[float]) -> Experiment:
    experiment = Experiment(W2_20, window_delay_ms=20)
    for verdict, window_ms in zip(stale, windows_ms, strict=True):
        experiment.trials.append(Trial({truth.OPEN_SESSION: verdict}, window_ms))
    return experiment


def test_a_fresh_read_where_zookeeper_is_stale_differs() -> None:
    assert _experiment([True, True], [21, 22]).agrees()
    assert not _experiment([True, False], [21, 22]).agrees()


@pytest.mark.parametrize(
    ("window_ms", "agrees"), [(19.9, False), (20, True), (30, True), (31, False)]
)
def test_the_median_window_is_the_delay_and_ten_milliseconds_at_most(
    window_ms: float, agrees: bool
) -> None:
    assert _experiment([True], [window_ms]).agrees() is agrees


def test_a_window_that_was_not_measured_does_not_agree() -> None:
    experiment = Experiment(W2_20, [Trial({truth.OPEN_SESSION: True})], window_delay_ms=20)
    assert not experiment.agrees()


def test_the_table_names_what_differs() -> None:
    out = io.StringIO()
    Console(width=80, file=out).print(make_table(_experiment([True, False], [21, 22])))
    line = next(line for line in out.getvalue().splitlines() if truth.OPEN_SESSION in line)
    assert "20/20" in line
    assert "DIFFERS" in line


def test_every_set_up_has_rows_of_the_real_ensemble() -> None:
    assert {setup.name for setup in setups()} == {setup for setup, _ in GROUND_TRUTH}
