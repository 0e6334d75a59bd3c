"""The session machine and what each new connection is told again: identities and watches."""

from __future__ import annotations

import pytest

from client.events import (
    Announce,
    CloseRequested,
    Complete,
    Drop,
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
    AUTH_XID,
    SET_WATCHES_XID,
    AddWatch,
    Auth,
    CheckWatches,
    GetData,
    RemoveWatches,
    Reply,
    Request,
    SessionRequest,
    SessionResponse,
    SetAcl,
    SetWatches,
    WatchEvent,
    WatchMode,
)
from client.session import Session
from tests.client.test_session import EXPIRED, PASSWORD, VALID, connected, run

ME = Auth("digest", b"me:secret")
OTHER = Auth("digest", b"other:secret")
OK = Reply(AUTH_XID, 0, 0, None)
REFUSED = Reply(AUTH_XID, 0, -115, None)


# Identities.


def test_an_identity_is_sent_with_its_own_xid_and_its_answer_handed_over() -> None:
    session = connected()
    assert session.step(Submitted("t", ME), 1) == [Send(1, Request(AUTH_XID, ME))]
    # Out of turn: it does not wait for the requests before it.
    session.step(Submitted("get", GetData("/")), 2)
    assert session.step(Received(1, OK), 3) == [Complete("t", OK)]
    assert session.last_zxid == 0


def test_a_new_connection_is_told_every_identity_before_anything_else() -> None:
    session = connected()
    run(session, 1, Submitted("t", ME), Submitted("u", OTHER), Received(1, OK), Received(1, OK))
    run(session, 1, Submitted("w", AddWatch("/a", WatchMode.PERSISTENT), "watcher"))
    run(session, 1, Received(1, Reply(1, 9, 0, None)))
    run(session, 2, Lost(1), Submitted("get", GetData("/")))
    assert session.step(Received(2, VALID), 3) == [
        Announce(SessionEvent.CONNECTED),
        Send(2, Request(AUTH_XID, ME)),
        Send(2, Request(AUTH_XID, OTHER)),
        Send(2, Request(SET_WATCHES_XID, SetWatches(9, persistent=("/a",)))),
        Send(2, Request(2, GetData("/"))),
    ]
    # Nobody waits for these answers any more.
    assert run(session, 4, Received(2, OK), Received(2, OK)) == []


def test_an_identity_whose_answer_was_lost_is_told_again_and_answered_once() -> None:
    session = connected()
    session.step(Submitted("t", ME), 1)
    run(session, 2, Lost(1))
    effects = session.step(Received(2, VALID), 3)
    assert effects[1:] == [Send(2, Request(AUTH_XID, ME))]
    assert session.step(Received(2, OK), 4) == [Complete("t", OK)]


def test_an_identity_added_while_connecting_is_told_once_connected() -> None:
    session = Session(1, 9000)
    session.step(Started(), 0)
    assert session.step(Submitted("t", ME), 1) == []
    effects = session.step(Received(1, VALID), 2)
    assert effects[1:] == [Send(1, Request(AUTH_XID, ME))]
    assert session.step(Received(1, OK), 3) == [Complete("t", OK)]


def test_a_refused_identity_is_the_end_of_the_client() -> None:
    session = connected()
    run(session, 1, Submitted("set", SetAcl("/a", ())), Submitted("t", ME))
    session.step(Submitted("get", GetData("/")), 2)
    assert session.step(Received(1, REFUSED), 3) == [
        Drop(1),
        Fail("t", ME, -115, True, ""),
        Fail("set", SetAcl("/a", ()), -115, False, "it may have happened"),
        Fail("get", GetData("/"), -115, True, ""),
        Announce(SessionEvent.AUTH_FAILED),
    ]
    assert session.state is SessionState.AUTH_FAILED
    assert session.deadline() is None
    assert session.step(Submitted("late", ME), 4) == [Fail("late", ME, -115, True, "")]
    assert run(session, 5, CloseRequested(), Silenced(False), Lost(1)) == []


def test_a_member_that_refuses_what_another_took_ends_the_client_too() -> None:
    session = connected()
    run(session, 1, Submitted("t", ME), Received(1, OK))
    run(session, 2, Lost(1), Received(2, VALID))
    assert session.step(Received(2, REFUSED), 3) == [
        Drop(2),
        Announce(SessionEvent.AUTH_FAILED),
    ]


def test_an_answer_to_no_identity_costs_the_connection() -> None:
    assert connected().step(Received(1, OK), 1)[0] == Drop(1)


@pytest.mark.parametrize(
    ("end", "code"),
    [(CloseRequested(), -4), (Silenced(False), -4), (Received(2, EXPIRED), -112)],
)
def test_whoever_waits_for_an_identity_hears_of_the_end(end: Received, code: int) -> None:
    session = connected()
    run(session, 1, Submitted("t", ME), Lost(1))
    assert Fail("t", ME, code, True, "") in session.step(end, 2)


# Persistent watches.


def test_a_persistent_watch_tells_until_it_is_removed() -> None:
    session = connected()
    session.step(Submitted("t", AddWatch("/a", WatchMode.PERSISTENT_RECURSIVE), "watcher"), 1)
    session.step(Received(1, Reply(1, 1, 0, None)), 1)
    event = WatchEvent(1, "/a/b")
    assert run(session, 2, *[Received(1, event)] * 2) == [Fire(("watcher",), event)] * 2
    session.step(Submitted("u", RemoveWatches("/a")), 3)
    reply = Reply(2, 1, 0, None)
    assert session.step(Received(1, reply), 3) == [
        Fire(("watcher",), WatchEvent(7, "/a")),
        Complete("u", reply),
    ]
    assert session.step(Received(1, event), 4) == []


def test_a_check_alone_forgets_nothing() -> None:
    session = connected()
    session.step(Submitted("t", AddWatch("/a", WatchMode.PERSISTENT), "watcher"), 1)
    session.step(Received(1, Reply(1, 1, 0, None)), 1)
    session.step(Submitted("u", CheckWatches("/a")), 2)
    assert session.step(Received(1, Reply(2, 1, 0, None)), 2) == [
        Complete("u", Reply(2, 1, 0, None))
    ]
    assert len(session.watches) == 1


def test_a_watcher_that_is_not_there_is_no_watcher() -> None:
    session = connected()
    session.step(Submitted("t", CheckWatches("/a"), "stranger"), 1)
    # The member has a watch there: another program's, or another watcher's.
    assert session.step(Received(1, Reply(1, 1, 0, None)), 1) == [
        Complete("t", Reply(1, 1, -121, None))
    ]


def test_a_refused_removal_forgets_nothing() -> None:
    session = connected()
    session.step(Submitted("t", GetData("/a", watch=True), "watcher"), 1)
    session.step(Received(1, Reply(1, 1, 0, None)), 1)
    session.step(Submitted("u", RemoveWatches("/a")), 2)
    assert session.step(Received(1, Reply(2, 1, -121, None)), 2) == [
        Complete("u", Reply(2, 1, -121, None))
    ]
    assert len(session.watches) == 1


# Members without a quorum.


def test_a_session_of_a_read_only_member_is_not_presented_to_another() -> None:
    session = Session(1, 9000, can_be_read_only=True)
    assert session.step(Started(), 0) == [Open(1, 0, SessionRequest(0, 9000, 0, b"", True))]
    session.step(Received(1, SessionResponse(9000, 5, PASSWORD, is_read_only=True)), 1)
    assert session.is_read_only
    session.step(Lost(1), 2)
    deadline = session.deadline()
    assert deadline is not None
    again = Open(2, 0, SessionRequest(0, 9000, 0, b"", True))
    assert session.step(Started(), deadline) == [again]
    session.step(Received(2, SessionResponse(9000, 6, PASSWORD)), 3)
    assert (session.is_read_only, session.session_id) == (False, 6)
    session.step(Lost(2), 4)
    assert session.step(Started(), 5) == [Open(3, 0, SessionRequest(0, 9000, 6, PASSWORD, True))]
