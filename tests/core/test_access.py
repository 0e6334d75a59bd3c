"""Who a client is, and what it may read: over a member, not the tree alone."""

from __future__ import annotations

import pytest

from nodes.core.acl import ADMIN, ALL, READ, SUPER, WRITE, AclList, digest_id
from nodes.core.effects import CloseConnection, Effect, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from nodes.core.messages import Ack, Commit, Proposal, Request, Revalidated
from nodes.core.requests import (
    OPEN_ACL,
    Acl,
    AclResult,
    Auth,
    ChildrenResult,
    Create,
    CreateResult,
    CreateSession,
    DataResult,
    ErrorResult,
    Exists,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    Id,
    IdsResult,
    Malformed,
    MultiRead,
    MultiResult,
    NumberResult,
    Op,
    PathsResult,
    Ping,
    Reconfig,
    Result,
    SetData,
    WhoAmI,
)
from nodes.core.sessions import password_of
from nodes.core.txns import CreateSessionTxn, CreateTxn, ErrorTxn, TxnBody
from nodes.core.zxid import make_zxid

from .bench import EPOCH, SESSION, TIMEOUT_MS, Bench, following, leading, replies, sent, txn

ANYONE = Id("world", "anyone")
ANN = Id("digest", digest_id("ann:secret"))
HOME = Id("ip", "10.0.0.7")
CLIENT = 5
READ_ONLY = (Acl(READ, ANYONE),)
HERS = (Acl(ALL, ANN),)
READABLE = (Acl(READ, ANYONE), Acl(ADMIN, ANN), Acl(WRITE, HOME))


def decide(bench: Bench, body: TxnBody, *, session: int = SESSION, cxid: int = 0) -> list[Effect]:
    change = txn((bench.member.status().last_zxid & 0xFFFF) + 1, body, session=session)
    change.cxid = cxid
    bench.receive(3, Proposal(change))
    return bench.receive(3, Commit(change.zxid))


def served(**settings: object) -> Bench:
    """A follower with a client of a known address, and znodes of different lists."""
    bench = following(**settings)  # type: ignore[arg-type]
    decide(bench, CreateSessionTxn(TIMEOUT_MS))
    password = password_of(SESSION)
    bench.step(ConnectRequested(CLIENT, 0, TIMEOUT_MS, SESSION, password, HOME.id))
    bench.receive(3, Revalidated(SESSION, True))
    lists: dict[str, AclList] = {
        "/open": OPEN_ACL,
        "/hers": HERS,
        "/hers/x": OPEN_ACL,
        "/readable": READABLE,
        "/write-only": (Acl(WRITE, ANYONE),),
        "/admin-only": (Acl(ADMIN, ANYONE), Acl(READ, ANN)),
    }
    for count, (path, acl) in enumerate(lists.items()):
        decide(bench, CreateTxn(path, b"1", False, count + 1, acl))
    return bench


def ask(bench: Bench, op: Op) -> tuple[ErrorCode, Result]:
    """The one reply to a read."""
    (reply,) = bench.submit(CLIENT, 7, op)
    assert isinstance(reply, Reply)
    assert reply.xid == 7
    return reply.error, reply.result


def become(bench: Bench, credentials: bytes, scheme: str = "digest") -> list[Effect]:
    return bench.submit(CLIENT, -4, Auth(scheme, credentials))


# Reads.


@pytest.mark.parametrize(
    ("op", "error"),
    [
        (GetData("/hers"), ErrorCode.NO_AUTH),
        (GetData("/hers", watch=True), ErrorCode.NO_AUTH),
        (GetData("/hers/x"), ErrorCode.OK),
        (GetData("/hers/missing"), ErrorCode.NO_NODE),
        (GetData("/write-only"), ErrorCode.NO_AUTH),
        (GetData("/readable"), ErrorCode.OK),
        (GetChildren("/hers"), ErrorCode.NO_AUTH),
        (GetChildren("/hers/x"), ErrorCode.OK),
        (GetAllChildrenNumber("/hers"), ErrorCode.NO_AUTH),
        (GetAllChildrenNumber("/missing"), ErrorCode.NO_NODE),
        (GetAcl("/hers"), ErrorCode.NO_AUTH),
        (GetAcl("/write-only"), ErrorCode.NO_AUTH),
        (GetAcl("/admin-only"), ErrorCode.OK),
        (GetAcl("/missing"), ErrorCode.NO_NODE),
        # Not guarded in 3.8.0.
        (Exists("/hers"), ErrorCode.OK),
        (Exists("/hers", watch=True), ErrorCode.OK),
        (Exists("/hers\0"), ErrorCode.BAD_ARGUMENTS),
        (GetData("/zookeeper/config"), ErrorCode.OK),
    ],
    ids=str,
)
def test_reads_ask_the_list(op: Op, error: ErrorCode) -> None:
    """`FinalRequestProcessor`."""
    bench = served()
    got, result = ask(bench, op)
    assert got == error
    assert (result is None) == (error != ErrorCode.OK)
    has_watch = error == ErrorCode.OK and isinstance(op, Exists) and op.watch
    assert bench.member.status().watches == has_watch


def test_who_may_read_reads() -> None:
    bench = served()
    become(bench, b"ann:secret")
    for op in (GetData("/hers"), GetChildren("/hers"), GetAcl("/hers"), GetData("/admin-only")):
        assert ask(bench, op)[0] == ErrorCode.OK


def test_get_acl_shows_digests_to_administrators_only() -> None:
    bench = served()
    masked = (READABLE[0], Acl(ADMIN, Id("digest", "ann:x")), READABLE[2])
    _, result = ask(bench, GetAcl("/readable"))
    assert isinstance(result, AclResult)
    assert result.acl == masked
    become(bench, b"ann:secret")
    _, result = ask(bench, GetAcl("/readable"))
    assert isinstance(result, AclResult)
    assert result.acl == READABLE


def test_multi_read_tells_of_each_and_sets_no_watch() -> None:
    bench = served()
    ops = (GetData("/open", True), GetChildren("/hers"), GetData("/missing"), GetChildren("/"))
    error, result = ask(bench, MultiRead(ops))
    assert error == ErrorCode.OK
    assert isinstance(result, MultiResult)
    data, forbidden, missing, children = result.results
    assert isinstance(data, DataResult)
    assert isinstance(children, ChildrenResult)
    assert data.data == b"1"
    assert set(children.names) >= {"zookeeper", "open", "hers"}
    assert (forbidden, missing) == (
        ErrorResult(ErrorCode.NO_AUTH),
        ErrorResult(ErrorCode.NO_NODE),
    )
    assert bench.member.status().watches == 0
    assert ask(bench, MultiRead(())) == (ErrorCode.OK, MultiResult(()))


def test_multi_read_of_more_than_a_member_can_answer_is_refused() -> None:
    bench = served()
    decide(bench, CreateTxn("/large", bytes(1 << 20), False, 10))
    assert ask(bench, MultiRead((GetData("/large"),) * 16))[0] == ErrorCode.OK
    refusal = (ErrorCode.MARSHALLING_ERROR, None)
    assert ask(bench, MultiRead((GetData("/large"),) * 17)) == refusal
    for count in range(64):
        decide(bench, CreateTxn(f"/open/{count:0>1000}", b"", False, 11 + count))
    assert ask(bench, MultiRead((GetChildren("/open"),) * 260))[0] == ErrorCode.OK
    assert ask(bench, MultiRead((GetChildren("/open"),) * 262)) == refusal


def test_get_all_children_number() -> None:
    bench = served()
    fresh = 3
    assert ask(bench, GetAllChildrenNumber("/")) == (ErrorCode.OK, NumberResult(fresh + 6))
    assert ask(bench, GetAllChildrenNumber("/zookeeper")) == (ErrorCode.OK, NumberResult(2))
    assert ask(bench, GetAllChildrenNumber("/open")) == (ErrorCode.OK, NumberResult(0))


def test_get_ephemerals_of_this_session_by_prefix() -> None:
    bench = served()
    for count, path in enumerate(("/e1", "/e2", "/open/e")):
        decide(bench, CreateTxn(path, b"", True, 20 + count))
    decide(bench, CreateTxn("/others", b"", True, 30), session=SESSION + 1)
    for prefix, paths in {
        "": ("/e1", "/e2", "/open/e"),
        "/": ("/e1", "/e2", "/open/e"),
        " / ": ("/e1", "/e2", "/open/e"),
        "/e": ("/e1", "/e2"),
        "/open": ("/open/e",),
        "e": (),
    }.items():
        assert ask(bench, GetEphemerals(prefix)) == (ErrorCode.OK, PathsResult(paths)), prefix


def test_requests_that_cannot_be_read_wait_their_turn() -> None:
    bench = served()
    bench.submit(CLIENT, 1, Create("/a", b""))
    assert bench.submit(CLIENT, 2, Malformed(ErrorCode.MARSHALLING_ERROR)) == []
    assert bench.submit(CLIENT, 3, Malformed(ErrorCode.UNIMPLEMENTED, closes=True)) == []
    effects = decide(bench, CreateTxn("/a", b"", False, 30), cxid=1)
    assert replies(effects) == [
        (1, 0),
        (2, ErrorCode.MARSHALLING_ERROR),
        (3, ErrorCode.UNIMPLEMENTED),
    ]
    assert effects[-1] == CloseConnection(CLIENT)


# Identities.


def test_auth_is_answered_at_once_and_touches_nothing() -> None:
    """`processPacket`: at the connection, with zxid 0, past a write that waits."""
    bench = served()
    bench.submit(CLIENT, 1, Create("/a", b""))
    assert become(bench, b"ann:secret") == [Reply(CLIENT, -4, 0, ErrorCode.OK, None)]
    assert bench.submit(CLIENT, -2, Ping()) == []


@pytest.mark.parametrize("scheme", ["nosuch", "world", "super", "auth", ""])
def test_unknown_schemes_cost_the_connection(scheme: str) -> None:
    bench = served()
    assert become(bench, b"x", scheme) == [
        Reply(CLIENT, -4, 0, ErrorCode.AUTH_FAILED, None),
        CloseConnection(CLIENT),
    ]
    assert bench.submit(CLIENT, 1, WhoAmI()) == []


def test_more_identities_than_a_write_may_carry_cost_the_connection() -> None:
    bench = served()
    user = "u" * 30_000
    for name in (f"{user}1:", f"{user}2:", f"{user}2:", "ann:"):
        assert become(bench, name.encode()) == [Reply(CLIENT, -4, 0, ErrorCode.OK, None)]
    assert become(bench, f"{user}3:".encode()) == [
        Reply(CLIENT, -4, 0, ErrorCode.AUTH_FAILED, None),
        CloseConnection(CLIENT),
    ]


def test_who_am_i_begins_with_the_address() -> None:
    bench = served(super_digest=digest_id("super:test"))
    home = Id("ip", HOME.id)
    assert ask(bench, WhoAmI()) == (ErrorCode.OK, IdsResult((home,)))
    become(bench, b"ann:secret")
    become(bench, b"ann:secret")
    become(bench, b"ignored", "ip")
    assert ask(bench, WhoAmI()) == (ErrorCode.OK, IdsResult((home, Id("digest", "ann"))))
    become(bench, b"super:test")
    ids = (home, Id("digest", "ann"), Id("super", ""), Id("digest", "super"))
    assert ask(bench, WhoAmI()) == (ErrorCode.OK, IdsResult(ids))


def test_super_reads_everything_and_a_wrong_password_nothing() -> None:
    bench = served(super_digest=digest_id("super:test"))
    become(bench, b"super:wrong")
    assert ask(bench, GetData("/hers"))[0] == ErrorCode.NO_AUTH
    become(bench, b"super:test")
    assert ask(bench, GetData("/hers"))[0] == ErrorCode.OK


def test_identities_are_the_connections_and_not_the_sessions() -> None:
    bench = served()
    become(bench, b"ann:secret")
    bench.connect(6, SESSION)
    bench.receive(3, Revalidated(SESSION, True))
    assert replies(bench.submit(6, 1, GetData("/hers"))) == [(1, ErrorCode.NO_AUTH)]


def test_identities_travel_with_each_forwarded_request() -> None:
    bench = served()
    (first,) = sent(bench.submit(CLIENT, 1, SetData("/open", b"")))
    become(bench, b"ann:secret")
    (second,) = sent(bench.submit(CLIENT, 2, SetData("/hers", b"")))
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.ids, second.ids) == ((HOME,), (HOME, ANN))


def test_the_leader_judges_by_the_identities_that_came_along() -> None:
    bench = leading()
    bench.receive(2, Request(SESSION, 0, CreateSession(TIMEOUT_MS)))
    bench.receive(2, Request(SESSION, 1, Create("/a", b"", 0, (Acl(ALL, Id("auth", "")),)), (ANN,)))
    bodies = []
    for cxid, ids in ((2, ()), (3, (HOME,)), (4, (ANN,)), (5, (SUPER,))):
        for effect in bench.receive(2, Request(SESSION, cxid, SetData("/a", b""), ids)):
            if (message := getattr(effect, "message", None)) and isinstance(message, Proposal):
                bodies.append(message.txn.body)
    no_auth = ErrorTxn(ErrorCode.NO_AUTH)
    assert bodies[:2] == [no_auth, no_auth]
    assert [type(body).__name__ for body in bodies[2:]] == ["SetDataTxn", "SetDataTxn"]


def test_the_leaders_own_client_is_judged_by_its_connection() -> None:
    bench = leading()
    bench.step(ConnectRequested(9, 0, TIMEOUT_MS, 0, b"", HOME.id))
    bench.persist(make_zxid(EPOCH, 1))
    bench.receive(2, Ack(make_zxid(EPOCH, 1)))
    acl = (Acl(ALL, Id("ip", "10.0.0.0/8")),)
    ops: tuple[Op, ...] = (Create("/a", b"", 0, acl, True), SetData("/a", b"2"))
    for counter, op in enumerate(ops, 2):
        bench.submit(9, counter, op)
        bench.persist(make_zxid(EPOCH, counter))
        (reply,) = [
            e for e in bench.receive(2, Ack(make_zxid(EPOCH, counter))) if isinstance(e, Reply)
        ]
        assert reply.error == ErrorCode.OK
        assert isinstance(reply.result, CreateResult) == (counter == 2)


def test_reconfig_is_refused_as_a_transaction() -> None:
    bench = served()
    (request,) = sent(bench.submit(CLIENT, 1, Reconfig()))
    assert isinstance(request, Request)
    effects = decide(bench, ErrorTxn(ErrorCode.RECONFIG_DISABLED), cxid=1)
    assert replies(effects) == [(1, ErrorCode.RECONFIG_DISABLED)]


def test_create2_is_answered_with_the_stat_of_that_moment() -> None:
    bench = served()
    bench.submit(CLIENT, 1, Create("/new", b"xy", 0, OPEN_ACL, with_stat=True))
    (reply,) = [
        effect
        for effect in decide(bench, CreateTxn("/new", b"xy", False, 40), cxid=1)
        if isinstance(effect, Reply)
    ]
    assert isinstance(reply.result, CreateResult)
    assert reply.result.path == "/new"
    assert (reply.result.stat.czxid, reply.result.stat.data_length) == (reply.zxid, 2)
