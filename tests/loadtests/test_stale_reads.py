"""Counting: kinds stay apart, figures are right, and a void round passes for nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.stale_reads import Kind, Observation, Row, StaleReads, console, quantiles, table_of

PLAIN = Kind("open session", "slow member")
SYNCED = Kind("open session", "slow member", "sync first")
COMPARED = Kind("open session", "slow member", "compare ephemeral_owner", is_noticed=True)

observations = st.one_of(
    st.just(Observation(False)),
    st.builds(Observation, st.just(True), st.none() | st.floats(0, 5000)),
)


def test_name_tells_operation_session_place_and_mitigation() -> None:
    assert PLAIN.name == "read: open session, slow member"
    assert SYNCED.name == "read: open session, slow member, sync first"


def test_kinds_are_never_mixed() -> None:
    table = StaleReads()
    table.add(PLAIN, Observation(True, 50.0))
    table.add(SYNCED, Observation(False))
    table.add(PLAIN, Observation(True, 52.0))

    plain, synced = table.as_json()["readers"]
    assert (plain["requests"], plain["stale"], plain["ratio"]) == (2, 2, 1.0)
    assert (synced["requests"], synced["stale"], synced["ratio"]) == (1, 0, 0.0)
    assert synced["window_ms"] is None


def test_interval_is_wilsons() -> None:
    table = StaleReads()
    for is_stale in [True] * 17 + [False] * 3:
        table.add(PLAIN, Observation(is_stale, 1.0 if is_stale else None))

    (row,) = table.as_json()["readers"]
    assert row["interval"] == pytest.approx([0.640, 0.948], abs=0.001)


def test_window_is_the_median_and_the_maximum_of_stale_reads_alone() -> None:
    row = Row()
    for window_ms in (50.0, 60.0, 40.0, 90.0):
        row.add(PLAIN, Observation(True, window_ms))
    row.add(PLAIN, Observation(False))

    assert row.window_ms() == (55.0, 90.0)


def test_endless_window_is_no_length() -> None:
    row = Row()
    row.add(PLAIN, Observation(True, None))

    assert (row.stale, row.endless, row.window_ms()) == (1, 1, None)


def test_noticed_stale_answer_is_stale_but_not_acted_upon() -> None:
    table = StaleReads()
    table.add(COMPARED, Observation(True, 50.0))
    table.add(PLAIN, Observation(True, 50.0))

    compared, plain = table.as_json()["readers"]
    assert (compared["stale"], compared["acted_upon"]) == (1, 0)
    assert (plain["stale"], plain["acted_upon"]) == (1, 1)


def test_void_round_counts_in_no_row() -> None:
    table = StaleReads()
    table.announce(PLAIN)
    table.add_void("no mark seen")

    result = table.as_json()
    assert result["void_rounds"] == {"no mark seen": 1}
    (row,) = result["readers"]
    assert (row["requests"], row["ratio"], row["interval"]) == (0, None, None)


@given(st.lists(observations))
def test_row_adds_up(seen: list[Observation]) -> None:
    row = Row()
    for observation in seen:
        row.add(PLAIN, observation)

    assert row.requests == len(seen)
    assert row.acted_upon == row.stale == sum(observation.is_stale for observation in seen)
    assert row.windows.total() + row.endless == row.stale


def test_table_shows_each_row_with_its_figures() -> None:
    table = StaleReads()
    table.add(PLAIN, Observation(True, 50.0))
    table.add(SYNCED, Observation(False))
    table.add_void("no mark seen")
    out = console()

    with out.capture() as capture:
        out.print(table_of(table.as_json(), "a title"))

    lines = capture.get().splitlines()
    (plain,) = [line for line in lines if line.startswith(" open session") and "none" in line]
    (synced,) = [line for line in lines if "sync first" in line]
    assert ("1.000" in plain, "50.0 / 50.0" in plain) == (True, True)
    assert ("0.000" in synced, "1.000" in synced.split("-")[0]) == (True, False)
    assert "no mark seen: 1" in capture.get()


@given(st.lists(st.integers(0, 20), min_size=1), st.lists(st.floats(0, 1), max_size=4))
def test_quantiles_are_those_of_the_sorted_values(values: list[int], wanted: list[float]) -> None:
    ordered, shares = sorted(values), sorted(wanted)
    expected = []
    for share in shares:
        below, part = divmod(share * (len(ordered) - 1), 1)
        low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
        expected.append(low + (high - low) * part)
    assert quantiles(Counter(values), shares) == pytest.approx(expected)


def test_price_lag_and_harm_are_in_the_row() -> None:
    table = StaleReads()
    for latency_ms in (1.0, 3.0, 1234.56):
        table.add(PLAIN, Observation(True, 50.0, latency_ms, lag=4, is_harmful=latency_ms > 1))

    (row,) = table.as_json()["readers"]
    assert row["harmful"] == 2
    assert row["lag_txns"] == {"median": 4, "p95": 4, "p99": 4, "max": 4}
    assert (row["latency_ms"]["p50"], row["latency_ms"]["max"]) == (3.0, 1235.0)


def test_stale_answer_that_nobody_followed_is_neither_a_window_nor_endless() -> None:
    row = Row()
    row.add(PLAIN, Observation(True, has_window=False))

    assert (row.stale, row.endless, row.window_ms()) == (1, 0, None)
