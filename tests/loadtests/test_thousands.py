"""What the measurement of thousands of clients accepts and what it rejects."""

from __future__ import annotations

from typing import Any

from loadtests.record import Recorder
from loadtests.stale_reads import Kind, Observation
from loadtests.thousands import complaints_about, figures_of

UNDELAYED = Kind("open session", "undelayed member")
SLOW = Kind("open session", "slow member")


def record(cpu_percent: float = 60.0, latency_ms: float = 20.0) -> dict[str, Any]:
    recorder = Recorder(seed=1, knobs={})
    recorder.note_cpu(cpu_percent)
    for _ in range(10):
        recorder.counts.add(UNDELAYED, Observation(False, latency_ms=latency_ms))
        recorder.counts.add(SLOW, Observation(True, 50.0, latency_ms=900.0))
    return dict(recorder.snapshot())


def test_run_within_its_bounds_is_accepted() -> None:
    assert complaints_about(record()) == []
    assert "p99 20.0 ms of 10 reads: read: open session, undelayed member" in figures_of(record())


def test_busy_locust_is_rejected() -> None:
    (complaint,) = complaints_about(record(cpu_percent=95.0))
    assert complaint == "Locust used 95 % of a core, not 90"


def test_slow_reads_are_rejected() -> None:
    (complaint,) = complaints_about(record(latency_ms=150.0))
    assert complaint.startswith("p99 150 ms, not 100")


def test_failure_is_rejected() -> None:
    failed = record()
    failed["failures"] = [
        {"request_type": "read", "name": "until seen", "error": "ConnectionLossError", "count": 3}
    ]
    assert complaints_about(failed) == ["3 failures: until seen: ConnectionLossError"]


def test_what_was_not_measured_is_rejected() -> None:
    empty = dict(Recorder(seed=1, knobs={}).snapshot())
    assert len(complaints_about(empty)) == 2
