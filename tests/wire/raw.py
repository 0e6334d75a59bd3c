"""A bare connection to one member over ZooKeeper's protocol: what is sent and what comes, no more.

Owns a socket, framing and the order of arrival. It neither pings nor reconnects nor retries,
since a client that helps itself hides what the server does.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from tests.wire import ops
from tests.wire.ops import Op, Reader

NOTIFICATION_XID, PING_XID, AUTH_XID, SET_WATCHES_XID = -1, -2, -4, -8
_FIXED_XIDS = {11: PING_XID, 100: AUTH_XID, 101: SET_WATCHES_XID, 105: SET_WATCHES_XID}
PATIENCE_S, SILENCE_S = 20.0, 0.5


class Greeting(NamedTuple):
    """A ConnectResponse. `read_only` is None if the member sent no such byte."""

    protocol: int
    timeout_ms: int
    session_id: int
    password: bytes | None
    read_only: bool | None


class Reply(NamedTuple):
    """The answer to a request; `value` is None after an error and where nothing is said."""

    xid: int
    zxid: int
    error: int
    value: object = None


class Event(NamedTuple):
    """A notification: type, state and path, and the zxid of its header."""

    type: int
    state: int
    path: str
    zxid: int


class Eof(NamedTuple):
    """The member closed the connection."""


EOF = Eof()


@dataclass
class Raw:
    """A TCP connection to a member's wire port. `arrived` has all that came, in its order."""

    address: tuple[str, int]
    arrived: list[Reply | Event | Eof] = field(default_factory=list)
    greeting: Greeting | None = None
    last_zxid: int = 0
    is_over: bool = False
    # Called again and again while nothing comes.
    on_silence: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(self.address, PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience_s = PATIENCE_S
        self._pending: dict[int, list[Op]] = {}
        self._xid = 0
        self._buffer = b""

    @classmethod
    def open(
        cls,
        address: tuple[str, int],
        timeout_ms: int = 30_000,
        session_id: int = 0,
        password: bytes = bytes(16),
        last_zxid: int = 0,
        read_only: bool | None = False,
    ) -> Raw:
        """Connect, and open a session or resume one."""
        raw = cls(address)
        raw.greet(timeout_ms, session_id, password, last_zxid, read_only)
        return raw

    def greet(
        self,
        timeout_ms: int = 30_000,
        session_id: int = 0,
        password: bytes = bytes(16),
        last_zxid: int = 0,
        read_only: bool | None = False,
    ) -> Greeting | Eof:
        """Send a ConnectRequest and return what comes."""
        self.send_greeting(timeout_ms, session_id, password, last_zxid, read_only)
        return self.receive_greeting()

    def send_greeting(
        self,
        timeout_ms: int = 30_000,
        session_id: int = 0,
        password: bytes = bytes(16),
        last_zxid: int = 0,
        read_only: bool | None = False,
    ) -> None:
        """Send a ConnectRequest; `read_only` None leaves that byte out."""
        body = ops.int_(0) + ops.long_(last_zxid) + ops.int_(timeout_ms)
        body += ops.long_(session_id) + ops.buffer(password)
        if read_only is not None:
            body += ops.bool_(read_only)
        self.send_frame(body)

    def receive_greeting(self) -> Greeting | Eof:
        """Wait for the ConnectResponse."""
        frame = self.receive_frame()
        if frame is None:
            return EOF
        reader = Reader(frame)
        protocol, timeout_ms, session_id = reader.i32(), reader.i32(), reader.i64()
        password = reader.buffer()
        read_only = None if reader.is_at_end() else reader.flag()
        self.greeting = Greeting(protocol, timeout_ms, session_id, password, read_only)
        return self.greeting

    @property
    def session_id(self) -> int:
        """The session that the member confirmed."""
        assert self.greeting is not None, "no session: the member closed the connection"
        return self.greeting.session_id

    @property
    def password(self) -> bytes:
        """The password of the session."""
        assert self.greeting is not None
        return self.greeting.password or b""

    def send(self, op: Op, xid: int | None = None) -> int:
        """Send a request and return its xid."""
        if xid is None:
            xid = _FIXED_XIDS.get(op.type, 0)
        if xid == 0:
            self._xid += 1
            xid = self._xid
        self._pending.setdefault(xid, []).append(op)
        self.send_frame(ops.int_(xid) + ops.int_(op.type) + op.body)
        return xid

    def call(self, op: Op) -> Reply | Eof:
        """Send a request and wait for its answer; events on the way stay in `arrived`."""
        return self.wait_for(self.send(op))

    def wait_for(self, xid: int) -> Reply | Eof:
        """Wait for the next answer with that xid, or for the end of the connection."""
        while True:
            got = self.receive()
            if isinstance(got, Eof) or (isinstance(got, Reply) and got.xid == xid):
                return got

    def receive(self) -> Reply | Event | Eof:
        """Wait for whatever comes next."""
        frame = self.receive_frame()
        self.is_over = frame is None
        got = EOF if frame is None else self._decode(Reader(frame))
        self.arrived.append(got)
        return got

    def _decode(self, reader: Reader) -> Reply | Event:
        xid, zxid, error = reader.i32(), reader.i64(), reader.i32()
        if xid == NOTIFICATION_XID:
            return Event(reader.i32(), reader.i32(), reader.text(), zxid)
        self.last_zxid = max(self.last_zxid, zxid)
        asked = self._pending.get(xid)
        op = asked.pop(0) if asked else None
        value = None
        if op is not None and op.decode is not None and not reader.is_at_end():
            value = op.decode(reader)
        assert op is None or reader.is_at_end(), (
            f"{op} is answered with more than its result: {reader.data!r}"
        )
        return Reply(xid, zxid, error, value)

    def take(self) -> list[Reply | Event | Eof]:
        """Return all that arrived since the last time, and forget it."""
        arrived, self.arrived = self.arrived, []
        return arrived

    def take_events(self) -> list[Event]:
        """Return the events that arrived since the last time, and forget what arrived."""
        return [got for got in self.take() if isinstance(got, Event)]

    def is_closed_within(self, seconds: float) -> bool:
        """Read until the end of the connection; False if it is still open after so long."""
        with self.patience(seconds):
            try:
                while not isinstance(self.receive(), Eof):
                    pass
            except TimeoutError:
                return False
        return True

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Wait no longer than this for whatever is received inside."""
        before, self._patience_s = self._patience_s, seconds
        try:
            yield
        finally:
            self._patience_s = before

    def send_frame(self, body: bytes) -> None:
        """Send bytes with their length before them."""
        self.send_bytes(struct.pack(">i", len(body)) + body)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are. To a connection that is gone they are lost, as on any socket."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive_frame(self) -> bytes | None:
        """Wait for a frame; None at the end of the connection. Raises TimeoutError, losing none."""
        if not self._has_received(4):
            return None
        end = 4 + struct.unpack(">i", self._buffer[:4])[0]
        if not self._has_received(end):
            return None
        frame, self._buffer = self._buffer[4:end], self._buffer[end:]
        return frame

    def _has_received(self, count: int) -> bool:
        """Wait for so many bytes; False if the connection ends before."""
        deadline = time.monotonic() + self._patience_s
        while len(self._buffer) < count:
            left = deadline - time.monotonic()
            self.socket.settimeout(max(min(left, SILENCE_S), 0.001))
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                if left <= SILENCE_S:
                    raise
                self.on_silence()
                continue
            except ConnectionResetError:
                return False
            if not data:
                return False
            self._buffer += data
        return True

    def receive_rest(self) -> bytes:
        """Read to the end of the connection and return the bytes as they are."""
        data, self._buffer = self._buffer, b""
        try:
            while more := self.socket.recv(1 << 16):
                data += more
        except ConnectionResetError:
            return data
        return data

    def drop(self) -> None:
        """Close the socket without a word; the session lives on until it expires."""
        self.socket.close()

    def close(self) -> None:
        """Close the session, then the socket."""
        if self.greeting is not None and self.greeting.session_id:
            self.send(ops.CLOSE)
            self.is_closed_within(PATIENCE_S)
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.drop()


def four_letters(address: tuple[str, int], word: str, patience_s: float = PATIENCE_S) -> str:
    """Send a four-letter word and return all that comes. Raises OSError, also if nothing does."""
    raw = Raw(address)
    try:
        raw.socket.settimeout(patience_s)
        raw.send_bytes(word.encode())
        return raw.receive_rest().decode()
    finally:
        raw.drop()
