"""The handlers of gRPC streams under way, so that a member that stops can end them.

A server that cancels open streams tells each peer of an error (GOAWAY with a code), and gRPC
prints that in the programs on the other side. A handler that returns by itself is no error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A peer that reads nothing keeps its stream from ending; it is cut off after this.
_END_PATIENCE_S = 3.0


class OpenStreams:
    """Invariant: holds the tasks that are inside `ending`, and no others."""

    def __init__(self) -> None:
        self._handlers: set[asyncio.Task[Any]] = set()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """What is inside ends, without an error, when the stream breaks or at `end_all`."""
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            yield
        except asyncio.CancelledError:
            # gRPC tells a broken stream like this, too; it would log a re-raise as a crash.
            pass
        finally:
            self._handlers.discard(handler)

    async def end_all(self) -> None:
        """End every stream that is open now; returns when gRPC has told the peers so.

        The task of a handler is gRPC's own and ends after the stream's status has been sent.
        """
        handlers = tuple(self._handlers)
        for handler in handlers:
            handler.cancel()
        if handlers:
            await asyncio.wait(handlers, timeout=_END_PATIENCE_S)
