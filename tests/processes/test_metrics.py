"""/metrics of real members: names, numbers, windows; and the second count of stale reads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lagkeeper.v1.admin_pb2 import TraceRecord
from prometheus_client.parser import text_string_to_metric_families

from client.line import Answer
from client.sync import Client, connect_once
from loadtests.audit import WINDOW_KINDS, WindowTally
from loadtests.read_audit import ReadAudit
from loadtests.readers import Told, read, wait_until_fresh
from loadtests.stale_reads import Observation
from loadtests.trace_feed import TraceFeed
from orchestrator.ensemble import Ensemble

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "docs" / "grafana" / "lagkeeper.json"
PATIENCE_S = 20.0
LIMITS: dict[str, Any] = {
    "tick_time_ms": 50,
    "init_limit": 200,
    "sync_limit": 100,
    "max_session_timeout_ms": 20_000,
}
# What of the dashboard's expressions is PromQL's own, or a label.
WORDS = {"rate", "sum", "max", "count", "histogram_quantile", "by", "on", "group_right"}
LABELS = {"le", "instance", "kind"}

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    with Ensemble(members=3, **LIMITS) as started:
        yield started


def scrape(ensemble: Ensemble, sid: int) -> Samples:
    """Every sample of a member by name and labels."""
    url = next(m.metrics_url for m in ensemble.status().members if m.sid == sid)
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
        text = response.read().decode()
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def metrics_in(expression: str) -> set[str]:
    """The names of the metrics in a PromQL expression."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
    return set(re.findall(r"[a-z_]\w*", bare)) - WORDS - LABELS


def expire(ensemble: Ensemble, member: int, path: str) -> Client:
    """A session with an ephemeral znode, marked closing by now; it was never closed."""
    victim = Client(ensemble.address(member), 20_000).start()
    victim.create(path, ephemeral=True)
    victim.go_silent()
    ensemble.expire(victim.session_id)
    return victim


def until(is_so: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_metric_names_are_found_in_expressions() -> None:
    assert metrics_in("max(a_b) - on() group_right() a_c") == {"a_b", "a_c"}
    windows = 'histogram_quantile(0.5, sum by (le) (rate(w_bucket{window="W2"}[$__rate_interval])))'
    assert metrics_in(windows) == {"w_bucket"}


def test_every_name_in_the_dashboard_is_one_of_a_live_member(ensemble: Ensemble) -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", ())]
    wanted = set().union(*map(metrics_in, expressions))
    assert len(wanted) > 40
    assert wanted - scrape(ensemble, ensemble.leader()).keys() == set()


def test_values_of_a_leader_alone_are_on_the_leader_alone(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    follower = next(sid for sid in (1, 2, 3) if sid != leader)
    of_leader, of_follower = scrape(ensemble, leader), scrape(ensemble, follower)
    assert of_leader["synced_followers"][()] == of_leader["learners"][()] == 2
    assert "synced_followers" not in of_follower
    assert of_follower["quorum_size"][()] == 3


def test_numbers_follow_what_clients_do(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    follower = next(sid for sid in (1, 2, 3) if sid != leader)
    before = scrape(ensemble, follower)
    with Client(ensemble.address(follower), 20_000) as client:
        for number in range(20):
            client.create(f"/numbers-{number}", bytes(100), ephemeral=True)
        client.exists("/numbers-0", watch=lambda event: None)
        after, of_leader = scrape(ensemble, follower), scrape(ensemble, leader)

    def change(name: str) -> float:
        return after[name][()] - before[name][()]

    # The session, 20 creates and the exists, each with its answer; pings may come on top.
    assert change("packets_received") >= 22
    assert change("packets_sent") >= 22
    assert change("znode_count") == change("ephemerals_count") == 20
    assert change("approximate_data_size") == sum(len(f"/numbers-{n}") + 100 for n in range(20))
    assert change("watch_count") == change("num_alive_connections") == 1
    assert change("learner_commit_received_count") >= 21
    assert 0 < change("fsynctime_count") <= change("sync_processor_batch_size_sum")
    assert of_leader["commit_count"][()] >= 21
    assert after["max_latency"][()] >= after["avg_latency"][()] >= after["min_latency"][()]
    link = f"{leader}->{follower}"
    assert of_leader["lagkeeper_link_sent_total"][("kind", "COMMIT"), ("link", link)] >= 21


def test_a_rule_shows_with_what_it_touched(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    follower = next(sid for sid in (1, 2, 3) if sid != leader)
    name = f"{leader}->{follower}"
    link = ensemble.link(name)
    link.set("hold only=COMMIT")
    try:
        other = next(sid for sid in (1, 2, 3) if sid not in (leader, follower))
        with Client(ensemble.address(other), 20_000) as client:
            client.create("/held", ephemeral=True)
            now = scrape(ensemble, leader)
            touched = now["lagkeeper_link_touched_total"]
            assert touched[("link", name), ("rule", "hold only=COMMIT")] >= 2
            assert now["lagkeeper_link_waiting"][(("link", name),)] >= 2
            assert now["lagkeeper_link_connected"][(("link", name),)] == 1
    finally:
        link.clear()


def test_windows_of_metrics_are_those_of_the_traces(ensemble: Ensemble) -> None:
    """Two ways to the same lengths: what a commit says of itself, and two members' traces."""
    leader = ensemble.leader()
    slow = next(sid for sid in (1, 2, 3) if sid != leader)
    before = {sid: windows_of(scrape(ensemble, sid)) for sid in (1, 2, 3)}
    tally, seen = WindowTally(3), list[TraceRecord]()

    def take(trace: TraceRecord) -> None:
        tally.add(trace)
        seen.append(trace)

    feed = TraceFeed(ensemble.members, WINDOW_KINDS, take)
    assert feed.wait_until_subscribed(PATIENCE_S)
    link = ensemble.link(f"{leader}->{slow}")
    link.delay(ms=30, jitter_ms=25)
    try:
        victims = [expire(ensemble, leader, f"/victim-{number}") for number in range(12)]
        until(lambda: sum(t.kind == "close_applied" for t in seen) == 36, "not applied everywhere")
    finally:
        link.clear()
        feed.close()
    after = {sid: windows_of(scrape(ensemble, sid)) for sid in (1, 2, 3)}
    for victim in victims:
        victim.close()
    of_traces = tally.histograms()
    assert sum(of_traces["W2"][str(slow)]["counts"][:6]) <= 3, "the delay shows"
    for window in ("W0", "W1"):
        assert grown(before[leader][window], after[leader][window]) == of_traces[window]["counts"]
    for sid in (1, 2, 3):
        w2 = grown(before[sid]["W2"], after[sid]["W2"])
        assert w2 == of_traces["W2"][str(sid)]["counts"], f"W2 of member {sid}"


def windows_of(samples: Samples) -> dict[str, list[float]]:
    """Counts by window, bucket by bucket, not cumulative."""
    found: dict[str, list[float]] = {}
    for labels, value in samples["lagkeeper_window_seconds_bucket"].items():
        found.setdefault(dict(labels)["window"], []).append(value)
    return {
        window: [high - low for low, high in zip([0.0, *below], below, strict=False)]
        for window, below in found.items()
    }


def grown(before: list[float], after: list[float]) -> list[int]:
    return [round(late - early) for early, late in zip(before, after, strict=True)]


def test_members_and_program_count_the_same_stale_reads(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    slow = next(sid for sid in (1, 2, 3) if sid != leader)
    audit = ReadAudit(ensemble.members, window_bound_ms=5000)
    assert audit.wait_until_subscribed(PATIENCE_S)
    link = ensemble.link(f"{leader}->{slow}")
    stale = 0
    with Client(ensemble.address(slow), 20_000) as reader:
        for number in range(8):
            path = f"/audited-{number}"
            if number % 2:
                link.delay(ms=300)
            victim = Client(ensemble.address(leader), 20_000).start()
            victim.create(path, ephemeral=True)
            reader.sync(path)
            assert read(reader, Told(victim.session_id, path, 0.0)) is not None
            ensemble.expire(victim.session_id)
            victim.go_silent()
            verdict = connect_once(
                ensemble.address(leader), victim.session_id, victim.password, 20_000
            )
            assert verdict.answer is Answer.EXPIRED
            told = Told(victim.session_id, path, time.monotonic())
            is_stale = read(reader, told) is not None
            window_ms = wait_until_fresh(read, reader, told, 0.001, 5) if is_stale else None
            audit.look(reader.session_id, told, told.at, Observation(is_stale, window_ms))
            stale += is_stale
            victim.close()
            link.clear()
    assert audit.finish() == []
    counts = audit.counts
    assert stale >= 4
    assert (counts.reads, counts.seen, counts.served) == (8, stale, stale)
    assert counts.disagreeing == counts.untraced == 0
    assert counts.differences.total() == stale


def test_locust_audits_itself(ensemble: Ensemble, tmp_path: Path) -> None:
    leader = ensemble.leader()
    slow = next(sid for sid in (1, 2, 3) if sid != leader)
    path = tmp_path / "record.json"
    link = ensemble.link(f"{leader}->{slow}")
    link.delay(ms=150)
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
                *("-f", str(ROOT / "loadtests" / "locustfile.py"), "-u", "12", "-r", "12"),
                *("-t", "5s", "--stop-timeout", "8", "--members", ",".join(ensemble.members)),
                *("--tick-time", "50", "--session-timeout", "1500", "--lifetime", "0.5"),
                *("--readers", "open", "--mitigations", "none,sync", "--audit"),
                *("--record", str(path), "ServiceUser"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    finally:
        link.clear()
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(path.read_text(encoding="utf-8"))
    audit = record["audit"]
    assert audit["stale_served"] == audit["stale_seen"] > 0
    assert audit["disagreeing"] == audit["untraced"] == 0
    assert audit["reads"] == sum(row["requests"] for row in record["readers"])
    assert audit["stale_seen"] == sum(row["stale"] for row in record["readers"])
    assert "served stale" in done.stdout


def test_prometheus_is_told_where_to_look(ensemble: Ensemble) -> None:
    directory = ensemble.status().directory
    command = [sys.executable, "-m", "orchestrator", "metrics", "--dir", directory]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    for member in ensemble.status().members:
        assert f"- {member.metrics_url.removeprefix('http://').removesuffix('/metrics')}\n" in said
