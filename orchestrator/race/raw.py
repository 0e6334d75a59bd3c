"""A bare connection to one member: no pings, no reconnect, no retry.

For the rows that ask what happens to a request whose session is closing: a client that helps
itself would hide it.
"""

from __future__ import annotations

import asyncio
import time

from client.aio_line import Line, Lines
from client.line import Frame
from client.ops import Reply, Request, SessionRequest, SessionResponse, UserOp


class RawConnection:
    """Resumes a session and then says only what it is told to. Invariant: `is_lost` is final."""

    def __init__(self, lines: Lines) -> None:
        loop = asyncio.get_running_loop()
        self.session: asyncio.Future[SessionResponse] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.replies: list[Reply] = []
        self.last_reply_ms = 0.0
        self._lines = lines
        self._line: Line | None = None
        self._number = 0
        self._xid = 0

    async def resume(
        self, address: str, session_id: int, password: bytes, timeout_ms: int
    ) -> SessionResponse:
        """Present the session and wait for the answer."""
        self._line = self._lines.to(address)
        request = SessionRequest(0, timeout_ms, session_id, password)
        self._number = self._line.open(self, 0, request)
        return await asyncio.wait_for(self.session, 10)

    def send(self, op: UserOp) -> None:
        """Send a request; a reply, if one comes, is added to `replies`."""
        assert self._line is not None
        self._xid += 1
        self._line.send(self._number, Request(self._xid, op))

    def on_frame(self, token: int, frame: Frame) -> None:
        """Take a frame from the line."""
        if isinstance(frame, SessionResponse):
            if not self.session.done():
                self.session.set_result(frame)
        elif isinstance(frame, Reply):
            self.replies.append(frame)
            self.last_reply_ms = time.monotonic() * 1000

    def on_lost(self, token: int, reason: str) -> None:
        """Take the end of the connection."""
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self.session.done():
            self.session.cancel()
