"""`orchestrator load` on real processes: its report, its exit status, its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ensemble import Ensemble
from tests.loadtests.test_demo_ends import _still_running, descendants_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]
# Rounds of a second, so that a few seconds hold many.
SMALL = ("-u", "20", "--spawn-rate", "20", "--user-class", "ServiceUser", "--lifetime", "0.3")


@contextmanager
def load(*words: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The command; interrupted if the test fails, so that it ends what it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "load", *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=150)
    return process.returncode, out, err


def wait_for_sessions(process: subprocess.Popen[str], ensemble: Ensemble) -> None:
    """Until new znodes come: there may be some left of the test before."""
    newest = max(member.status.last_zxid for member in ensemble.status().members) + 150
    ensemble.wait_until(lambda v: all(m.status.last_zxid > newest for m in v.members), 60)
    assert process.poll() is None


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    directory = tmp_path_factory.mktemp("ensemble")
    settings: dict[str, Any] = {"tick_time_ms": 100, "sync_limit": 50, "init_limit": 200}
    with Ensemble(directory=directory, max_session_timeout_ms=30_000, **settings) as running:
        yield running


def test_sweep_on_an_ensemble_that_runs(ensemble: Ensemble, tmp_path: Path) -> None:
    with load(
        *("--dir", str(ensemble.config.directory), "--sweep", "delay=0,200", "--for", "4s"),
        *("--readers", "open", "--mitigations", "none,sync", "--seed", "5"),
        *("--session-timeout", "600ms", "--fail-on-stale", "0", "--out", "out", "--json", *SMALL),
        cwd=tmp_path,
    ) as process:
        status, out, err = finish(process)
    assert status == 1, (out, err)
    found = json.loads(out)
    slow, synced = found["points"][1]["readers"]
    assert (slow["mitigation"], synced["mitigation"]) == ("none", "sync first")
    assert slow["requests"] >= slow["stale"] > 0
    assert synced["requests"] > 0
    assert synced["stale"] == 0
    assert any(line.startswith("delay=200: ") for line in found["exceeding"])
    for name in ("report.html", "table.csv", "record.json", "delay-0/locust.html"):
        assert (tmp_path / "out" / name).is_file(), name
    record = json.loads((tmp_path / "out/delay-200/record.json").read_text())
    assert record["setup"]["seed"] == 5
    assert any(event["kind"] == "link set" for event in record["events"])
    links = [link for m in ensemble.status().members for link in m.status.links if link.rules]
    assert links == [], "the rules of the run are taken off"


def test_interrupted_load_leaves_a_report_and_nothing_running(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    with load(
        *("--dir", str(ensemble.config.directory), "--sweep", "users=20,30", "--for", "60s"),
        *("--out", "out", "--processes", "2", "--session-timeout", "150ms", *SMALL),
        cwd=tmp_path,
    ) as process:
        wait_for_sessions(process, ensemble)
        started = descendants_of(process.pid)
        process.send_signal(signal.SIGINT)
        status, out, err = finish(process)
    assert sum("locust" in command for command in started.values()) == 3, "a master, two workers"
    assert status == 130, (out, err)
    values = json.loads((tmp_path / "out/record.json").read_text())
    assert values["points"][0]["record"]["setup"]["processes"] == 2
    assert values["points"][1]["record"] is None
    assert any("interrupted after" in sentence for sentence in values["missing"])
    assert any("200 ms, not the 150 ms" in sentence for sentence in values["missing"])
    assert "not run, since the sweep was interrupted" in values["missing"][-1]
    assert (tmp_path / "out/report.html").is_file()
    deadline = time.monotonic() + 10
    while (left := _still_running(started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def test_ensemble_that_goes_away_is_in_the_report(tmp_path: Path) -> None:
    with (
        Ensemble(directory=tmp_path / "ensemble", members=1) as ensemble,
        load(
            *("--members", ensemble.members[0], "--for", "60s", "--out", "out"),
            *("--readers", "open@leader", "--mitigations", "none", *SMALL),
            cwd=tmp_path,
        ) as process,
    ):
        wait_for_sessions(process, ensemble)
        ensemble.close()
        status, out, err = finish(process)
    assert status == 1, (out, err)
    assert "the ensemble went away after" in out
    assert "the ensemble went away after" in (tmp_path / "out/report.html").read_text()


def test_refused_load_leaves_no_directory(tmp_path: Path) -> None:
    with load("--dir", "nowhere", cwd=tmp_path) as process:
        status, out, err = finish(process)
    assert (status, out) == (2, "")
    assert err == (
        "orchestrator: no ensemble runs in nowhere; start one with"
        " 'orchestrator up --dir nowhere'\n"
    )
    assert list(tmp_path.iterdir()) == []
