"""Ctrl-C, SIGTERM and SIGHUP in a load experiment: where they may break off what goes on.

Owns the signal handlers for as long as an experiment runs. A signal that comes while a report is
written, or while processes are ended, is kept for later: the stopping must not be stopped.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The operator wants an end."""


class Interrupts:
    """Invariant: `Interrupted` is raised inside `allowed` blocks only, and once at most."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_allowed = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals until the block ends."""
        before = {number: signal.getsignal(number) for number in _ENDINGS}
        try:
            for number, handler in before.items():
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self._on_signal)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a signal break off the block, one that came before too."""
        if self.is_asked:
            raise Interrupted
        self._is_allowed = True
        try:
            yield
        finally:
            self._is_allowed = False

    def check(self) -> None:
        """Raise Interrupted if a signal came; to be called now and then in a long `allowed` block.

        Python drops what a handler raises while it is inside a destructor or a library's callback:
        without this such a signal would be forgotten until the block ends by itself.
        """
        if self.is_asked and self._is_allowed:
            raise Interrupted

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        is_first, self.is_asked = not self.is_asked, True
        if is_first and self._is_allowed:
            raise Interrupted
