"""The session machine: events in, effects out; no clock, no network."""

from __future__ import annotations

import pytest

from client.events import (
    Announce,
    CloseRequested,
    Complete,
    DeadlineReached,
    Drop,
    Effect,
    Event,
    Fail,
    Fire,
    Lost,
    Open,
    Received,
    Send,
    SessionEvent,
    SessionState,
    Silenced,
    Started,
    Submitted,
)
from client.ops import (
    PING_XID,
    SET_WATCHES_XID,
    CloseSession,
    Create,
    DataResult,
    Exists,
    GetData,
    Ping,
    Reply,
    Request,
    SessionRequest,
    SessionResponse,
    SetWatches,
    Stat,
    WatchEvent,
)
from client.session import Session

PASSWORD = b"p" * 16
VALID = SessionResponse(9000, 7, PASSWORD)
EXPIRED = SessionResponse(0, 0, b"")
STAT = Stat(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1)


def connected(members: int = 3, timeout_ms: int = 9000) -> Session:
    """Return a session that is connected at instant 0."""
    session = Session(members, timeout_ms)
    session.step(Started(), 0)
    session.step(Received(1, SessionResponse(timeout_ms, 7, PASSWORD)), 0)
    return session


def run(session: Session, now_ms: float, *events: Event) -> list[Effect]:
    """Return the effects of several events at one instant."""
    return [effect for event in events for effect in session.step(event, now_ms)]


def test_start_asks_the_first_member_for_a_new_session() -> None:
    session = Session(3, 9000, first=5)
    assert session.step(Started(), 0) == [Open(1, 2, SessionRequest(0, 9000, 0, b""))]
    assert session.deadline() == 3000


def test_a_session_to_resume_is_presented_with_its_password() -> None:
    session = Session(1, 9000, session_id=7, password=PASSWORD, last_zxid=5)
    assert session.step(Started(), 0) == [Open(1, 0, SessionRequest(5, 9000, 7, PASSWORD))]


def test_the_member_decides_the_timeout() -> None:
    session = Session(3, 9000)
    effects = run(session, 0, Started(), Received(1, SessionResponse(4000, 7, PASSWORD)))
    assert effects[1:] == [Announce(SessionEvent.CONNECTED)]
    assert (session.timeout_ms, session.session_id, session.password) == (4000, 7, PASSWORD)
    # What is asked for again after a reconnect is what the program wanted, not what it got.
    assert run(session, 1, Lost(1))[-1] == Open(2, 1, SessionRequest(0, 9000, 7, PASSWORD))


def test_an_idle_connection_is_pinged_after_a_third_of_the_timeout() -> None:
    session = connected()
    assert session.deadline() == 3000
    assert session.step(DeadlineReached(), 2999) == []
    assert session.step(DeadlineReached(), 3000) == [Send(1, Request(PING_XID, Ping()))]
    assert session.step(Received(1, Reply(PING_XID, 99, 0, None)), 3001) == []
    assert session.last_zxid == 0
    assert session.deadline() == 6000


def test_a_request_postpones_the_ping() -> None:
    session = connected()
    session.step(Submitted("t", GetData("/a")), 2000)
    assert session.deadline() == 5000


def test_a_long_timeout_is_pinged_every_ten_seconds() -> None:
    assert connected(timeout_ms=60_000).deadline() == 10_000


def test_a_member_that_says_nothing_for_two_thirds_of_the_timeout_is_left() -> None:
    session = connected()
    session.step(DeadlineReached(), 3000)
    session.step(Submitted("t", Create("/a")), 5000)
    assert session.deadline() == 6000
    assert session.step(DeadlineReached(), 6000) == [
        Drop(1),
        Fail("t", Create("/a"), -4, False, "it may have happened"),
        Announce(SessionEvent.DISCONNECTED),
        Open(2, 1, SessionRequest(0, 9000, 7, PASSWORD)),
    ]


def test_a_member_that_does_not_answer_the_connect_is_left_after_its_share() -> None:
    session = Session(3, 9000)
    session.step(Started(), 0)
    assert run(session, 3000, DeadlineReached()) == [
        Drop(1),
        Open(2, 1, SessionRequest(0, 9000, 0, b"")),
    ]


def test_members_are_tried_in_turn_then_the_session_waits_longer_each_round() -> None:
    session = Session(2, 9000)
    session.step(Started(), 0)
    assert session.step(Lost(1), 10) == [Open(2, 1, SessionRequest(0, 9000))]
    assert session.step(Lost(2), 20) == []
    assert session.deadline() == 70
    assert session.step(DeadlineReached(), 70) == [Open(3, 0, SessionRequest(0, 9000))]
    assert run(session, 80, Lost(3), Lost(4)) == [Open(4, 1, SessionRequest(0, 9000))]
    assert session.deadline() == 180


def test_the_wait_between_rounds_doubles_up_to_a_second() -> None:
    session = Session(1, 9000)
    session.step(Started(), 0)
    waits = []
    for connection in range(1, 8):
        session.step(Lost(connection), 0)
        waits.append(session.deadline())
        session.step(DeadlineReached(), 2000)
    assert waits == [50, 100, 200, 400, 800, 1000, 1000]


def test_requests_are_numbered_and_matched_in_order() -> None:
    session = connected()
    assert run(session, 1, Submitted("a", GetData("/a")), Submitted("b", GetData("/b"))) == [
        Send(1, Request(1, GetData("/a"))),
        Send(1, Request(2, GetData("/b"))),
    ]
    first, second = Reply(1, 50, 0, None), Reply(2, 51, -101, None)
    assert run(session, 2, Received(1, first), Received(1, second)) == [
        Complete("a", first),
        Complete("b", second),
    ]
    assert session.last_zxid == 51


def test_a_reply_out_of_order_costs_the_connection() -> None:
    session = connected()
    run(session, 1, Submitted("a", GetData("/a")), Submitted("b", Create("/b")))
    effects = session.step(Received(1, Reply(2, 50, 0, None)), 2)
    assert effects[:3] == [
        Drop(1),
        Fail("a", GetData("/a"), -4, True, ""),
        Fail("b", Create("/b"), -4, False, "it may have happened"),
    ]


def test_a_request_waits_for_the_connection_and_is_definitely_lost_with_it() -> None:
    session = Session(2, 9000)
    session.step(Started(), 0)
    assert session.step(Submitted("a", Create("/a")), 1) == []
    assert session.step(Lost(1), 2)[0] == Fail("a", Create("/a"), -4, True, "it was not sent")
    session.step(Submitted("b", Create("/b")), 3)
    assert session.step(Received(2, VALID), 4) == [
        Announce(SessionEvent.CONNECTED),
        Send(2, Request(1, Create("/b"))),
    ]


def test_xids_go_on_after_a_reconnect() -> None:
    session = connected()
    run(session, 1, Submitted("a", GetData("/a")), Lost(1), Received(2, VALID))
    assert session.step(Submitted("b", GetData("/b")), 2) == [Send(2, Request(2, GetData("/b")))]


def test_a_reconnect_shows_the_last_zxid_seen() -> None:
    session = connected()
    run(session, 1, Submitted("a", GetData("/a")), Received(1, Reply(1, 77, 0, None)))
    assert session.step(Lost(1), 2)[-1] == Open(2, 1, SessionRequest(77, 9000, 7, PASSWORD))


def test_expiry_is_learnt_on_reconnect_and_fails_everything_from_then_on() -> None:
    session = connected()
    session.step(Lost(1), 1)
    session.step(Submitted("a", Create("/a")), 2)
    assert session.step(Received(2, EXPIRED), 3) == [
        Drop(2),
        Fail("a", Create("/a"), -112, True, "it was not sent"),
        Announce(SessionEvent.EXPIRED),
    ]
    assert session.state is SessionState.EXPIRED
    assert session.step(Submitted("b", GetData("/a")), 4) == [
        Fail("b", GetData("/a"), -112, True, "")
    ]
    assert session.deadline() is None
    assert run(session, 5, Lost(2), DeadlineReached(), CloseRequested()) == []


def test_an_expired_header_fails_one_call_only() -> None:
    session = connected()
    reply = Reply(1, 50, -112, None)
    effects = run(session, 1, Submitted("a", Create("/a")), Received(1, reply))
    assert effects[1:] == [Complete("a", reply)]
    assert session.state is SessionState.CONNECTED


def test_what_arrives_on_an_old_connection_does_not_count() -> None:
    session = connected()
    run(session, 1, Submitted("a", GetData("/a")), Lost(1), Received(2, VALID))
    session.step(Submitted("b", GetData("/b")), 2)
    assert run(session, 3, Received(1, Reply(2, 50, 0, None)), Lost(1)) == []


def watched(session: Session) -> None:
    """Set a data watch on /a and an exist watch on /b."""
    run(
        session,
        1,
        Submitted("a", GetData("/a", True), "watch-a"),
        Submitted("b", Exists("/b", True), "watch-b"),
        Received(1, Reply(1, 50, 0, DataResult(b"", STAT))),
        Received(1, Reply(2, 50, -101, None)),
    )


def test_a_watch_fires_once() -> None:
    session = connected()
    watched(session)
    event = WatchEvent(1, "/b")
    assert session.step(Received(1, event), 2) == [Fire(("watch-b",), event)]
    assert session.step(Received(1, event), 3) == []


def test_a_read_that_failed_sets_no_watch() -> None:
    session = connected()
    run(session, 1, Submitted("a", GetData("/a", True), "w"), Received(1, Reply(1, 50, -101, None)))
    assert session.step(Received(1, WatchEvent(1, "/a")), 2) == []


def test_watches_are_set_again_before_anything_else_is_sent() -> None:
    session = connected()
    watched(session)
    run(session, 2, Lost(1), Submitted("c", GetData("/c")))
    assert session.step(Received(2, VALID), 3) == [
        Announce(SessionEvent.CONNECTED),
        Send(2, Request(SET_WATCHES_XID, SetWatches(50, ("/a",), ("/b",), ()))),
        Send(2, Request(3, GetData("/c"))),
    ]
    assert session.step(Received(2, Reply(SET_WATCHES_XID, 60, 0, None)), 4) == []


def test_close_ends_with_the_reply() -> None:
    session = connected()
    assert session.step(CloseRequested(), 1) == [Send(1, Request(1, CloseSession()))]
    assert session.step(Submitted("a", GetData("/a")), 2) == [
        Fail("a", GetData("/a"), -4, True, "the client is closed")
    ]
    assert session.step(Received(1, Reply(1, 60, 0, None)), 3) == [
        Drop(1),
        Announce(SessionEvent.CLOSED),
    ]
    assert session.state is SessionState.CLOSED


def test_close_without_an_answer_ends_with_the_read_timeout() -> None:
    session = connected()
    session.step(CloseRequested(), 1000)
    assert session.step(DeadlineReached(), 6000) == [Drop(1), Announce(SessionEvent.CLOSED)]


def test_close_while_connecting_ends_at_once() -> None:
    session = Session(1, 9000)
    session.step(Started(), 0)
    assert session.step(CloseRequested(), 1) == [Drop(1), Announce(SessionEvent.CLOSED)]


@pytest.mark.parametrize("keep_connection", [True, False])
def test_a_silent_session_neither_pings_nor_reconnects(keep_connection: bool) -> None:
    session = connected()
    effects = session.step(Silenced(keep_connection), 1)
    assert effects == ([] if keep_connection else [Drop(1), Announce(SessionEvent.CLOSED)])
    assert session.deadline() is None
    assert session.step(DeadlineReached(), 60_000) == []
    if keep_connection:
        assert session.step(Lost(1), 60_001) == [Announce(SessionEvent.CLOSED)]
    assert session.state is SessionState.CLOSED


def test_a_silent_session_is_let_go_without_closing_it() -> None:
    session = connected()
    session.step(Silenced(True), 1)
    assert session.step(CloseRequested(), 2) == [Drop(1), Announce(SessionEvent.CLOSED)]
