"""What is found before anything is drawn: who was told, which reads were stale, which window."""

from __future__ import annotations

import pytest

from client.history import Trace
from orchestrator.errors import InvalidInput
from orchestrator.picture.evidence import gather
from orchestrator.picture.focus import Focus, parse_focus
from orchestrator.picture.survey import survey
from tests.orchestrator.picture.stories import READER, VICTIM, Story, w2_story


def test_a_read_called_after_its_owner_was_told_is_stale() -> None:
    found = survey(w2_story().records)
    (stale,) = found.stale
    assert (stale.reading.session_id, stale.reading.called_ms) == (READER, 103.0)
    assert stale.told.session_id == VICTIM


def test_a_read_called_before_is_not_though_it_returned_after() -> None:
    story = Story()
    story.told(102.0, VICTIM, 1, 3)
    story.exists(101.9, READER, 2, 1, "/lock", VICTIM)
    assert survey(story.records).stale == []


@pytest.mark.parametrize(
    ("member", "at_ms", "window"),
    [
        (1, 99.0, ""),
        (1, 100.5, "W0"),
        (1, 101.5, "W1"),
        (1, 103.0, "W2"),
        (3, 103.0, ""),
        (1, 166.0, ""),
        (2, 166.0, "W2"),
    ],
)
def test_window_of_an_instant_on_a_member(member: int, at_ms: float, window: str) -> None:
    story = Story()
    steps = {"marked": 100.0, "submitted": 101.0, "proposed": 101.1, "committed": 102.0}
    story.closing(VICTIM, steps, {3: 102.0, 1: 165.0})
    closing = survey(story.records).closings[VICTIM]
    assert closing.window_at(member, at_ms) == window


def test_members_are_believed_where_no_program_speaks() -> None:
    story = Story()
    story.trace(102.0, 3, "session_connected", session_id=VICTIM, is_valid=False)
    fields = {"path": "/lock", "is_there": True, "ephemeral_owner": VICTIM}
    story.trace(103.0, 1, "read_served", session_id=READER, xid=1, **fields)
    (stale,) = survey(story.records).stale
    assert (stale.reading.member, stale.told.member) == ("1", "3")


def test_an_address_is_whose_session_it_opened() -> None:
    story = Story()
    story.trace(1.0, 2, "session_connected", session_id=READER, is_valid=True)
    story.session(READER, 2, 1)
    session = story.records[-1]
    session.member = "127.0.0.1:4001"  # type: ignore[union-attr]
    found = survey(story.records)
    assert (found.sid_of("127.0.0.1:4001"), found.sid_of("7"), found.sid_of("other")) == (2, 7, 0)


@pytest.mark.parametrize(
    ("text", "focus"),
    [
        ("stale", Focus(stale=1)),
        ("stale:3", Focus(stale=3)),
        ("whole", Focus(is_whole=True)),
        ("0x1f", Focus(session_id=31)),
        ("1234.5", Focus(at_ms=1234.5)),
    ],
)
def test_ways_to_say_what_to_draw(text: str, focus: Focus) -> None:
    assert parse_focus(text) == focus


@pytest.mark.parametrize("text", ["stale:0", "stale:x", "whole:2", "0xzz", "yesterday", ""])
def test_no_way_to_say_it(text: str) -> None:
    with pytest.raises(InvalidInput, match="unknown; one of"):
        parse_focus(text)


@pytest.mark.parametrize(
    ("focus", "what"),
    [
        (Focus(stale=2), "the history shows 1"),
        (Focus(session_id=5), "knows nothing of a session 0x5"),
        (Focus(at_ms=9e9), "nothing happened round"),
    ],
)
def test_what_the_history_has_not_is_said(focus: Focus, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        gather(w2_story().records, focus)


def test_evidence_of_a_stale_read() -> None:
    evidence = gather(iter(w2_story().records), Focus())
    kinds = [(operation.kind, operation.called_ms) for operation in evidence.operations]
    assert kinds == [("create", 10.0), ("exists", 103.0), ("exists", 170.0)]
    assert evidence.paths == ["/lock"]
    assert evidence.sessions == [VICTIM, READER]
    assert evidence.end_ms < 170


def test_a_message_that_arrives_behind_the_window_is_not_lost() -> None:
    story = w2_story()
    story.message(165.1, 400.0, 3, 2, "COMMIT", zxid="1:8")
    evidence = gather(story.records, Focus())
    assert [m.received_ms for m in evidence.messages if m.sent_ms == 165.1] == [400.0]


def test_only_the_window_of_a_long_history_is_kept() -> None:
    story = w2_story()
    for step in range(20_000):
        story.exists(1000.0 + step, READER, 2, 1, f"/other/{step}", 0)
        story.trace(1000.0 + step, 2, "message_sent", peer=1, packet="PING", number=step)
    evidence = gather(story.records, Focus())
    assert len(evidence.operations) == 3
    assert len(evidence.messages) == 5
    assert not any(isinstance(t, Trace) and t.at_ms > 200 for _, t in evidence.marks)


def test_a_history_of_clients_alone_has_its_members_by_address() -> None:
    story = Story()
    story.told(101.0, VICTIM, 1, 3)
    story.exists(102.0, READER, 2, 1, "/lock", VICTIM)
    for record, address in zip(story.records[1:], ("10.0.0.3:1", "10.0.0.1:1"), strict=True):
        record.member = address  # type: ignore[union-attr]
    found = survey(story.records)
    sids = [found.sid_of(address) for address in ("10.0.0.1:1", "10.0.0.3:1")]
    assert found.sids == set(sids)
    assert [found.member(sid) for sid in sids] == ["10.0.0.1:1", "10.0.0.3:1"]


def test_what_the_story_is_about_is_kept_in_any_crowd() -> None:
    crowd, story = Story(), w2_story()
    for step in range(25_000):
        at_ms = 100.0 + step / 25_000
        crowd.trace(at_ms, 2, "message_sent", peer=1, packet="PING", number=step + 1)
    evidence = gather([*crowd.records, *story.records[1:]], Focus())
    assert evidence.left_out["messages"] > 0
    commits = [message for message in evidence.messages if message.packet == "COMMIT"]
    assert [(m.receiver, m.is_kept, m.received_ms) for m in commits] == [
        (2, False, 101.3),
        (1, True, 165.0),
    ]
