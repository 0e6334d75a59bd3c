"""The race over ZooKeeper's own protocol: lines whose every connection is a TCP connection.

Owns bytes and sockets for the few operations that the race asks for, and nothing else; the clients
above it are the same as over gRPC. Shares no code with the members.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Mapping

from client.aio_line import Line, Lines
from client.line import CLOSED_BY_MEMBER, Handler
from client.ops import (
    ClientFrame,
    CloseSession,
    Create,
    Delete,
    Disconnect,
    Exists,
    Op,
    PathResult,
    Ping,
    Reply,
    Request,
    Result,
    SessionRequest,
    SessionResponse,
    SetWatches,
    Stat,
    StatResult,
    Sync,
    WatchEvent,
)
from orchestrator.errors import NotPossible

_OPEN_ACL = struct.pack(">ii", 1, 31) + b"\0\0\0\x05world\0\0\0\x06anyone"
_NO_PASSWORD = bytes(16)
_NOTIFICATION_XID = -1
_CONNECT = struct.Struct(">iqiqi")
_CONNECTED = struct.Struct(">iiqi")
_HEADER = struct.Struct(">iqi")
_EVENT = struct.Struct(">iii")
_STAT = struct.Struct(">qqqqiiiqiiq")


class WireLines(Lines):
    """Lines to the wire ports; members are still named by the address of their gRPC port."""

    def __init__(self, wire_addresses: Mapping[str, str]) -> None:
        super().__init__()
        self._wire_addresses = wire_addresses

    def new_line(self, member: str) -> Line:
        """Return a line that opens TCP connections."""
        return WireLine(self, member, self._wire_addresses[member])


class WireLine(Line):
    """Never breaks as a whole: each connection is lost on its own."""

    def __init__(self, lines: Lines, member: str, wire_address: str) -> None:
        self._host, _, port = wire_address.rpartition(":")
        self._port = int(port)
        self._last_number = 0
        self._connections: dict[int, _Connection] = {}
        super().__init__(lines, member)

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Begin to connect and return the connection's number."""
        self._last_number += 1
        number = self._last_number
        connection = self._connections[number] = _Connection(handler, token)
        connection.write(_encode_connect(request))
        connection.task = asyncio.create_task(self._converse(number, connection))
        return number

    def send(self, number: int, frame: ClientFrame) -> None:
        """Send a request; lost if the connection is gone, as on any socket."""
        connection = self._connections.get(number)
        if connection is None:
            return
        if isinstance(frame, Disconnect):
            self.drop(number)
        elif isinstance(frame, Request):
            connection.ask(frame)

    def drop(self, number: int) -> None:
        """Close a connection without a word to the server, or to its owner."""
        connection = self._connections.pop(number, None)
        if connection is not None and connection.task is not None:
            connection.task.cancel()

    async def _run(self) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            await asyncio.Event().wait()
        finally:
            tasks = [c.task for c in self._connections.values() if c.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._lines.forget(self)

    async def _converse(self, number: int, connection: _Connection) -> None:
        reason = CLOSED_BY_MEMBER
        try:
            await connection.run(self._host, self._port)
        except OSError as error:
            reason = error.strerror or str(error)
        if self._connections.pop(number, None) is not None:
            connection.handler.on_lost(connection.token, reason)


class _Connection:
    """One socket: what was asked and not answered, in order, and what waits to be sent."""

    def __init__(self, handler: Handler, token: int) -> None:
        self.handler = handler
        self.token = token
        self.task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting = b""
        self._asked: deque[Op] = deque()

    def write(self, body: bytes) -> None:
        data = struct.pack(">i", len(body)) + body
        if self._writer is None:
            self._waiting += data
        else:
            self._writer.write(data)

    def ask(self, request: Request) -> None:
        self._asked.append(request.op)
        self.write(_encode_request(request))

    async def run(self, host: str, port: int) -> None:
        """Connect, then read to the end of the connection."""
        reader, writer = await asyncio.open_connection(host.strip("[]"), port)
        try:
            self._writer = writer
            writer.write(self._waiting)
            is_first = True
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                frame = await reader.readexactly(size)
                if is_first:
                    self.handler.on_frame(self.token, _decode_connected(frame))
                else:
                    self.handler.on_frame(self.token, self._decode(frame))
                is_first = False
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    def _decode(self, frame: bytes) -> Reply | WatchEvent:
        xid, zxid, error = _HEADER.unpack_from(frame)
        body = frame[_HEADER.size :]
        if xid == _NOTIFICATION_XID:
            return WatchEvent(_EVENT.unpack_from(body)[0], body[_EVENT.size :].decode())
        op = self._asked.popleft()
        return Reply(xid, zxid, error, None if error else _decode_result(op, body))


def _encode_connect(request: SessionRequest) -> bytes:
    password = request.password or _NO_PASSWORD
    head = _CONNECT.pack(
        0, request.last_zxid_seen, request.timeout_ms, request.session_id, len(password)
    )
    return head + password + (b"\1" if request.can_be_read_only else b"\0")


def _decode_connected(frame: bytes) -> SessionResponse:
    _, timeout_ms, session_id, size = _CONNECTED.unpack_from(frame)
    password = frame[_CONNECTED.size : _CONNECTED.size + size]
    is_read_only = frame[_CONNECTED.size + size :] == b"\1"
    return SessionResponse(timeout_ms, session_id, password, is_read_only)


def _encode_request(request: Request) -> bytes:
    type_, body = _encode_op(request.op)
    return struct.pack(">ii", request.xid, type_) + body


def _encode_op(op: Op) -> tuple[int, bytes]:
    match op:
        case Create():
            return 1, _text(op.path) + _data(op.data) + _OPEN_ACL + struct.pack(">i", op.flags)
        case Delete():
            return 2, _text(op.path) + struct.pack(">i", op.version)
        case Exists():
            return 3, _text(op.path) + (b"\1" if op.watch else b"\0")
        case Sync():
            return 9, _text(op.path)
        case Ping():
            return 11, b""
        case CloseSession():
            return -11, b""
        case SetWatches():
            return 101, struct.pack(">qiii", op.relative_zxid, 0, 0, 0)
        case _:
            raise NotPossible(f"the race over the wire asks for no {op.name}")


def _decode_result(op: Op, body: bytes) -> Result:
    match op:
        case Create() | Sync():
            return PathResult(body[4:].decode())
        case Exists():
            return StatResult(Stat(*_STAT.unpack(body)))
        case _:
            return None


def _text(text: str) -> bytes:
    return _data(text.encode())


def _data(data: bytes | None) -> bytes:
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
