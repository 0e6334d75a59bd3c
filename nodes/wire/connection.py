"""One client's TCP connection: bytes to frames to the core's events, answers to bytes.

Reads no further while its session is being set up, while too many requests are outstanding, and
while its client does not read: what waits then is bounded. Knows no session and judges no
request.
"""

from __future__ import annotations

import asyncio
import fcntl
import termios
import time
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from nodes.client_codec import ClientEffect
from nodes.config import show_address
from nodes.core.effects import ConnectReply, Notify, Reply
from nodes.core.events import ConnectionLost, Event, Submitted
from nodes.core.requests import Auth, Op
from nodes.wire.answers import encode_connect, encode_event, encode_reply, encode_sasl_refusal
from nodes.wire.jute import INT, Reader, Undecodable
from nodes.wire.requests import BODY, HEADER, OpCode, decode_connect, decode_op
from nodes.wire.stats import ConnectionStats

if TYPE_CHECKING:
    from nodes.wire.server import WireServer

# ZooKeeper's default jute.maxbuffer, for a frame without its length.
MAX_FRAME_BYTES = 1_048_575
# Requests that go to the core in one step, at most. Reads are answered in it, so this many answers
# may come before anybody can see how large they are: few at first, and where they are large.
_BATCH = 64
_FIRST_BATCH = 8
# Then the loop turns to others, some 10 ms later, however much one client has sent.
_BATCHES_A_TURN = 4
# Of answers on their way to a client: above the first nothing more is read from it, above the
# second it is let go, since events and answers to writes would come all the same.
_MUCH_UNREAD_BYTES = 1 << 20
_TOO_MUCH_UNREAD_BYTES = 256 << 20
_SIZE_BYTES = INT.size
# `zookeeper.nio.sessionlessCnxnTimeout`: idle connections are closed at multiples of it.
IDLE_GRID_S = 10.0
_PING_XID = -2
_LOGINS = (OpCode.AUTH, OpCode.SASL)


class Stage(Enum):
    """How far a connection is."""

    NEW = "nothing read yet"
    CONNECTING = "its session is being set up"
    OPEN = "requests are served"
    OVER = "nothing is read or answered any more"


class WireConnection(asyncio.Protocol):
    """Invariants: `asked` has the requests that the core has and has not answered, in their order
    (it answers in that order); once OVER, its number means nothing to server and core.
    """

    def __init__(self, server: WireServer, number: int) -> None:
        self.number = number
        self.host = self.peer = ""
        self.stage = Stage.NEW
        self.session_id = 0
        self.session_timeout_s = 0.0
        self.established_ms = int(time.time() * 1000)
        self.stats = ConnectionStats()
        self.touched_s = server.now_s()
        self.asked: deque[tuple[int, int, Op, float]] = deque()
        self._server = server
        self._transport: asyncio.Transport
        self._has_read_only = False
        self._is_in_auth = False
        self._rest = bytearray()
        self._needs = _SIZE_BYTES
        self._batch = _FIRST_BATCH
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._is_clogged = False
        self._is_paused = False

    @property
    def is_readable(self) -> bool:
        """Whether more is read from it now."""
        return self.stage is not Stage.OVER and not self._is_paused

    @property
    def is_new(self) -> bool:
        """Whether nothing was read from it yet."""
        return self.stage is Stage.NEW

    @property
    def has_session(self) -> bool:
        """Whether the core knows of it."""
        return self.stage in (Stage.CONNECTING, Stage.OPEN)

    @property
    def has_unread(self) -> bool:
        """Whether its client has said something that a busy member has not come to read yet."""
        socket = self._transport.get_extra_info("socket")
        # None of a TLS connection that is just being lost.
        if socket is None:
            return False
        size = bytearray(INT.size)
        fcntl.ioctl(socket.fileno(), termios.FIONREAD, size)
        return any(size)

    @property
    def closes_s(self) -> float:
        """When it is closed unless something is read or written."""
        idle_s = self.touched_s + self.session_timeout_s
        return (idle_s // IDLE_GRID_S + 1) * IDLE_GRID_S

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there; one more than its host may have is sent away."""
        # No event loop but asyncio's own makes subclasses of its Transport.
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=_MUCH_UNREAD_BYTES)
        # None of a client that has gone again already.
        address: Any = transport.get_extra_info("peername")
        if address is not None:
            self.host, self.peer = address[0], "/" + show_address(*address[:2])
        if not self._server.admit(self):
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by whomever."""
        # Nobody reads it, and not every loop puts up with a word to a transport that is lost.
        self._unsent.clear()
        self._unsent_bytes = 0
        self._lose()
        self._server.on_closed(self)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._is_clogged = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_clogged = False
        self.go_on()

    def data_received(self, data: bytes) -> None:
        """Take what can be taken now, keep the rest."""
        self.touched_s = self._server.now_s()
        if self.stage is Stage.OVER:
            return
        if self._rest or not self._may_read():
            self._rest += data
            self.go_on()
        else:
            self._read(data)

    # Requests.

    def go_on(self) -> None:
        """Read what is kept, if it may be read now and is enough for a frame."""
        if not self._may_read():
            if self._rest:
                self._hold()
            return
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        if len(self._rest) >= self._needs:
            data = bytes(self._rest)
            self._rest.clear()
            self._read(data)

    def _may_read(self) -> bool:
        return (
            (self.stage is Stage.OPEN or self.stage is Stage.NEW)
            and not self._is_clogged
            and self._unsent_bytes < _MUCH_UNREAD_BYTES
            and (not self.asked or self._server.has_room())
        )

    def _hold(self) -> None:
        """Let the client wait: its bytes stay in the kernel, and then with itself."""
        if not self._is_paused and self.stage is not Stage.OVER:
            self._is_paused = True
            self._transport.pause_reading()
        if self.asked:
            self._server.call_when_room(self)

    def _read(self, data: bytes) -> None:
        at, is_more, batches = 0, True, 0
        while is_more and batches < _BATCHES_A_TURN and self._may_read():
            batches += 1
            events: list[Event] = []
            try:
                at, is_more = self._read_some(data, at, events)
            except Undecodable:
                # As ZooKeeper: what cannot even be answered costs the connection, and what came
                # before it is done all the same.
                self._deliver(events)
                self.end()
                return
            self._deliver(events)
            if self._unsent_bytes >= _MUCH_UNREAD_BYTES:
                self._batch = 1
            elif is_more and self._batch < _BATCH:
                self._batch *= 2
        if at < len(data) and self.stage is not Stage.OVER:
            self._rest += data[at:]
            if is_more:
                # Whole frames may be among it, whatever the last one needed.
                self._needs = _SIZE_BYTES
                self._hold()
                if self._may_read():
                    self._server.go_on_soon(self)

    def _read_some(self, data: bytes, at: int, events: list[Event]) -> tuple[int, bool]:
        """Read some frames from `at` on. Returns where it stopped, and whether more may follow.

        Raises Undecodable.
        """
        if self.stage is Stage.NEW:
            return self._read_first(data, at, events)
        now_s, number, server = self.touched_s, self.number, self._server
        for _ in range(self._batch):
            end = self._frame_end(data, at)
            if end == 0:
                return at, False
            frame = data[at + _SIZE_BYTES : end]
            at = end
            xid, opcode = HEADER.unpack_from(frame)
            if opcode in _LOGINS:
                self._deliver(events)
                events.clear()
                self._log_in(xid, opcode, frame)
                if self.stage is Stage.OPEN:
                    continue
                # Refused, and closed: what is behind it has nobody to answer it.
                return at, False
            if opcode == OpCode.PING:
                xid = _PING_XID  # under which it is answered, whatever the client called it
            op = decode_op(opcode, frame)
            self.asked.append((xid, opcode, op, now_s))
            server.outstanding += 1
            self.stats.received += 1
            events.append(Submitted(number, xid, op))
        return at, True

    def _deliver(self, events: list[Event]) -> None:
        if events:
            self._server.deliver(events)

    def _frame_end(self, data: bytes, at: int) -> int:
        """Return where the frame at `at` ends; 0 if it is not all there. Raises Undecodable."""
        there = len(data) - at
        if there < _SIZE_BYTES:
            self._needs = _SIZE_BYTES
            return 0
        size: int = INT.unpack_from(data, at)[0]
        if not BODY <= size <= MAX_FRAME_BYTES:
            raise Undecodable(f"a frame of {size} bytes")
        self._needs = _SIZE_BYTES + size
        return at + self._needs if self._needs <= there else 0

    def _read_first(self, data: bytes, at: int, events: list[Event]) -> tuple[int, bool]:
        """A four-letter word, or a ConnectRequest from a member that serves."""
        if len(data) - at < _SIZE_BYTES:
            return at, False
        word = data[at : at + _SIZE_BYTES]
        answer = self._server.answer_word(word)
        if answer is not None:
            self.stats.received += 1
            self._send(answer)
            self.end()
            return len(data), False
        if not self._server.is_serving:
            raise Undecodable("nobody serves here now")
        end = self._frame_end(data, at)
        if end == 0:
            return at, False
        frame = data[at + _SIZE_BYTES : end]
        event, self._has_read_only = decode_connect(self.number, self.host, frame)
        events.append(event)
        self.stats.received += 1
        self.stage = Stage.CONNECTING
        # Not idle for as long as its session would live, however long the set-up takes.
        self.session_timeout_s = self._server.negotiated_s(event.timeout_ms)
        return end, True

    def _log_in(self, xid: int, opcode: int, frame: bytes) -> None:
        """Auth and SASL are answered at once, before what still waits for its turn.

        Raises Undecodable.
        """
        if opcode == OpCode.SASL:
            if Reader(frame, BODY).buffer() is None:
                raise Undecodable("a SASL packet without a token")
            self._send(encode_sasl_refusal(xid))
            return
        op = decode_op(opcode, frame)
        self._is_in_auth = True
        self._server.deliver([Submitted(self.number, xid, op)])
        self._is_in_auth = False

    # Answers.

    def answer(self, effect: ClientEffect) -> None:
        """Queue an answer for the end of this turn of the loop."""
        # By exact type: this is done for every operation, and a match takes its time.
        if type(effect) is Reply:
            self._send(self._encode_reply(effect))
        elif type(effect) is Notify:
            self.stats.sent += 1
            self._send(encode_event(effect))
        elif type(effect) is ConnectReply:
            self._on_session(effect)
        else:
            self._end()

    def _on_session(self, reply: ConnectReply) -> None:
        if reply.session_id:
            self.stage = Stage.OPEN
            self.session_id = reply.session_id
            self.session_timeout_s = reply.timeout_ms / 1000
            self.stats.on_reply(OpCode.CREATE_SESSION, 0, 0, self.touched_s, self._server.now_s())
        self._send(encode_connect(reply, has_read_only=self._has_read_only))

    def _encode_reply(self, reply: Reply) -> bytes:
        if self._is_in_auth:
            return encode_reply(reply, OpCode.AUTH, Auth("", b""))
        while True:
            xid, opcode, op, asked_s = self.asked.popleft()
            self._server.outstanding -= 1
            # Those before it are of a session that is closing: dropped without an answer.
            if xid == reply.xid:
                break
        self.stats.on_reply(opcode, xid, reply.zxid, asked_s, self._server.now_s())
        return encode_reply(reply, opcode, op)

    def _send(self, frame: bytes) -> None:
        if not self._unsent:
            self._server.flush_soon(self)
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)

    def flush(self) -> None:
        """Write what was queued, then go on with what waited for it."""
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            self._unsent_bytes = 0
            self._transport.write(data)
            self.touched_s = self._server.now_s()
        if self.stage is Stage.OVER:
            self._transport.close()
        elif self._transport.get_write_buffer_size() > _TOO_MUCH_UNREAD_BYTES:
            self.abort()
        elif self._rest:
            self.go_on()

    # The end.

    def end(self) -> None:
        """Close it behind what was sent, for the client has broken the protocol or has left it."""
        self._lose()
        self._end()

    def abort(self) -> None:
        """Close it now, whatever is not sent."""
        self._lose()
        self._end()
        self._transport.abort()

    def _lose(self) -> None:
        """Let the core know, if it has ever heard of this connection."""
        was_known = self.has_session
        if self.stage is not Stage.OVER:
            self._forget()
        if was_known:
            self._server.deliver([ConnectionLost(self.number)])

    def _end(self) -> None:
        if self.stage is not Stage.OVER:
            self._forget()
        self._server.flush_soon(self)

    def _forget(self) -> None:
        self.stage = Stage.OVER
        self._rest.clear()
        self._server.forget(self)
        self._server.outstanding -= len(self.asked)
        self.asked.clear()
