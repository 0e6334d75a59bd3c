"""What a caller passes in, errors, addresses, and the translation to the wire."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from lagkeeper.v1 import client_pb2 as pb

from client.acl import ANYONE, Acl, Id
from client.aio import AsyncClient
from client.codec import decode, encode
from client.errors import (
    BadArgumentsError,
    ConnectionLossError,
    LagkeeperError,
    NodeExistsError,
    error_for,
)
from client.line import LineBook
from client.members import parse_members
from client.ops import (
    AddWatch,
    Auth,
    Check,
    Create,
    CreateTtl,
    DataResult,
    Delete,
    Exists,
    GetData,
    GetEphemerals,
    Multi,
    MultiRead,
    Ping,
    Reconfig,
    RemoveWatches,
    Reply,
    Request,
    SessionRequest,
    SetAcl,
    SetData,
    SetWatches,
    Stat,
    UserOp,
)
from client.sync import Client
from client.validation import MAX_REQUEST_BYTES, validate
from client.watches import Watches

STAT = Stat(1, 2, 3, 4, 5, 6, 7, -8, 9, 10, 11)


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (GetData("a"), "getData 'a': BadArguments (-8): a path is a string that begins with '/'"),
        (GetData(""), "begins with '/'"),
        (GetData(None), "begins with '/'"),  # type: ignore[arg-type]
        (GetData("/\ud800"), "cannot be UTF-8"),
        (Create("/a", "text"), "data is bytes or None, not str"),  # type: ignore[arg-type]
        (Delete("/a", 2**31), "2147483648 is not a 32-bit number"),
        (SetData("/a", b"x" * MAX_REQUEST_BYTES), "1048609 bytes are more than the 1048575"),
        (Multi((Create("/a"), Check("b"))), "check 'b'"),
        (Multi((GetData("/a"),)), "GetData cannot be part of a multi"),  # type: ignore[arg-type]
        (MultiRead((Exists("/a"),)), "Exists cannot be part of a multiRead"),  # type: ignore[arg-type]
        (MultiRead((GetData("a"),)), "getData 'a'"),
        (Create("/a", acl=["x"]), "acl is a tuple, not list"),  # type: ignore[arg-type]
        (SetAcl("/a", ("x",)), "'x' is not an Acl(perms, Id(...))"),  # type: ignore[arg-type]
        (SetAcl("/a", (Acl(2**31, ANYONE),)), "2147483648 is not a 32-bit number"),
        (SetAcl("/a", (Acl(1, Id("digest", None)),)), "an id is a string, not NoneType"),  # type: ignore[arg-type]
        (SetAcl("/a", (Acl(1, ANYONE),) * 30_000), "1290034 bytes are more than"),
        (CreateTtl("/a", b"", 2**63), "9223372036854775808 is not a 64-bit number"),
        (AddWatch("/a", 2), "2 is not a WatchMode"),  # type: ignore[arg-type]
        (RemoveWatches("/a", 0), "0 is not a WatcherType"),  # type: ignore[arg-type]
        (Auth("digest", "me:x"), "auth is bytes, not str"),  # type: ignore[arg-type]
        (Auth(None, b""), "a scheme is a string, not NoneType"),  # type: ignore[arg-type]
        (GetEphemerals(None), "a prefix is a string"),  # type: ignore[arg-type]
        (Reconfig(joining=5), "a list of servers is a string"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(op: UserOp, words: str) -> None:
    with pytest.raises(BadArgumentsError) as caught:
        validate(op)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.definite


IDENTITIES: list[Any] = [(2**63, b""), (1, "text"), (1, None), ("1", b""), (1,), 7]


@pytest.mark.parametrize("session", IDENTITIES)
def test_a_session_that_cannot_be_is_refused_before_anything_is_sent(session: Any) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(BadArgumentsError, match="not a 64-bit id with the bytes"):
            client("h:1", session=session)


def test_a_client_that_was_not_started_does_not_wait_for_ever() -> None:
    with pytest.raises(BadArgumentsError, match="not started"):
        Client("h:1").get("/")
    with pytest.raises(BadArgumentsError, match="not started"):
        asyncio.run(AsyncClient("h:1").get("/"))


def test_a_single_operation_of_a_wrong_kind_is_named() -> None:
    with pytest.raises(BadArgumentsError, match="GetData cannot be part of a multi"):
        Client("h:1").multi(GetData("/"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "op",
    [
        GetData("//bad/"),
        Create("/é", None, 99, ()),
        SetData("/a", b"", 5),
        CreateTtl("/a", b"", -1),
        GetEphemerals(""),
        Auth("nobody", b""),
        SetAcl("/a", (Acl(0, Id("nonsense", "")),)),
        Reconfig(),
    ],
)
def test_finer_rules_are_left_to_the_member(op: UserOp) -> None:
    validate(op)


@pytest.mark.parametrize(
    ("members", "words"),
    [("", "no member given"), ([], "no member given"), ("h", "'h' is not host:port"),
     ("h:1,:2", "':2' is not"), ("h:0", "'h:0' is not"), ("h:x", "'h:x' is not"), ("h:1,", "''"),
     ([7], "'7' is not")],
)  # fmt: skip
def test_a_wrong_address_is_named(members: Any, words: str) -> None:
    with pytest.raises(BadArgumentsError, match=words):
        parse_members(members)


def test_addresses_come_as_text_or_list() -> None:
    assert parse_members("h:1, [::1]:2") == parse_members(["h:1", "[::1]:2"]) == ("h:1", "[::1]:2")


def test_an_error_names_operation_path_and_code() -> None:
    error = error_for(-110, "create", "/a")
    assert isinstance(error, NodeExistsError)
    assert str(error) == "create /a: NodeExists (-110)"
    assert error.definite
    assert not ConnectionLossError("create", "/a").definite


def test_an_unknown_code_keeps_its_number_and_is_not_definite() -> None:
    error = error_for(-900, "create", "/a")
    assert (type(error), error.code, error.definite) == (LagkeeperError, -900, False)


def test_errors_survive_pickling() -> None:
    error = error_for(-4, "create", "/a", "it was not sent")
    error.definite = True
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.code, copy.definite) == (str(error), -4, True)


def test_frames_joined_are_one_request_in_order() -> None:
    request = pb.ConnectRequest.FromString(
        encode(3, SessionRequest(9, 1000, -7, b"p"))
        + encode(4, Request(1, Create("/a", None, 3)))
        + encode(4, Request(2, Create("/b", b"")))
        + encode(4, Request(-2, Ping()))
        + encode(4, Request(5, Multi((Delete("/a", 1), Check("/b")))))
        + encode(4, Request(-8, SetWatches(9, ("/a",), (), ("/b", "/c"))))
    )
    assert [frame.connection for frame in request.frames] == [3, 4, 4, 4, 4, 4]
    session, null, empty, ping, multi, watches = request.frames
    assert (session.session.session_id, session.session.last_zxid_seen) == (-7, 9)
    assert null.request.create == pb.Create(path="/a", flags=3)
    assert not null.request.create.HasField("data")
    assert empty.request.create.HasField("data")
    assert ping.request.WhichOneof("op") == "ping"
    assert [op.WhichOneof("op") for op in multi.request.multi.ops] == ["delete", "check"]
    assert list(watches.request.set_watches.child) == ["/b", "/c"]


def test_a_reply_is_read_with_every_field_of_its_stat() -> None:
    stat = pb.Stat(**{name: getattr(STAT, name) for name in Stat.__slots__})
    result = pb.Result(data=pb.DataResult(stat=stat))
    frame = pb.ServerFrame(connection=1, reply=pb.Reply(xid=3, zxid=9, result=result))
    assert decode(frame) == Reply(3, 9, 0, DataResult(None, STAT))


def test_an_empty_result_is_none_and_an_unknown_frame_is_ignored() -> None:
    reply = pb.ServerFrame(reply=pb.Reply(xid=1, zxid=2, result=pb.Result()))
    assert decode(reply) == Reply(1, 2, 0, None)
    assert decode(pb.ServerFrame(connection=1)) is None


class Nobody:
    """Owns a connection, hears nothing."""

    def on_frame(self, token: int, frame: object) -> None:
        raise AssertionError

    def on_lost(self, token: int, reason: str) -> None:
        raise AssertionError


def test_a_batch_ends_before_it_outgrows_what_a_member_reads() -> None:
    book = LineBook()
    number = book.open(Nobody(), 0, SessionRequest(0, 1000))
    for xid in range(5):
        book.send(number, Request(xid, Create("/a", b"x" * 1_000_000)))
    sizes = []
    while book.outbox:
        sizes.append(len(book.take_batch()))
    assert len(sizes) == 5
    assert max(sizes) < 2 << 20


def test_nothing_is_sent_on_a_dropped_connection() -> None:
    book = LineBook()
    number = book.open(Nobody(), 0, SessionRequest(0, 1000))
    book.drop(number)
    book.send(number, Request(1, Ping()))
    book.drop(number)
    request = pb.ConnectRequest.FromString(book.take_batch())
    assert [f.WhichOneof("frame") for f in request.frames] == ["session", "disconnect"]


def test_set_watches_is_split_by_size() -> None:
    watches = Watches()
    for index in range(3000):
        watches.register(GetData(f"/{index:0100d}", True), 0, "w")
    batches = list(watches.set_watches(5))
    assert [len(batch.data) for batch in batches] == [1298, 1298, 404]


def test_a_deleted_znode_tells_each_watcher_once() -> None:
    watches = Watches()
    watches.register(GetData("/a", True), 0, "same")
    watches.register(GetData("/a", True), 0, "other")
    watches.register(GetData("/a", True), 0, "same")
    assert watches.consume(2, "/a") == ("same", "other")
    assert len(watches) == 0
