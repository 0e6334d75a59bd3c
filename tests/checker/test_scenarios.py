"""The catalogue, judged: stale reads in the windows that scenarios are about, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator.scenario
from orchestrator.checker.check import Demands, check
from orchestrator.scenario.run import run_scenario

(FOLDER,) = orchestrator.scenario.__path__
NAMES = sorted(path.stem for path in (Path(FOLDER) / "catalogue").glob("*.yaml"))
WINDOWS = {
    "w0-sync-is-not-enough": {"W0"},
    "w1-told-before-commit": {"W1"},
    "w2-lagging-follower": {"W2"},
    "sync-on-the-leader": {"W1"},
    "local-sessions": {"W2"},
    "helix-two-masters": {"W2"},
    "kafka-broker-id": {"W0"},
    "verdict-forgotten": {"W1", "verdict forgotten"},
    "moved-session": set(),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_breaks_no_promise_and_its_stale_reads_have_its_window(name: str) -> None:
    verdict = check(run_scenario(name).history, Demands(allows_stale=True))
    assert verdict.verdict == "valid", verdict.anomalies + verdict.doubts
    assert sum(verdict.examined["sequential consistency"].values())
    if name in WINDOWS:
        assert {anomaly.window for anomaly in verdict.stale} == WINDOWS[name]
