"""examples/recorded_race, as docs/how-to/histories.md shows it: recorded, and judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "recorded_race" / "record.py"


@pytest.mark.processes
def test_the_recorded_race_is_found_by_the_checker(tmp_path: Path) -> None:
    history = tmp_path / "race.jsonl"
    done = subprocess.run(
        [sys.executable, SCRIPT, history], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["the znode is still there", "behind a sync it is gone"]
    checked = subprocess.run(
        [sys.executable, "-m", "orchestrator", "check", history],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 1
    assert "/lock is shown, though its session" in checked.stdout


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "none" / "race.jsonl"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
