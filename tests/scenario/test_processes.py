"""The same files on real processes: one ensemble, and the verdicts of virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from client.history import Trace
from orchestrator.scenario.model import EnsembleSection, Scenario
from orchestrator.scenario.processes import open_processes
from orchestrator.scenario.run import RunResult, load_scenario, play_scenario, run_scenario
from orchestrator.scenario.stage import Stage
from orchestrator.scenario.verdicts import FAILED, INCONCLUSIVE, PASSED
from tests.scenario.files import scenario_of

pytestmark = pytest.mark.processes


class Lab:
    """An ensemble of processes, for one scenario after the other."""

    def __init__(self, runner: asyncio.Runner, stage: Stage) -> None:
        self._runner = runner
        self._stage = stage

    def play(self, scenario: Scenario) -> RunResult:
        """Play it once."""
        return self._runner.run(play_scenario(self._stage, scenario))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with asyncio.Runner() as runner:
        context = open_processes(EnsembleSection(), with_messages=True)
        stage = runner.run(_enter(context))
        try:
            yield Lab(runner, stage)
        finally:
            runner.run(_leave(context))


async def _enter(context: object) -> Stage:
    stage: Stage = await context.__aenter__()  # type: ignore[attr-defined]
    return stage


async def _leave(context: object) -> None:
    await context.__aexit__(None, None, None)  # type: ignore[attr-defined]


def told(result: RunResult) -> list[tuple[str, str, bool]]:
    """Variant, verdict, and whether it was harmed."""
    return [(v.variant, v.verdict, v.harmed) for v in result.variants]


@pytest.mark.parametrize("name", ["w2-lagging-follower", "w1-told-before-commit", "moved-session"])
def test_packaged_scenario_has_the_verdicts_of_virtual_time(lab: Lab, name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.head.ensemble == EnsembleSection()
    result = lab.play(scenario)
    assert result.verdict == PASSED, result.variants
    assert told(result) == told(run_scenario(scenario, on="simulator"))


def test_members_die_pause_and_come_back(lab: Lab) -> None:
    steps = """
- open: {session: a, on: follower}
- open: {session: v, on: leader}
- create: {session: v, path: /x, ephemeral: true, as: made}
- sync: {session: a}
- pause: other
- silence: v
- kill: leader
- resume_member: other
- await: {leader: new, within: 10s}
- sync: {session: a}
- exists: {session: a, path: /x, expect: {owner: v}}
- start: leader
- wake: v
- sync: {session: v, as: first}
- until: {do: {sync: {session: v}}, is: {error: ok}}
- exists: {session: v, path: /x, expect: {owner: v, czxid: "{made.czxid}"}}
"""
    result = lab.play(scenario_of(steps))
    assert [(v.verdict, v.why) for v in result.variants] == [(PASSED, "")]
    gone = [t.kind for t in result.history.traces if t.kind in ("crashed", "started", "paused")]
    assert gone == ["paused", "crashed", "started"]


def test_failed_and_inconclusive_variants_leave_the_ensemble_sound(lab: Lab) -> None:
    steps = """
- open: {session: a, on: leader}
- hold: {link: leader->follower, only: SYNC}
- isolate: other
- hold_closing: true
- exists: {session: a, path: /x, expect: {exists: true}}
  when: wrong
- await: {trace: close_marked, session: a, within: 50ms}
"""
    result = lab.play(scenario_of(steps, "variants: {wrong: {}, vain: {}}\n"))
    wrong, vain = result.variants
    seen = (wrong.verdict, wrong.line, wrong.why)
    assert seen == (FAILED, 10, "exists is false, expected true")
    assert (vain.verdict, vain.why) == (
        INCONCLUSIVE,
        "no close_marked of a traced within 50 ms",
    )
    again = lab.play(scenario_of("- open: {session: a, on: other}\n- sync: {session: a}"))
    assert again.verdict == PASSED


def test_messages_between_members_are_traced(lab: Lab) -> None:
    steps = "- open: {session: a, on: leader}\n- create: {session: a, path: /x}"
    traces = lab.play(scenario_of(steps)).history.traces
    assert any(_is_proposal(trace) for trace in traces)


def _is_proposal(trace: Trace) -> bool:
    return trace.kind == "message_sent" and trace.fields["packet"] == "PROPOSAL"
