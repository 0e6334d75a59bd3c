"""The client side of a member."""

from __future__ import annotations

import pytest

from nodes.core.effects import CloseConnection, ConnectReply, Effect, Notify, Persist, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectionLost, ConnectRequested
from nodes.core.messages import Commit, Inform, Proposal, Request, Revalidated
from nodes.core.messages import Ping as LeadersPing
from nodes.core.requests import (
    EPHEMERAL,
    CloseSession,
    Create,
    CreateSession,
    Exists,
    GetChildren,
    GetData,
    Ping,
    SetWatches,
)
from nodes.core.sessions import NO_PASSWORD, password_of
from nodes.core.tree import EventType
from nodes.core.txns import CloseSessionTxn, CreateSessionTxn, CreateTxn, ErrorTxn, TxnBody
from nodes.core.zxid import make_zxid

from .bench import (
    EPOCH,
    OTHER,
    SESSION,
    TIMEOUT_MS,
    Bench,
    following,
    leading,
    replies,
    sent,
    txn,
    verdicts,
    with_session,
)


def decide(bench: Bench, body: TxnBody, *, session: int = SESSION, cxid: int = 0) -> list[Effect]:
    """The leader proposes and commits a transaction; what the follower does at the commit."""
    change = txn((bench.member.status().last_zxid & 0xFFFF) + 1, body, session=session)
    change.cxid = cxid
    bench.receive(3, Proposal(change))
    return bench.receive(3, Commit(change.zxid))


# Connecting.


@pytest.mark.parametrize(("asked", "granted"), [(1, 200), (700, 700), (99_999, 2000)])
def test_timeout_is_clamped(asked: int, granted: int) -> None:
    """`processConnectRequest`."""
    bench = following()
    (request,) = sent(bench.step(ConnectRequested(5, 0, asked, 0, b"")))
    assert isinstance(request, Request)
    assert request.op == CreateSession(granted)


def test_client_that_has_seen_the_future_is_closed_without_a_reply() -> None:
    """`processConnectRequest`; also for new sessions."""
    bench = following()
    assert bench.step(ConnectRequested(5, 1, 1000, 0, b"")) == [CloseConnection(5)]


def test_wrong_password_is_answered_like_an_expired_session() -> None:
    """`checkPasswd`; nobody is asked, and the session lives on."""
    bench = following()
    assert bench.step(ConnectRequested(5, 0, 1000, SESSION, b"x" * 16)) == [
        ConnectReply(5, 0, 0, NO_PASSWORD),
        CloseConnection(5),
    ]


def test_wrong_password_closes_the_sessions_connection_all_the_same() -> None:
    """`checkPasswd`: that close precedes the check."""
    bench = following()
    connection = with_session(bench)
    effects = bench.step(ConnectRequested(50, 0, 1000, SESSION, b""))
    assert effects[0] == CloseConnection(connection)


def test_second_connect_closes_one_whose_verdict_is_still_on_its_way() -> None:
    """`processConnectRequest`: a session has one connection on a member."""
    bench = following()
    bench.connect(5, SESSION)
    assert bench.connect(6, SESSION)[0] == CloseConnection(5)
    assert verdicts(bench.receive(3, Revalidated(SESSION, True))) == [(6, True)]


def test_requests_wait_until_the_session_is_set_up() -> None:
    """`processConnectRequest`: nothing is read from the socket before."""
    bench = following()
    bench.connect(5, SESSION)
    assert bench.submit(5, 1, Exists("/")) == []
    effects = bench.receive(3, Revalidated(SESSION, True))
    assert [type(e) for e in effects] == [ConnectReply, Reply]


def test_session_outlives_a_connection_that_is_gone_before_its_answer() -> None:
    bench = following()
    (request,) = sent(bench.connect(5))
    assert isinstance(request, Request)
    bench.step(ConnectionLost(5))
    assert decide(bench, CreateSessionTxn(TIMEOUT_MS), session=request.session_id) == []
    assert bench.member.status().global_sessions == 1


# Order of answers.


def test_pings_wait_behind_an_uncommitted_write() -> None:
    """`CommitProcessor`."""
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, Create("/a", b""))
    assert bench.submit(connection, -2, Ping()) == []
    assert replies(decide(bench, CreateTxn("/a", b"", False, 1), cxid=1)) == [(1, 0), (-2, 0)]


def test_other_sessions_reads_pass_a_waiting_write() -> None:
    """`CommitProcessor`."""
    bench = following()
    first, second = with_session(bench), with_session(bench, OTHER)
    bench.submit(first, 1, Create("/a", b""))
    assert replies(bench.submit(second, 1, Exists("/"))) == [(1, 0)]


def test_transaction_of_another_members_client_answers_nobody_here() -> None:
    """`CommitProcessor`: matched by session and cxid."""
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 5, Create("/a", b""))
    assert decide(bench, CreateTxn("/b", b"", False, 1), cxid=4) == []
    assert replies(decide(bench, CreateTxn("/a", b"", False, 2), cxid=5)) == [(5, 0)]


def test_reply_carries_the_zxid_applied_after_it() -> None:
    """`ZxidUtils`."""
    bench = following()
    connection = with_session(bench)
    (reply,) = bench.submit(connection, 1, Exists("/"))
    assert isinstance(reply, Reply)
    assert reply.zxid == make_zxid(EPOCH, 1)
    bench.submit(connection, 2, Create("/a", b""))
    (reply,) = decide(bench, ErrorTxn(ErrorCode.NODE_EXISTS), cxid=2)
    assert isinstance(reply, Reply)
    assert (reply.zxid, reply.error) == (make_zxid(EPOCH, 2), ErrorCode.NODE_EXISTS)


def test_reader_of_a_follower_sees_an_ephemeral_until_the_close_is_applied_here() -> None:
    """Window W2: reads check no session and wait for nothing."""
    bench = following()
    reader = with_session(bench)
    with_session(bench, OTHER)
    decide(bench, CreateTxn("/e", b"", True, 1), session=OTHER)
    bench.receive(3, Proposal(txn(9, CloseSessionTxn(("/e",)), session=OTHER)))
    assert replies(bench.submit(reader, 1, Exists("/e"))) == [(1, 0)]
    bench.receive(3, Commit(make_zxid(EPOCH, 9)))
    assert replies(bench.submit(reader, 2, Exists("/e"))) == [(2, ErrorCode.NO_NODE)]


# The end of a session.


def test_expired_session_loses_its_connection_after_its_znodes() -> None:
    """`setSessionClosing`: tree and watches first, the socket second; no reply."""
    bench = following()
    reader, victim = with_session(bench), with_session(bench, OTHER)
    decide(bench, CreateTxn("/e", b"", True, 1), session=OTHER)
    bench.submit(reader, 1, Exists("/e", watch=True))
    assert decide(bench, CloseSessionTxn(("/e",)), session=OTHER) == [
        Notify(reader, EventType.NODE_DELETED, "/e"),
        CloseConnection(victim),
    ]


def test_close_asked_by_the_client_is_answered_and_nothing_after_it() -> None:
    """`setSessionClosing`."""
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, CloseSession())
    bench.submit(connection, 2, Exists("/"))
    effects = decide(bench, CloseSessionTxn(()), cxid=1)
    assert replies(effects) == [(1, 0)]
    assert effects[-1] == CloseConnection(connection)


def test_session_moved_closes_the_connection() -> None:
    """`checkSession`, ZOOKEEPER-710: -118 is never told."""
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, Create("/a", b""))
    effects = decide(bench, ErrorTxn(ErrorCode.SESSION_MOVED), cxid=1)
    assert effects == [CloseConnection(connection)]


# Watches.


def test_watch_fires_before_the_reply_of_the_write_that_fired_it() -> None:
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, GetChildren("/", watch=True))
    bench.submit(connection, 2, Create("/a", b""))
    effects = decide(bench, CreateTxn("/a", b"", False, 1), cxid=2)
    assert [type(e) for e in effects] == [Notify, Reply]


def test_watches_set_again_tell_what_was_missed_before_the_reply() -> None:
    """`WatchManager`."""
    bench = following()
    connection = with_session(bench)
    decide(bench, CreateTxn("/a", b"", False, 1))
    effects = bench.submit(connection, -8, SetWatches(0, exist=("/a",), data=("/gone",)))
    assert [type(e) for e in effects] == [Notify, Notify, Reply]


def test_watch_dies_with_its_connection() -> None:
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, Exists("/a", watch=True))
    bench.step(ConnectionLost(connection))
    assert bench.member.status().watches == 0
    assert decide(bench, CreateTxn("/a", b"", False, 1)) == []


def test_read_of_a_missing_znode_sets_no_data_watch() -> None:
    bench = following()
    connection = with_session(bench)
    assert replies(bench.submit(connection, 1, GetData("/a", watch=True))) == [(1, -101)]
    assert bench.member.status().watches == 0


# Local sessions (`LocalSessionTracker`).


def local(*, is_upgrading: bool = False) -> tuple[Bench, int]:
    """A follower with a client on a local session."""
    bench = following(local_sessions_enabled=True, local_sessions_upgrading_enabled=is_upgrading)
    (reply,) = bench.connect(5)
    assert isinstance(reply, ConnectReply)
    return bench, reply.session_id


def test_local_session_needs_no_transaction() -> None:
    bench, session_id = local()
    assert session_id
    assert replies(bench.submit(5, 1, Exists("/"))) == [(1, 0)]
    assert bench.member.status().local_sessions == 1


def test_local_session_revalidates_where_it_lives_and_nowhere_else() -> None:
    bench, session_id = local()
    password = password_of(session_id)
    assert verdicts(bench.step(ConnectRequested(6, 0, 1000, session_id, password))) == [(6, True)]
    other = leading(local_sessions_enabled=True)
    assert verdicts(other.step(ConnectRequested(6, 0, 1000, session_id, password))) == [(6, False)]


def test_local_session_expires_by_its_own_member() -> None:
    bench, _ = local()
    effects: list[Effect] = []
    for _ in range(24):
        effects += bench.after(50)
        bench.receive(3, LeadersPing())
    assert CloseConnection(5) in effects
    assert bench.member.status().local_sessions == 0


def test_ephemeral_on_a_local_session_is_refused() -> None:
    """-120, unless upgrading is on."""
    bench, session_id = local()
    bench.submit(5, 1, Create("/e", b"", EPHEMERAL))
    refused = decide(bench, ErrorTxn(ErrorCode.SESSION_EXPIRED), session=session_id, cxid=1)
    assert replies(refused) == [(1, -120)]


def test_ephemeral_upgrades_the_session_first() -> None:
    bench, session_id = local(is_upgrading=True)
    ops = [
        m.op
        for m in sent(bench.submit(5, 1, Create("/e", b"", EPHEMERAL)))
        if isinstance(m, Request)
    ]
    assert ops == [CreateSession(TIMEOUT_MS), Create("/e", b"", EPHEMERAL)]
    assert decide(bench, CreateSessionTxn(TIMEOUT_MS), session=session_id) == []
    created = decide(bench, CreateTxn("/e", b"", True, 1), session=session_id, cxid=1)
    assert replies(created) == [(1, 0)]


def test_upgrading_session_is_served_while_its_create_is_on_its_way() -> None:
    """It is in neither map then; its requests must not be taken for a stranger's."""
    bench, session_id = local(is_upgrading=True)
    bench.submit(5, 1, Create("/e", b"", EPHEMERAL))
    bench.submit(5, 2, Exists("/"))
    decide(bench, CreateSessionTxn(TIMEOUT_MS), session=session_id)
    created = decide(bench, CreateTxn("/e", b"", True, 1), session=session_id, cxid=1)
    assert replies(created) == [(1, 0), (2, 0)]


def test_close_of_a_local_session_is_no_transaction() -> None:
    bench, _ = local()
    effects = bench.submit(5, 1, CloseSession())
    assert replies(effects) == [(1, 0)]
    assert effects[-1] == CloseConnection(5)
    assert Persist not in {type(e) for e in effects}


def test_observer_serves_its_clients_alike() -> None:
    """`Observer`."""
    bench = following(sid=4, observers=(4,))
    (asked,) = sent(bench.connect(5))
    assert isinstance(asked, Request)
    created = txn(1, CreateSessionTxn(TIMEOUT_MS), session=asked.session_id)
    assert verdicts(bench.receive(3, Inform(created))) == [(5, True)]
