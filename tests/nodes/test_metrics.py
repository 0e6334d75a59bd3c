"""What a member measures, and the port where it tells it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from threading import Event
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodes.core.messages import ServerState
from nodes.core.status import Status
from nodes.exposition import MetricsPort
from nodes.metrics import (
    WINDOW_BOUNDS_S,
    Gathered,
    Histogram,
    LinkValues,
    Timings,
    ZookeeperValues,
)
from nodes.traces import TraceFields

SESSION = 0x1000000000007


def bounds_of(histogram: Histogram) -> list[float]:
    """The upper bound of each length that was counted."""
    bounds = (*WINDOW_BOUNDS_S, float("inf"))
    return [b for b, n in zip(bounds, histogram.counts, strict=True) for _ in range(n)]


def tell(timings: Timings, *traces: tuple[float, str, TraceFields]) -> None:
    for trace in traces:
        timings.add(trace)


def test_a_leader_knows_all_windows_of_its_own() -> None:
    timings = Timings(3)
    tell(
        timings,
        (1000.0, "close_marked", {"session_id": SESSION}),
        (1004.0, "close_submitted", {"session_id": SESSION}),
        (1012.0, "close_committed", {"session_id": SESSION, "zxid": "1:7"}),
        (1012.0, "close_applied", {"session_id": SESSION, "zxid": "1:7"}),
    )
    lengths = {name: bounds_of(window) for name, window in timings.windows.items()}
    assert lengths == {"W0": [0.005], "W1": [0.01], "W2": [0.0001]}
    assert timings.windows["W1"].total_s == pytest.approx(0.008)
    assert timings.sessions_expired == 1


def test_a_learner_knows_its_window_from_what_the_commit_says() -> None:
    timings = Timings(1)
    timings.note_commit(1 << 32 | 7, 1012.0)
    tell(timings, (1060.0, "close_applied", {"session_id": SESSION, "zxid": "1:7"}))
    # Of this one nobody said when it was committed.
    tell(timings, (1061.0, "close_applied", {"session_id": SESSION, "zxid": "1:8"}))
    assert bounds_of(timings.windows["W2"]) == [0.05]
    assert timings.windows["W2"].total_s == pytest.approx(0.048)


def test_a_deposed_leader_forgets_the_windows_it_opened() -> None:
    timings = Timings(3)
    tell(
        timings,
        (1000.0, "close_marked", {"session_id": SESSION}),
        (1100.0, "state", {"state": "LOOKING", "reason": "no quorum"}),
        (1300.0, "state", {"state": "LEADING", "reason": "elected"}),
        (9000.0, "close_submitted", {"session_id": SESSION}),
    )
    assert bounds_of(timings.windows["W0"]) == []


def test_an_election_a_synchronization_and_a_snapshot_are_timed() -> None:
    timings = Timings(1)
    tell(
        timings,
        (100.0, "state", {"state": "LOOKING", "reason": "started"}),
        (500.0, "state", {"state": "FOLLOWING", "reason": "elected"}),
        (540.0, "learner_synchronizing", {"learner": 1, "mode": "SNAP"}),
        (560.0, "serving", {"state": "FOLLOWING", "epoch": 1}),
        (700.0, "snapshot_started", {"zxid": "1:9"}),
        (710.0, "snapshot_ended", {"zxid": "1:9"}),
    )
    assert (timings.election_time.count, timings.election_time.total_ms) == (1, 400)
    assert timings.follower_sync_time.total_ms == 60
    assert timings.snapshottime.total_ms == 10
    assert timings.looking_count == 1
    assert timings.snap_count == 0, "a learner's own trace of it"
    assert timings.serving_since_ms == 560.0


def test_a_leader_counts_how_its_learners_were_brought_up_to_date() -> None:
    timings = Timings(3)
    for mode in ("DIFF", "SNAP", "TRUNC"):
        tell(timings, (1.0, "learner_synchronizing", {"learner": 1, "mode": mode}))
    assert (timings.diff_count, timings.snap_count) == (2, 1)


# The port.


def gathered() -> Gathered:
    zeros: dict[str, Any] = {field.name: 0 for field in fields(Status)}
    window = Histogram()
    for length_s in (0.0004, 0.0005, 99.0):
        window.add(length_s)
    return Gathered(
        status=Status(**{**zeros, "sid": 2, "state": ServerState.FOLLOWING, "phase": "BROADCAST"}),
        zookeeper=ZookeeperValues({"znode_count": 5}, {"commit_count": 7}, {"fsynctime": (3, 1.5)}),
        links=[LinkValues("2->1", True, 4, {"ACK": 9}, {'hold only="x"': 1, "off": 0})],
        windows={"W2": window},
        sessions_expired=6,
        local_sessions_expired=0,
        disk_delay_s=0.25,
    )


@asynccontextmanager
async def serving(gather: Callable[[], Gathered]) -> AsyncIterator[str]:
    port = MetricsPort("127.0.0.1", 0)
    port.start(gather)
    try:
        yield f"http://127.0.0.1:{port.port}/metrics"
    finally:
        await port.close()


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_prometheus_reads_every_sample() -> None:
    async def scenario() -> str:
        async with serving(gathered) as url:
            status, text = await asyncio.to_thread(fetch, url)
            assert status == 200
            # The second comes over the thread that the first has started.
            assert (await asyncio.to_thread(fetch, url))[0] == 200
            return text

    families = {f.name: f for f in text_string_to_metric_families(asyncio.run(scenario()))}
    samples = {(s.name, *s.labels.values()): s.value for f in families.values() for s in f.samples}
    assert samples["znode_count",] == 5
    assert samples["commit_count",] == 7
    assert (samples["fsynctime_count",], samples["fsynctime_sum",]) == (3, 1.5)
    assert samples["lagkeeper_sessions_expired_total", "global"] == 6
    assert samples["lagkeeper_link_waiting", "2->1"] == 4
    touched = families["lagkeeper_link_touched"].samples
    assert touched[0].labels == {"link": "2->1", "rule": 'hold only="x"'}
    buckets = [
        (s.labels["le"], s.value)
        for s in families["lagkeeper_window_seconds"].samples
        if s.name.endswith("_bucket")
    ]
    assert buckets[1:3] == [("0.0002", 0), ("0.0005", 2)]
    assert buckets[-2:] == [("10.0", 2), ("+Inf", 3)]


def test_a_slow_reader_and_one_that_says_nothing_hold_up_nobody() -> None:
    async def scenario() -> None:
        async with serving(gathered) as url:
            address = ("127.0.0.1", int(url.split(":")[2].split("/")[0]))
            with socket.create_connection(address), socket.create_connection(address) as half:
                half.sendall(b"GET /metr")
                assert (await asyncio.to_thread(fetch, url))[0] == 200

    asyncio.run(scenario())


def test_a_member_that_is_busy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.exposition._ANSWER_S", 0.05)

    async def scenario() -> tuple[int, str]:
        async with serving(gathered) as url:
            # Loads what is loaded with the first scrape.
            await asyncio.to_thread(fetch, url)
            done, answers = Event(), list[tuple[int, str]]()

            def ask() -> None:
                answers.append(fetch(url))
                done.set()

            asking = asyncio.create_task(asyncio.to_thread(ask))
            await asyncio.sleep(0)
            done.wait(30)  # holds up the loop, as a member that is busy
            await asking
            return answers[0]

    assert asyncio.run(scenario()) == (503, "the member is busy\n")


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    async def scenario() -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(OSError, match="in use"),
        ):
            MetricsPort("127.0.0.1", taken.getsockname()[1])

    asyncio.run(scenario())


def test_a_port_that_is_closed_before_anybody_asked_is_free_again() -> None:
    async def scenario() -> None:
        port = MetricsPort("127.0.0.1", 0)
        port.start(gathered)
        await port.close()
        await MetricsPort("127.0.0.1", port.port).close()

    asyncio.run(scenario())


def test_a_member_starts_without_loading_prometheus() -> None:
    source = "import sys, nodes.process; print('prometheus_client' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
