"""Runs: verdicts of variants and of runs, and what a history has of them."""

from __future__ import annotations

import asyncio

import pytest

from client.history import CLOSED, EXPIRED, OK, SILENT
from orchestrator.errors import InvalidInput
from orchestrator.scenario.model import EnsembleSection
from orchestrator.scenario.run import RunResult, play_scenario, run_scenario
from orchestrator.scenario.simulated import SimulatedStage
from orchestrator.scenario.verdicts import FAILED, INCONCLUSIVE, PASSED, VariantResult
from tests.scenario.files import scenario_of

W2 = "w2-lagging-follower"
HARM = """
- open: {session: a, on: leader}
- create: {session: a, path: /x, as: made}
  when: harmful
- harm: {if: {made: {error: ok}}, because: "it was made"}
"""


def run(steps: str, more: str) -> RunResult:
    return run_scenario(scenario_of(steps, more), on="simulator")


@pytest.mark.parametrize(
    ("expected", "verdict", "why", "line"),
    [
        ("true", PASSED, "it was made", 9),
        ("false", FAILED, "harmed, expected not to be: it was made", 9),
    ],
)
def test_harm_that_comes_is_held_against_the_file(
    expected: str, verdict: str, why: str, line: int
) -> None:
    result = run(HARM, f"variants: {{harmful: {{harmed: {expected}}}, other: {{}}}}\n")
    harmful, other = result.variants
    assert (harmful.verdict, harmful.harmed, harmful.why) == (verdict, True, why)
    assert harmful.line == line
    assert (other.verdict, other.harmed) == (PASSED, False)
    assert (result.verdict, result.exit_status) == (verdict, 0 if verdict == PASSED else 1)


def test_harm_that_does_not_come_fails_with_the_line_of_the_variant() -> None:
    result = run(HARM, "variants:\n  harmful: {harmed: true}\n  other: {harmed: true}\n")
    assert result.variants[1] == VariantResult(
        "other",
        FAILED,
        why="not harmed, expected to be",
        line=6,
        began_ms=result.variants[1].began_ms,
        ended_ms=result.variants[1].ended_ms,
    )


@pytest.mark.parametrize(
    ("verdicts", "of_the_run", "status"),
    [
        ((PASSED, PASSED), PASSED, 0),
        ((PASSED, INCONCLUSIVE), INCONCLUSIVE, 2),
        ((INCONCLUSIVE, FAILED), FAILED, 1),
    ],
)
def test_run_is_as_good_as_its_worst_variant(
    verdicts: tuple[str, ...], of_the_run: str, status: int
) -> None:
    variants = [VariantResult(str(n), verdict) for n, verdict in enumerate(verdicts)]  # type: ignore[arg-type]
    result = RunResult("x", "x.yaml", "simulator", 1, variants)
    assert (result.verdict, result.exit_status) == (of_the_run, status)


def test_history_has_operations_sessions_verdicts_traces_and_steps() -> None:
    result = run_scenario(W2, variant="plain")
    history = result.history
    assert history.is_complete
    sessions = {session.name: session for session in history.sessions.values() if session.name}
    assert sorted(sessions) == ["reader", "victim"]
    assert (sessions["reader"].end, sessions["victim"].end) == (CLOSED, EXPIRED)
    victim = sessions["victim"].session_id
    (told,) = [told for told in history.told if told.session_id == victim][:1]
    (read,) = [op for op in history.operations if op.kind == "exists"]
    assert read.outcome == OK
    assert read.called_ms > told.at_ms
    assert read.seen[0] is not None
    assert read.seen[0].ephemeral_owner == victim
    applied = {t.sid for t in history.traces if t.kind == "close_applied"}
    assert applied == {1, 2, 3}
    steps = [str(t.fields["text"]) for t in history.traces if t.kind == "step"]
    assert steps[0].startswith("open session=reader on=follower (line ")


def test_silent_session_is_left_to_expire_in_the_history() -> None:
    steps = "- open: {session: a, on: leader, timeout: 200ms}\n- crash: a"
    (session,) = [s for s in run(steps, "").history.sessions.values() if s.name == "a"]
    assert session.end in (SILENT, EXPIRED, CLOSED)


def test_operation_without_an_outcome_is_recorded_as_unknown() -> None:
    steps = """
- open: {session: a, on: follower}
- hold: {link: follower->leader, only: "REQUEST[create]"}
- create: {session: a, path: /x, background: true}
- wait: 2ms
- drop: a
"""
    (create,) = [op for op in run(steps, "").history.operations if op.path.endswith("/x")]
    assert (create.outcome, create.error) == ("unknown", "ConnectionLoss")


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    def seen(seed: int) -> list[tuple[float, int, str]]:
        history = run_scenario(W2, seed=seed).history
        return [(trace.at_ms, trace.sid, trace.kind) for trace in history.traces]

    assert seen(1) == seen(1)
    assert seen(1) != seen(2)


def test_a_variant_leaves_nothing_to_the_next() -> None:
    steps = """
- open: {session: a, on: leader, timeout: 300ms}
- create: {session: a, path: /x, ephemeral: true, expect: {error: ok}}
- children: {session: a, path: /, expect: {children: [x]}}
- open: {session: b, on: follower}
- note: "they differ"
  when: one
- crash: a
- delay: {link: "*->leader", by: 10ms}
- sync: {session: b}
- pause: other
- hold_closing: true
- expire: b
- await: {trace: close_marked, session: b}
- kill: follower
"""
    result = run(steps, "variants: {one: {}, two: {}}\n")
    assert [(v.verdict, v.why) for v in result.variants] == [(PASSED, ""), (PASSED, "")]


def test_roles_are_found_anew_for_each_variant() -> None:
    steps = """
- kill: leader
- await: {leader: new}
- note: "they differ"
  when: one
"""
    result = run(steps, "variants: {one: {}, two: {}}\n")
    crashed = [trace.fields["member"] for trace in result.history.traces if trace.kind == "crashed"]
    assert len(set(crashed)) == 2


def test_only_one_variant_is_played_if_asked_and_it_must_be_there() -> None:
    assert [v.variant for v in run_scenario(W2, variant="sync").variants] == ["sync"]
    with pytest.raises(InvalidInput, match="no variant 'snyc'; variants are plain, sync"):
        run_scenario(W2, variant="snyc")


def test_messages_are_in_the_history_when_they_are_asked_for() -> None:
    def kinds(with_messages: bool) -> set[str]:
        history = run_scenario(W2, variant="plain", with_messages=with_messages).history
        return {trace.kind for trace in history.traces}

    assert {"message_sent", "message_received", "read_served"} <= kinds(True)
    assert "message_sent" not in kinds(False)


def test_played_again_on_the_same_ensemble_each_variant_has_a_root_of_its_own() -> None:
    steps = "- open: {session: a, on: leader}\n- create: {session: a, path: /x, as: made}\n"
    scenario = scenario_of(steps + "- expect: {made: {error: ok}}")
    stage = SimulatedStage(EnsembleSection(), seed=1)
    made = []
    for _ in range(2):
        result = asyncio.run(play_scenario(stage, scenario))
        assert result.verdict == PASSED
        made += [op.path for op in result.history.operations if op.path.endswith("/x")]
    assert made == ["/tried-plain/x", "/tried-plain-2/x"]


def test_virtual_time_can_be_broken_off() -> None:
    async def break_off() -> float:
        stage = SimulatedStage(EnsembleSection(), seed=1)
        began_ms = stage.now_ms()
        waiting = asyncio.create_task(stage.sleep(3_600_000))
        await asyncio.sleep(0)
        assert waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return stage.now_ms() - began_ms

    assert asyncio.run(break_off()) < 60_000
