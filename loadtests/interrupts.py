"""Ctrl-C under gevent: brought to the main greenlet, wherever the process was when it came.

Python raises KeyboardInterrupt in whatever runs. Under gevent that may be one of our threads, or a
callback of gRPC's, which print it or drop it, and the load would go on.
"""

from __future__ import annotations

import signal
from types import FrameType

import gevent


def interrupt_main() -> None:
    """From now on signals that would raise KeyboardInterrupt raise it in the calling greenlet."""
    main, loop = gevent.getcurrent(), gevent.get_hub().loop

    def interrupt(number: int, frame: FrameType | None) -> None:
        loop.run_callback_threadsafe(main.throw, KeyboardInterrupt)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, interrupt)
