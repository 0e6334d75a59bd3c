"""The client port: connections multiplexed on streams, frames to events, answers to frames.

Knows no session. What a request says that cannot be read is the core's to answer; a frame out of
place or too large costs its connection, such a message its stream, and nothing else. A stream
whose client does not read its answers is not read on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from lagkeeper.v1 import client_pb2

from nodes.client_codec import (
    ClientEffect,
    MalformedFrame,
    decode_op,
    decode_session,
    fill_server_frame,
)
from nodes.core.effects import CloseConnection, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectionLost, Event, Submitted
from nodes.core.requests import (
    AclResult,
    ChildrenResult,
    DataResult,
    Malformed,
    MultiResult,
    Op,
    PathsResult,
)
from nodes.streams import OpenStreams

Context = grpc.aio.ServicerContext[Any, Any]

# ZooKeeper's default jute.maxbuffer: a larger request costs its connection, as there.
MAX_REQUEST_BYTES = 1_048_575
# Of a batch of requests.
MAX_MESSAGE_BYTES = 4 << 20
# Of answers that wait until their client reads those before them.
MAX_UNREAD_BYTES = 16 << 20
_FRAME_BYTES = 64
# A client that reads nothing keeps a write from ending.
_END_PATIENCE_S = 1.0
_UNBOUNDED = frozenset({DataResult, ChildrenResult, MultiResult, PathsResult, AclResult})


class _Stream:
    """One client program's stream: its open connections and what waits to be written.

    `address` is the program's host.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_over = False
        self.numbers: dict[int, int] = {}
        self.wake = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self._pending = client_pb2.ConnectResponse()
        self._unread_bytes = 0

    def push(self, connection: int, effect: ClientEffect) -> None:
        frame = self._pending.frames.add()
        fill_server_frame(frame, connection, effect)
        self.wake.set()
        self._unread_bytes += _FRAME_BYTES
        if type(effect) is Reply and type(effect.result) in _UNBOUNDED:
            self._unread_bytes += frame.ByteSize()
        if self._unread_bytes > MAX_UNREAD_BYTES:
            self.room.clear()

    def take(self) -> bytes:
        self.wake.clear()
        self.room.set()
        self._unread_bytes = 0
        taken = self._pending.SerializeToString()
        self._pending = client_pb2.ConnectResponse()
        return taken


class ClientService:
    """Invariant: a core connection number is in `_places` while its connection is open."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._places: dict[int, tuple[_Stream, int]] = {}
        self._numbers = numbers
        self._streams = OpenStreams()
        self._deliver: Callable[[list[Event]], None] = lambda events: None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve clients. Raw bytes: what cannot be read is answered here, not by gRPC."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self._connect)
        generic = grpc.method_handlers_generic_handler(
            "lagkeeper.v1.ClientService", {"Connect": handler}
        )
        server.add_generic_rpc_handlers((generic,))

    def start(self, deliver: Callable[[list[Event]], None]) -> None:
        """Begin to pass events on."""
        self._deliver = deliver

    async def close(self) -> None:
        """End every stream."""
        await self._streams.end_all()

    def answer(self, effect: ClientEffect) -> None:
        """Queue a frame; nothing happens if the connection is gone."""
        place = self._places.get(effect.connection)
        if place is None:
            return
        stream, connection = place
        stream.push(connection, effect)
        if type(effect) is CloseConnection:
            self._forget(effect.connection)

    def _forget(self, number: int) -> None:
        stream, connection = self._places.pop(number)
        del stream.numbers[connection]

    async def _connect(self, _: object, context: Context) -> None:
        """One stream, to its end; then every connection on it is lost."""
        stream = _Stream(host_of(context.peer()))
        writer = asyncio.get_running_loop().create_task(_write(stream, context))
        try:
            with self._streams.ending():
                await self._read_all(stream, context)
        except DecodeError:
            await _refuse(context, "not a ConnectRequest of client.proto")
        finally:
            lost = list(stream.numbers.values())
            for number in lost:
                self._forget(number)
            if lost:
                self._deliver([ConnectionLost(number) for number in lost])
            await _end(writer, stream)

    async def _read_all(self, stream: _Stream, context: Context) -> None:
        while (raw := await context.read()) is not grpc.aio.EOF:
            if len(raw) > MAX_MESSAGE_BYTES:
                await _refuse(context, f"{len(raw)} bytes, above {MAX_MESSAGE_BYTES}")
            may_be_large = len(raw) > MAX_REQUEST_BYTES
            events: list[Event] = []
            for frame in client_pb2.ConnectRequest.FromString(raw).frames:
                self._read(stream, frame, events, may_be_large)
            if events:
                self._deliver(events)
            await stream.room.wait()

    def _read(
        self,
        stream: _Stream,
        frame: client_pb2.ClientFrame,
        events: list[Event],
        may_be_large: bool,
    ) -> None:
        number = stream.numbers.get(frame.connection)
        match frame.WhichOneof("frame"):
            case "request" if (
                may_be_large and number is not None and frame.request.ByteSize() > MAX_REQUEST_BYTES
            ):
                self._close(number, events)
            case "request" if number is not None:
                events.append(Submitted(number, frame.request.xid, _read_op(frame.request)))
            case "session" if number is None:
                number = next(self._numbers)
                self._places[number] = (stream, frame.connection)
                stream.numbers[frame.connection] = number
                events.append(decode_session(number, frame.session, stream.address))
            case "disconnect" if number is not None:
                self._forget(number)
                events.append(ConnectionLost(number))
            case "session" | None if number is not None:
                self._close(number, events)
            case _:
                # Of a connection that is closed already, perhaps by this member.
                pass

    def _close(self, number: int, events: list[Event]) -> None:
        self.answer(CloseConnection(number))
        events.append(ConnectionLost(number))


def _read_op(request: client_pb2.Request) -> Op:
    try:
        return decode_op(request)
    except MalformedFrame as error:
        # Answered in its turn; behind an operation that it does not know, ZooKeeper closes.
        return Malformed(error.error, closes=error.error is ErrorCode.UNIMPLEMENTED)


def host_of(peer: str) -> str:
    """Return the host in gRPC's name of a peer: `ipv4:127.0.0.1:80`, `ipv6:[::1]:80`.

    gRPC escapes the brackets and the zone of an IPv6 address as in a URL. A peer without a host,
    on a Unix socket, has the empty one, which is no identity.
    """
    family, _, rest = unquote(peer).partition(":")
    if family not in ("ipv4", "ipv6"):
        return ""
    return rest.rpartition(":")[0].strip("[]")


async def _refuse(context: Context, message: str) -> NoReturn:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
    raise AssertionError("abort raises")


async def _end(writer: asyncio.Task[None], stream: _Stream) -> None:
    """Let a write under way end: cut short, it takes the stream's status along, on which a client
    that has said its last waits for ever.
    """
    stream.is_over = True
    stream.wake.set()
    await asyncio.wait((writer,), timeout=_END_PATIENCE_S)
    writer.cancel()


async def _write(stream: _Stream, context: Context) -> None:
    try:
        while await stream.wake.wait() and not stream.is_over:
            await context.write(stream.take())
    except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.BaseError):
        # The client is gone; the reading side notices it too, and cleans up.
        return
