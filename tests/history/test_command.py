"""`orchestrator history`, as it is called."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner, Result

from client.history import Event, History, Told
from orchestrator.cli import build
from orchestrator.errors import InvalidInput
from tests.history.invented import Tree


def call(*arguments: str) -> Result:
    return CliRunner().invoke(build("history"), ["history", *arguments], catch_exceptions=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    history = Tree(Random(7)).run(40, ["/a", "/b"])
    history.told.append(Told(1, 1, 5.0, "expired"))
    history.events.append(Event(1, 1, 6.0, "created", "/a"))
    path = tmp_path / "history.jsonl"
    history.save(path)
    return path


def test_show_sums_up(file: Path) -> None:
    history = History.load(file)
    done = call("show", str(file), "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (
        found["operations"] == sum(sum(kind.values()) for kind in found["by_kind"].values()) == 40
    )
    gets = [op.outcome for op in history.operations if op.kind == "get"]
    assert found["by_kind"]["get"]["ok"] == gets.count("ok")
    assert found["sessions_by_end"] == {"living": 3}
    assert (found["told"], found["watch_events"], found["epochs"]) == ({"expired": 1}, 1, [1])
    assert found["is_complete"]
    text = call("show", str(file)).stdout
    assert "operations  40 by 3 clients" in text
    assert "CUT OFF" not in text


def test_show_says_that_a_history_was_cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])
    assert "CUT OFF" in call("show", str(file)).stdout


@pytest.mark.parametrize("form", ["elle", "jepsen", "porcupine"])
def test_an_export_goes_to_a_file_or_to_standard_output(file: Path, form: str) -> None:
    out = file.with_name("out")
    done = call("export", str(file), "--to", form, "--out", str(out))
    assert (done.exit_code, done.stdout) == (0, "")
    again = call("export", str(file), "--to", form)
    assert again.stdout == out.read_text()
    assert again.stdout.startswith("[" if form == "porcupine" else "{:index 0, :type :invoke")


def test_an_export_of_nothing_is_still_one(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    History().save(file)
    assert json.loads(call("export", str(file), "--to", "porcupine").stdout) == []
    assert call("export", str(file), "--to", "elle").stdout == ""
    assert "operations  0" in call("show", str(file)).stdout


def test_an_export_says_what_it_leaves_out(file: Path) -> None:
    history = History.load(file)
    for op in history.operations:
        if op.kind == "get":
            op.kind, op.seen = "sync", ()
    history.save(file)
    done = call("export", str(file), "--to", "porcupine")
    assert "left out, as no reads or writes of data: " in done.stderr
    assert " sync" in done.stderr


def test_merge_makes_one_file(file: Path) -> None:
    both = file.with_name("both.jsonl")
    done = call("merge", str(file), str(file), "--out", str(both))
    assert done.exit_code == 0
    assert "80 operations of 2 histories" in done.stdout
    assert len(History.load(both).operations) == 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "/none"], "cannot read /none: No such file"),
        (["show", "."], "cannot read .: Is a directory"),
        (["show", "FILE:broken"], "broken, line 2: "),
        (["export", "FILE", "--to", "elle", "--path", "/a"], "--path: transactions span paths"),
        (
            ["export", "FILE", "--to", "jepsen", "--path", "/x"],
            "--path /x: the history has no such",
        ),
        (["export", "FILE", "--to", "jepsen", "--out", "/none/x"], "--out: cannot write /none/x"),
        (["merge", "FILE", "FILE:virtual", "--out", "/dev/null"], "the host's own clock"),
        (["merge", "FILE", "--out", "/none/x"], "--out: cannot write /none/x"),
    ],
)
def test_bad_input_is_one_line(file: Path, arguments: list[str], said: str) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    broken, virtual = file.with_name("broken"), file.with_name("virtual")
    broken.write_bytes(b"".join([lines[0], b'{"operation": {"number": "x"}}\n', *lines[1:]]))
    virtual.write_bytes(lines[0].replace(b"monotonic", b"virtual") + b"".join(lines[1:]))
    places = {"FILE": file, "FILE:broken": broken, "FILE:virtual": virtual}
    done = call(*(os.fspath(places.get(word, word)) for word in arguments))
    # The command line prints it as one line and exits with 2.
    assert isinstance(done.exception, InvalidInput)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
