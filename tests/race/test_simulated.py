"""The race in virtual time, under the names of the real rows."""

from __future__ import annotations

import pytest

from orchestrator.race.ground_truth import GROUND_TRUTH
from orchestrator.race.runner import setups
from orchestrator.race.simulated import SIMULATED, simulate_setups
from orchestrator.race.tally import Experiment


def simulate(members: int, leader: int | None, trials: int) -> list[Experiment]:
    return simulate_setups(
        setups(),
        members=members,
        leader=leader,
        trials=trials,
        progress=lambda name, finished, total: None,
    )


@pytest.mark.parametrize(("members", "leader"), [(3, None), (3, 1), (5, 4)])
def test_every_row_has_the_verdict_of_the_real_ensemble(members: int, leader: int | None) -> None:
    experiments = simulate(members, leader, trials=2)
    assert len({experiment.setup for experiment in experiments}) == len(SIMULATED) + 3
    differing = [row for e in experiments for row in e.rows() if not row.agrees]
    assert differing == []
    assert all(experiment.window_agrees() for experiment in experiments)


def test_simulated_rows_are_named_as_the_real_ones() -> None:
    rows = {(row.setup, row.reader) for e in simulate(3, None, trials=1) for row in e.rows()}
    assert rows <= GROUND_TRUTH.keys()
