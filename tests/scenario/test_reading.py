"""Files that are wrong: every problem has its line, says what is wrong and what would be right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.scenario.reading import find_text, read_scenario, template
from orchestrator.scenario.run import load_scenario
from tests.scenario.files import FIRST, HEAD, problems_of, scenario_of, text_of

OPEN = "- open: {session: a, on: leader}"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("- opne: {session: b, on: leader}", "no step 'opne'; did you mean 'open'?"),
        ("- open: {session: b}", "open.on: missing"),
        ("- open: {session: b, on: leader, onn: 3}", "unknown key; did you mean 'on'?"),
        ("- open: {session: b, on: chief}", "'chief' is no member; one of leader, follower"),
        ("- open: {session: b, on: leader, timeout: fast}", "'fast' is no length of time"),
        ("- open: {session: b, on: leader}\n  silence: a", "open and silence in one step"),
        ("- silence", "no step; a step is 'WORD: PARTICULARS'"),
        ("- open: leader", "open: 'leader' stands without a key; keys are"),
        ("- create: {session: a, path: lock}", "'lock' is no path"),
        ("- create: {session: a, path: /x, ephemeral: yes}", "should be a valid boolean"),
        ("- delete: {session: a, path: /x, version: new}", "'new' is no version"),
        ("- await: {trace: close_marked, serving: all}", "one of trace, serving, leader expected"),
        ("- await: {trace: closed, session: a}", "no trace 'closed'; one of close_marked"),
        ("- multi: {session: a, ops: [{create: {path: /x}, check: {path: /x}}]}", "one of create"),
        ("- multi: {session: a, ops: []}", "at least 1 item"),
        ("- hold_closing: false", "input should be True"),
        ("- until: {do: {silence: a}, is: {error: ok}}", "an operation that is waited for"),
        ("- note: {text: x, text: y}", "'text' is said twice"),
        ("- silence: a\n  when: never", "when: no variant 'never'; variants are plain"),
        ("- silence: a\n  if: seen", "if: results and what they must be"),
        ("- until: {do: exists, is: {error: ok}}", "until: do: a step expected"),
        ("- until: {do: , is: {error: ok}}", "until: do: a step expected"),
        (
            "- until: {do: {open: {session: b, on: leader}}, is: {verdict: alive}}",
            "an operation that is waited for",
        ),
        ("- multi: {session: a, ops: [{check: }]}", "one of create, delete, set, check"),
        ("- create: {session: a, path: /x, container: true, ephemeral: true}", "a container is"),
        ("- create: {session: a, path: '{made'}", "'{made' is no path"),
        ("- create: {session: a, path: '/x-{made.Name}'}", "a brace begins"),
        ("- delete: {session: a, path: /x, version: '{seen'}", "'{seen' is no version"),
        ("- delete: {session: a, path: /x, version: 2147483648}", "below 2^31"),
        ("- open: {session: b, on: leader, seen: -5}", "'-5' is no zxid"),
        (f"- wait: {'9' * 400}ms", "wait.length: input should be less than"),
        (f"- wait: {'9' * 5000}", "cannot be read as int"),
        ("- note: !!bool maybe", "'maybe' cannot be read as bool"),
        ("- note: !!timestamp soon", "'soon' cannot be read as timestamp"),
        ("- note: {{text: x}: y}", "a key is one word"),
        ("- sync: {session: a, as_: s}", "as_: unknown key; did you mean 'as'?"),
        ("- cut: *->leader", "begins with * or & stands in quotes"),
        ('- note: "\x01"', "cannot have the character #x0001"),
        ('- note: "\\U99999999"', "not YAML"),
    ],
)
def test_problem_of_a_step_has_its_line(step: str, said: str) -> None:
    problems = problems_of(text_of(f"{OPEN}\n{step}"))
    told = [problem for problem in problems if said in problem.text]
    assert told, problems
    assert told[0].line in (FIRST + 1, FIRST + 2)


def test_all_problems_are_told_at_once_in_the_order_of_lines() -> None:
    problems = problems_of(text_of(f"{OPEN}\n- opne: x\n- silense: a\n- hold: {{}}"))
    assert [problem.line for problem in problems] == [FIRST + 1, FIRST + 2, FIRST + 3]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: [", 1, "not YAML"),
        ("- a\n- b", 1, "keys and values expected"),
        ("", 0, "name: missing"),
        (f"{HEAD}steps: []\n", 4, "'steps' missing"),
        (f"{HEAD}colour: red\nsteps:\n  {OPEN}\n", 4, "colour: unknown key"),
        (text_of(OPEN, "ensemble: {members: many}\n"), 4, "ensemble.members"),
        (text_of(OPEN, "ensemble: {tick: 31min}\n"), 4, "ensemble.tick"),
        (text_of(OPEN, "ensemble:\n  memers: 3\n"), 5, "did you mean 'members'?"),
        (text_of(OPEN, "variants:\n  a: {harmed: maybe}\n"), 5, "variants.a.harmed"),
        (text_of(OPEN, "windows: [W3]\n"), 4, "windows.0"),
        (text_of(OPEN).replace("tried", "other"), 1, "name 'other', but the file is tried.yaml"),
        (text_of(OPEN).replace("tried", "Tried"), 1, "name: string should match pattern"),
        ("a: &a [*a]\n", 0, "too deeply nested"),
    ],
)
def test_problem_of_the_top_level_has_its_line(text: str, line: int, said: str) -> None:
    problems = problems_of(text)
    told = [problem for problem in problems if said in problem.text]
    assert told, problems
    assert told[0].line == line


def test_a_file_that_would_grow_without_end_is_refused() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for last, name in zip("abcdef", "bcdefg", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n"
    assert "more than" in problems_of(bomb)[0].text


def test_on_is_a_key_and_no_boolean() -> None:
    (step,) = scenario_of("- open: {session: off, on: leader}").steps
    assert step.action.model_dump()["session"] == "off"


def test_when_chooses_variants_by_name_list_and_negation() -> None:
    steps = "\n".join(
        f"- note: x\n  when: {when}" for when in ("a", "[a, b]", "not a", "not [a, b]")
    )
    scenario = scenario_of(steps, "variants: {a: {}, b: {}, c: {}}\n")
    chosen = [sorted(step.variants or ()) for step in scenario.steps]
    assert chosen == [["a"], ["a", "b"], ["b", "c"], ["c"]]


def test_template_is_a_scenario_under_the_given_name() -> None:
    assert read_scenario(template("my-race"), "my-race.yaml").name == "my-race"
    with pytest.raises(InvalidInput, match="My Race"):
        template("My Race")


def test_unknown_name_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'w2-lagging-follower'"):
        load_scenario("w2-laging-follower")


def test_file_without_its_ending_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text_of(OPEN))
    with pytest.raises(InvalidInput, match=r"did you mean the file 'mine\.yaml'"):
        load_scenario("mine")


def test_problem_of_many_is_told_once() -> None:
    (problem,) = problems_of(text_of(f"{OPEN}\n- multi: {{session: a, ops: [{{get: {{}}}}]}}"))
    assert "multi.ops.0.get: unknown key" in problem.text


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*none.yaml: No such file"):
        find_text(str(tmp_path / "none.yaml"))
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match="not a file"):
        find_text(str(pipe))
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 200_001)
    with pytest.raises(InvalidInput, match="larger than 200000 bytes"):
        find_text(str(large))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"name: \xff")
    with pytest.raises(InvalidInput, match="byte 6: not UTF-8"):
        find_text(str(binary))
