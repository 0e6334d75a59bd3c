"""Bad input is one line and exit status 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli import COMMANDS
from orchestrator.commands.session import read_session_id
from orchestrator.errors import InvalidInput


def orchestrator(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status"], "no ensemble runs in .lagkeeper; start one with 'orchestrator up"),
        (["kill", "two"], "'MEMBER'"),
        (["dance"], "No such command 'dance'"),
        (["up", "--members", "0"], "--members: input should be greater than or equal to 1"),
        (["up", "--tick-time", "soon"], "--tick-time: 'soon' is no length of time"),
        (["up", "--link", "3->1 dely=5ms"], "--link: 'dely=5ms'"),
        (["up", "--config", "none.yaml"], "cannot read none.yaml"),
        (["expire", "x7"], "'x7' is no session id"),
        (["link", "set", "3->1", "hold"], "no ensemble runs"),
        (["link", "set", "3->1 hold"], "no ensemble runs"),
        (["up", "--link", f"3->1 hold next={2**32}"], "next=4294967296: must be 1 to"),
        (["up", "--link", "3->1 delay=9999999999s"], "delay=1e+13ms: must be from 0 to 86400s"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = orchestrator(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("orchestrator: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize("arguments", [[], ["link"], ["closing"]])
def test_no_command_shows_the_help(tmp_path: Path, arguments: list[str]) -> None:
    done = orchestrator(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Usage: ")
    assert "Commands:" in lines


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = orchestrator("--help", cwd=tmp_path)
    assert done.returncode == 0
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert listed >= set(COMMANDS)


@pytest.mark.parametrize(
    ("text", "session_id"),
    [("17", 17), ("0x11", 17), ("-1", -1), ("0xffffffffffffffff", -1)],
)
def test_a_session_id_is_decimal_or_hex(text: str, session_id: int) -> None:
    assert read_session_id(text) == session_id


@pytest.mark.parametrize("text", ["", "x", "0x1ffffffffffffffff", "1.5"])
def test_what_is_no_session_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no session id"):
        read_session_id(text)
