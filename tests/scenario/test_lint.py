"""What could never work, though it reads well, is refused with its line."""

from __future__ import annotations

import pytest

from tests.scenario.files import FIRST, problems_of, text_of

OPEN = "- open: {session: a, on: leader}"
BACKGROUND = "- exists: {session: a, path: /x, as: seen, background: true}"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("- exists: {session: b, path: /x}", "session 'b' is not opened before this step"),
        (OPEN, f"session 'a' is open since line {FIRST}"),
        ("- wake: a", "session 'a' does not hang"),
        ("- answer: {to: seen}", "no result 'seen' before this step; there are: none"),
        ("- unanswered: seen", "no result 'seen'"),
        ("- expect: {seen: {error: ok}}", "no result 'seen'"),
        ("- harm: {if: {seen: {exists: true}}, because: x}", "no step has 'as: seen'"),
        ("- note: x\n  if: {seen: {exists: true}}", "no step has 'as: seen'"),
        ("- get: {session: a, path: '{made.path}'}", "no result 'made'"),
        ("- events: {watch: w, expect: [{type: deleted, path: /x}]}", "watch 'w' is not set"),
        ("- no_events: w", "watch 'w' is not set"),
        (BACKGROUND, "nobody waits for 'seen'"),
        ("- sync: {session: a, background: true}", "nobody waits for it"),
        ("- hold: {link: leader->leader}", "a member has no link to itself"),
        ("- hold: {link: leader}", "'leader': not a link"),
        ("- hold: {link: leader->7}", "no member '7'"),
        ("- kill: observer", "no member 'observer' in an ensemble of 3 members and 0 observers"),
        ("- hold: {link: leader->follower, only: COMIT}", "only=COMIT: unknown message kind"),
        ("- hold: {link: leader->follower, only: 'COMMIT[x]'}", "unknown transaction type"),
        ("- hold: {link: leader->follower, only: PING}", "a hold lets pings pass"),
        ("- release: leader->follower", "release: no hold before this step"),
        ("- heal: leader->follower", "heal: no cut or isolate before this step"),
        ("- release_closing: true", "no hold_closing before this step"),
        ("- start: leader", "start: no kill before this step"),
        ("- resume_member: leader", "no pause before this step"),
        ("- await: {trace: serving, session: a}", "serving is of no session"),
        ("- sync: {session: a, expect: {owner: a}}", "sync tells no 'owner'; it tells error"),
        ("- exists: {session: a, path: /x, expect: {exists: 1}}", "true or false expected"),
        ("- exists: {session: a, path: /x, expect: {error: nonode}}", "did you mean 'no_node'?"),
        ("- present: {session: a, to: leader, expect: {verdict: dead}}", "no verdict 'dead'"),
        (
            "- exists: {session: a, path: /x, expect: {version: {above: 3}}}",
            "no comparison 'above'",
        ),
        ("- exists: {session: a, path: /x, expect: {version: {at_least: x}}}", "a number"),
        ("- exists: {session: a, path: /x, expect: {version: [0, x]}}", "a number expected"),
        ("- exists: {session: a, path: /x, expect: {version: {}}}", "version: nothing expected"),
        ("- exists: {session: a, path: /x, expect: {version: []}}", "version: nothing expected"),
        ("- exists: {session: a, path: /x, expect: {owner: b}}", "no session 'b'; one of a"),
        ("- exists: {session: a, path: /x, expect: {owner: {not: [a, b]}}}", "no session 'b'"),
        ("- present: {session: a, to: leader, expect: {timeout: 10000ms}}", "say '10s', not"),
        ("- present: {session: a, to: leader, expect: {timeout: soon}}", "no length of time"),
        ("- open: {session: nobody, on: leader}", "session 'nobody': the word for no session"),
    ],
)
def test_step_that_could_never_work_is_refused_with_its_line(step: str, said: str) -> None:
    problems = problems_of(text_of(f"{OPEN}\n{step}"))
    assert [(p.line, said in p.text) for p in problems] == [(FIRST + 1, True)], problems


@pytest.mark.parametrize(
    ("gone", "step", "said"),
    [
        ("silence", "- sync: {session: a}", "wake or resume it first"),
        ("drop", "- sync: {session: a}", "resume it first"),
        ("crash", "- sync: {session: a}", "a dead program does nothing more"),
        ("crash", "- resume: {session: a, on: leader}", "a dead program does nothing more"),
    ],
)
def test_program_that_is_gone_asks_nothing(gone: str, step: str, said: str) -> None:
    (problem,) = problems_of(text_of(f"{OPEN}\n- {gone}: a\n{step}"))
    assert problem.line == FIRST + 2
    assert said in problem.text


@pytest.mark.parametrize(
    "heard",
    [
        "- answer: {to: seen}",
        "- unanswered: seen",
        "- sync: {session: a}",
        "- drop: a",
        "- expect: {seen: {answered: false}}\n- crash: a",
        "- sync: {session: a, as: later, background: true}\n- answer: {to: later}",
    ],
)
def test_operation_in_the_background_is_heard_of(heard: str) -> None:
    assert problems_of(text_of(f"{OPEN}\n{BACKGROUND}\n{heard}")) == []


@pytest.mark.parametrize(
    "step",
    ["- expect: {seen: {}}", "- harm: {if: {seen: {}}, because: x}", "- note: x\n  if: {seen: {}}"],
)
def test_condition_that_is_always_so_is_refused(step: str) -> None:
    (problem,) = problems_of(
        text_of(f"{OPEN}\n- exists: {{session: a, path: /x, as: seen}}\n{step}")
    )
    assert "seen: nothing expected" in problem.text


@pytest.mark.parametrize("gone", ["silence", "crash"])
@pytest.mark.parametrize("step", ["- unanswered: seen", "- no_events: w"])
def test_step_that_cannot_fail_is_refused(gone: str, step: str) -> None:
    asked = "- exists: {session: a, path: /x, watch: w, as: seen, background: true}"
    (problem,) = problems_of(text_of(f"{OPEN}\n{asked}\n- {gone}: a\n{step}"))
    assert (problem.line, problem.text) == (
        FIRST + 3,
        f"session 'a' reads nothing since line {FIRST + 2} ({gone})",
    )


def test_answer_is_not_expected_where_it_cannot_be_yet() -> None:
    expecting = BACKGROUND.replace("}", ", expect: {exists: true}}")
    (problem,) = problems_of(text_of(f"{OPEN}\n{expecting}\n- answer: {{to: seen}}"))
    assert "it has no answer yet" in problem.text


def test_step_of_another_variant_defines_nothing() -> None:
    steps = f"{OPEN}\n- sync: {{session: a, as: s}}\n  when: x\n- expect: {{s: {{error: ok}}}}"
    (problem,) = problems_of(text_of(steps, "variants: {x: {}, y: {}}\n"))
    assert "no result 's'" in problem.text


def test_harm_may_speak_of_what_another_variant_does() -> None:
    steps = f"{OPEN}\n- sync: {{session: a, as: s}}\n  when: x\n"
    steps += "- harm: {if: {s: {error: ok}}, because: x}"
    assert problems_of(text_of(steps, "variants: {x: {harmed: true}, y: {}}\n")) == []


def test_variants_that_take_the_same_steps_are_refused() -> None:
    (problem,) = problems_of(text_of(OPEN, "variants:\n  x: {}\n  y: {}\n"))
    assert (problem.line, problem.text) == (
        6,
        "variant 'y' takes the same steps as 'x': say 'when'",
    )


@pytest.mark.parametrize("link", ["new leader->leader", "new leader->follower", "'*->new leader'"])
def test_link_of_the_new_leader_may_be_with_anybody(link: str) -> None:
    assert problems_of(text_of(f"- reset: {{link: {link}}}")) == []


def test_step_that_no_variant_takes_is_refused() -> None:
    (problem,) = problems_of(text_of(f"{OPEN}\n- note: x\n  when: not plain"))
    assert (problem.line, problem.text) == (FIRST + 1, "no variant takes this step")
