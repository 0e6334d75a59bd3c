"""The demo, interrupted, leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]


def descendants_of(pid: int) -> dict[int, str]:
    """Command lines of all that a process started, directly or not; other sessions included."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name, in parentheses, may hold anything; behind it: state, parent.
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(after_name[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: command_of(child) for child in found - {pid}}


def command_of(pid: int) -> str:
    """Its command line; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing_running(number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "loadtests.demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    with demo:
        for line in demo.stdout:
            if "sessions; ephemeral znodes" in line:
                break
        started = descendants_of(demo.pid)
        assert sum("locust" in command for command in started.values()) == 1
        assert len(started) >= 5, "Locust, a keeper and three members"
        demo.send_signal(number)
        rest = demo.stdout.read()
        assert demo.wait(timeout=30) == 130
    assert "interrupted" in rest
    deadline = time.monotonic() + 10
    while (left := _still_running(started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def _still_running(processes: dict[int, str]) -> list[str]:
    # By the command too: a number may have gone to another process meanwhile.
    return [command for pid, command in processes.items() if command and command_of(pid) == command]
