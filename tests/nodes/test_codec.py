"""What goes over the wire comes back the same; what is malformed has one named error."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lagkeeper.v1 import client_pb2, peer_pb2

from nodes import client_codec, codec
from nodes.client_codec import (
    MalformedFrame,
    decode_op,
    decode_session,
    encode_op,
    fill_server_frame,
)
from nodes.core import effects, messages, requests, txns
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from tests.nodes import strategies as some


def round_trip(connection: int, message: messages.Message) -> tuple[int, messages.Message]:
    out = peer_pb2.Envelope()
    codec.fill_envelope(out, connection, message, codec.TxnCodec())
    got = peer_pb2.Envelope.FromString(out.SerializeToString())
    return got.connection, codec.read_envelope(got, codec.TxnCodec())


@given(st.integers(0, 2**64 - 1), some.MESSAGES)
def test_every_packet_survives_the_wire(connection: int, message: messages.Message) -> None:
    assert round_trip(connection, message) == (connection, message)


@pytest.mark.parametrize(
    "message", [messages.Ack(0), messages.Commit(0), messages.FollowerInfo(0), messages.Diff(0)]
)
def test_packets_of_zeros_survive_the_wire(message: messages.Message) -> None:
    assert round_trip(0, message) == (0, message)


def test_every_packet_has_a_reader() -> None:
    packets = {field.name for field in peer_pb2.Envelope.DESCRIPTOR.oneofs[0].fields}
    assert packets == set(codec._READERS)
    assert len(packets) == len(get_args(messages.Message))


@given(some.TXNS)
def test_every_txn_survives_the_disk(txn: txns.Txn) -> None:
    assert codec.decode_txn(codec.encode_txn(txn)) == txn


def test_a_txn_is_encoded_once_and_the_received_bytes_are_logged() -> None:
    txn = txns.Txn(1, 2, 3, 4, txns.DeleteTxn("/a"))
    leader, follower = codec.TxnCodec(), codec.TxnCodec()
    encoded = leader.encode(txn)
    assert leader.encode(txn) is encoded
    assert follower.encode(follower.decode(encoded)) is encoded


def test_two_txns_of_one_zxid_are_not_confused() -> None:
    txn_codec = codec.TxnCodec()
    first = txns.Txn(1, 2, 3, 4, txns.DeleteTxn("/a"))
    second = txns.Txn(1, 2, 3, 4, txns.DeleteTxn("/b"))
    txn_codec.encode(first)
    assert codec.decode_txn(txn_codec.encode(second)) == second


@given(st.binary(max_size=40))
def test_bytes_that_are_no_txn_have_one_error(noise: bytes) -> None:
    try:
        codec.decode_txn(noise)
    except codec.MalformedPacket:
        return


def test_an_empty_envelope_is_malformed() -> None:
    with pytest.raises(codec.MalformedPacket):
        codec.read_envelope(peer_pb2.Envelope(connection=1), codec.TxnCodec())


@given(some.INT32, some.OPS)
def test_every_operation_survives_the_wire(xid: int, op: requests.Op) -> None:
    out = client_pb2.Request()
    encode_op(out, xid, op)
    got = client_pb2.Request.FromString(out.SerializeToString())
    assert (got.xid, decode_op(got)) == (xid, op)


def test_a_request_without_operation_is_unimplemented() -> None:
    with pytest.raises(MalformedFrame) as caught:
        decode_op(client_pb2.Request(xid=7))
    assert caught.value.error is ErrorCode.UNIMPLEMENTED


@pytest.mark.parametrize("kind", ["multi", "multi_read"])
@pytest.mark.parametrize("part", ["exists", "multi", "close_session", "set_acl", ""])
def test_a_multi_holds_writes_only_and_a_multi_read_reads(kind: str, part: str) -> None:
    request = client_pb2.Request(xid=7)
    slot = getattr(request, kind).ops.add()
    if part:
        getattr(slot, part).SetInParent()
    with pytest.raises(MalformedFrame) as caught:
        decode_op(request)
    assert caught.value.error is ErrorCode.MARSHALLING_ERROR


def test_every_operation_of_the_protocol_has_a_reader() -> None:
    names = {field.name for field in client_pb2.Request.DESCRIPTOR.oneofs[0].fields}
    assert names == set(client_codec._OPS)


def test_no_access_list_is_open_and_an_empty_one_is_not() -> None:
    silent = client_pb2.Request(create=client_pb2.Create(path="/a"))
    assert decode_op(silent) == requests.Create("/a", None, acl=requests.OPEN_ACL)
    empty = client_pb2.Request(create=client_pb2.Create(path="/a", acl=client_pb2.AclList()))
    assert decode_op(empty) == requests.Create("/a", None, acl=())


def test_an_open_access_list_costs_no_byte() -> None:
    out = client_pb2.Request()
    encode_op(out, 1, requests.Create("/a", b"", acl=requests.OPEN_ACL))
    assert not out.create.HasField("acl")


def test_a_multi_read_sets_no_watch() -> None:
    request = client_pb2.Request()
    request.multi_read.ops.add().get_data.watch = True
    assert decode_op(request) == requests.MultiRead((requests.GetData("", watch=False),))


@pytest.mark.parametrize(
    "op", [requests.CreateSession(1000), requests.Malformed(ErrorCode.UNIMPLEMENTED)]
)
def test_what_no_client_asks_for_has_no_form(op: requests.Op) -> None:
    with pytest.raises(ValueError, match="no client's request"):
        encode_op(client_pb2.Request(), 1, op)


def test_a_connect_becomes_an_event() -> None:
    got = client_pb2.SessionRequest(
        last_zxid_seen=5,
        timeout_ms=6000,
        session_id=-7,
        password=b"p" * 16,
        can_be_read_only=True,
    )
    assert decode_session(3, got, "::1") == ConnectRequested(
        3, 5, 6000, -7, b"p" * 16, "::1", can_be_read_only=True
    )


def frame(
    effect: effects.Reply | effects.Notify | effects.ConnectReply | effects.CloseConnection,
) -> client_pb2.ServerFrame:
    out = client_pb2.ServerFrame()
    fill_server_frame(out, 9, effect)
    got = client_pb2.ServerFrame.FromString(out.SerializeToString())
    assert got.connection == 9
    return got


@given(some.STATS, some.DATA)
def test_data_and_stat_reach_the_client(stat: requests.Stat, data: bytes | None) -> None:
    reply = frame(effects.Reply(1, 2, 3, ErrorCode.OK, requests.DataResult(data, stat))).reply
    assert (reply.xid, reply.zxid, reply.error) == (2, 3, 0)
    assert reply.result.WhichOneof("result") == "data"
    assert (reply.result.data.data if reply.result.data.HasField("data") else None) == data
    for name in ("czxid", "mzxid", "pzxid", "ctime", "mtime", "version", "cversion"):
        assert getattr(reply.result.data.stat, name) == getattr(stat, name)
    for name in ("aversion", "ephemeral_owner", "data_length", "num_children"):
        assert getattr(reply.result.data.stat, name) == getattr(stat, name)


def test_an_error_reply_has_no_result() -> None:
    got = frame(effects.Reply(1, 2, 3, ErrorCode.NO_NODE, None))
    assert got.WhichOneof("frame") == "reply"
    assert got.reply.error == -101
    assert not got.reply.HasField("result")


def test_a_multi_keeps_the_place_of_each_result() -> None:
    parts = (requests.PathResult("/a"), None, requests.ErrorResult(ErrorCode.BAD_VERSION))
    got = frame(effects.Reply(1, 2, 3, ErrorCode.OK, requests.MultiResult(parts)))
    kinds = [part.WhichOneof("result") for part in got.reply.result.multi.results]
    assert kinds == ["path", None, "error"]


def test_connect_reply_notify_and_close_reach_the_client() -> None:
    assert frame(effects.ConnectReply(1, 0, 0, b"")).WhichOneof("frame") == "session"
    assert frame(effects.Notify(1, 2, "/a")).event.path == "/a"
    assert frame(effects.CloseConnection(1)).WhichOneof("frame") == "disconnect"
    assert frame(effects.ConnectReply(1, 5, 9, b"", is_read_only=True)).session.is_read_only


def test_every_result_reaches_the_client_whole() -> None:
    stat = requests.Stat(*range(1, 12))
    acl = (requests.Acl(5, requests.Id("digest", "me:x")),)
    results: list[requests.Result] = [
        requests.CreateResult("/a", stat),
        requests.AclResult(acl, stat),
        requests.PathsResult(("/a", "/b")),
        requests.NumberResult(3),
        requests.IdsResult((requests.Id("ip", "::1"),)),
    ]
    create, got_acl, paths, number, ids = (
        frame(effects.Reply(1, 2, 3, ErrorCode.OK, result)).reply.result for result in results
    )
    assert (create.create.path, create.create.stat.pzxid) == ("/a", 11)
    (entry,) = got_acl.acl.acl
    assert (entry.perms, entry.id.scheme, entry.id.id) == (5, "digest", "me:x")
    assert got_acl.acl.stat.czxid == 1
    assert list(paths.paths.paths) == ["/a", "/b"]
    assert number.number == 3
    assert [(who.scheme, who.id) for who in ids.ids.ids] == [("ip", "::1")]


@pytest.mark.parametrize(
    "empty", [requests.PathsResult(()), requests.NumberResult(0), requests.IdsResult(())]
)
def test_an_empty_result_is_still_one(empty: requests.Result) -> None:
    reply = frame(effects.Reply(1, 2, 3, ErrorCode.OK, empty)).reply
    assert reply.result.WhichOneof("result") is not None


def test_acks_and_commits_of_consecutive_zxids_share_an_envelope_and_nothing_else_does() -> None:
    ack, commit, diff = messages.Ack, messages.Commit, messages.Diff
    assert codec.continues(ack(6), ack(5))
    assert codec.continues(commit(6), commit(5))
    for message, previous in (
        (ack(7), ack(5)),
        (ack(5), ack(5)),
        (ack(6), commit(5)),
        (commit(6), ack(5)),
        (diff(6), diff(5)),
        (ack(6), None),
    ):
        assert not codec.continues(message, previous)


def test_a_run_is_read_as_the_packets_it_stands_for() -> None:
    assert codec.read_run(messages.Ack(5), 2) == [messages.Ack(6), messages.Ack(7)]
    assert codec.read_run(messages.Commit(5), 1) == [messages.Commit(6)]


@pytest.mark.parametrize(
    ("first", "more"), [(messages.Diff(5), 1), (messages.Commit(5), 2**32 - 1)]
)
def test_a_run_that_no_member_sends_is_refused(first: messages.Message, more: int) -> None:
    with pytest.raises(codec.MalformedPacket, match=f"a run of {more} behind {first.kind}"):
        codec.read_run(first, more)
