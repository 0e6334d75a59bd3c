"""A member without a quorum that serves reads."""

from __future__ import annotations

import pytest

from nodes.core.effects import CloseConnection, ConnectReply, Effect, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from nodes.core.messages import ServerState
from nodes.core.requests import (
    Auth,
    Check,
    CloseSession,
    Create,
    CreateContainer,
    DataResult,
    Exists,
    GetData,
    Multi,
    Op,
    Ping,
    Reconfig,
    SetAcl,
    SetData,
    Sync,
    WhoAmI,
)
from nodes.core.sessions import NO_PASSWORD, password_of
from nodes.core.txns import CreateSessionTxn, CreateTxn, Recovered

from .bench import SESSION, TIMEOUT_MS, Bench, following, looking, replies, txn

CLIENT = 5
HISTORY = Recovered(
    txns=(txn(1, CreateSessionTxn(TIMEOUT_MS)), txn(2, CreateTxn("/a", b"1", False, 1)))
)


def alone(**settings: object) -> Bench:
    """A member that has been looking for so long that it serves reads."""
    bench = looking(1, HISTORY, read_only_mode_enabled=True, **settings)
    bench.after(2000)
    return bench


def connect(
    bench: Bench,
    session_id: int = 0,
    *,
    zxid: int = 0,
    read_only: bool = True,
    connection: int = CLIENT,
) -> list[Effect]:
    password = password_of(session_id) if session_id else b""
    return bench.step(
        ConnectRequested(connection, zxid, TIMEOUT_MS, session_id, password, "", read_only)
    )


def connected(bench: Bench) -> int:
    """A client with a session of its own; return the session."""
    (reply,) = connect(bench)
    assert isinstance(reply, ConnectReply)
    assert reply.is_read_only
    assert reply.password == password_of(reply.session_id)
    return reply.session_id


@pytest.mark.parametrize(("tick_ms", "after_ms"), [(100, 2000), (3000, 3000)])
def test_reads_are_served_some_time_after_the_search_began(tick_ms: int, after_ms: int) -> None:
    """`QuorumPeer.run`: max(2000 ms, tickTime)."""
    bench = looking(1, HISTORY, read_only_mode_enabled=True, tick_time_ms=tick_ms)
    bench.after(after_ms - 1)
    assert connect(bench) == [CloseConnection(CLIENT)]
    assert not bench.member.status().is_read_only
    bench.after(1)
    assert connected(bench)
    status = bench.member.status()
    assert (status.is_read_only, status.is_serving) == (True, False)
    assert bench.member.is_serving
    assert status.state is ServerState.LOOKING


def test_nobody_is_served_unless_that_is_configured() -> None:
    bench = looking(1, HISTORY)
    bench.after(10_000)
    assert connect(bench) == [CloseConnection(CLIENT)]
    assert not bench.member.status().is_read_only


def test_only_clients_that_put_up_with_it_are_served() -> None:
    assert connect(alone(), read_only=False) == [CloseConnection(CLIENT)]


def test_a_client_that_has_seen_more_is_not_served() -> None:
    assert connect(alone(), zxid=(1 << 32) + 3) == [CloseConnection(CLIENT)]
    assert isinstance(connect(alone(), zxid=(1 << 32) + 2)[0], ConnectReply)


def test_global_sessions_are_not_resumed_and_not_called_expired() -> None:
    """`ReadOnlyZooKeeperServer.validateSession`."""
    assert connect(alone(), SESSION) == [CloseConnection(CLIENT)]


def test_unknown_sessions_have_expired() -> None:
    assert connect(alone(), SESSION + 1) == [
        ConnectReply(CLIENT, 0, 0, NO_PASSWORD, is_read_only=True),
        CloseConnection(CLIENT),
    ]


def test_reads_are_answered_of_what_was_logged() -> None:
    bench = alone()
    connected(bench)
    (reply,) = bench.submit(CLIENT, 1, GetData("/a"))
    assert isinstance(reply, Reply)
    assert isinstance(reply.result, DataResult)
    assert (reply.zxid, reply.result.data) == ((1 << 32) + 2, b"1")
    assert replies(bench.submit(CLIENT, 2, Exists("/b", watch=True))) == [(2, ErrorCode.NO_NODE)]
    assert replies(bench.submit(CLIENT, 3, WhoAmI())) == [(3, ErrorCode.OK)]
    assert replies(bench.submit(CLIENT, -2, Ping())) == [(-2, ErrorCode.OK)]
    assert replies(bench.submit(CLIENT, -4, Auth("digest", b"a:b"))) == [(-4, ErrorCode.OK)]


@pytest.mark.parametrize(
    "op",
    [
        Create("/x", b""),
        Create("/x", b"", 1),
        CreateContainer("/x", b""),
        SetData("/a", b""),
        SetAcl("/a", ()),
        Check("/a"),
        Multi(()),
        Reconfig(),
        Sync("/"),
    ],
    ids=str,
)
def test_what_needs_a_leader_is_refused_in_its_turn(op: Op) -> None:
    """`ReadOnlyRequestProcessor`: no zxid is taken."""
    bench = alone(local_sessions_enabled=True, local_sessions_upgrading_enabled=True)
    connected(bench)
    assert bench.submit(CLIENT, 1, op) == [
        Reply(CLIENT, 1, (1 << 32) + 2, ErrorCode.NOT_READ_ONLY, None)
    ]


def test_sessions_are_this_members_own() -> None:
    bench = alone()
    session_id = connected(bench)
    bench.after(TIMEOUT_MS / 2)
    closed, reply = connect(bench, session_id, connection=6)
    assert closed == CloseConnection(CLIENT)
    assert isinstance(reply, ConnectReply)
    assert reply.session_id == session_id
    assert replies(bench.submit(6, 1, CloseSession())) == [(1, ErrorCode.OK)]
    assert bench.member.status().local_sessions == 0
    connected(bench)
    assert CloseConnection(CLIENT) in bench.after(TIMEOUT_MS + 200)
    assert bench.member.status().local_sessions == 0


def test_clients_are_closed_once_there_is_a_leader() -> None:
    bench = alone()
    connected(bench)
    effects = bench.elect(3, (2, 3))
    assert CloseConnection(CLIENT) in effects
    status = bench.member.status()
    assert (status.is_read_only, status.state) == (False, ServerState.FOLLOWING)
    assert bench.submit(CLIENT, 1, Ping()) == []


def test_a_member_with_a_role_says_that_it_is_not_read_only() -> None:
    bench = following(read_only_mode_enabled=True)
    bench.after(0)
    (reply,) = connect(bench, SESSION, read_only=True)
    assert not isinstance(reply, ConnectReply)
    assert not bench.member.status().is_read_only
