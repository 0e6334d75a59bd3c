"""Tells when the leader has marked a session closing, and which zxid its closeSession got.

Reads the members' traces (`loadtests.trace_feed`); only the leader traces marks and commits, but
who leads may change. It decides when a program reconnects, never what the program is told: that
is the member's answer to the old session id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from lagkeeper.v1.admin_pb2 import TraceRecord

from loadtests.trace_feed import TraceFeed

MARK, COMMIT = "close_marked", "close_committed"


@dataclass(slots=True)
class Closing:
    """The end of one session, as far as the leader told of it. `zxid` 0: not committed yet."""

    marked: threading.Event = field(default_factory=threading.Event)
    committed: threading.Event = field(default_factory=threading.Event)
    zxid: int = 0


class CloseMarks:
    """Ends of the sessions that somebody expects to end; others pass unnoticed."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._expected: dict[int, Closing] = {}
        self._feed = TraceFeed(addresses, (MARK, COMMIT), self._on_trace)

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether every member streams its traces by then."""
        return self._feed.wait_until_subscribed(timeout_s)

    def expect(self, session_id: int) -> Closing:
        """What will be known of the session's end. Ask before the session can end."""
        return self._expected.setdefault(session_id, Closing())

    def forget(self, session_id: int) -> None:
        """Expect it no longer."""
        self._expected.pop(session_id, None)

    def close(self) -> None:
        """End the streams."""
        self._feed.close()

    def _on_trace(self, trace: TraceRecord) -> None:
        # Not taken out: whoever expects it may begin to wait later than this.
        closing = self._expected.get(trace.fields["session_id"].number)
        if closing is None:
            return
        if trace.kind == MARK:
            closing.marked.set()
        else:
            closing.zxid = read_zxid(trace.fields["zxid"].text)
            closing.committed.set()


def read_zxid(shown: str) -> int:
    """The zxid that is shown as `epoch:counter`."""
    epoch, _, counter = shown.partition(":")
    return int(epoch) << 32 | int(counter)


def lag_of(reply_zxid: int, close_zxid: int) -> int | None:
    """How many transactions a reply is behind a closeSession, that one included; at least 0.

    Counters are dense within an epoch; across a change of epoch the distance is not known.
    """
    if reply_zxid >> 32 != close_zxid >> 32:
        return None
    return max(0, close_zxid - reply_zxid)
