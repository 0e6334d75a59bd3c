"""`orchestrator scale` on few sessions: what it counts, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes


def scale(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator", "scale", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_a_storm_is_timed_on_every_member() -> None:
    run = scale("--sessions", "60", "--for", "200ms", "--storm", "40", "--json")
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)
    assert figures["lost"] == 0
    assert [member["sid"] for member in figures["members"]] == [1, 2, 3]
    storm = figures["storm"]
    assert storm["sessions"] == 40
    assert set(storm["gone_ms"]) == {"1", "2", "3"}
    assert storm["gone_everywhere_ms"] == max(storm["gone_ms"].values()) > 0


def test_more_expiries_than_sessions_are_refused() -> None:
    run = scale("--sessions", "10", "--storm", "20")
    assert run.returncode == 2
    assert run.stderr == "orchestrator: --storm 20 is more than --sessions 10\n"


def test_a_length_of_time_that_is_none_is_refused() -> None:
    run = scale("--for", "soon")
    assert run.returncode == 2
    assert "--for: 'soon' is no length of time" in run.stderr
