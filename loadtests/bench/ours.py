"""What only this ensemble has, and its real counterpart has not: injected delays, a simulator."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from math import inf

from client.aio import AsyncClient
from client.ops import GetData, Reply, SetData
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible
from orchestrator.member_traces import Traces
from orchestrator.simulator.race import Race

SENT, RECEIVED = "message_sent", "message_received"
DELAY_MS = 20.0
OPERATIONS_A_SECOND = 1000
_READS_AND_A_WRITE = 10
_PACE_S = 0.01
_LOAD_S = 5.0
# Until the last delayed messages have come and both ends have told of them.
_REST_S = 0.5
_VALUE = b"x" * 100

Figures = dict[str, float]


class _Ends:
    """One end's traces of a link: when each message was there, by its number."""

    def __init__(self, traces: Traces, kind: str, peer: int) -> None:
        self.at_ms: dict[int, float] = {}
        self._traces = traces
        self._kind, self._peer = kind, peer
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        for record in self._traces:
            fields = record.fields
            if record.kind == self._kind and fields["peer"].number == self._peer:
                self.at_ms[fields["number"].number] = record.at_ms

    def end(self) -> dict[int, float]:
        """Stop listening; return what was told."""
        self._traces.close()
        self._thread.join()
        return self.at_ms


def delay_error_p99_ms(ensemble: Ensemble) -> float:
    """How late messages of a delayed link are at p99, in milliseconds, under a mixed load.

    From the members' own traces of both ends of the link from the leader to a follower.
    """
    members = ensemble.status().members
    leader = next(m.sid for m in members if m.status.state == "LEADING")
    follower = next(m.sid for m in members if m.sid != leader)
    link = ensemble.link(f"{leader}->{follower}")
    link.delay(ms=DELAY_MS)
    try:
        sent = _Ends(ensemble.traces(leader, [SENT]), SENT, follower)
        received = _Ends(ensemble.traces(follower, [RECEIVED]), RECEIVED, leader)
        try:
            asyncio.run(_load(ensemble.members))
        finally:
            sent_ms, received_ms = sent.end(), received.end()
    finally:
        link.clear()
    # A message that nobody saw arrive is later than all others.
    errors = sorted(
        received_ms.get(number, inf) - at_ms - DELAY_MS for number, at_ms in sent_ms.items()
    )
    return errors[len(errors) * 99 // 100]


async def _load(members: list[str]) -> None:
    """Read nine times for each write, at an even pace, through a client of each member."""
    clients = [await AsyncClient(members, first=i).start() for i in range(len(members))]
    try:
        root = await clients[0].create("/paced-", sequential=True)
        replies: list[asyncio.Future[Reply]] = []
        began = time.monotonic()
        for due_s in _instants():
            await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
            for index in range(round(OPERATIONS_A_SECOND * _PACE_S)):
                op = GetData(root) if index % _READS_AND_A_WRITE else SetData(root, _VALUE)
                client = clients[len(replies) % len(clients)]
                replies.append(client.submit(op))
        if any(reply.error for reply in await asyncio.gather(*replies)):
            raise NotPossible("an operation of the load beside delayed messages failed")
        await asyncio.sleep(_REST_S)
    finally:
        await asyncio.gather(*(client.close() for client in clients))


def _instants() -> Iterator[float]:
    return (number * _PACE_S for number in range(round(_LOAD_S / _PACE_S)))


def race_trials_a_second(trials: int = 1000) -> float:
    """How many trials of window W2 one core simulates in a second."""
    race = Race(seed=1)
    began = time.process_time()
    for _ in range(trials):
        race.w2(DELAY_MS)
    return trials / (time.process_time() - began)
