"""The two ends of a message find each other, whatever is missing."""

from __future__ import annotations

from client.history import Trace
from orchestrator.picture.messages import Message, match_messages
from tests.orchestrator.picture.stories import Story


def matched(story: Story) -> list[Message]:
    """The messages of a story, by its traces in the order of time."""
    traces = [record for record in story.records if isinstance(record, Trace)]
    return match_messages(enumerate(sorted(traces, key=lambda trace: trace.at_ms)))


def test_ends_meet_by_link_and_number() -> None:
    story = Story()
    story.message(1.0, 9.0, 3, 1, "COMMIT", left_ms=8.0, zxid="1:2")
    story.message(2.0, 3.0, 3, 2, "COMMIT", zxid="1:2")
    late, early = matched(story)
    assert (late.receiver, late.sent_ms, late.left_ms, late.received_ms) == (1, 1.0, 8.0, 9.0)
    assert late.is_kept
    assert (early.receiver, early.received_ms, early.is_kept) == (2, 3.0, False)


def test_what_never_arrived_and_what_was_never_seen_sent_stand_alone() -> None:
    story = Story()
    story.message(1.0, None, 3, 1, "PROPOSAL")
    story.message(None, 2.0, 3, 1, "COMMIT")
    lost, unknown = matched(story)
    assert (lost.packet, lost.sent_ms, lost.received_ms) == ("PROPOSAL", 1.0, None)
    assert (unknown.packet, unknown.sent_ms, unknown.received_ms) == ("COMMIT", None, 2.0)


def test_a_number_used_again_after_a_restart_does_not_reach_back() -> None:
    before, after = Story(), Story()
    before.message(1.0, None, 3, 1, "PROPOSAL")
    after.message(10.0, 11.0, 3, 1, "NEWLEADER")
    before.records += after.records
    lost, arrived = matched(before)
    assert (lost.packet, lost.received_ms) == ("PROPOSAL", None)
    assert (arrived.packet, arrived.received_ms) == ("NEWLEADER", 11.0)


def test_a_receipt_without_a_number_takes_nobody_elses_place() -> None:
    sent = Trace(1.0, 3, "message_sent", {"peer": 1, "packet": "PING", "number": 1})
    received = Trace(2.0, 1, "message_received", {"peer": 3, "packet": "PING", "number": 0})
    first, second = match_messages(enumerate([sent, received]))
    assert first.received_ms is None
    assert second.sent_ms is None


def test_what_only_the_sender_knows_is_kept() -> None:
    sent = Trace(
        1.0,
        1,
        "message_sent",
        {"peer": 3, "packet": "ACK", "number": 4, "txn_type": "closeSession", "zxid": "1:2"},
    )
    received = Trace(
        2.0, 3, "message_received", {"peer": 1, "packet": "ACK", "number": 4, "zxid": "1:2"}
    )
    (message,) = match_messages(enumerate([sent, received]))
    assert message.title == "ACK[closeSession]"
