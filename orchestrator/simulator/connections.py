"""Owns a client's simulated connection to one member, raw: no retries, no reconnects.

A connection is to a client what a TCP connection is: frames keep their order both ways, and
either end may close it without a word. What to say on it is up to the client.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from nodes.core.effects import CloseConnection, ConnectReply, Notify, Reply
from nodes.core.events import ConnectionLost, ConnectRequested, Event, Submitted
from nodes.core.requests import Op, Ping
from orchestrator.simulator.clock import Clock

Frame = ConnectReply | Reply | Notify | CloseConnection
PING_XID = -2


class Connection:
    """Invariants: frames of one direction never overtake; after `is_closed` nothing arrives.

    `session_id` is 0 until the session is set up, and for ever if it `is_expired`. `on_session`
    is called with the answer to the first, `on_frame` with everything that arrives.
    """

    def __init__(
        self,
        number: int,
        sid: int,
        clock: Clock,
        rng: Random,
        latency_ms: float,
        deliver: Callable[[Event], None],
    ) -> None:
        """`deliver` hands an event to the member `sid`, `latency_ms` is one way."""
        self.number = number
        self.sid = sid
        self.session_id = 0
        self.password = b""
        self.timeout_ms = 0
        self.last_zxid = 0
        self.is_answered = False
        self.is_closed = False
        self.is_silent = False
        self.replies: dict[int, Reply] = {}
        self.reply_order: list[int] = []
        self.notifications: list[Notify] = []
        self.on_frame: Callable[[Frame], None] | None = None
        self.on_session: Callable[[], None] | None = None
        self._clock = clock
        self._rng = rng
        self._latency_ms = latency_ms
        self._deliver = deliver
        self._next_xid = 0
        self._then: dict[int, Callable[[Reply], None]] = {}
        self._out_ms = 0.0
        self._in_ms = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether it is open and carries a session."""
        return self.session_id != 0 and not self.is_closed

    @property
    def is_expired(self) -> bool:
        """Whether the member said that the session which was asked for is expired."""
        return self.is_answered and self.session_id == 0

    def request_session(
        self, session_id: int, password: bytes, timeout_ms: int, last_zxid: int
    ) -> None:
        """Say what a connection says first: which session it wants (0: a new one)."""
        self._send(ConnectRequested(self.number, last_zxid, timeout_ms, session_id, password))

    def submit(self, op: Op, then: Callable[[Reply], None] | None = None) -> int:
        """Send a request; return its xid. `then` is called with the reply, if one comes."""
        self._next_xid += 1
        if then is not None:
            self._then[self._next_xid] = then
        self.submit_as(self._next_xid, op)
        return self._next_xid

    def submit_as(self, xid: int, op: Op) -> None:
        """Send a request under an xid of the client's own choice."""
        self._send(Submitted(self.number, xid, op))

    def keep_alive(self) -> None:
        """Ping at every third of the timeout, until the connection ends or `is_silent`."""
        if self.is_connected and not self.is_silent:
            self.submit_as(PING_XID, Ping())
            at_ms = self._clock.now_ms + self.timeout_ms / 3
            self._clock.call_at(at_ms, self.keep_alive, is_timer=True)

    def drop(self) -> None:
        """Close it from the client's end; the session lives on."""
        self._send(ConnectionLost(self.number))
        self.is_closed = True

    def _send(self, event: Event) -> None:
        if self.is_closed:
            return
        self._out_ms = max(self._out_ms, self._clock.now_ms + self._draw_ms())
        self._clock.call_at(self._out_ms, partial(self._deliver, event))

    def send_back(self, frame: Frame) -> None:
        """Put a frame of the member on its way to the client."""
        self._in_ms = max(self._in_ms, self._clock.now_ms + self._draw_ms())
        self._clock.call_at(self._in_ms, partial(self._arrive, frame))

    def _draw_ms(self) -> float:
        return self._latency_ms * self._rng.uniform(0.8, 1.2)

    def _arrive(self, frame: Frame) -> None:
        if self.is_closed:
            return
        match frame:
            case ConnectReply():
                self.is_answered = True
                self.session_id = frame.session_id
                self.timeout_ms = frame.timeout_ms
                self.password = frame.password
                if self.on_session is not None:
                    self.on_session()
            case Reply():
                self._take(frame)
            case Notify():
                self.notifications.append(frame)
            case CloseConnection():
                self.is_closed = True
        if self.on_frame is not None:
            self.on_frame(frame)

    def _take(self, reply: Reply) -> None:
        self.last_zxid = max(self.last_zxid, reply.zxid)
        if reply.xid == PING_XID:
            return
        self.replies[reply.xid] = reply
        self.reply_order.append(reply.xid)
        then = self._then.pop(reply.xid, None)
        if then is not None:
            then(reply)
