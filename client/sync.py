"""The client for threads, and for greenlets where gevent has patched them.

`client.aio` has the same methods for asyncio.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from client.errors import (
    BadArgumentsError,
    ConnectionLossError,
    LagkeeperError,
    OperationTimeoutError,
)
from client.events import (
    CloseRequested,
    DeadlineReached,
    Event,
    SessionEvent,
    Silenced,
    Started,
    Submitted,
)
from client.line import CLOSED_BY_MEMBER, Answer, Frame, Verdict, verdict_of
from client.members import parse_members
from client.ops import Reply, SessionRequest, SessionResponse, UserOp, WatchEvent
from client.replies import Watcher
from client.shell import Listener, Shell, checked_identity
from client.sync_line import Line, Lines, shared_lines
from client.sync_ops import Operations

if TYPE_CHECKING:
    # A program that records nothing need not load what recording takes.
    from client.recording import Joinable

# After these nothing more is heard of the session.
_OVER = (SessionEvent.EXPIRED, SessionEvent.CLOSED, SessionEvent.AUTH_FAILED)


class Pending:
    """An operation under way. Safe for threads."""

    __slots__ = ("_error", "_lock", "_op", "_reply", "_waiting")

    def __init__(self, op: UserOp, lock: threading.Lock) -> None:
        self._op = op
        self._lock = lock
        self._reply: Reply | None = None
        self._error: LagkeeperError | None = None
        # Made only if somebody waits: pipelined replies mostly come before they are asked for.
        self._waiting: threading.Event | None = None

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._reply is not None or self._error is not None

    def result(self, timeout: float | None = None) -> Reply:
        """Return the reply, whatever error code it carries; wait `timeout` seconds at most.

        Raises ConnectionLossError or SessionExpiredError if no reply can come, and
        OperationTimeoutError if none came in time (one may come yet).
        """
        with self._lock:
            if not self.done() and self._waiting is None:
                self._waiting = threading.Event()
        if not self.done() and self._waiting is not None and not self._waiting.wait(timeout):
            raise OperationTimeoutError(self._op.name, self._op.path, f"no reply in {timeout} s")
        if self._error is not None:
            raise self._error
        assert self._reply is not None
        return self._reply

    def settle(self, reply: Reply | None, error: LagkeeperError | None) -> None:
        """Record the outcome. Called with the lock held."""
        self._reply = reply
        self._error = error
        if self._waiting is not None:
            self._waiting.set()


class Client(Shell, Operations):
    """One session. Safe for threads; watchers and the listener are called on another thread."""

    def __init__(
        self,
        members: str | Iterable[str],
        timeout_ms: int = 10_000,
        *,
        session: tuple[int, bytes] | None = None,
        first: int = 0,
        connect_timeout_ms: int = 10_000,
        can_be_read_only: bool = False,
        listener: Listener | None = None,
        lines: Lines | None = None,
        history: Joinable | None = None,
    ) -> None:
        """Prepare; nothing is sent before `start`.

        `members`: addresses, `host:port`; `first`: the index of the one to try first.
        `session`: (session_id, password) of a session to resume. `can_be_read_only`: put up
        with a member that has no quorum, if it serves reads. `history`: a HistoryWriter that
        records every operation, or a program of it.
        """
        super().__init__(
            members,
            timeout_ms,
            session,
            first,
            connect_timeout_ms,
            can_be_read_only,
            listener,
            history,
        )
        self._lines = lines or shared_lines()
        self._lock = threading.Lock()
        self._is_holding = False
        self._settled = threading.Event()
        self._over = threading.Event()

    def start(self) -> Self:
        """Open or resume the session; ConnectionLossError, SessionExpiredError if that fails."""
        with self._lock:
            if self._is_holding or self._over.is_set():
                raise BadArgumentsError("connect", "", "the client was started before")
            self._is_holding = True
        self._lines.hold()
        try:
            self._step(Started())
            self._settled.wait(self._connect_timeout_ms / 1000)
            self._check_started()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End the session: its ephemeral znodes go. A silent client only lets go of its line."""
        with self._lock:
            if not self._is_holding:
                return
            self._is_holding = False
        try:
            self._step(CloseRequested())
            self._over.wait()
        finally:
            self._lines.release()

    def go_silent(self, keep_connection: bool = False) -> None:
        """Drop out without closing the session: no more pings; the leader will expire it.

        The connection is dropped too, or kept open without a word if `keep_connection`.
        """
        self._step(Silenced(keep_connection))

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def submit(self, op: UserOp, watcher: Watcher | None = None) -> Pending:
        """Send an operation without waiting for its reply."""
        self._check_op(op)
        pending = Pending(op, self._lock)
        self._step(Submitted(pending, op, watcher))
        return pending

    # What the session machine asks for; all with the lock held

    def _step(self, event: Event) -> None:
        with self._lock:
            super()._step(event)

    def _on_timer(self, deadline_ms: float) -> None:
        with self._lock:
            # An earlier deadline has replaced this one, and looked after it.
            if deadline_ms == self._armed_ms:
                self._armed_ms = math.inf
                super()._step(DeadlineReached())

    def _line_to(self, member: str) -> Line:
        return self._lines.to(member)

    def _wake_at(self, deadline_ms: float) -> None:
        self._lines.timers.at(deadline_ms, self._on_timer)

    def _complete(self, token: Pending, reply: Reply) -> None:
        token.settle(reply, None)

    def _fail(self, token: Pending, error: LagkeeperError) -> None:
        token.settle(None, error)

    def _fire(self, watchers: tuple[Watcher, ...], event: WatchEvent) -> None:
        for watcher in watchers:
            self._lines.callbacks.call(watcher, event)

    def _announce(self, event: SessionEvent) -> None:
        if event is not SessionEvent.DISCONNECTED:
            self._settled.set()
        if event in _OVER:
            self._over.set()
        if self._listener is not None:
            self._lines.callbacks.call(self._listener, event)


class _OneShot:
    """A connection that is opened only to hear what a member says to a session."""

    def __init__(self) -> None:
        self.settled = threading.Event()
        self.verdict: Verdict | None = None
        self.reason = ""

    def on_frame(self, token: int, frame: Frame) -> None:
        if isinstance(frame, SessionResponse) and not self.settled.is_set():
            self.verdict = verdict_of(frame)
            self.settled.set()

    def on_lost(self, token: int, reason: str) -> None:
        if self.settled.is_set():
            return
        if reason == CLOSED_BY_MEMBER:
            self.verdict = Verdict(Answer.REFUSED)
        self.reason = reason
        self.settled.set()


def connect_once(
    member: str,
    session_id: int,
    password: bytes,
    timeout_ms: int,
    last_zxid: int = 0,
    *,
    wait_ms: int = 10_000,
    lines: Lines | None = None,
) -> Verdict:
    """Present a session to one member, once, and return what it says; then drop the connection.

    A valid verdict has touched the session. Raises ConnectionLossError when the member cannot be
    reached or says nothing for `wait_ms`. Quickest while a client holds the line to that member.
    """
    (address,) = parse_members([member])
    checked_identity((session_id, password))
    handler = _OneShot()
    request = SessionRequest(last_zxid, timeout_ms, session_id, password)
    with lines or shared_lines() as held:
        line = held.to(address)
        number = line.open(handler, 0, request)
        if number:
            handler.settled.wait(wait_ms / 1000)
            line.drop(number)
        if handler.verdict is None:
            reason = handler.reason or f"no answer within {wait_ms} ms"
            raise ConnectionLossError("connect", "", f"{address}: {reason}")
        return handler.verdict
