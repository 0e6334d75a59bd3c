"""The lines of one event loop: a gRPC stream to each member, shared by all its clients.

Owns channels, streams and their tasks. A line that breaks tells all its connections; the next
connect makes a new one.
"""

from __future__ import annotations

import asyncio
from typing import Self, TypeAlias
from weakref import WeakKeyDictionary

import grpc
import grpc.aio
from lagkeeper.v1 import client_pb2 as pb

from client.codec import MalformedFrame
from client.line import (
    CHANNEL_OPTIONS,
    METHOD,
    Handler,
    LineBook,
    deliver,
    reason_of,
)
from client.ops import ClientFrame, SessionRequest

Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, pb.ConnectResponse]"


class Line:
    """One stream to one member. Once broken it stays so."""

    def __init__(self, lines: Lines, member: str) -> None:
        self.member = member
        self._lines = lines
        self._book = LineBook()
        self._ready = asyncio.Event()
        self.is_broken = False
        self.task = asyncio.create_task(self._run(), name=f"lagkeeper line {member}")

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Take up a connection and return its number; 0 if the line is broken."""
        if self.is_broken:
            return 0
        self._ready.set()
        return self._book.open(handler, token, request)

    def send(self, number: int, frame: ClientFrame) -> None:
        """Queue a frame."""
        self._book.send(number, frame)
        self._ready.set()

    def drop(self, number: int) -> None:
        """Forget a connection and tell the member."""
        self._book.drop(number)
        self._ready.set()

    async def _run(self) -> None:
        reason = "the line was closed"
        channel = grpc.aio.insecure_channel(self.member, options=CHANNEL_OPTIONS)
        try:
            call: Call = channel.stream_stream(
                METHOD, response_deserializer=pb.ConnectResponse.FromString
            )()
            writer = asyncio.create_task(
                self._write(call), name=f"lagkeeper line {self.member} writer"
            )
            try:
                reason = await self._read(call)
            finally:
                writer.cancel()
                call.cancel()
                await asyncio.wait([writer])
        finally:
            self._break(reason)
            await channel.close()

    async def _read(self, call: Call) -> str:
        """Deliver what arrives; return why the stream ended."""
        try:
            while True:
                response = await call.read()
                if not isinstance(response, pb.ConnectResponse):
                    return "the member closed the stream"
                for handler, token, frame in self._book.route(response):
                    deliver(handler, token, frame)
        except grpc.aio.AioRpcError as error:
            return reason_of(error.details())
        except MalformedFrame as error:
            return f"malformed: {error}"

    async def _write(self, call: Call) -> None:
        try:
            while True:
                await self._ready.wait()
                self._ready.clear()
                while self._book.outbox:
                    await call.write(self._book.take_batch())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader learns of it too, with a better account

    def _break(self, reason: str) -> None:
        # Out of the list first: a handler connects again at once, and must not find this line.
        self.is_broken = True
        self._lines.forget(self)
        for handler, token in self._book.take_owners():
            handler.on_lost(token, reason)


class Lines:
    """The line to each member, made when first asked for.

    Lives as long as somebody holds it: the last `release` closes every line.
    """

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._holders = 0

    def hold(self) -> None:
        """Keep the lines open until `release`."""
        self._holders += 1

    async def release(self) -> None:
        """Give up a hold; the last one waits until every channel and task is gone."""
        self._holders -= 1
        if self._holders:
            return
        tasks = list(self._tasks)
        # Whoever comes while the old lines end gets new ones.
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        """Hold the lines."""
        self.hold()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release the lines."""
        await self.release()

    def to(self, member: str) -> Line:
        """Return the line to a member, new if there is none."""
        line = self._lines.get(member)
        if line is None:
            line = self._lines[member] = self.new_line(member)
            self._tasks.add(line.task)
            line.task.add_done_callback(self._tasks.discard)
        return line

    def new_line(self, member: str) -> Line:
        """Return a line to a member; for those that speak something else than gRPC to override."""
        return Line(self, member)

    def forget(self, line: Line) -> None:
        """Take a broken line out."""
        if self._lines.get(line.member) is line:
            del self._lines[line.member]


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = WeakKeyDictionary()


def shared_lines() -> Lines:
    """Return the lines that all clients of the running loop share."""
    return _shared.setdefault(asyncio.get_running_loop(), Lines())
