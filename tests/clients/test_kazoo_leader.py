"""examples/kazoo_leader: without the cure nobody leads in the end, with it somebody does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.ensemble import Ensemble

pytestmark = pytest.mark.processes

SCRIPT = Path(__file__).parents[2] / "examples" / "kazoo_leader" / "leader.py"
# Far longer than the program takes from "expired" to its read, on a busy machine too.
DELAY_MS = 700


@pytest.fixture
def slow_link(ensemble: Ensemble) -> Iterator[tuple[str, str]]:
    """The leader's address, and that of a member whom it reaches late."""
    ensemble.wait_until_serving()
    leader = ensemble.leader()
    slow = 1 if leader != 1 else 2
    link = ensemble.link(f"{leader}->{slow}")
    link.delay(ms=DELAY_MS)
    yield ensemble.zk_address(leader), ensemble.zk_address(slow)
    link.clear()


@pytest.mark.parametrize(
    ("options", "decision", "end"),
    [
        ([], "somebody else leads: standing by", "nobody leads"),
        (["--cure"], "nobody leads: leading again", "somebody leads"),
    ],
)
def test_leadership_is_lost_to_the_race_unless_cured(
    ensemble: Ensemble, slow_link: tuple[str, str], options: list[str], decision: str, end: str
) -> None:
    command = [sys.executable, str(SCRIPT), *slow_link, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("leading in session "), first
        ensemble.expire(int(first.split()[-1], 16))
        printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert printed.splitlines() == [f"expired; {decision}", f"in the end {end}"]


def test_bad_input_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "nowhere", "nowhere"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith("'nowhere' is not host:port\n")
