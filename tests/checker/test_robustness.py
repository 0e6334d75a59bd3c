"""Whatever a history says, the checker comes to a verdict: no exception, no endless work."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BytesIO
from random import Random
from types import FrameType
from typing import Any

import pytest

from client.history import Event, History, HistoryError, Trace, write_record
from orchestrator.checker.check import Demands, check
from orchestrator.checker.schema import as_json
from orchestrator.checker.text import verdict_text
from orchestrator.checker.windows import Windows
from tests.checker.histories import Book, seen
from tests.checker.simulated import record

STRANGE: list[Any] = [
    0,
    -1,
    1,
    1 << 62,
    True,
    "",
    "/",
    "a//b",
    "/" * 3000,
    "create",
    "ok",
    "unknown",
]
DEMANDS = Demands(max_lag=0, is_fresh_after_sync=True)


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    history = record(1005, has_traces=True)
    kept = {operation.number for operation in history.operations[:120]}
    history.operations = [op for op in history.operations if op.number in kept or op.is_final]
    history.traces = history.traces[:20]
    out = BytesIO()
    for each in history.records():
        write_record(each, out)
    return out.getvalue().splitlines(keepends=True)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything in a JSON value that may be replaced: its holder, and where in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def test_strange_histories_get_a_verdict_or_a_line(lines: list[bytes]) -> None:
    rng = Random(7)
    judged = refused = 0
    for _ in range(150):
        strange = list(lines)
        for _ in range(rng.choice((1, 3, 10))):
            number = rng.randrange(1, len(strange))
            value = json.loads(strange[number])
            holder, key = rng.choice(list(places(value)))
            holder[key] = rng.choice(STRANGE)
            strange[number] = json.dumps(value).encode() + b"\n"
        try:
            history = History.read(strange)
        except HistoryError as error:
            assert "line" in str(error)
            refused += 1
            continue
        verdict = check(history, DEMANDS)
        json.dumps(as_json("x", history, verdict, DEMANDS))
        assert verdict_text("x", history, verdict, DEMANDS)
        judged += 1
    assert judged > 20
    assert refused > 20


def test_a_long_path_is_no_deep_recursion() -> None:
    book = Book()
    book.create(1, "/a" * 5000, "1:1", 1)
    assert check(book.history).anomalies == []


def test_a_traced_zxid_without_end_is_none() -> None:
    history = History()
    for zxid in ("9" * 5000 + ":1", "1:" + "9" * 5000):
        history.add(Trace(1.0, 1, "close_committed", {"session_id": 1, "zxid": zxid}))
    assert Windows(history.traces).zxids == {}


def test_many_events_without_a_cause_are_judged_one_by_one() -> None:
    """Each must not be held against every change that the session has not seen."""
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.get(2, "/a", 1, seen(1, "1:1")).watch = "persistent"
    many = 3000
    for version in range(1, many):
        book.set(1, "/a", f"1:{version + 1}", version + 1, version, czxid=1)
    last = book.history.operations[-1]
    for _ in range(many):
        event = Event(2, 2, last.until_ms, "deleted", "/a", last.answered)
        book.history.events.append(event)
    looked_at = 0

    def count(frame: FrameType, what: str, _: object) -> None:
        nonlocal looked_at
        looked_at += what == "call" and frame.f_code.co_name == "after"

    sys.setprofile(count)
    try:
        anomalies = check(book.history).anomalies
    finally:
        sys.setprofile(None)
    assert len(anomalies) == many
    assert looked_at < 10 * many
