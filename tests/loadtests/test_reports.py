"""Counters of several processes: whatever the order of the reports, the sum is the sum."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtests.record import Recorder
from loadtests.reports import Share, Sum
from loadtests.stale_reads import Kind, Observation, StaleReads

KINDS = (
    Kind("open session", "slow member"),
    Kind("open session", "slow member", "compare ephemeral_owner", is_noticed=True),
    Kind("open session", "leader", operation="watch"),
)

observations = st.builds(
    Observation,
    st.booleans(),
    st.none() | st.floats(0, 5000),
    st.none() | st.floats(0, 5000),
    st.none() | st.integers(0, 50),
    st.booleans(),
)
# What happens: a worker counts something, or reports.
steps = st.lists(
    st.tuples(st.sampled_from("ab"), st.none() | st.tuples(st.sampled_from(KINDS), observations))
)


def sent(data: dict[str, Any]) -> dict[str, Any]:
    """As Locust brings it over."""
    there: dict[str, Any] = json.loads(json.dumps(data))
    return there


@given(steps)
def test_master_has_what_all_workers_counted_together(taken: list[Any]) -> None:
    together = StaleReads()
    counts = {worker: StaleReads() for worker in "ab"}
    shares = {worker: Share(counts[worker]) for worker in "ab"}
    recorder = Recorder(seed=1, knobs={})
    gathered = Sum(recorder, set("ab"))

    def report(worker: str, is_last: bool) -> None:
        data: dict[str, Any] = {"stats": []}
        shares[worker].report(data, [], is_last)
        gathered.on_report(worker, sent(data))

    for worker, seen in taken:
        if seen is None:
            report(worker, False)
        else:
            together.add(*seen)
            counts[worker].add(*seen)
            together.add_end("crash")
            counts[worker].add_end("crash")
    for worker in "ab":
        assert gathered.waiting
        report(worker, True)

    assert gathered.waiting == set()
    by_name = {row["name"]: row for row in recorder.counts.as_json()["readers"]}
    assert by_name == {row["name"]: row for row in together.as_json()["readers"]}
    assert recorder.counts.ends == together.ends
    totals = sum(share.requests for share in shares.values())
    assert totals == sum(row.requests for row in together.rows.values())


def test_row_without_requests_is_reported_too() -> None:
    counts, recorder = StaleReads(), Recorder(seed=1, knobs={})
    counts.announce(KINDS[0])
    data: dict[str, Any] = {}
    Share(counts).report(data, [], is_last=False)
    Sum(recorder, set()).on_report("a", sent(data))
    assert [row["requests"] for row in recorder.snapshot()["readers"]] == [0]


def test_report_of_locust_alone_changes_nothing() -> None:
    recorder = Recorder(seed=1, knobs={})
    gathered = Sum(recorder, {"a"})
    gathered.on_report("a", {"stats": [], "user_count": 3})
    assert (gathered.waiting, recorder.snapshot()["readers"]) == ({"a"}, [])


def test_what_a_worker_lacks_is_in_the_record() -> None:
    data: dict[str, Any] = {}
    Share(StaleReads()).report(data, ["a worker could not begin: no leader"], is_last=True)
    recorder = Recorder(seed=1, knobs={})
    Sum(recorder, {"a"}).on_report("a", sent(data))
    assert recorder.missing == ["a worker could not begin: no leader"]
