"""In virtual time, too, messages and reads are traced on demand, and tracing changes nothing."""

from __future__ import annotations

from orchestrator.simulator.race import Race
from orchestrator.simulator.trace import Record

ON_DEMAND = {"message_sent", "message_left", "message_received", "read_served"}


def raced(*, is_traced: bool) -> list[Record]:
    race = Race(7, leader=3)
    if is_traced:
        race.world.trace_all()
    race.w2(20)
    return race.world.trace.records


def test_tracing_everything_changes_nothing_else() -> None:
    plain, traced = raced(is_traced=False), raced(is_traced=True)
    assert not ON_DEMAND.intersection(record.kind for record in plain)
    assert [record for record in traced if record.kind not in ON_DEMAND] == plain


def test_every_receipt_has_its_sending_before_it() -> None:
    sent: dict[tuple[int, int, int], Record] = {}
    received = 0
    for record in raced(is_traced=True):
        peer, number = record.fields.get("peer", 0), record.fields.get("number", 0)
        if record.kind == "message_sent":
            sent[record.sid, int(peer), int(number)] = record
        elif record.kind == "message_received":
            start = sent.pop((int(peer), record.sid, int(number)))
            assert start.at_ms < record.at_ms
            assert start.fields["packet"] == record.fields["packet"]
            received += 1
    assert received > 50


def test_what_a_rule_delays_leaves_when_its_time_has_come() -> None:
    left_ms = {}
    kept = {}
    for record in raced(is_traced=True):
        key = record.sid, record.fields.get("peer"), record.fields.get("number")
        if record.fields.get("is_kept"):
            kept[key] = record.at_ms
        elif record.kind == "message_left":
            left_ms[key] = record.at_ms - kept[key]
    assert kept
    # The last may still wait: the trial takes its rule off.
    assert max(left_ms.values()) <= 20 + 1e-6
    assert {round(span, 3) for span in left_ms.values()} >= {20.0}


def test_a_member_that_restarts_goes_on_tracing_reads() -> None:
    race = Race(7, leader=3)
    world = race.world
    world.trace_all()
    world.crash(1)
    world.run_for(50)
    world.restart(1)
    world.run_until_serving()
    began = len(world.trace.records)
    race.w2(0)
    assert any(record.sid == 1 for record in world.trace.of("read_served", since=began))
