"""The locustfile end to end: Locust as its own processes against an ensemble of real members."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.history import History
from orchestrator.ensemble import Ensemble
from orchestrator.ports import free_ports

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"
COUNTED = re.compile(r"this process counted (\d+) rounds, (\d+) of them stale")
pytestmark = pytest.mark.processes
# Long limits and timeouts: a busy machine must cost time, not links and readers' sessions.
LIMITS: dict[str, Any] = {
    "tick_time_ms": 50,
    "init_limit": 200,
    "sync_limit": 100,
    "max_session_timeout_ms": 20_000,
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments]


def locust(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("--headless", "--only-summary", *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    with Ensemble(members=3, **LIMITS) as started:
        yield started


def of(ensemble: Ensemble, record: Path, *arguments: str) -> list[str]:
    return [
        *("--members", ",".join(ensemble.members), "--tick-time", "50", "--lifetime", "0.8"),
        *("--session-timeout", "1500", "--record", str(record), *arguments),
    ]


def rows_of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in record["readers"]}


def totals(record: dict[str, Any]) -> tuple[int, int]:
    rows = record["readers"]
    return sum(row["requests"] for row in rows), sum(row["stale"] for row in rows)


def parts(said: str) -> list[tuple[int, int]]:
    return [(int(requests), int(stale)) for requests, stale in COUNTED.findall(said)]


def test_slow_link_shows_in_the_rows_it_should_and_two_processes_add_up(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    leader = ensemble.leader()
    slow = next(sid for sid in (1, 2) if sid != leader)
    path = tmp_path / "record.json"
    done = locust(
        *("--processes", "2", "-u", "40", "-r", "40", "-t", "7s", "--stop-timeout", "8"),
        *("--readers", "open,new+none,open@leader+none", "--seed", "7"),
        *("--mitigations", "none,sync,create,compare,recreate", "--ends", "silence,close"),
        *("--shape", "storm", "--fault-after", "4", "--storm-percent", "50"),
        *of(ensemble, path, "--link-rule", f"{leader}->{slow} delay=300ms"),
        *("--history", str(tmp_path / "history.jsonl")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(path.read_text())
    check_history(tmp_path / "history.jsonl", record)

    counted = parts(done.stderr)
    assert len(counted) == 2
    assert all(requests > 0 for requests, _ in counted)
    assert totals(record) == tuple(map(sum, zip(*counted, strict=True)))
    check_rows(rows_of(record))
    check_faults(record, slow)
    assert (record["failures"], record["missing"]) == ([], [])
    setup = record["setup"]
    assert (setup["seed"], setup["users"], setup["processes"]) == (7, 40, 2)


def check_history(file: Path, record: dict[str, Any]) -> None:
    """One file of both processes, in which the stale reads can be found again."""
    assert [path.name for path in file.parent.glob("history*")] == ["history.jsonl"]
    history = History.load(file)
    assert history.is_complete
    assert {op.client for op in history.operations} == {1, 2}
    told = {(told.client, told.session_id): told.at_ms for told in history.told}
    assert len(told) >= sum(record["ends"].values())
    stale = [
        op
        for op in history.operations
        for seen in op.seen
        if seen and op.called_ms > told.get((op.client, seen.ephemeral_owner), math.inf)
    ]
    assert len(stale) >= rows_of(record)["read: open session, slow member"]["stale"] > 0


def check_rows(rows: dict[str, dict[str, Any]]) -> None:
    assert all(row["requests"] > 0 for row in rows.values())
    assert "read: open session, leader" in rows
    unsafe = rows["read: open session, slow member"]
    assert unsafe["ratio"] > 0.7
    assert unsafe["acted_upon"] == unsafe["stale"]
    assert 100 < unsafe["window_ms"]["median"] < 900
    assert unsafe["lag_txns"]["median"] >= 1
    compared = rows["read: open session, slow member, compare ephemeral_owner"]
    assert (compared["ratio"] > 0.7, compared["acted_upon"]) == (True, 0)
    # Whoever notices pays with time; whoever does not pays with the wrong answer.
    assert compared["latency_ms"]["p50"] > unsafe["latency_ms"]["p50"]
    for name in (
        "read: open session, slow member, sync first",
        "read: new global session, slow member",
        "create: open session, slow member, create until it succeeds",
    ):
        assert rows[name]["stale"] == 0
    assert rows["delete: open session, slow member, delete and re-create"]["harmful"] > 0
    assert rows["watch: open session, slow member"]["stale"] > 0


def check_faults(record: dict[str, Any], slow: int) -> None:
    assert [event["kind"] for event in record["events"]] == ["link set", "storm", "link cleared"]
    assert record["samples"][-2]["links"][0]["touched"] > 0
    (storm,) = record["storms"]
    assert storm["sessions"] > 0
    assert storm["gone_everywhere_ms"] > 300
    # Services crash in the storm alone.
    assert 0 < record["ends"]["crash"] <= storm["sessions"]
    assert record["ends"]["silence"] * record["ends"]["close"] > 0
    w2 = record["windows"]["W2"][str(slow)]
    # Every window on the slow member is longer than a fifth of a second.
    assert sum(w2["counts"][: w2["bounds_ms"].index(200.0) + 1]) == 0 < sum(w2["counts"])


def test_master_with_two_workers_adds_up_while_members_restart(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    (port,) = free_ports("127.0.0.1", 1)
    workers = [
        subprocess.Popen(
            command("--worker", "--master-port", str(port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        done = locust(
            *("--master", "--master-bind-port", str(port), "--expect-workers", "2"),
            *("-u", "20", "-r", "20", "-t", "9s", "--stop-timeout", "8"),
            *("--shape", "restart", "--fault-after", "1", "--restart-pause", "0.1"),
            *("--dir", str(ensemble.config.directory)),
            *of(ensemble, path),
        )
        said = [worker.communicate(timeout=30)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(path.read_text())

    counted = [parts(text)[0] for text in said]
    assert totals(record) == tuple(map(sum, zip(*counted, strict=True)))
    assert totals(record)[0] > 0
    # The disconnections were asked for: void rounds at most, and no failure.
    assert (record["failures"], record["missing"]) == ([], [])
    assert set(record["void_rounds"]) <= {"restart asked for", "znode not seen before the end"}
    said_of = [event["text"] for event in record["events"] if event["kind"] == "restart"]
    assert any("serves again after" in text for text in said_of)


def test_ensemble_that_goes_away_leaves_a_record_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with Ensemble(members=1, **LIMITS) as ensemble:
        arguments = ("--headless", "-u", "4", "-r", "4", "-t", "60s", *of(ensemble, path))
        with subprocess.Popen(
            command(*arguments, "--read-every", "0.1", "--lifetime", "0.1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as load:
            assert load.stderr is not None
            next(line for line in load.stderr if "All users spawned" in line)
            time.sleep(1.5)
            ensemble.close()
            said = load.stderr.read()
            assert load.wait(30) == 1
    assert "ERROR/locustfile: the ensemble went away after" in said
    assert "Traceback" not in said
    record = json.loads(path.read_text())
    assert record["missing"][-1].startswith("the ensemble went away after")
    assert record["samples"]
    assert [event["kind"] for event in record["events"]][-1] == "ensemble lost"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--members", "127.0.0.1:1"], "member 127.0.0.1:1 does not answer"),
        (["--mitigations", "hope"], "--mitigations: no mitigation 'hope'"),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_in_the_record(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    path = tmp_path / "record.json"
    done = locust("--record", str(path), *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    record = json.loads(path.read_text())
    (missing,) = record["missing"]
    assert complaint in missing
    assert record["verdict"].startswith("No reader got as far as an answer")


def test_link_that_does_not_exist_is_one_line(ensemble: Ensemble, tmp_path: Path) -> None:
    done = locust(*of(ensemble, tmp_path / "record.json", "--link-rule", "9->1 delay=5ms"))
    assert done.returncode == 2
    assert "--link-rule '9->1 delay=5ms': '9->1': no member '9'" in done.stderr
