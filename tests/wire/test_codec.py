"""Requests and answers on the wire: by hand, byte by byte, and against the tests' own encoder."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.core import requests as core
from nodes.core.effects import ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from nodes.wire.answers import encode_connect, encode_event, encode_reply, encode_sasl_refusal
from nodes.wire.jute import Undecodable
from nodes.wire.requests import decode_connect, decode_op
from tests.wire import ops
from tests.wire.ops import Op, Reader

WORLD = (core.Acl(31, core.Id("world", "anyone")),)
STAT = core.Stat(1, 2, 3, 4, 5, 6, 7, -8, 9, 10, 11)
STAT_BYTES = bytes.fromhex(
    "0000000000000001 0000000000000002 0000000000000003 0000000000000004"
    "00000005 00000006 00000007 fffffffffffffff8 00000009 0000000a 000000000000000b"
)
HEADER = bytes(8)

A = "00000002 2f61"  # "/a"
B = "00000001 62"  # b"b"
ACL = "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65"
NULL = "ffffffff"

REQUESTS = [
    (1, f"{A}{B}{ACL}00000003", core.Create("/a", b"b", 3, WORLD)),
    (1, f"{A}{NULL}{NULL}00000000", core.Create("/a", None, 0, ())),
    (2, f"{A}00000007", core.Delete("/a", 7)),
    (3, f"{A}01", core.Exists("/a", True)),
    (4, f"{A}00", core.GetData("/a", False)),
    (4, f"{A}ff", core.GetData("/a", True)),
    (5, f"{A}{B}ffffffff", core.SetData("/a", b"b", -1)),
    (5, f"{A}{NULL}00000001", core.SetData("/a", None, 1)),
    (6, A, core.GetAcl("/a")),
    (7, f"{A}{ACL}00000002", core.SetAcl("/a", WORLD, 2)),
    (8, f"{A}01", core.GetChildren("/a", True)),
    (9, A, core.Sync("/a")),
    (11, "", core.Ping()),
    (12, f"{A}00", core.GetChildren("/a", False)),
    (13, f"{A}00000001", core.Check("/a", 1)),
    (
        14,
        f"00000001 00 ffffffff {A}{B}{ACL}00000000"
        f"0000000f 00 ffffffff {A}{B}{ACL}00000000"
        f"00000002 00 ffffffff {A}ffffffff 00000005 00 ffffffff {A}{B}ffffffff"
        f"0000000d 00 ffffffff {A}00000001 00000013 00 ffffffff {A}{B}{ACL}00000004"
        f"00000015 00 ffffffff {A}{B}{ACL}00000005 0000000000000064 ffffffff 01 ffffffff",
        core.Multi(
            (
                core.Create("/a", b"b", 0, WORLD),
                core.Create("/a", b"b", 0, WORLD, with_stat=True),
                core.Delete("/a", -1),
                core.SetData("/a", b"b", -1),
                core.Check("/a", 1),
                core.CreateContainer("/a", b"b", WORLD, 4),
                core.CreateTtl("/a", b"b", 100, WORLD, 5),
            )
        ),
    ),
    (14, "ffffffff 01 ffffffff", core.Multi(())),
    (15, f"{A}{B}{ACL}00000001", core.Create("/a", b"b", 1, WORLD, with_stat=True)),
    (16, f"{A}{NULL}{NULL}ffffffffffffffff", core.Reconfig("/a", None, None, -1)),
    (17, f"{A}00000001", core.CheckWatches("/a", 1)),
    (18, f"{A}00000003", core.RemoveWatches("/a", 3)),
    (19, f"{A}{B}{ACL}00000004", core.CreateContainer("/a", b"b", WORLD, 4)),
    (20, A, core.DeleteContainer("")),
    (
        21,
        f"{A}{B}{ACL}00000006 00000000000003e8",
        core.CreateTtl("/a", b"b", 1000, WORLD, 6),
    ),
    (
        22,
        f"00000004 00 ffffffff {A}00 00000008 00 ffffffff {A}00 ffffffff 01 ffffffff",
        core.MultiRead((core.GetData("/a"), core.GetChildren("/a"))),
    ),
    (100, f"00000000 {A}{B}", core.Auth("/a", b"b")),
    (100, f"00000000 {A}{NULL}", core.Auth("", b"")),
    (
        101,
        f"0000000000000009 00000001{A} 00000000 00000002{A}{A}",
        core.SetWatches(9, ("/a",), (), ("/a", "/a")),
    ),
    (103, A, core.GetEphemerals("/a")),
    (103, NULL, core.GetEphemerals("")),
    (104, A, core.GetAllChildrenNumber("/a")),
    (
        105,
        f"0000000000000009 00000000 00000000 00000000 00000001{A} 00000001{A}",
        core.SetWatches(9, (), (), (), ("/a",), ("/a",)),
    ),
    (106, f"{A}00000001", core.AddWatch("/a", 1)),
    (107, "", core.WhoAmI()),
    (-11, "", core.CloseSession()),
]

STAT_HEX = STAT_BYTES.hex()
ANSWERS: list[tuple[int, core.Op, core.Result, str]] = [
    (1, core.Create("/a", b""), core.PathResult("/a"), A),
    (2, core.Delete("/a"), None, ""),
    (3, core.Exists("/a"), core.StatResult(STAT), STAT_HEX),
    (4, core.GetData("/a"), core.DataResult(b"b", STAT), B + STAT_HEX),
    (4, core.GetData("/a"), core.DataResult(None, STAT), NULL + STAT_HEX),
    (5, core.SetData("/a", b""), core.StatResult(STAT), STAT_HEX),
    (6, core.GetAcl("/a"), core.AclResult(WORLD, STAT), ACL + STAT_HEX),
    (7, core.SetAcl("/a", WORLD), core.StatResult(STAT), STAT_HEX),
    (8, core.GetChildren("/"), core.ChildrenResult(("b", "b"), STAT), f"00000002{B}{B}"),
    (9, core.Sync("/a"), core.PathResult("/a"), A),
    (11, core.Ping(), None, ""),
    (12, core.GetChildren("/"), core.ChildrenResult(("b",), STAT), f"00000001{B}{STAT_HEX}"),
    (15, core.Create("/a", b"", 0, WORLD, True), core.CreateResult("/a", STAT), A + STAT_HEX),
    (17, core.CheckWatches("/a", 1), None, ""),
    (18, core.RemoveWatches("/a", 1), None, ""),
    (19, core.CreateContainer("/a", b""), core.CreateResult("/a", STAT), A + STAT_HEX),
    (21, core.CreateTtl("/a", b"", 1), core.CreateResult("/a", STAT), A + STAT_HEX),
    (101, core.SetWatches(0), None, ""),
    (103, core.GetEphemerals(""), core.PathsResult(("/a",)), f"00000001{A}"),
    (104, core.GetAllChildrenNumber("/"), core.NumberResult(3), "00000003"),
    (105, core.SetWatches(0), None, ""),
    (106, core.AddWatch("/a", 0), None, "00000000"),
    (
        107,
        core.WhoAmI(),
        core.IdsResult((core.Id("ip", "::1"),)),
        "00000001 00000002 6970 00000003 3a3a31",
    ),
    (-11, core.CloseSession(), None, ""),
    (
        14,
        core.Multi(
            (
                core.Create("/a", b""),
                core.Create("/a", b"", with_stat=True),
                core.CreateContainer("/a", b""),
                core.Delete("/a"),
                core.Check("/a"),
                core.SetData("/a", b""),
            )
        ),
        core.MultiResult(
            (
                core.PathResult("/a"),
                # Answered as create: ZOOKEEPER-4026.
                core.CreateResult("/a", STAT),
                core.CreateResult("/a", STAT),
                None,
                None,
                core.StatResult(STAT),
            )
        ),
        f"00000001 00 00000000 {A} 00000001 00 00000000 {A} 0000000f 00 00000000 {A}{STAT_HEX}"
        f"00000002 00 00000000 0000000d 00 00000000 00000005 00 00000000 {STAT_HEX}"
        "ffffffff 01 ffffffff",
    ),
    (
        14,
        core.Multi((core.Delete("/a"), core.Delete("/b"))),
        core.MultiResult(
            (
                core.ErrorResult(ErrorCode.NO_NODE),
                core.ErrorResult(ErrorCode.RUNTIME_INCONSISTENCY),
            )
        ),
        "ffffffff 00 ffffff9b ffffff9b ffffffff 00 fffffffe fffffffe ffffffff 01 ffffffff",
    ),
    (
        22,
        core.MultiRead((core.GetData("/a"), core.GetChildren("/a"), core.GetData("/b"))),
        core.MultiResult(
            (
                core.DataResult(b"b", STAT),
                core.ChildrenResult(("b",), STAT),
                core.ErrorResult(ErrorCode.NO_NODE),
            )
        ),
        f"00000004 00 00000000 {B}{STAT_HEX} 00000008 00 00000000 00000001{B}"
        "ffffffff 00 ffffff9b ffffff9b ffffffff 01 ffffffff",
    ),
]


@pytest.mark.parametrize(("opcode", "body", "op"), REQUESTS)
def test_a_request_is_read_as_it_stands(opcode: int, body: str, op: core.Op) -> None:
    assert decode_op(opcode, HEADER + bytes.fromhex(body)) == op


# A write takes a zxid even if it cannot be read.
_UNREADABLE = core.Malformed(ErrorCode.MARSHALLING_ERROR)
WRITES = (1, 2, 5, 7, 13, 14, 15, 16, 19, 21)


@pytest.mark.parametrize(
    ("opcode", "body"), [(o, b) for o, b, _ in REQUESTS if b and o not in (20, 100)]
)
def test_a_request_cut_short_is_malformed_wherever_it_is_cut(opcode: int, body: str) -> None:
    whole = bytes.fromhex(body)
    for size in range(len(whole)):
        # A multi may end early where one of its operations does, but never without its end mark.
        op = decode_op(opcode, HEADER + whole[:size])
        assert op == (core.MalformedWrite() if opcode in WRITES else _UNREADABLE)


def test_every_opcode_that_a_client_may_send_is_in_the_table() -> None:
    known = {opcode for opcode, _, _ in REQUESTS}
    unknown = core.Malformed(ErrorCode.UNIMPLEMENTED, closes=True)
    for opcode in range(-20, 200):
        # createSession (-10) is the members' own, and is answered as what cannot be read.
        if opcode not in known | {-10}:
            assert decode_op(opcode, HEADER) == unknown


@pytest.mark.parametrize(
    ("opcode", "body"),
    [
        (4, f"{NULL}00"),
        (4, "fffffffe 00"),
        (4, "7fffffff 2f61 00"),
        (1, f"{NULL}{B}{ACL}00000000"),
        (1, f"{A}{B}7fffffff 00000000"),
        (1, f"{A}fffffffe{ACL}00000000"),
        (1, f"{A}{B} 00000001 0000001f 00000005 776f726c64 {NULL} 00000000"),
        (14, f"00000004 00 ffffffff {A}00 ffffffff 01 ffffffff"),
        (14, "00000063 00 ffffffff ffffffff 01 ffffffff"),
        (22, f"00000002 00 ffffffff {A}ffffffff ffffffff 01 ffffffff"),
        (101, f"0000000000000009 {NULL}{NULL}{NULL}"),
        (101, "0000000000000009 7fffffff"),
        (-10, ""),
    ],
)
def test_what_zookeeper_cannot_unmarshal_is_malformed(opcode: int, body: str) -> None:
    # Each was sent to a real ZooKeeper 3.8.0, which answered -5.
    refused = core.MalformedWrite() if opcode in WRITES else _UNREADABLE
    assert decode_op(opcode, HEADER + bytes.fromhex(body)) == refused


def test_bytes_behind_a_request_are_ignored() -> None:
    assert decode_op(4, HEADER + bytes.fromhex(f"{A}00 778899")) == core.GetData("/a")


def test_what_is_not_utf_8_becomes_the_replacement_character() -> None:
    op = decode_op(4, HEADER + bytes.fromhex("00000002 2fff 00"))
    assert op == core.GetData("/\ufffd")


def test_an_auth_that_cannot_be_read_has_no_turn_to_be_answered_in() -> None:
    with pytest.raises(Undecodable):
        decode_op(100, HEADER)


@pytest.mark.parametrize(("opcode", "op", "result", "body"), ANSWERS)
def test_an_answer_is_written_byte_by_byte(
    opcode: int, op: core.Op, result: core.Result, body: str
) -> None:
    payload = bytes.fromhex("00000007 0000000100000002 00000000" + body)
    frame = encode_reply(Reply(5, 7, 0x1_0000_0002, ErrorCode.OK, result), opcode, op)
    assert frame == struct.pack(">i", len(payload)) + payload


def test_an_error_is_a_header_alone() -> None:
    reply = Reply(5, -8, 3, ErrorCode.NO_NODE, None)
    expected = bytes.fromhex("00000010 fffffff8 0000000000000003 ffffff9b")
    assert encode_reply(reply, 4, core.GetData("/a")) == expected


def test_an_unknown_operation_is_answered_with_no_zxid() -> None:
    op = core.Malformed(ErrorCode.UNIMPLEMENTED, closes=True)
    reply = Reply(5, 1, 3, ErrorCode.UNIMPLEMENTED, None)
    expected = bytes.fromhex("00000010 00000001 ffffffffffffffff fffffffa")
    assert encode_reply(reply, 99, op) == expected


def test_an_event_names_no_transaction() -> None:
    expected = bytes.fromhex(f"0000001e ffffffff ffffffffffffffff 00000000 00000003 00000003 {A}")
    assert encode_event(Notify(5, 3, "/a")) == expected


def test_a_sasl_token_is_answered_with_none() -> None:
    expected = bytes.fromhex("00000014 00000005 0000000000000000 00000000 ffffffff")
    assert encode_sasl_refusal(5) == expected


CONNECT = "00000000 0000000000000009 00001388 000000000000000a 00000010" + "ab" * 16


@pytest.mark.parametrize(
    ("tail", "can_be_read_only", "has_read_only"),
    [("", False, False), ("00", False, True), ("01", True, True), ("00ffff", False, True)],
)
def test_a_connect_request_may_leave_the_read_only_byte_out(
    tail: str, can_be_read_only: bool, has_read_only: bool
) -> None:
    got = decode_connect(3, "127.0.0.1", bytes.fromhex(CONNECT + tail))
    wanted = ConnectRequested(3, 9, 5000, 10, b"\xab" * 16, "127.0.0.1", can_be_read_only)
    assert got == (wanted, has_read_only)


@pytest.mark.parametrize("size", [0, 3, 23, 24, 28, 43])
def test_a_connect_request_cut_short_cannot_be_read(size: int) -> None:
    with pytest.raises(Undecodable):
        decode_connect(3, "", bytes.fromhex(CONNECT)[:size])


def test_a_connect_response_has_the_read_only_byte_if_the_request_had() -> None:
    reply = ConnectReply(3, 10, 5000, b"\xab" * 16, is_read_only=True)
    body = "00000000 00001388 000000000000000a 00000010" + "ab" * 16
    assert encode_connect(reply, has_read_only=False) == bytes.fromhex("00000024" + body)
    assert encode_connect(reply, has_read_only=True) == bytes.fromhex(f"00000025{body}01")


# Against an encoder that shares nothing with the members'.

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PATHS = st.lists(TEXT, max_size=4)
DATA = st.none() | st.binary(max_size=300)
ENTRIES = st.lists(st.tuples(INT32, TEXT, TEXT), min_size=1, max_size=12)


def read_back(op: Op) -> core.Op:
    return decode_op(op.type, HEADER + op.body)


@given(TEXT, DATA, INT32, ENTRIES)
def test_creates_come_back(
    path: str, data: bytes | None, flags: int, entries: list[tuple[int, str, str]]
) -> None:
    acl = tuple(core.Acl(perms, core.Id(scheme, who)) for perms, scheme, who in entries)
    expected = core.Create(path, data, flags, acl)
    assert read_back(ops.create(path, data, flags, entries)) == expected
    in_a_multi = read_back(ops.multi(ops.create(path, data, flags, entries)))
    assert in_a_multi == core.Multi((expected,))


@given(TEXT, DATA, INT32)
def test_other_writes_come_back(path: str, data: bytes | None, version: int) -> None:
    assert read_back(ops.set_data(path, data, version)) == core.SetData(path, data, version)
    assert read_back(ops.delete(path, version)) == core.Delete(path, version)
    multi = ops.multi(ops.set_data(path, data, version), ops.check(path, version))
    expected = (core.SetData(path, data, version), core.Check(path, version))
    assert read_back(multi) == core.Multi(expected)


@given(INT64, st.tuples(PATHS, PATHS, PATHS, PATHS, PATHS))
def test_watches_set_again_come_back(zxid: int, lists: tuple[list[str], ...]) -> None:
    expected = core.SetWatches(zxid, *map(tuple, lists))
    assert read_back(ops.set_watches2(zxid, *lists)) == expected


@given(INT32, INT64, DATA, PATHS)
def test_results_come_back(xid: int, zxid: int, data: bytes | None, names: list[str]) -> None:
    def value(opcode: int, op: core.Op, result: core.Result) -> Reader:
        frame = encode_reply(Reply(1, xid, zxid, ErrorCode.OK, result), opcode, op)
        reader = Reader(frame)
        assert reader.i32() == len(frame) - 4
        assert (reader.i32(), reader.i64(), reader.i32()) == (xid, zxid, 0)
        return reader

    reader = value(4, core.GetData("/"), core.DataResult(data, STAT))
    assert reader.buffer() == data
    assert reader.stat()[:4] == (1, 2, 3, 4)
    reader = value(12, core.GetChildren("/"), core.ChildrenResult(tuple(names), STAT))
    assert list(reader.texts()) == names


@given(st.binary(max_size=200), st.sampled_from([opcode for opcode, _, _ in REQUESTS]))
def test_no_bytes_are_more_than_malformed(body: bytes, opcode: int) -> None:
    if opcode == 100:
        return
    decode_op(opcode, HEADER + body)
