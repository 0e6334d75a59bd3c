"""A wire port for tests: clients at one end, a core that does as it is told at the other."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import uvloop

from nodes.config import ProcessConfig, WireConfig
from nodes.core import requests as core
from nodes.core.config import MemberConfig
from nodes.core.effects import CloseConnection, ConnectReply, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested, Event, Submitted
from nodes.traces import TraceLog
from nodes.wire.server import WireServer
from orchestrator.ports import free_ports
from tests.wire import ops

PATIENCE_S = 20
STAT = core.Stat(1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1)
CONNECT = ops.int_(0) + ops.long_(0) + ops.int_(4000) + ops.long_(0) + ops.buffer(bytes(16))


def frame(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def request(op: ops.Op, xid: int) -> bytes:
    return frame(ops.int_(xid) + ops.int_(op.type) + op.body)


def on_a_loop(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a scenario."""

    @functools.wraps(scenario)
    def test(*arguments: Any, **keywords: Any) -> None:
        # The loop that members run on.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(scenario(*arguments, **keywords))

    return test


class Client:
    """A program at the other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            size = struct.unpack(">i", await self.reader.readexactly(4))[0]
            return await self.reader.readexactly(size)

    async def xid(self) -> int:
        xid: int = struct.unpack_from(">i", await self.read())[0]
        return xid

    async def is_closed(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True


class Port:
    """A wire port whose core records what it is told, and answers only where a test says how."""

    def __init__(self, server: WireServer, port: int) -> None:
        self.server = server
        self.port = port
        self.batches: list[list[Event]] = []
        self.clients: list[Client] = []
        self.answer: Callable[[Submitted], Reply | CloseConnection | None] = lambda event: None

    def deliver(self, events: list[Event]) -> None:
        self.batches.append(list(events))
        for event in events:
            if isinstance(event, ConnectRequested):
                self.tell(ConnectReply(event.connection, 7, 4000, bytes(16)))
            elif isinstance(event, Submitted):
                reply = self.answer(event)
                if reply is not None:
                    self.tell(reply)

    def tell(self, effect: Any) -> None:
        connection = self.server.by_number.get(effect.connection)
        if connection is not None:
            connection.answer(effect)

    @property
    def requests(self) -> list[Submitted]:
        return [e for batch in self.batches for e in batch if isinstance(e, Submitted)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 (what is waited for is a state, not an event)
                await asyncio.sleep(0.001)

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def session(self) -> Client:
        client = await self.client()
        client.send(frame(CONNECT))
        await client.read()
        return client


@asynccontextmanager
async def a_port(**wire: Any) -> AsyncIterator[Port]:
    port = free_ports("127.0.0.1", 1)[0]
    member = MemberConfig(sid=1, voters=(1,))
    config = ProcessConfig(core=member, port=0, data_dir="", wire=WireConfig(port=port, **wire))
    server = WireServer(count(1), config)
    made = Port(server, port)
    server.set_serving(True)
    await server.start(made.deliver, TraceLog())
    try:
        yield made
    finally:
        await server.close()
        for client in made.clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()


def ok(event: Submitted) -> Reply:
    return Reply(event.connection, event.xid, 1, ErrorCode.OK, None)


def with_data(size: int) -> Callable[[Submitted], Reply]:
    data = bytes(size)
    return lambda event: Reply(
        event.connection, event.xid, 1, ErrorCode.OK, core.DataResult(data, STAT)
    )
