"""Remembers what the members of an ensemble trace while a test runs, messages and reads included.

Members trace messages and reads only while somebody listens, and forget what a dead process knew;
hence this, all the time. Records stay as they came until a test fails.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from lagkeeper.v1 import admin_pb2

from client.history import Trace
from loadtests.trace_feed import TraceFeed

# `*` is all that is not on demand.
ON_DEMAND = ("message_sent", "message_left", "message_received", "read_served")
KINDS = ("*", *ON_DEMAND)
# Of each member, and of messages and reads apart: what led to a failure, whatever came before.
REMEMBERED = 20_000
PATIENCE_S = 10.0


class Recorder:
    """The newest traces of every member since `forget`."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """Listen to the members at these addresses. Returns when all stream their traces."""
        self._records: dict[tuple[int, bool], deque[admin_pb2.TraceRecord]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED)
        )
        self._feed = TraceFeed(addresses, KINDS, self._take)
        self._feed.wait_until_subscribed(PATIENCE_S)

    def forget(self) -> None:
        """Begin anew."""
        for records in self._records.values():
            records.clear()

    def traces(self, since_ms: float) -> list[Trace]:
        """What was traced since an instant of the host's monotonic clock, in order of time."""
        # Only a test that fails pays for what draws pictures.
        from orchestrator.picture.recording import trace_of

        records = [record for kept in tuple(self._records.values()) for record in tuple(kept)]
        traces = [trace_of(record) for record in records if record.at_ms >= since_ms]
        return sorted(traces, key=lambda trace: trace.at_ms)

    def close(self) -> None:
        """Listen no more. Before members end: gRPC would tell the terminal that they did."""
        self._feed.close()

    def _take(self, record: admin_pb2.TraceRecord) -> None:
        self._records[record.sid, record.kind in ON_DEMAND].append(record)
