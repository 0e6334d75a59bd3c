"""The second count of stale reads: the same reads, from the traces of the members."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from lagkeeper.v1.admin_pb2 import TraceRecord, TraceValue

from loadtests.read_audit import AuditCounts, ReadAudit, sentence_on
from loadtests.readers import Told
from loadtests.stale_reads import Observation

OWNER, READER, PATH = 0x1000000000000A1, 0x2000000000000B2, "/expiring/a"
NOW = time.monotonic()


def served(at_s: float, owner: int, session_id: int = READER, path: str = PATH) -> TraceRecord:
    fields = {
        "session_id": TraceValue(number=session_id),
        "path": TraceValue(text=path),
        "ephemeral_owner": TraceValue(number=owner),
    }
    return TraceRecord(sid=2, at_ms=(NOW + at_s) * 1000, kind="read_served", fields=fields)


def applied(at_s: float, sid: int = 2) -> TraceRecord:
    fields = {"session_id": TraceValue(number=OWNER)}
    return TraceRecord(sid=sid, at_ms=(NOW + at_s) * 1000, kind="close_applied", fields=fields)


TOLD = Told(OWNER, PATH, NOW + 1.0)
STALE, FRESH = Observation(True, 40.0), Observation(False)


@pytest.fixture
def audit() -> ReadAudit:
    return ReadAudit((), 5000, settle_s=0.0)


def test_a_stale_read_counts_on_both_sides_and_its_window_is_compared(audit: ReadAudit) -> None:
    # Before the owner's end; the look itself; two more until it is fresh.
    for at_s, owner in ((0.5, OWNER), (1.001, OWNER), (1.02, OWNER), (1.041, 0)):
        audit.add(served(at_s, owner))
    audit.add(applied(1.038))
    audit.add(applied(1.002, sid=3))
    audit.look(READER, TOLD, NOW + 1.0005, STALE)
    assert audit.finish() == []
    assert audit.counts.as_json() == {
        "reads": 1,
        "stale_seen": 1,
        "stale_served": 1,
        "disagreeing": 0,
        "untraced": 0,
        "window_difference_ms": {"n": 1, "p50": 2.0, "p99": 2.0, "max": 2.0, "within_5_ms": 1.0},
    }


def test_a_znode_of_another_owner_is_fresh(audit: ReadAudit) -> None:
    audit.add(served(1.001, OWNER + 1))
    audit.look(READER, TOLD, NOW + 1.0, FRESH)
    audit.finish()
    assert (audit.counts.reads, audit.counts.seen, audit.counts.served) == (1, 0, 0)


@pytest.mark.parametrize(("owner", "seen"), [(OWNER, FRESH), (0, STALE)])
def test_a_count_that_is_wrong_is_found(audit: ReadAudit, owner: int, seen: Observation) -> None:
    audit.add(served(1.001, owner))
    audit.look(READER, TOLD, NOW + 1.0, seen)
    audit.finish()
    assert audit.counts.disagreeing == 1
    assert audit.counts.seen != audit.counts.served


def test_a_read_that_no_member_told_of_is_not_counted_as_fresh(audit: ReadAudit) -> None:
    audit.add(served(1.001, OWNER, session_id=READER + 1))
    audit.add(served(1.001, OWNER, path="/expiring/b"))
    audit.add(served(0.9, OWNER))
    audit.look(READER, TOLD, NOW + 1.0, STALE)
    audit.finish()
    assert (audit.counts.reads, audit.counts.untraced) == (0, 1)


def test_a_trace_that_comes_after_the_report_is_waited_for() -> None:
    audit = ReadAudit((), 5000, settle_s=0.2)
    audit.look(READER, TOLD, NOW + 1.0, STALE)
    audit.add(served(1.001, OWNER))
    audit.finish()
    assert (audit.counts.reads, audit.counts.served, audit.counts.untraced) == (1, 1, 0)


def test_old_reads_are_forgotten(audit: ReadAudit) -> None:
    audit.add(served(1.001, OWNER))
    audit.add(served(100.0, OWNER, path="/expiring/b"))
    audit.look(READER, TOLD, NOW + 1.0, STALE)
    audit.finish()
    assert audit.counts.untraced == 1


def test_counts_of_processes_add_up_through_a_message() -> None:
    one, two = AuditCounts(5, 3, 3, 0, 1), AuditCounts(2, 1, 0, 1, 0)
    one.differences.update([12, -3])
    two.differences.update([12])
    two.merge(AuditCounts.from_message(one.as_message()))
    assert two == AuditCounts(7, 4, 3, 1, 1, Counter({12: 2, -3: 1}))


def test_the_sentence_has_every_count() -> None:
    counts = AuditCounts(7, 4, 3, 1, 2)
    counts.differences.update([12, 60])
    assert sentence_on(counts.as_json()) == (
        "audit: 7 reads as their members traced them: 3 served stale, 4 seen stale, 1 disagree,"
        " 2 untraced; 2 windows end within 3.6 ms (median), 6.0 ms (p99), 6.0 ms (max) of the"
        " closeSession's application, 50.0% within 5 ms"
    )
