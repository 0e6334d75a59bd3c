"""The asyncio client. `client.sync` has the same methods for threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from client.aio_line import Line, Lines, shared_lines
from client.aio_ops import Operations
from client.errors import BadArgumentsError, ConnectionLossError, LagkeeperError
from client.events import CloseRequested, SessionEvent, Silenced, Started, Submitted
from client.line import CLOSED_BY_MEMBER, Answer, Frame, Verdict, verdict_of
from client.members import parse_members
from client.ops import Reply, SessionRequest, SessionResponse, UserOp, WatchEvent
from client.replies import Watcher
from client.shell import Listener, Shell, checked_identity

if TYPE_CHECKING:
    # A program that records nothing need not load what recording takes.
    from client.recording import Joinable

# After these nothing more is heard of the session.
_OVER = (SessionEvent.EXPIRED, SessionEvent.CLOSED, SessionEvent.AUTH_FAILED)


class AsyncClient(Shell, Operations):
    """One session, in one event loop. Watchers and the listener are called in that loop."""

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
        self._lines = lines
        self._is_holding = False
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._over = asyncio.Event()

    async def start(self) -> Self:
        """Open or resume the session; ConnectionLossError, SessionExpiredError if that fails."""
        if self._is_holding or self._over.is_set():
            raise BadArgumentsError("connect", "", "the client was started before")
        self._loop = asyncio.get_running_loop()
        self._lines = self._lines or shared_lines()
        self._lines.hold()
        self._is_holding = True
        try:
            self._step(Started())
            try:
                async with asyncio.timeout(self._connect_timeout_ms / 1000):
                    await self._settled.wait()
            except TimeoutError:
                pass
            self._check_started()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """End the session: its ephemeral znodes go. A silent client only lets go of its line."""
        if not self._is_holding or self._lines is None:
            return
        self._is_holding = False
        try:
            self._step(CloseRequested())
            await self._over.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._lines.release()

    async def go_silent(self, keep_connection: bool = False) -> None:
        """Drop out without closing the session: no more pings; the leader will expire it.

        The connection is dropped too, or kept open without a word if `keep_connection`.
        """
        self._step(Silenced(keep_connection))

    async def __aenter__(self) -> Self:
        """Start."""
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def submit(self, op: UserOp, watcher: Watcher | None = None) -> asyncio.Future[Reply]:
        """Send an operation; the future gives the reply, whatever error code that carries.

        The future raises ConnectionLossError or SessionExpiredError if no reply can come.
        """
        self._check_op(op)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._step(Submitted(future, op, watcher))
        return future

    # What the session machine asks for

    def _line_to(self, member: str) -> Line:
        assert self._lines is not None
        return self._lines.to(member)

    def _wake_at(self, deadline_ms: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline_ms / 1000, self._on_deadline)

    def _complete(self, token: asyncio.Future[Reply], reply: Reply) -> None:
        if not token.done():
            token.set_result(reply)

    def _fail(self, token: asyncio.Future[Reply], error: LagkeeperError) -> None:
        if not token.done():
            token.set_exception(error)

    def _fire(self, watchers: tuple[Watcher, ...], event: WatchEvent) -> None:
        # Through the loop: an error in a watcher must not reach the line, and the order against
        # the replies behind the event is kept.
        for watcher in watchers:
            self._loop.call_soon(watcher, event)

    def _announce(self, event: SessionEvent) -> None:
        if event is not SessionEvent.DISCONNECTED:
            self._settled.set()
        if event in _OVER:
            self._over.set()
        if self._listener is not None:
            self._loop.call_soon(self._listener, event)


class _OneShot:
    """A connection that is opened only to hear what a member says to a session."""

    def __init__(self) -> None:
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    def on_frame(self, token: int, frame: Frame) -> None:
        if isinstance(frame, SessionResponse) and not self.verdict.done():
            self.verdict.set_result(verdict_of(frame))

    def on_lost(self, token: int, reason: str) -> None:
        if self.verdict.done():
            return
        if reason == CLOSED_BY_MEMBER:
            self.verdict.set_result(Verdict(Answer.REFUSED))
        else:
            self.verdict.set_exception(ConnectionLossError("connect", "", reason))


async def connect_once(
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
    async with lines or shared_lines() as held:
        line = held.to(address)
        number = line.open(handler, 0, SessionRequest(last_zxid, timeout_ms, session_id, password))
        try:
            return await asyncio.wait_for(handler.verdict, wait_ms / 1000)
        except TimeoutError:
            detail = f"no answer from {address} within {wait_ms} ms"
            raise ConnectionLossError("connect", "", detail) from None
        finally:
            line.drop(number)
