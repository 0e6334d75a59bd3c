"""Windows from traces, in whatever order the streams of several members bring them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from lagkeeper.v1.admin_pb2 import TraceRecord, TraceValue

from loadtests.audit import BOUNDS_MS, WindowTally

SESSION = 0x100000000000007


def trace(sid: int, at_ms: float, kind: str, session_id: int = SESSION) -> TraceRecord:
    fields = {"session_id": TraceValue(number=session_id)}
    return TraceRecord(sid=sid, at_ms=at_ms, kind=kind, fields=fields)


LEADER = [
    trace(3, 1000.0, "close_marked"),
    trace(3, 1004.0, "close_submitted"),
    trace(3, 1010.0, "close_committed"),
    trace(3, 1010.0, "close_applied"),
]
FOLLOWERS = [trace(1, 1060.0, "close_applied"), trace(2, 1011.5, "close_applied")]


def lengths(histogram: dict[str, Any]) -> list[float]:
    """The upper bound of each length that was counted."""
    bounds = [*histogram["bounds_ms"], float("inf")]
    return [b for b, n in zip(bounds, histogram["counts"], strict=True) for _ in range(n)]


def test_every_order_of_the_streams_gives_the_same_windows() -> None:
    tallies = []
    for place_1, place_2 in permutations(range(len(LEADER) + 1), 2):
        order = list(LEADER)
        order.insert(place_1, FOLLOWERS[0])
        order.insert(place_2, FOLLOWERS[1])
        tally = WindowTally(3)
        for one in order:
            tally.add(one)
        tallies.append(tally.histograms())
    windows = tallies[0]
    assert all(other == windows for other in tallies)
    assert lengths(windows["W0"]) == [5.0]
    assert lengths(windows["W1"]) == [10.0]
    assert {sid: lengths(h) for sid, h in windows["W2"].items()} == {
        "1": [50.0],
        "2": [2.0],
        "3": [0.1],
    }


def test_a_window_is_told_by_the_trace_that_ends_it() -> None:
    tally = WindowTally(3)
    assert [tally.add(one) for one in LEADER[:3]] == [[], [("W0", 0, 4.0)], [("W1", 0, 6.0)]]
    assert tally.add(FOLLOWERS[0]) == [("W2", 1, 50.0)]


def test_a_session_that_its_client_closed_has_no_windows() -> None:
    tally = WindowTally(2)
    for one in (trace(3, 5.0, "close_committed"), trace(3, 5.0, "close_applied"), FOLLOWERS[0]):
        assert tally.add(one) == []
    assert tally.histograms() == {}


def test_an_expiry_that_a_deposed_leader_could_not_finish_counts_from_the_second_mark() -> None:
    tally = WindowTally(2)
    tally.add(LEADER[0])
    tally.add(LEADER[1])
    again = ("close_marked", "close_submitted", "close_committed", "close_applied")
    found = [tally.add(trace(2, 9000.0 + i, kind)) for i, kind in enumerate(again)]
    assert found == [[], [("W0", 0, 1.0)], [("W1", 0, 1.0)], [("W2", 2, 1.0)]]


def test_a_length_above_every_bound_has_a_place() -> None:
    tally = WindowTally(1)
    tally.add(LEADER[0])
    tally.add(trace(3, 1000.0 + BOUNDS_MS[-1] + 1, "close_submitted"))
    assert tally.histograms()["W0"]["counts"][-1] == 1


def test_expiries_that_never_end_do_not_pile_up() -> None:
    tally = WindowTally(3)
    for session_id in range(1, 50_100):
        tally.add(trace(3, 1.0, "close_marked", session_id))
    assert tally.add(trace(3, 2.0, "close_submitted", 1)) == []
    assert tally.add(trace(3, 2.0, "close_submitted", 50_099)) == [("W0", 0, 1.0)]
