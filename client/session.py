"""The client's session machine: which member to talk to, what to send, what an answer means.

Owns the connection states, the numbering of requests, pings and timeouts (as Apache's
`ClientCnxn`), reconnecting, expiry, and what a new connection must be told again: identities
and watches. PURE: no clock, no I/O,
no randomness; `now_ms` is given, timers are deadlines. Tokens and watchers are opaque; it
returns them in effects. It never sees an address, only the index of a member.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, assert_never

from client.events import (
    Announce,
    CloseRequested,
    Complete,
    DeadlineReached,
    Drop,
    Effect,
    Event,
    Fail,
    Fire,
    Lost,
    Open,
    Received,
    Send,
    SessionEvent,
    SessionState,
    Silenced,
    Started,
    Submitted,
)
from client.identities import Identities
from client.ops import (
    AUTH_XID,
    MAX_XID,
    PING_XID,
    SET_WATCHES_XID,
    Auth,
    CheckWatches,
    CloseSession,
    Multi,
    Ping,
    Reconfig,
    RemoveWatches,
    Reply,
    Request,
    SessionRequest,
    SessionResponse,
    SetAcl,
    UserOp,
    WatchEvent,
    WriteOp,
)
from client.watches import Watches

_CONNECTION_LOSS = -4
_SESSION_EXPIRED = -112
_AUTH_FAILED = -115
_NO_WATCHER = -121
# ClientCnxn.MAX_SEND_PING_INTERVAL: however long the timeout, a ping at least so often.
_MAX_PING_INTERVAL_MS = 10_000.0
_FIRST_BACKOFF_MS = 50.0
_MAX_BACKOFF_MS = 1000.0
_OVER = (SessionState.EXPIRED, SessionState.CLOSED, SessionState.AUTH_FAILED)


@dataclass(slots=True)
class _Pending:
    """A request that was sent and awaits its reply."""

    xid: int
    token: Any
    op: UserOp | CloseSession
    watcher: Any


class Session:
    """One session of one client.

    Invariants: `_pending` is empty unless CONNECTED, `_queued` unless CONNECTING; at most one
    connection is open, numbered `connection`; EXPIRED, CLOSED and AUTH_FAILED are final.
    A session that only a read-only member has opened is never presented to another.
    """

    def __init__(
        self,
        members: int,
        timeout_ms: int,
        *,
        first: int = 0,
        session_id: int = 0,
        password: bytes = b"",
        last_zxid: int = 0,
        can_be_read_only: bool = False,
    ) -> None:
        self.state = SessionState.CONNECTING
        self.session_id = session_id
        self.password = password
        self.timeout_ms = timeout_ms
        self.last_zxid = last_zxid
        self.member = first % members
        self.connection = 0
        self.watches = Watches()
        self.is_read_only = False
        # A member has answered the closing: not so when a client that closes loses its line.
        self.is_closed_surely = False
        self._can_be_read_only = can_be_read_only
        self._is_replicated = session_id != 0
        self._identities = Identities()
        self._members = members
        self._wanted_timeout_ms = timeout_ms
        self._is_open = False
        self._is_closing = False
        self._is_silent = False
        self._failures = 0
        self._last_xid = 0
        self._pending: deque[_Pending] = deque()
        self._queued: deque[Submitted] = deque()
        self._connect_by_ms = 0.0
        self._retry_at_ms: float | None = None
        self._heard_ms = 0.0
        self._sent_ms = 0.0

    def step(self, event: Event, now_ms: float) -> list[Effect]:
        """Take an event, return what is to be done about it, in order."""
        match event:
            case Received():
                return self._on_received(event, now_ms)
            case Submitted():
                return self._on_submitted(event, now_ms)
            case DeadlineReached():
                return self._on_deadline_reached(now_ms)
            case Started():
                return [self._open(now_ms)]
            case Lost():
                if not self._is_open or event.connection != self.connection:
                    return []
                return self._lose(now_ms)
            case CloseRequested():
                return self._on_close_requested(now_ms)
            case Silenced():
                return self._on_silenced(event)
            case _:
                assert_never(event)

    def deadline(self) -> float | None:
        """Return the instant, in the milliseconds of `now_ms`, at which to step next."""
        if self.state is SessionState.CONNECTED:
            if self._is_silent:
                return None
            return min(self._read_deadline(), self._ping_deadline())
        if self.state is SessionState.CONNECTING:
            return self._connect_by_ms if self._is_open else self._retry_at_ms
        return None

    def _read_deadline(self) -> float:
        return self._heard_ms + self.timeout_ms * 2 / 3

    def _ping_deadline(self) -> float:
        return self._sent_ms + min(self.timeout_ms / 3, _MAX_PING_INTERVAL_MS)

    # Requests and their answers

    def _on_submitted(self, event: Submitted, now_ms: float) -> list[Effect]:
        if isinstance(event.op, Auth) and self.state not in _OVER:
            return self._add_identity(event.op, event)
        if self.state is SessionState.CONNECTED and not self._is_closing:
            return [self._send(event, now_ms)]
        if self.state is SessionState.CONNECTING:
            self._queued.append(event)
            return []
        if self.state is SessionState.EXPIRED:
            return [_refusal(event, _SESSION_EXPIRED, "")]
        if self.state is SessionState.AUTH_FAILED:
            return [_refusal(event, _AUTH_FAILED, "")]
        return [_refusal(event, _CONNECTION_LOSS, "the client is closed")]

    def _send(self, submitted: Submitted, now_ms: float) -> Send:
        return self._send_numbered(submitted.token, submitted.op, submitted.watcher, now_ms)

    def _send_numbered(
        self, token: Any, op: UserOp | CloseSession, watcher: Any, now_ms: float
    ) -> Send:
        xid = self._last_xid = self._last_xid + 1 if self._last_xid < MAX_XID else 1
        self._pending.append(_Pending(xid, token, op, watcher))
        self._sent_ms = now_ms
        return Send(self.connection, Request(xid, op))

    def _on_received(self, event: Received, now_ms: float) -> list[Effect]:
        if not self._is_open or event.connection != self.connection:
            return []
        self._heard_ms = now_ms
        frame = event.frame
        match frame:
            case Reply():
                return self._on_reply(frame, now_ms)
            case WatchEvent():
                watchers = self.watches.consume(frame.type, frame.path)
                return [Fire(watchers, frame)] if watchers else []
            case SessionResponse():
                return self._on_session_response(frame, now_ms)
            case _:
                assert_never(frame)

    def _on_reply(self, reply: Reply, now_ms: float) -> list[Effect]:
        self._failures = 0
        if reply.xid in (PING_XID, SET_WATCHES_XID):
            return []
        if reply.xid == AUTH_XID:
            return self._on_auth_reply(reply, now_ms)
        if not self._pending or self._pending[0].xid != reply.xid:
            # Nobody can tell any more which answer belongs to which request.
            return self._drop_and_lose(now_ms)
        call = self._pending.popleft()
        # A member that has applied less is refused from now on; this is what keeps a session
        # from seeing an older state after it has moved.
        self.last_zxid = max(self.last_zxid, reply.zxid)
        if isinstance(call.op, CloseSession):
            self.is_closed_surely = True
            return [*self._finish(SessionState.CLOSED), Announce(SessionEvent.CLOSED)]
        if isinstance(call.op, CheckWatches | RemoveWatches):
            return self._on_watches_checked(call, call.op, reply)
        if call.watcher is not None:
            self.watches.register(call.op, reply.error, call.watcher)
        return [Complete(call.token, reply)]

    def _on_watches_checked(
        self, call: _Pending, op: CheckWatches | RemoveWatches, reply: Reply
    ) -> list[Effect]:
        """A check alone forgets nothing here; with a watcher, it forgets that one."""
        if reply.error or (isinstance(op, CheckWatches) and call.watcher is None):
            return [Complete(call.token, reply)]
        removed = self.watches.forget(op, call.watcher)
        if not removed and call.watcher is not None:
            # The member has a watch there, but not for this watcher.
            reply = Reply(reply.xid, reply.zxid, _NO_WATCHER, None)
        told: list[Effect] = [Fire(watchers, event) for watchers, event in removed]
        return [*told, Complete(call.token, reply)]

    # Identities

    def _add_identity(self, op: Auth, submitted: Submitted) -> list[Effect]:
        self._identities.add(op, submitted)
        if self.state is not SessionState.CONNECTED or self._is_closing or self._is_silent:
            return []
        return [self._show(self._identities.show_last())]

    def _show(self, op: Auth) -> Send:
        return Send(self.connection, Request(AUTH_XID, op))

    def _on_auth_reply(self, reply: Reply, now_ms: float) -> list[Effect]:
        if not self._identities.awaits_answer:
            return self._drop_and_lose(now_ms)
        if reply.error:
            # The program is not who it thinks it is, so nothing may go on; the session is left to
            # expire, as by ZooKeeper's clients.
            failed = self._finish(SessionState.AUTH_FAILED)
            return [*failed, Announce(SessionEvent.AUTH_FAILED)]
        waiting = self._identities.accept()
        return [] if waiting is None else [Complete(waiting.token, reply)]

    # Connecting

    def _open(self, now_ms: float) -> Open:
        self.connection += 1
        self._is_open = True
        self._retry_at_ms = None
        self._connect_by_ms = now_ms + self.timeout_ms / self._members
        known = self._is_replicated
        request = SessionRequest(
            self.last_zxid,
            self._wanted_timeout_ms,
            self.session_id if known else 0,
            self.password if known else b"",
            self._can_be_read_only,
        )
        return Open(self.connection, self.member, request)

    def _on_session_response(self, response: SessionResponse, now_ms: float) -> list[Effect]:
        if self.state is SessionState.CONNECTED:
            return self._drop_and_lose(now_ms)
        if response.timeout_ms <= 0:
            self.state = SessionState.EXPIRED
            return [*self._finish(SessionState.EXPIRED), Announce(SessionEvent.EXPIRED)]
        self.state = SessionState.CONNECTED
        self.session_id = response.session_id
        self.password = response.password
        self.timeout_ms = response.timeout_ms
        self.is_read_only = response.is_read_only
        self._is_replicated |= not response.is_read_only
        self._sent_ms = now_ms
        effects: list[Effect] = [Announce(SessionEvent.CONNECTED)]
        effects += map(self._show, self._identities.show_all())
        for set_watches in self.watches.set_watches(self.last_zxid):
            effects.append(Send(self.connection, Request(SET_WATCHES_XID, set_watches)))
        while self._queued:
            effects.append(self._send(self._queued.popleft(), now_ms))
        return effects

    def _on_deadline_reached(self, now_ms: float) -> list[Effect]:
        if self.state is SessionState.CONNECTED and not self._is_silent:
            if now_ms >= self._read_deadline():
                return self._drop_and_lose(now_ms)
            if now_ms >= self._ping_deadline():
                self._sent_ms = now_ms
                return [Send(self.connection, Request(PING_XID, Ping()))]
        elif self.state is SessionState.CONNECTING:
            if self._is_open and now_ms >= self._connect_by_ms:
                return self._drop_and_lose(now_ms)
            if self._retry_at_ms is not None and now_ms >= self._retry_at_ms:
                return [self._open(now_ms)]
        return []

    def _drop_and_lose(self, now_ms: float) -> list[Effect]:
        return [Drop(self.connection), *self._lose(now_ms)]

    def _lose(self, now_ms: float) -> list[Effect]:
        """Leave a connection that is gone; the next member is tried, or the session is over."""
        was_connected = self.state is SessionState.CONNECTED
        self._is_open = False
        effects: list[Effect] = self._fail_all(_CONNECTION_LOSS, "")
        self._identities.hide()
        if self._is_closing or self._is_silent:
            self.state = SessionState.CLOSED
            self.watches.clear()
            effects += self._fail_identities(_CONNECTION_LOSS)
            return [*effects, Announce(SessionEvent.CLOSED)]
        self.state = SessionState.CONNECTING
        if was_connected:
            effects.append(Announce(SessionEvent.DISCONNECTED))
        self.member = (self.member + 1) % self._members
        self._failures += 1
        rounds, rest = divmod(self._failures, self._members)
        if rest:
            effects.append(self._open(now_ms))
        else:
            # Every member has failed in turn: wait, longer each time, lest thousands of clients
            # hammer an ensemble that is electing.
            backoff_ms = min(_FIRST_BACKOFF_MS * 2 ** min(rounds - 1, 10), _MAX_BACKOFF_MS)
            self._retry_at_ms = now_ms + backoff_ms
        return effects

    # The end of a session

    def _on_close_requested(self, now_ms: float) -> list[Effect]:
        if self._is_closing or self.state in _OVER:
            return []
        if self.state is SessionState.CONNECTED and not self._is_silent:
            self._is_closing = True
            return [self._send_numbered(None, CloseSession(), None, now_ms)]
        return [*self._finish(SessionState.CLOSED), Announce(SessionEvent.CLOSED)]

    def _on_silenced(self, event: Silenced) -> list[Effect]:
        if self.state in _OVER:
            return []
        self._is_silent = True
        if self.state is SessionState.CONNECTED and event.keep_connection:
            return []
        return [*self._finish(SessionState.CLOSED), Announce(SessionEvent.CLOSED)]

    def _finish(self, state: SessionState) -> list[Effect]:
        """Drop the connection, fail what is under way: nothing follows this."""
        self.state = state
        effects: list[Effect] = [Drop(self.connection)] if self._is_open else []
        self._is_open = False
        self._retry_at_ms = None
        self.watches.clear()
        match state:
            case SessionState.EXPIRED:
                code, detail = _SESSION_EXPIRED, ""
            case SessionState.AUTH_FAILED:
                code, detail = _AUTH_FAILED, ""
            case _:
                code, detail = _CONNECTION_LOSS, "the client is closed"
        return [*effects, *self._fail_identities(code), *self._fail_all(code, detail)]

    def _fail_identities(self, code: int) -> list[Effect]:
        return [_refusal(waiting, code, "") for waiting in self._identities.take_waiting()]

    def _fail_all(self, code: int, detail: str) -> list[Effect]:
        effects: list[Effect] = []
        for call in self._pending:
            op = call.op
            if not isinstance(op, CloseSession):
                definite = not isinstance(op, WriteOp | Multi | SetAcl | Reconfig)
                reason = detail if definite else detail or "it may have happened"
                effects.append(Fail(call.token, op, code, definite, reason))
        self._pending.clear()
        while self._queued:
            effects.append(_refusal(self._queued.popleft(), code, detail or "it was not sent"))
        return effects


def _refusal(submitted: Submitted, code: int, detail: str) -> Fail:
    return Fail(submitted.token, submitted.op, code, True, detail)
