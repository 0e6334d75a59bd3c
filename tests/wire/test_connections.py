"""Connections of the wire port: framing, batches, sessions, logins, the end."""

from __future__ import annotations

import asyncio
import struct
from itertools import count

import pytest

from nodes.config import ProcessConfig, WireConfig
from nodes.core import requests as core
from nodes.core.config import MemberConfig
from nodes.core.effects import CloseConnection, ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectionLost, ConnectRequested, Event, Submitted
from nodes.traces import TraceLog
from nodes.wire.connection import MAX_FRAME_BYTES
from nodes.wire.server import PortTaken, WireServer
from tests.wire import ops
from tests.wire.port import CONNECT, STAT, a_port, frame, ok, on_a_loop, request, with_data


@on_a_loop
async def test_frames_come_whole_however_they_are_cut() -> None:
    async with a_port() as port:
        port.answer = ok
        client = await port.client()
        for byte in frame(CONNECT) + request(ops.PING, -2) + request(ops.get_data("/a"), 3):
            client.send(bytes((byte,)))
            await client.writer.drain()
            await asyncio.sleep(0)
        await client.read()
        assert [await client.xid(), await client.xid()] == [-2, 3]
        assert [event.op for event in port.requests] == [core.Ping(), core.GetData("/a")]


@on_a_loop
async def test_pipelined_requests_reach_the_core_in_batches() -> None:
    async with a_port() as port:
        port.answer = ok
        client = await port.session()
        client.send(b"".join(request(ops.get_data("/a"), xid) for xid in range(8)))
        assert [await client.xid() for _ in range(8)] == list(range(8))
        assert [len(batch) for batch in port.batches] == [1, 8]
        client.send(b"".join(request(ops.get_data("/a"), xid) for xid in range(640)))
        assert [await client.xid() for _ in range(640)] == list(range(640))
        # Ever more of them, as long as their answers are small.
        assert len(port.batches) < 20


@on_a_loop
async def test_requests_wait_for_the_session() -> None:
    async with a_port() as port:
        connects: list[Event] = []
        port.server.deliver = connects.extend
        client = await port.client()
        client.send(frame(CONNECT) + request(ops.PING, -2))
        await port.until(lambda: bool(connects))
        client.send(request(ops.get_data("/a"), 1) * 3)
        await asyncio.sleep(0.01)
        assert [type(event) for event in connects] == [ConnectRequested]
        port.tell(ConnectReply(1, 7, 4000, bytes(16)))
        await port.until(lambda: len(connects) == 5)
        assert [event.xid for event in connects[1:] if isinstance(event, Submitted)] == [
            -2,
            1,
            1,
            1,
        ]


@on_a_loop
async def test_an_expired_session_is_answered_and_closed() -> None:
    async with a_port() as port:
        port.server.deliver = lambda events: None
        client = await port.client()
        client.send(frame(CONNECT + b"\0"))
        await port.until(lambda: bool(port.server.by_number))
        await asyncio.sleep(0.01)
        port.tell(ConnectReply(1, 0, 0, bytes(16)))
        port.tell(CloseConnection(1))
        assert await client.read() == bytes.fromhex(
            "00000000 00000000 0000000000000000 00000010" + "00" * 16 + "00"
        )
        assert await client.is_closed()


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">i", -1),
        struct.pack(">i", 0),
        struct.pack(">i", 7) + bytes(7),
        struct.pack(">i", MAX_FRAME_BYTES + 1),
        struct.pack(">i", 2**31 - 1),
        frame(ops.int_(-4) + ops.int_(100)),
        frame(ops.int_(1) + ops.int_(102) + ops.buffer(None)),
    ],
)
@on_a_loop
async def test_what_cannot_be_answered_costs_the_connection_only(data: bytes) -> None:
    async with a_port() as port:
        port.answer = ok
        client, other = await port.session(), await port.session()
        client.send(request(ops.PING, -2) + data)
        assert await client.xid() == -2
        assert await client.is_closed()
        await port.until(lambda: ConnectionLost(1) in port.batches[-1])
        other.send(request(ops.PING, -2))
        assert await other.xid() == -2


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", frame(b""), frame(b"abc"), frame(bytes(27))],
)
@on_a_loop
async def test_what_is_no_connect_request_is_closed_unheard(data: bytes) -> None:
    async with a_port() as port:
        client = await port.client()
        client.send(data)
        assert await client.is_closed()
        assert port.batches == []


@on_a_loop
async def test_the_largest_frame_is_read() -> None:
    async with a_port() as port:
        port.answer = ok
        client = await port.session()
        head = ops.int_(1) + ops.int_(4) + ops.text("/a") + b"\0"
        client.send(frame(head + bytes(MAX_FRAME_BYTES - len(head))))
        assert await client.xid() == 1


@on_a_loop
async def test_a_member_that_does_not_serve_closes_on_the_first_bytes() -> None:
    async with a_port() as port:
        early = await port.client()
        await port.until(lambda: bool(port.server.connections))
        port.server.set_serving(False)
        assert await early.is_closed()
        client = await port.client()
        client.send(frame(CONNECT)[:4])
        assert await client.is_closed()
        assert port.batches == []


@on_a_loop
async def test_a_client_that_leaves_is_told_to_the_core_once() -> None:
    async with a_port() as port:
        silent, client = await port.client(), await port.session()
        for leaving in (silent, client):
            leaving.writer.close()
        await port.until(lambda: not port.server.connections)
        assert port.batches[1:] == [[ConnectionLost(2)]]
        assert port.server.by_number == {}


@on_a_loop
async def test_a_closed_connection_gets_what_was_sent_before() -> None:
    async with a_port() as port:
        client = await port.session()
        client.send(request(ops.CLOSE, 9))
        await port.until(lambda: bool(port.requests))
        port.tell(Notify(1, 2, "/a"))
        port.tell(Reply(1, 9, 5, ErrorCode.OK, None))
        port.tell(CloseConnection(1))
        port.tell(Notify(1, 2, "/b"))
        assert [await client.xid(), await client.xid()] == [-1, 9]
        assert await client.is_closed()
        await port.until(lambda: not port.server.connections)
        # The core closed it: it need not be told.
        assert [ConnectionLost(1)] not in port.batches


@on_a_loop
async def test_logins_are_answered_before_what_waits_for_its_turn() -> None:
    async with a_port() as port:
        port.answer = lambda event: ok(event) if isinstance(event.op, core.Auth) else None
        client = await port.session()
        client.send(
            request(ops.get_data("/a"), 4)
            # Under the same xid as a request that waits.
            + request(ops.auth("digest", b"a:b"), 4)
            + request(ops.Op("sasl", 102, ops.buffer(b"token")), 6)
            + request(ops.get_data("/a"), 5)
        )
        auth, sasl = await client.read(), await client.read()
        assert auth == ops.int_(4) + ops.long_(1) + ops.int_(0)
        assert sasl == ops.int_(6) + ops.long_(0) + ops.int_(0) + ops.int_(-1)
        for event in port.requests:
            if not isinstance(event.op, core.Auth):
                port.tell(with_data(1)(event))
        assert [await client.xid(), await client.xid()] == [4, 5]


@on_a_loop
async def test_requests_that_were_dropped_do_not_confuse_answers() -> None:
    async with a_port() as port:
        client = await port.session()
        client.send(request(ops.get_data("/a"), 1) + request(ops.get_children("/"), 2))
        await port.until(lambda: len(port.requests) == 2)
        port.tell(Reply(1, 2, 5, ErrorCode.OK, core.ChildrenResult(("a",), STAT)))
        reply = await client.read()
        assert reply[16:] == ops.texts(["a"])


@on_a_loop
async def test_a_refused_login_ends_what_was_sent_behind_it() -> None:
    async with a_port() as port:

        def refuse(event: Submitted) -> CloseConnection:
            port.server.by_number[event.connection].answer(
                Reply(event.connection, event.xid, 0, ErrorCode.AUTH_FAILED, None)
            )
            return CloseConnection(event.connection)

        port.answer = refuse
        client = await port.session()
        client.send(request(ops.auth("foo", b"x"), -4) + request(ops.get_data("/a"), 1))
        assert await client.read() == ops.int_(-4) + ops.long_(0) + ops.int_(-115)
        assert await client.is_closed()
        assert [type(event.op) for event in port.requests] == [core.Auth]
        assert port.server.outstanding == 0


@on_a_loop
async def test_a_port_in_use_is_named() -> None:
    async with a_port() as port:
        config = ProcessConfig(
            core=MemberConfig(sid=1, voters=(1,)),
            port=0,
            data_dir="",
            wire=WireConfig(port=port.port),
        )
        with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port.port}: cannot be bound: in use"):
            await WireServer(count(1), config).start(port.deliver, TraceLog())


@on_a_loop
async def test_a_client_that_is_lost_keeps_no_other_one_from_its_answers() -> None:
    async with a_port() as port:
        lost, other = await port.session(), await port.session()
        for client in (lost, other):
            client.send(request(ops.get_data("/a"), 1))
        await port.until(lambda: len(port.requests) == 2)
        # The loop tells of the loss before it comes to write the answers.
        port.server.by_number[1]._transport.abort()
        for number in (1, 2):
            port.tell(Reply(number, 1, 1, ErrorCode.NO_NODE, None))
        assert await other.xid() == 1
