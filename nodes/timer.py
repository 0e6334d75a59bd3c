"""One alarm at an exact instant, for delays that must be right to a fraction of a millisecond.

The loop's own timers are rounded up to whole milliseconds by epoll. Linux has timers that are
file descriptors, which are not; elsewhere this is the loop's timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _Setting(ctypes.Structure):
    """struct itimerspec: an interval, which is not used here, and the first expiry."""

    _fields_ = [(n, ctypes.c_long) for n in ("every_s", "every_ns", "first_s", "first_ns")]


class Alarm:
    """Calls `ring` once, at the instant set last. Belongs to the running loop."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = -1
        if hasattr(self._libc, "timerfd_create"):
            flags = os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, flags)
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._on_expiry)

    def set(self, at_ms: float) -> None:
        """Ring at this instant of the monotonic clock, and not at the one set before."""
        if self._descriptor < 0:
            if self._handle is not None:
                self._handle.cancel()
            self._handle = self._loop.call_at(at_ms / 1000, self._ring)
            return
        # An instant of 0 would switch the timer off; one that has passed rings at once.
        nanoseconds = max(1, round(at_ms * 1e6))
        first_s, first_ns = divmod(nanoseconds, 1_000_000_000)
        setting = _Setting(0, 0, first_s, first_ns)
        self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(setting), None)

    def close(self) -> None:
        """Never ring again."""
        if self._handle is not None:
            self._handle.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _on_expiry(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, 8)
        self._ring()


def monotonic_ms() -> float:
    """The clock of alarms, links and the core: the host's monotonic one, in milliseconds."""
    return time.monotonic() * 1000
