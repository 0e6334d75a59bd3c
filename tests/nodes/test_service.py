"""The client port: connections on streams, answers to the right one, malformed frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import grpc.aio
import pytest
from lagkeeper.v1 import client_pb2
from lagkeeper.v1.client_pb2 import ClientFrame, ConnectRequest, SessionRequest

from nodes.core import requests
from nodes.core.effects import CloseConnection, ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectionLost, ConnectRequested, Event, Submitted
from nodes.service import (
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_UNREAD_BYTES,
    ClientService,
    host_of,
)
from nodes.transport import OPTIONS

PATIENCE_S = 10


class Port:
    """A service, what it delivered, and one client stream."""

    def __init__(self, service: ClientService, channel: grpc.aio.Channel) -> None:
        self.service = service
        self.events: list[Event] = []
        self._news = asyncio.Event()
        service.start(self.note)
        self.channel = channel
        self.call: Any = self.open()
        self._frames: list[client_pb2.ServerFrame] = []

    def open(self) -> Any:
        return self.channel.stream_stream(
            "/lagkeeper.v1.ClientService/Connect",
            request_serializer=ConnectRequest.SerializeToString,
            response_deserializer=client_pb2.ConnectResponse.FromString,
        )()

    def note(self, events: list[Event]) -> None:
        self.events += events
        self._news.set()

    async def news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def count_of(self, xid: int) -> int:
        return sum(isinstance(event, Submitted) and event.xid == xid for event in self.events)

    async def send(self, *frames: ClientFrame) -> None:
        await self.call.write(ConnectRequest(frames=frames))

    async def delivered(self, count: int) -> list[Event]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.events) < count:
                await self.news()
        return self.events

    async def frame(self) -> client_pb2.ServerFrame:
        async with asyncio.timeout(PATIENCE_S):
            while not self._frames:
                self._frames += (await self.call.read()).frames
        return self._frames.pop(0)


@asynccontextmanager
async def a_port() -> AsyncIterator[Port]:
    server = grpc.aio.server(options=OPTIONS)
    service = ClientService(count(1))
    service.add_to(server)
    number = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{number}", OPTIONS) as channel:
            yield Port(service, channel)
    finally:
        await server.stop(None)


def session(connection: int) -> ClientFrame:
    return ClientFrame(connection=connection, session=SessionRequest(timeout_ms=5))


def request(connection: int, xid: int, **op: Any) -> ClientFrame:
    return ClientFrame(connection=connection, request=client_pb2.Request(xid=xid, **op))


PING = client_pb2.Ping()


def test_connections_of_a_stream_have_numbers_of_their_own() -> None:
    async def scenario() -> None:
        async with a_port() as port:
            await port.send(session(70), session(80), request(80, 1, ping=PING))
            assert await port.delivered(3) == [
                ConnectRequested(1, 0, 5, 0, b"", "127.0.0.1"),
                ConnectRequested(2, 0, 5, 0, b"", "127.0.0.1"),
                Submitted(2, 1, requests.Ping()),
            ]
            port.service.answer(ConnectReply(2, 99, 5, b"p" * 16))
            port.service.answer(Reply(1, 3, 4, ErrorCode.OK, requests.PathResult("/a")))
            port.service.answer(Notify(2, 1, "/b"))
            first, second, third = [await port.frame() for _ in range(3)]
            assert (first.connection, first.session.session_id) == (80, 99)
            assert (second.connection, second.reply.result.path) == (70, "/a")
            assert (third.connection, third.event.path) == (80, "/b")

    asyncio.run(scenario())


def test_frames_of_unknown_and_closed_connections_are_ignored() -> None:
    async def scenario() -> None:
        async with a_port() as port:
            await port.send(request(5, 1, ping=PING), ClientFrame(connection=5), session(6))
            await port.delivered(1)
            port.service.answer(CloseConnection(1))
            port.service.answer(Notify(1, 1, "/too-late"))
            assert (await port.frame()).WhichOneof("frame") == "disconnect"
            await port.send(request(6, 1, ping=PING), session(7))
            assert (await port.delivered(2))[1:] == [ConnectRequested(2, 0, 5, 0, b"", "127.0.0.1")]

    asyncio.run(scenario())


def test_the_end_of_a_stream_loses_its_connections_and_no_others() -> None:
    async def scenario() -> None:
        async with a_port() as port:
            await port.send(session(1), session(2), session(3))
            await port.delivered(3)
            await port.send(ClientFrame(connection=1, disconnect=client_pb2.Disconnect()))
            assert (await port.delivered(4))[3:] == [ConnectionLost(1)]
            ended, port.call = port.call, port.open()
            await port.send(session(1))
            await port.delivered(5)
            ended.cancel()
            assert (await port.delivered(7))[5:] == [ConnectionLost(2), ConnectionLost(3)]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (request(1, 7), ErrorCode.UNIMPLEMENTED),
        (
            request(1, 7, multi=client_pb2.Multi(ops=[client_pb2.Request(ping=PING)])),
            ErrorCode.MARSHALLING_ERROR,
        ),
    ],
)
def test_an_operation_that_cannot_be_read_is_left_to_the_core_to_answer(
    frame: ClientFrame, error: ErrorCode
) -> None:
    async def scenario() -> None:
        async with a_port() as port:
            await port.send(session(1), frame, request(1, 8, ping=PING))
            assert (await port.delivered(3))[1:] == [
                Submitted(1, 7, requests.Malformed(error, closes=error == -6)),
                Submitted(1, 8, requests.Ping()),
            ]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:127.0.0.1:5", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5", "::1"),
        ("ipv6:[fe80::1%25eth0]:5", "fe80::1%eth0"),
        ("unix:/tmp/socket", ""),
        ("unix:", ""),
    ],
)
def test_a_client_is_known_by_its_host(peer: str, host: str) -> None:
    assert host_of(peer) == host


@pytest.mark.parametrize("frame", [session(1), ClientFrame(connection=1)])
def test_a_frame_that_makes_no_sense_costs_its_connection(frame: ClientFrame) -> None:
    async def scenario() -> None:
        async with a_port() as port:
            await port.send(session(1), session(2), frame)
            assert (await port.frame()).WhichOneof("frame") == "disconnect"
            assert (await port.delivered(3))[2:] == [ConnectionLost(1)]
            port.service.answer(Notify(2, 1, "/lives"))
            assert (await port.frame()).event.path == "/lives"

    asyncio.run(scenario())


def set_data(xid: int, size: int) -> ClientFrame:
    return request(1, xid, set_data=client_pb2.SetData(path="/a", data=b"x" * size))


def test_a_request_above_jute_maxbuffer_costs_its_connection() -> None:
    async def scenario() -> None:
        async with a_port() as port:
            largest = MAX_REQUEST_BYTES - set_data(1, 2**19).request.ByteSize() + 2**19
            await port.send(session(1), set_data(1, largest), set_data(2, largest + 1))
            assert (await port.delivered(3))[2:] == [ConnectionLost(1)]
            assert isinstance(port.events[1], Submitted)
            assert port.events[1].xid == 1
            assert (await port.frame()).WhichOneof("frame") == "disconnect"

    asyncio.run(scenario())


MEBIBYTE = requests.DataResult(b"x" * 2**20, requests.Stat(*[0] * 11))


@pytest.mark.parametrize("mebibyte", [MEBIBYTE, requests.MultiResult((MEBIBYTE,))])
def test_a_client_that_does_not_read_its_answers_is_not_read_on(
    mebibyte: requests.DataResult | requests.MultiResult,
) -> None:
    sent = 4 * MAX_UNREAD_BYTES // 2**20

    async def scenario() -> None:
        async with a_port() as port:
            answered: list[int] = []

            def answer(events: list[Event]) -> None:
                for event in events:
                    if isinstance(event, Submitted) and event.xid:
                        answered.append(event.xid)
                        port.service.answer(Reply(1, event.xid, 1, ErrorCode.OK, mebibyte))
                port.note(events)

            port.service.start(answer)
            await port.send(session(1))
            for xid in range(1, sent + 1):
                await port.send(request(1, xid, ping=PING))
            await other_streams_are_served(port)
            assert len(answered) < sent
            assert [(await port.frame()).reply.xid for _ in range(sent)] == answered

    async def other_streams_are_served(port: Port) -> None:
        other = port.open()
        await other.write(ConnectRequest(frames=[session(1)]))
        for _ in range(50):
            before = port.count_of(0)
            await other.write(ConnectRequest(frames=[request(1, 0, ping=PING)]))
            async with asyncio.timeout(PATIENCE_S):
                while port.count_of(0) == before:
                    await port.news()

    asyncio.run(scenario())


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"\x00" * (MAX_MESSAGE_BYTES + 1)])
def test_bytes_that_are_no_message_cost_their_stream_alone(message: bytes) -> None:
    async def scenario() -> None:
        async with a_port() as port:
            await port.send(session(1))
            await port.delivered(1)
            raw: Any = port.channel.stream_stream("/lagkeeper.v1.ClientService/Connect")()
            await raw.write(message)
            assert await raw.code() is grpc.StatusCode.INVALID_ARGUMENT
            port.service.answer(Notify(1, 1, "/lives"))
            assert (await port.frame()).event.path == "/lives"

    asyncio.run(scenario())
