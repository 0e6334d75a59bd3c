"""How the leader ends sessions: mark closing, submit closeSession; each a step of its own.

In ZooKeeper one thread does both for one session after the other, so a stall between the two
(window W0) also keeps every later session from being marked. Committing and applying the
closeSession (windows W1 and W2) are the pipeline's, as for any transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nodes.core.context import Context
from nodes.core.sessions import SessionTracker


class ExpiryThread:
    """Invariant: while `_stalled` is set nothing is marked; `_due` keeps the order."""

    def __init__(
        self, context: Context, tracker: SessionTracker, submit: Callable[[int], None]
    ) -> None:
        self._context = context
        self._tracker = tracker
        self._submit = submit
        self._due: deque[int] = deque()
        self._stalled: int | None = None
        self.is_held = False

    @property
    def next_ms(self) -> int | None:
        """When to run next; None while stalled, or a due bucket would wake the member for ever."""
        return None if self._stalled is not None else self._tracker.next_ms

    def run(self) -> None:
        """Take what is due and close it, as far as the thread is not stalled."""
        if self._stalled is None:
            self._due.extend(self._tracker.take_due(self._context.now_ms))
        while self._due and self._stalled is None:
            self._close(self._due.popleft())

    def expire(self, session_id: int) -> None:
        """Treat the session as due now."""
        self._due.append(session_id)
        self.run()

    def hold(self) -> None:
        """Stall after the next mark."""
        self.is_held = True

    def release(self) -> None:
        """Go on: submit what is marked, then everything that came due meanwhile."""
        self.is_held = False
        stalled, self._stalled = self._stalled, None
        if stalled is not None:
            self._submit_close(stalled)
        self.run()

    def _close(self, session_id: int) -> None:
        if not self._tracker.mark_closing(session_id):
            return
        self._context.trace("close_marked", session_id=session_id)
        if self.is_held:
            self._stalled = session_id
        else:
            self._submit_close(session_id)

    def _submit_close(self, session_id: int) -> None:
        self._context.trace("close_submitted", session_id=session_id)
        self._submit(session_id)
