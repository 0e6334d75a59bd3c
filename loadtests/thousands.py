"""Thousands of expiring clients in one Locust process, measured against what they must stay below.

    python -m loadtests.thousands                       # 5,000 users for 5 minutes
    python -m loadtests.thousands --users 1000 --seconds 30 --record /tmp/record.json

Starts three members with one slow link, lets services end in all four ways with watchers and
readers about them, and prints the failures, Locust's own processor use, and the p99 of plain reads
on the undelayed member. Exit status 0 only if all three are within their bounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import ceil, nan
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtests.readers import OPEN_SESSION
from loadtests.stale_reads import console, table_of
from orchestrator.ensemble import Ensemble

MAX_CPU_PERCENT = 90.0
MAX_P99_MS = 100.0
SETTINGS: dict[str, Any] = {
    "members": 3,
    "tick_time_ms": 500,
    "init_limit": 100,
    "sync_limit": 40,
    "max_session_timeout_ms": 60_000,
}
DELAY_MS = 50
LIFETIME_S = 90
SESSION_TIMEOUT_MS = 20_000
_LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def main(
    users: Annotated[int, typer.Option(min=1, help="Locust users.")] = 5000,
    seconds: Annotated[int, typer.Option(min=1, help="How long, once all users are there.")] = 300,
    spawn_rate: Annotated[float, typer.Option(min=0.1, help="Users a second at first.")] = 50,
    record: Annotated[Path | None, typer.Option(help="Keep the record here.")] = None,
) -> None:
    """Run the load and judge it."""
    with tempfile.TemporaryDirectory(prefix="lagkeeper-thousands-") as directory:
        path = record or Path(directory) / "record.json"
        with Ensemble(**SETTINGS) as ensemble:
            result = _load(ensemble, path, users, seconds, spawn_rate)
    out = console()
    out.print(table_of(result, f"{users} users for {seconds} s"))
    for line in figures_of(result):
        out.print(line, markup=False)
    complaints = complaints_about(result)
    for complaint in complaints:
        out.print(f"not as it should be: {complaint}", style="red", markup=False)
    raise typer.Exit(1 if complaints else 0)


def _load(
    ensemble: Ensemble, path: Path, users: int, seconds: int, spawn_rate: float
) -> dict[str, Any]:
    leader = ensemble.leader()
    slow = next(sid for sid in (1, 2, 3) if sid != leader)
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless"]
    command += ["--only-summary", "--users", str(users), "--spawn-rate", str(spawn_rate)]
    command += [
        "--run-time",
        f"{seconds + ceil(users / spawn_rate)}s",
        "--members",
        ",".join(ensemble.members),
    ]
    command += ["--ends", "silence,crash,close,cut", "--victim-member", "all"]
    command += ["--lifetime", str(LIFETIME_S), "--session-timeout", str(SESSION_TIMEOUT_MS)]
    command += ["--read-every", "5", "--record", str(path)]
    command += ["--mitigations", "none,sync,create,compare,wait,recreate"]
    command += ["--link-rule", f"{leader}->{slow} delay={DELAY_MS}ms"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if not path.exists():
        raise typer.Exit(done.returncode or 1)
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def figures_of(record: dict[str, Any]) -> Sequence[str]:
    """What is measured against a bound, a line each."""
    failed = sum(failure["count"] for failure in record["failures"])
    return [
        f"failures: {failed}; restarts and the like that were asked for are not among them",
        f"Locust used {_cpu_percent(record):.0f} % of a core on average",
        *(f"p99 {p99:.1f} ms of {n} reads: {name}" for name, n, p99 in _undelayed_reads(record)),
    ]


def complaints_about(record: dict[str, Any]) -> Sequence[str]:
    """What is beyond its bound or was not measured, a line each."""
    complaints = [
        f"{failure['count']} failures: {failure['name']}: {failure['error']}"
        for failure in record["failures"]
    ]
    complaints += record["missing"]
    cpu_percent = _cpu_percent(record)
    if not cpu_percent <= MAX_CPU_PERCENT:
        complaints.append(f"Locust used {cpu_percent:.0f} % of a core, not {MAX_CPU_PERCENT:.0f}")
    reads = _undelayed_reads(record)
    if not reads:
        complaints.append("no read on the undelayed member")
    for name, _, p99 in reads:
        if p99 > MAX_P99_MS:
            complaints.append(f"p99 {p99:.0f} ms, not {MAX_P99_MS:.0f}: {name}")
    return complaints


def _cpu_percent(record: dict[str, Any]) -> float:
    """NaN if the run was too short to measure it."""
    return float(record["setup"]["machine"].get("locust_cpu_percent", {}).get("mean", nan))


def _undelayed_reads(record: dict[str, Any]) -> list[tuple[str, int, float]]:
    """Name, number and p99 of the rows of plain reads through open sessions there."""
    return [
        (row["name"], row["requests"], row["latency_ms"]["p99"])
        for row in record["readers"]
        if (row["operation"], row["place"]) == ("read", "undelayed member")
        and row["mitigation"] == "none"
        and row["session"].startswith(OPEN_SESSION)
        and row["latency_ms"]
    ]


if __name__ == "__main__":
    typer.run(main)
