"""What a member traced: the last ones kept, new ones told to whoever listens.

Stamps with the host's monotonic clock, which is one clock for all processes of a host. Kinds that
would cost much are made only while somebody asks for them by name, and never remembered.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Collection
from typing import Protocol

from nodes.core.packet_traces import MESSAGE_TRACES

TraceFields = dict[str, int | str | bool]
# (at_ms, kind, fields)
Record = tuple[float, str, TraceFields]

REMEMBERED = 10_000
# One for each read, or each message between members, would drive everything else out of the
# memory, and out of a slow listener.
READS = frozenset({"read_served"})
ON_DEMAND = READS | MESSAGE_TRACES
EVERYTHING_ELSE = "*"


class Watcher(Protocol):
    """Who is told of every record, at once."""

    def add(self, record: Record) -> None:
        """Take a record."""


class TraceLog:
    """Invariant: `_past` holds the newest records, at most REMEMBERED, none of them ON_DEMAND.

    `wants_messages`: somebody listens to what is said on links.
    """

    def __init__(self) -> None:
        self.wants_messages = False
        self._past: deque[Record] = deque(maxlen=REMEMBERED)
        self._watchers: list[Watcher] = []
        self._demands: Counter[str] = Counter()
        self._wants_reads = False
        self._reads_wanted: Callable[[bool], None] = lambda is_wanted: None

    def attach(self, reads_wanted: Callable[[bool], None]) -> None:
        """Say whom to tell when somebody begins to listen to READS, and when nobody does."""
        self._reads_wanted = reads_wanted

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of every record from now on."""
        self._watchers.append(watcher)

    def add(self, at_ms: float, kind: str, fields: TraceFields) -> None:
        """Remember what happened and tell the listeners."""
        record = (at_ms, kind, fields)
        if kind not in ON_DEMAND:
            self._past.append(record)
        for watcher in self._watchers:
            watcher.add(record)

    async def listen(
        self, kinds: Collection[str], with_past: bool
    ) -> AsyncGenerator[tuple[list[Record], int], None]:
        """Yield records in batches, first an empty one (listening), until closed.

        `kinds` empty: all but ON_DEMAND, for which `*` stands, too, beside others. A listener too
        slow for the traces loses the oldest; the number tells how many it has lost so far.
        """
        listener = _Listener(frozenset(kinds))
        if with_past:
            for record in self._past:
                listener.add(record)
        self._watchers.append(listener)
        self._demand(kinds, 1)
        try:
            yield [], 0
            while True:
                await listener.wake.wait()
                yield listener.take(), listener.lost
        finally:
            self._watchers.remove(listener)
            self._demand(kinds, -1)

    def _demand(self, kinds: Collection[str], change: int) -> None:
        for kind in ON_DEMAND.intersection(kinds):
            self._demands[kind] += change
        self.wants_messages = any(self._demands[kind] for kind in MESSAGE_TRACES)
        wants_reads = any(self._demands[kind] for kind in READS)
        if wants_reads != self._wants_reads:
            self._wants_reads = wants_reads
            self._reads_wanted(wants_reads)


class _Listener:
    """Records not yet taken, of the kinds wanted."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self.wake = asyncio.Event()
        self.lost = 0
        self._kinds = kinds
        self._wants_rest = not kinds or EVERYTHING_ELSE in kinds
        self._waiting: deque[Record] = deque(maxlen=REMEMBERED)

    def add(self, record: Record) -> None:
        kind = record[1]
        if kind in self._kinds or (self._wants_rest and kind not in ON_DEMAND):
            self.lost += len(self._waiting) == REMEMBERED
            self._waiting.append(record)
            self.wake.set()

    def take(self) -> list[Record]:
        self.wake.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
