"""`orchestrator scenario` as people type it: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client.history import History
from orchestrator import cli
from orchestrator.scenario.reading import catalogue
from tests.scenario.files import text_of

OPEN = "- open: {session: a, on: leader}\n"


class Ran:
    """A command that was run."""

    def __init__(self, status: object, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err


@pytest.fixture
def scenario(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["orchestrator", "scenario", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        captured = capsys.readouterr()
        return Ran(ended.value.code, captured.out, captured.err)

    return run


def write(name: str, steps: str, more: str = "") -> str:
    """Write a scenario into the working directory."""
    Path(f"{name}.yaml").write_text(text_of(steps, more).replace("tried", name, 1))
    return f"{name}.yaml"


def test_new_scenario_runs_as_it_is(scenario: Any) -> None:
    assert scenario("new", "mine").status == 0
    ran = scenario("run", "mine.yaml", "--on", "simulator")
    assert ran.status == 0
    assert ran.out.startswith("mine (simulator, seed 1, ")
    assert "  plain: passed, harmed: the lock of a session that is over is still seen\n" in ran.out
    assert "  sync: passed, not harmed\n" in ran.out


def test_new_scenario_overwrites_nothing(scenario: Any) -> None:
    Path("mine.yaml").write_text("precious")
    ran = scenario("new", "mine")
    assert (ran.status, ran.err) == (
        2,
        "orchestrator: mine.yaml is there already; choose another name\n",
    )
    assert Path("mine.yaml").read_text() == "precious"


def test_failed_expectation_is_told_with_file_and_line(scenario: Any) -> None:
    file = write("mine", OPEN + "- exists: {session: a, path: /x, as: s, expect: {exists: true}}")
    ran = scenario("run", file, "--on", "simulator")
    assert ran.status == 1
    assert "  plain: failed: mine.yaml, line 6: s: exists is false, expected true\n" in ran.out


def test_inconclusive_run_has_status_2(scenario: Any) -> None:
    file = write("mine", OPEN + "- hold: {link: leader->follower, only: SYNC}")
    ran = scenario("run", file, "--on", "simulator")
    assert ran.status == 2
    assert "  plain: inconclusive: mine.yaml" in ran.out
    assert "touched no message" in ran.out


def test_wrong_file_is_one_line_and_status_2(scenario: Any) -> None:
    file = write("mine", "- opne: {session: a, on: leader}")
    ran = scenario("run", file, "--on", "simulator")
    assert ran.status == 2
    assert ran.err == "orchestrator: mine.yaml, line 5: no step 'opne'; did you mean 'open'?\n"
    assert ran.out == ""


def test_lint_tells_each_problem_on_a_line_of_its_own(scenario: Any) -> None:
    bad = write("bad", OPEN + "- answer: {to: x}\n- start: leader")
    good = write("good", OPEN)
    ran = scenario("lint", bad, good)
    assert ran.status == 2
    assert [line.partition(": ")[0] for line in ran.out.splitlines()] == [
        "bad.yaml, line 6",
        "bad.yaml, line 7",
    ]
    assert (scenario("lint", good).status, scenario("lint", good).out) == (0, "no problems\n")
    problems = json.loads(scenario("lint", bad, "--json").out)["problems"]
    assert [problem["line"] for problem in problems] == [6, 7]


def test_json_has_every_run_with_its_variants(scenario: Any) -> None:
    file = write("mine", OPEN + "- note: hello")
    ran = scenario("run", file, "--on", "simulator", "--times", "2", "--seed", "5", "--json")
    runs = json.loads(ran.out)["runs"]
    assert [(run["seed"], run["verdict"]) for run in runs] == [(5, "passed"), (6, "passed")]
    (variant,) = runs[0]["variants"]
    assert variant == {
        "variant": "plain",
        "verdict": "passed",
        "harmed": False,
        "why": "",
        "line": None,
        "notes": ["hello"],
        "picture": None,
    }


def test_history_and_picture_are_kept_where_they_are_asked_for(scenario: Any) -> None:
    scenario("new", "mine")
    ran = scenario(
        "run", "mine.yaml", "--on", "simulator", "--history", "h.jsonl", "--picture", "p.html"
    )
    assert "    picture: p-plain.html\n" in ran.out
    assert "  history: h.jsonl\n" in ran.out
    assert "mine, plain: passed, played on simulator" in Path("p-plain.html").read_text()
    assert History.load("h.jsonl").header.source == "scenario mine on simulator"


def test_several_runs_keep_a_file_each(scenario: Any) -> None:
    file = write("mine", OPEN)
    scenario("run", file, "--on", "simulator", "--times", "2", "--history", "h.jsonl")
    assert sorted(path.name for path in Path().glob("h*")) == [
        "h-mine-simulator-1.jsonl",
        "h-mine-simulator-2.jsonl",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "no scenario named"),
        (["run", "--all", "mine"], "say one of the two"),
        (["run", "no-such"], "no scenario 'no-such'"),
        (["run", "none.yaml"], "cannot read none.yaml"),
        (["run", "w2-lagging-follower", "--variant", "x"], "has no variant 'x'"),
        (["run", "w2-lagging-follower", "--history", "no/h.jsonl"], "no folder"),
        (["run", "w2-lagging-follower", "--history", "."], ".: a folder; name a file in it"),
        (
            ["run", "w2-lagging-follower", "--on", "simulator", "--history", "/dev/full"],
            "cannot write /dev/full: No space left on device",
        ),
        (["show", "no-such"], "no scenario 'no-such'"),
        (["new", "My Race"], "string should match"),
    ],
)
def test_bad_input_is_one_line_and_status_2(scenario: Any, arguments: list[str], said: str) -> None:
    if "run" in arguments:
        arguments = [*arguments, "--on", "simulator"]
    ran = scenario(*arguments)
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_list_and_show_name_what_is_packaged(scenario: Any) -> None:
    listed = json.loads(scenario("list", "--json").out)["scenarios"]
    assert [one["name"] for one in listed] == catalogue()
    table = scenario("list").out
    assert all(name in table for name in catalogue())
    shown = scenario("show", "w2-lagging-follower").out
    assert shown.startswith("w2-lagging-follower: ")
    assert "  sync (not harmed): " in shown
    assert "steps:\n" in shown


@pytest.mark.processes
def test_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    command = ["-c", "from orchestrator.cli import run; run()", "scenario", "run"]
    with subprocess.Popen(
        [sys.executable, *command, "w2-lagging-follower", "--times", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "passed" in process.stdout.readline()
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "")
    # The keeper takes the ensemble's directory away when every member has ended.
    assert list(tmp_path.iterdir()) == []
