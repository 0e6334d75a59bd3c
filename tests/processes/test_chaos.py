"""Real members under fire: the verdict only, never a timing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client.history import OK, History
from orchestrator.chaos.failover import run_leader_kills
from orchestrator.chaos.report import verdict_text
from orchestrator.chaos.runner import Setup, run_chaos
from orchestrator.checker.check import check

pytestmark = pytest.mark.processes


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    return orchestrator("chaos", *arguments)


def orchestrator(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def children_of(pid: int) -> list[int]:
    """The processes of a group led by `pid`, itself included."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "-g", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


def test_some_seconds_of_faults_break_no_rule(tmp_path: Path) -> None:
    """The plain command: what it may do, what it did, a verdict, and a history to judge again."""
    file = tmp_path / "history.jsonl"
    done = chaos("--for", "7s", "--seed", "3", "--json", "--history", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["is_sound"]
    assert report["figures"]["faults"] >= 3
    assert report["figures"]["writes_acknowledged"] > 100
    assert "kill -9 a member" in done.stderr
    assert "acknowledged" in done.stderr
    history = History.load(file)
    assert history.is_complete
    assert history.count(OK) == report["figures"]["writes_acknowledged"]
    assert len(history.members) == 3
    again = orchestrator("check", str(file), "--allow-stale")
    assert again.returncode == 0, again.stdout
    assert again.stdout.splitlines()[-1].startswith("VALID")


def test_a_history_with_a_lost_write_exits_with_1_and_proof(tmp_path: Path) -> None:
    setup = Setup(duration_s=1, seed=1, kinds=["reset"], per_second=100)
    report = asyncio.run(run_chaos(setup, lambda line: None))
    assert not report.violations, verdict_text(report)
    operations = report.history.operations
    final = next(op for op in operations if op.is_final and op.outcome == OK and op.kind == "get")
    final.outcome, final.error, final.seen = "failed", "NoNode", ()
    report.violations = check(report.history).anomalies
    assert {v.rule for v in report.violations} & {"no acknowledged write is lost"}
    assert final.path in verdict_text(report)


def test_observers_and_five_members_under_fire() -> None:
    setup = Setup(
        duration_s=3, seed=5, members=5, observers=1, kinds=["kill", "cut", "pause"], per_second=200
    )
    report = asyncio.run(run_chaos(setup, lambda line: None))
    assert not report.violations, verdict_text(report)
    assert len(report.history.members) == 6


def test_no_acknowledged_write_is_lost_with_the_leader() -> None:
    told: list[str] = []
    report = asyncio.run(run_leader_kills(Setup(duration_s=0, seed=1), 1, told.append))
    assert report.violations == []
    assert len(report.trials) == len(told) == 1


def test_an_interrupted_run_leaves_no_process() -> None:
    command = [sys.executable, "-m", "orchestrator", "chaos", "--for", "60s", "--seed", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        while not re.match(r" *\d+\.\d s  ", process.stdout.readline()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert error == ""
    deadline = time.monotonic() + 20
    while left := children_of(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--for", "soon"], "--for: 'soon' is no length of time"),
        (["--for", "0.1s"], "--for: from 1s"),
        (["--faults", "burn"], "no fault 'burn'; one of kill"),
        (["--members", "2", "--leader-kills", "3"], "no quorum after a kill"),
        (["--history", "/none/x"], "cannot write /none/x"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], said: str) -> None:
    done = chaos(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
