"""Storms from traces: gone everywhere is when the last member has applied the last closing."""

from __future__ import annotations

from lagkeeper.v1.admin_pb2 import TraceRecord

from loadtests.storms import Storms


def trace(kind: str, session_id: int, at_ms: float, sid: int = 1) -> TraceRecord:
    record = TraceRecord(sid=sid, at_ms=at_ms, kind=kind)
    record.fields["session_id"].number = session_id
    return record


def storms_with(*sessions: int) -> Storms:
    storms = Storms([1, 2])
    storms.begin(1, 10.0)
    storms.strike(1, sessions)
    return storms


def test_it_lasts_from_the_first_mark_to_the_last_application() -> None:
    storms = storms_with(5, 6)
    for kind, session_id, at_ms, sid in (
        ("close_marked", 5, 1000.0, 1),
        ("close_marked", 6, 1001.0, 1),
        ("close_applied", 5, 1003.0, 1),
        ("close_applied", 5, 1010.0, 2),
        ("close_applied", 6, 1004.0, 1),
    ):
        storms.add(trace(kind, session_id, at_ms, sid))
        storms.settle()
        assert storms.all[0]["gone_everywhere_ms"] is None
    storms.add(trace("close_applied", 6, 1042.5, 2))
    storms.settle()
    assert storms.all == [{"t": 10.0, "sessions": 2, "gone_everywhere_ms": 42.5}]


def test_every_process_strikes_its_own() -> None:
    storms = storms_with(5)
    storms.strike(1, [6, 7])
    assert storms.all[0]["sessions"] == 3


def test_other_sessions_do_not_matter() -> None:
    storms = storms_with(5)
    storms.add(trace("close_marked", 9, 1.0))
    for sid in (1, 2):
        storms.add(trace("close_applied", 9, 9000.0, sid))
        storms.add(trace("close_applied", 5, 20.0 + sid, sid))
    storms.add(trace("close_marked", 5, 20.0))
    storms.settle()
    assert storms.all[0]["gone_everywhere_ms"] == 2.0
    assert storms.marked == 2


def test_member_that_never_applies_leaves_it_open() -> None:
    storms = storms_with(5)
    storms.add(trace("close_marked", 5, 1.0))
    storms.add(trace("close_applied", 5, 2.0, 1))
    storms.settle()
    assert storms.all[0]["gone_everywhere_ms"] is None
