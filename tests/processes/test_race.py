"""The race on real processes: a few trials of each set-up, the verdicts of a real ensemble.

Few, since each lets a session expire in real time; `orchestrator race` runs them all.
"""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.race import ground_truth as truth
from orchestrator.race.ground_truth import GROUND_TRUTH
from orchestrator.race.runner import run_setups, setups
from orchestrator.race.tally import Experiment

pytestmark = pytest.mark.processes


def run(
    keys: list[str],
    *,
    trials: int,
    members: int = 3,
    leader: int | None = None,
    is_over_wire: bool = False,
) -> list[Experiment]:
    chosen = [setup for setup in setups([20]) if setup.key in keys]
    return asyncio.run(
        run_setups(
            chosen,
            members=members,
            leader=leader,
            trials=trials,
            progress=lambda name, finished, total: None,
            is_over_wire=is_over_wire,
        )
    )


def differing(experiments: list[Experiment]) -> list[str]:
    rows = [row for experiment in experiments for row in experiment.rows()]
    assert all(row.seen.n for row in rows)
    return [f"{row.setup}: {row.reader}: {row.seen}" for row in rows if not row.agrees]


def test_windows_give_the_verdicts_of_a_real_ensemble() -> None:
    experiments = run(["w2", "w1", "w0", "latency", "w2-local"], trials=2)
    assert len(experiments) == 5
    assert differing(experiments) == []


def test_over_zookeepers_own_protocol_the_verdicts_are_the_same() -> None:
    assert differing(run(["w2", "w1"], trials=1, is_over_wire=True)) == []


def test_a_verdict_of_a_cut_off_leader_is_forgotten() -> None:
    assert differing(run(["isolated"], trials=1)) == []


def test_a_new_leader_gives_every_session_a_full_timeout() -> None:
    assert differing(run(["anew"], trials=1)) == []


def test_any_of_five_members_may_lead() -> None:
    experiments = run(["w2", "w1", "w0"], trials=1, members=5, leader=2)
    assert differing(experiments) == []


def test_every_row_of_the_real_ensemble_is_raced() -> None:
    """A row that no trial fills would be a row that silently agrees."""
    experiments = run(["w1", "w0"], trials=1)
    raced = {(row.setup, row.reader) for e in experiments for row in e.rows()}
    assert raced == {key for key in GROUND_TRUTH if key[0] in (truth.W1, truth.W0)}
