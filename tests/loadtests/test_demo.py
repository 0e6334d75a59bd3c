"""The demo's own judgement: it accepts what ZooKeeper shows and rejects everything else."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.demo import READERS, complaints_about, remarks_on, verdict_on
from loadtests.readers import find_readers
from loadtests.stale_reads import Observation, StaleReads

SLOW_WORDS = {"slow": "slow member", "follower": "undelayed member", "leader": "leader"}
PLAIN_WORDS = {"slow": "a follower", "follower": "another follower", "leader": "leader"}
KEYS = READERS.split(",")


def result(words: dict[str, str], stale: dict[str, int], n: int = 100) -> dict[str, Any]:
    table = StaleReads()
    for key in KEYS:
        (reader,) = find_readers([key], [])
        kind = reader.kind(words[reader.role])
        table.announce(kind)
        for number in range(n):
            is_stale = number < stale.get(key, 0)
            table.add(kind, Observation(is_stale, 90.0 if is_stale else None))
    return table.as_json()


def test_what_zookeeper_shows_is_accepted() -> None:
    assert complaints_about(result(SLOW_WORDS, {"open+none": 99}), result(PLAIN_WORDS, {})) == []


@pytest.mark.parametrize("key", ["open+sync", "new+none"])
def test_stale_read_of_a_safe_reader_is_rejected(key: str) -> None:
    (complaint,) = complaints_about(
        result(SLOW_WORDS, {"open+none": 100, key: 1}), result(PLAIN_WORDS, {})
    )
    assert complaint.startswith("1 of 100 stale: read: ")


def test_race_that_does_not_show_is_rejected() -> None:
    (complaint,) = complaints_about(result(SLOW_WORDS, {}), result(PLAIN_WORDS, {}))
    assert complaint.startswith("the race did not show at all")


def test_late_program_is_remarked_upon() -> None:
    (remark,) = remarks_on(result(SLOW_WORDS, {"open+none": 50}), result(PLAIN_WORDS, {}))
    assert remark.startswith("ratio 0.50, about 1 when idle")


def test_stall_without_a_delay_is_remarked_upon() -> None:
    remarks = remarks_on(
        result(SLOW_WORDS, {"open+none": 100}), result(PLAIN_WORDS, {"open@leader+none": 2})
    )
    assert remarks == ["2 of 100 stale without a delay, 0 when idle: read: open session, leader"]


def test_row_without_requests_is_no_zero() -> None:
    complaints = complaints_about(
        result(SLOW_WORDS, {"open+none": 100}), result(PLAIN_WORDS, {}, n=0)
    )
    assert len(complaints) == len(KEYS)


def test_verdict_has_the_figures() -> None:
    verdict = verdict_on(result(SLOW_WORDS, {"open+none": 97}), result(PLAIN_WORDS, {}, n=30))
    for figure in ("97 of 100", "90 ms", "0 of 100", f"0 of {30 * len(KEYS)}"):
        assert figure in verdict
