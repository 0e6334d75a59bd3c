"""Records what the members of an ensemble trace, as a history of traces alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from lagkeeper.v1 import admin_pb2

from client.history import Trace
from loadtests.trace_feed import TraceFeed
from orchestrator.errors import NotAnswering

EVERYTHING = "*"
ON_DEMAND = ("message_sent", "message_left", "message_received", "read_served")
PATIENCE_S = 10.0


class MemberTraces:
    """Hands every trace of the members at these addresses to `take`, from now on to `close`.

    `with_messages`: also each message between members and each read, which members trace only while
    somebody asks. `lost` counts what this program was too slow for. A member that restarts is
    followed again. `take` is called by one thread at a time.
    """

    def __init__(
        self, addresses: Iterable[str], take: Callable[[Trace], None], *, with_messages: bool
    ) -> None:
        self.count = 0
        self._take = take
        self._turn = threading.Lock()
        kinds = [EVERYTHING, *ON_DEMAND] if with_messages else [EVERYTHING]
        self._feed = TraceFeed(addresses, kinds, self._on_trace)
        if not self._feed.wait_until_subscribed(PATIENCE_S):
            self._feed.close()
            raise NotAnswering("a member does not stream its traces: 'orchestrator status'")

    @property
    def lost(self) -> int:
        """How many traces are missing."""
        return self._feed.lost

    def close(self) -> None:
        """Take no more."""
        self._feed.close()

    def _on_trace(self, record: admin_pb2.TraceRecord) -> None:
        trace = trace_of(record)
        with self._turn:
            self.count += 1
            self._take(trace)


def trace_of(record: admin_pb2.TraceRecord) -> Trace:
    """A member's trace as a record of a history."""
    fields: dict[str, int | str | bool | float] = {}
    for name, value in record.fields.items():
        kind = value.WhichOneof("value")
        fields[name] = getattr(value, kind) if kind else 0
    return Trace(record.at_ms, record.sid, record.kind, fields)
