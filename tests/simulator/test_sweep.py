"""Many seeds with all faults on: no violation; and what the sweep says when there is one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from orchestrator.cli import build
from orchestrator.errors import InvalidInput
from orchestrator.simulator.faults import KINDS
from orchestrator.simulator.run import ALL_KINDS, Run, make_plan, run_plan
from orchestrator.simulator.sweep import Options, shrink_violation, sweep
from tests.simulator.test_mutations import commit_by_a_minority

SEEDS = 100


def sim(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build("sim"), ["sim", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.mark.timeout(300)
def test_no_seed_violates_anything_under_all_faults() -> None:
    report = sweep(0, SEEDS, Options())
    assert [(v.seed, v.invariant, v.violation) for v in report.violations] == []
    assert report.seeds == SEEDS
    assert set(report.faults) == set(KINDS)
    # A sweep in which hardly anything happens proves nothing.
    assert report.acknowledged > 100 * SEEDS
    assert report.epochs > 2 * SEEDS
    assert report.longest_healing_ms < 10_000


def test_the_same_seed_is_the_same_run() -> None:
    plan = make_plan(11)
    assert plan == make_plan(11)
    outcomes = [replace(run_plan(plan, wants_digest=True), core_s=0.0) for _ in range(2)]
    assert outcomes[0] == outcomes[1]


def test_another_seed_is_another_run() -> None:
    assert len({run_plan(make_plan(seed), wants_digest=True).digest for seed in range(4)}) == 4


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_of_fault_happens_alone(kind: str) -> None:
    done = 0
    for seed in range(20):
        plan = make_plan(seed, (kind,), (3, 3))
        assert plan.faults
        assert {fault.kind for fault in plan.faults} == {kind}
        assert all(kind in str(fault) for fault in plan.faults)
        outcome = run_plan(plan)
        assert not outcome.invariant, outcome.violation
        done += outcome.faults.get(kind, 0)
        if done:
            break
    assert done


@pytest.mark.parametrize(("members", "sizes"), [((3, 3), {3}), ((3, 7), {3, 4, 5, 6, 7})])
def test_seeds_draw_ensembles_within_the_bounds(members: tuple[int, int], sizes: set[int]) -> None:
    configs = [make_plan(seed, members=members).config for seed in range(200)]
    assert {len(config.voters) + len(config.observers) for config in configs} == sizes
    assert all(len(config.voters) >= 3 for config in configs)
    if max(sizes) > 3:
        assert {len(config.observers) for config in configs} == {0, 1, 2}


# A session opened behind the back of a deposed leader; sessions that move while they are upgraded.
@pytest.mark.parametrize("seed", [823, 1587, 224, 677, 1485, 1783])
def test_seed_that_once_went_red_is_green(seed: int) -> None:
    assert run_plan(make_plan(seed)).violation == ""


def test_clocks_of_members_differ_and_drift() -> None:
    plan = make_plan(0, ("drift",), (3, 3))
    run = Run(plan)
    run.play()
    assert len({host._local_ms() for host in run.world.hosts.values()}) == 3


def test_a_violation_is_shrunk_to_faults_that_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    commit_by_a_minority(monkeypatch)
    options = Options(("crash", "orphan", "hold", "stall", "reset"), (3, 3))
    report = sweep(0, 3, options, jobs=1)
    assert report.violations
    shrunk = shrink_violation(options, report.violations[0])
    assert len(shrunk.places) < shrunk.drawn
    again = replace(options, only=shrunk.places)
    replayed = run_plan(again.plan(shrunk.plan.seed))
    assert (replayed.invariant, replayed.violation) == (
        shrunk.outcome.invariant,
        shrunk.outcome.violation,
    )


def test_the_command_says_what_it_did_and_exits_with_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, text = sim("--seeds", "3", "--jobs", "1")
    assert status == 0
    assert "steps/s" in text
    assert text.endswith("no violation\n")
    commit_by_a_minority(monkeypatch)
    status, text = sim("--seeds", "2", "--jobs", "1", "--members", "3")
    assert status == 1
    assert "violates what is delivered is on the disks of a quorum" in text
    assert "replay: orchestrator sim --seeds 1 --first-seed" in text


def test_the_replay_command_violates_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    commit_by_a_minority(monkeypatch)
    status, text = sim("--seeds", "1", "--jobs", "1", "--members", "3", "--json")
    assert status == 1
    found = json.loads(text)["explained"][0]
    replay = found["replay"].split()
    assert replay[:2] == ["orchestrator", "sim"]
    status, text = sim(*replay[2:], "--json")
    assert status == 1
    assert json.loads(text)["explained"][0]["detail"] == found["detail"]


@pytest.mark.parametrize(
    "arguments",
    [("--faults", "gremlins"), ("--members", "2"), ("--members", "many"), ("--only", "first")],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        sim(*arguments)
    assert arguments[1] in str(caught.value)
