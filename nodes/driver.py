"""The loop round the core: every event into `Member.steps`, every effect carried out in order.

Makes no decision. One event loop and no task per message; what goes to the disk in one turn of
the loop goes in one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, assert_never

from nodes.client_codec import ClientEffect
from nodes.codec import TxnCodec
from nodes.core.counters import Counters
from nodes.core.dump import Dump
from nodes.core.effects import (
    CloseConnection,
    ConnectReply,
    Effect,
    Notify,
    Persist,
    PersistEpochs,
    PersistSnapshot,
    Reply,
    Send,
    Trace,
    TruncateLog,
    WriteSnapshotPart,
)
from nodes.core.events import DeadlineReached, Event, ReadTracingSet
from nodes.core.messages import Message
from nodes.core.status import Status
from nodes.storage import Job
from nodes.timer import monotonic_ms
from nodes.traces import TraceLog


class Core(Protocol):
    """The state machine that is driven."""

    def steps(self, events: Sequence[Event], now_ms: float) -> list[Effect]:
        """Take events that arrived together, at an instant of the monotonic clock."""

    def deadline(self) -> float | None:
        """The instant at which it wants DeadlineReached."""

    @property
    def is_serving(self) -> bool:
        """Whether clients are served."""

    @property
    def counters(self) -> Counters:
        """What it has counted."""

    def status(self) -> Status:
        """What it tells of itself."""

    def digest(self) -> str:
        """Equal for equal states."""

    def dump(self) -> Dump | None:
        """Its sessions, ephemerals and watches; None unless it serves."""

    def knows_session(self, session_id: int) -> bool:
        """Whether it leads and tracks the session."""


class Peers(Protocol):
    """Where Send goes."""

    def send(self, peer: int, connection: int, message: Message, now_ms: float) -> None:
        """Send a packet over the link `self->peer`."""


class Clients(Protocol):
    """Where answers to clients go."""

    def answer(self, effect: ClientEffect) -> None:
        """Tell a connection something, or close it."""


class Disk(Protocol):
    """Where persistence goes."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Carry out, in order."""


class Driver:
    """Invariant: events are taken one at a time; no effect calls back into `handle`."""

    def __init__(self, member: Core, codec: TxnCodec, disk: Disk, traces: TraceLog) -> None:
        self.member = member
        self.traces = traces
        traces.attach(lambda is_on: self.handle((ReadTracingSet(is_on),)))
        self._counters = member.counters
        self._codec = codec
        self._disk = disk
        self._peers: Peers
        self._clients: Clients
        self._jobs: list[Job] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._timer_ms = 0.0
        self._is_flush_due = False
        self._has_stopped = False
        self._serving_changed: Callable[[bool], None] = lambda is_serving: None
        self._is_serving = False
        self.failed: asyncio.Future[BaseException] = self._loop.create_future()

    def attach(
        self, peers: Peers, clients: Clients, serving_changed: Callable[[bool], None]
    ) -> None:
        """Say where effects go, and who wants to know whether the member serves."""
        self._peers = peers
        self._clients = clients
        self._serving_changed = serving_changed

    def handle(self, events: Sequence[Event]) -> None:
        """Take events that arrived together, in order.

        After a failure nothing is taken any more, and nothing of what came with it is done.
        """
        if self._has_stopped:
            return
        now_ms = monotonic_ms()
        try:
            self._carry_out(self.member.steps(events, now_ms), now_ms)
        except Exception as error:  # the core is broken: its process must stop
            self.fail(error)
            return
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def handle_threadsafe(self, events: Sequence[Event]) -> None:
        """As `handle`, from another thread."""
        self._loop.call_soon_threadsafe(self.handle, events)

    def fail(self, error: BaseException) -> None:
        """Take nothing more; `failed` tells why."""
        self._has_stopped = True
        if not self.failed.done():
            self.failed.set_result(error)

    def fail_threadsafe(self, error: BaseException) -> None:
        """As `fail`, from another thread."""
        self._loop.call_soon_threadsafe(self.fail, error)

    def stop(self) -> None:
        """Take nothing more."""
        self._has_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _carry_out(self, effects: list[Effect], now_ms: float) -> None:
        for effect in effects:
            match effect:
                case Send(peer=peer, connection=connection, message=message):
                    self._peers.send(peer, connection, message, now_ms)
                case Reply() | Notify() | ConnectReply():
                    self._counters.requests.packets_sent += 1
                    self._clients.answer(effect)
                case CloseConnection():
                    self._clients.answer(effect)
                case Persist(txn=txn):
                    self._jobs.append((effect, self._codec.encode(txn)))
                case Trace(kind=kind, fields=fields):
                    self.traces.add(now_ms, kind, fields)
                case PersistEpochs() | TruncateLog() | PersistSnapshot() | WriteSnapshotPart():
                    self._jobs.append((effect, b""))
                case _:
                    assert_never(effect)

    def _flush(self) -> None:
        """Once per turn of the loop: the disk's batch, the next deadline, the health."""
        self._is_flush_due = False
        if self._jobs:
            self._disk.submit(self._jobs)
            self._jobs = []
        self._arm()
        is_serving = self.member.is_serving
        if is_serving != self._is_serving:
            self._is_serving = is_serving
            self._serving_changed(is_serving)

    def _arm(self) -> None:
        """Have a timer that fires no later than the deadline.

        A timer that comes early only looks again: deadlines are moved with every packet, timers
        would cost more than the packets.
        """
        deadline_ms = self.member.deadline()
        if deadline_ms is None or self._has_stopped:
            return
        if self._timer is not None:
            if self._timer_ms <= deadline_ms:
                return
            self._timer.cancel()
        self._timer_ms = deadline_ms
        self._timer = self._loop.call_at(deadline_ms / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        deadline_ms = self.member.deadline()
        if deadline_ms is not None and monotonic_ms() >= deadline_ms:
            self.handle((DeadlineReached(),))
        else:
            self._arm()
