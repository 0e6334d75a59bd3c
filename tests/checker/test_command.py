"""`orchestrator check`: exit statuses, what is printed, and what it says of a bad file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from client.history import EXPIRED, History, Told, Trace
from orchestrator.checker.check import DOUBTFUL, check
from tests.checker.histories import Book, seen


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "check", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def stale_history() -> History:
    """A told expiry, and another session that still reads the znode: once in W1, once in W2."""
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.history.sessions[1].end = EXPIRED
    book.history.told.append(Told(1, 1, 9.0, EXPIRED))
    book.get(2, "/e", 2, seen(1, "1:1", owner=1))
    book.get(2, "/e", 2, seen(1, "1:1", owner=1))
    for at_ms, kind in ((7.0, "close_marked"), (8.0, "close_submitted"), (19.0, "close_committed")):
        fields: dict[str, int | str | bool | float] = {"session_id": 1, "zxid": "1:3"}
        book.history.traces.append(Trace(at_ms, 1, kind, fields))
    return book.history


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    stale_history().save(path)
    return path


def test_stale_reads_are_an_anomaly_that_zookeeper_does_not_exclude(file: Path) -> None:
    done = run(file)
    assert done.returncode == 1
    assert "1  W1, read by another program" in done.stdout
    assert "1  W2, read by another program" in done.stdout
    assert "ZooKeeper promises this: no" in done.stdout
    assert "client 1 told at 9.0 ms that session 0x1 is expired" in done.stdout
    assert f"orchestrator trace show {file} --around 10.0" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("ANOMALY")
    assert done.stderr == ""


def test_stale_reads_may_be_allowed(file: Path) -> None:
    done = run(file, "--allow-stale")
    assert done.returncode == 0
    assert "2 stale" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("VALID")


def test_a_verdict_for_programs(file: Path) -> None:
    done = run(file, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["verdict"] == "anomaly"
    assert found["anomalies_by_rule"] == {"no ephemeral outlives the verdict": 2}
    first = found["anomalies"][0]
    assert (first["window"], first["zookeeper_promises_this"]) == ("W1", False)
    assert first["proof"][0]["told"]["session_id"] == 1
    assert first["proof"][1]["operation"]["seen"][0]["ephemeral_owner"] == 1
    assert found["properties"]["ephemeral safety"]["examined"]["ephemerals created"] == 1
    assert {entry["window"] for entry in found["stale"]["by_class"]} == {"W1", "W2"}


def test_a_history_that_is_cut_off_is_unknown(tmp_path: Path) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.history.is_complete = False
    path = tmp_path / "cut.jsonl"
    book.history.save(path)
    done = run(path)
    assert done.returncode == 2
    assert "cut off" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("UNKNOWN")


def test_a_history_without_answers_is_unknown() -> None:
    verdict = check(Book().history)
    assert verdict.verdict == DOUBTFUL
    assert "nothing could be placed" in verdict.doubts[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"history":{"version":1}}\n{"operation":7}\n', "line 2: "),
        (b'{"history":{"version":9}}\n', "version 9"),
        (b"", "line 1: "),
        (b"\x00\xff\n", "line 1: "),
    ],
)
def test_what_is_no_history_is_one_line_and_status_2(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    done = run(path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert said in done.stderr


def test_a_file_that_is_not_there_is_one_line_and_status_2(tmp_path: Path) -> None:
    done = run(tmp_path / "none.jsonl")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot read" in done.stderr
