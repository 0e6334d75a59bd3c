"""Owns a simulated ensemble: hosts, links, connections, one clock and one seed.

Everything that is left to chance is drawn from one generator, so that a seed is a run. It
carries effects out and injects faults; what a fault leads to is for the core to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import assert_never

from nodes.core.config import MemberConfig
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
from nodes.core.events import (
    ClosingHeld,
    ClosingReleased,
    Event,
    ExpireRequested,
    PeerConnected,
    PeerLost,
    ReadTracingSet,
    Received,
)
from nodes.core.messages import Message, ServerState
from orchestrator.simulator.clock import Clock
from orchestrator.simulator.connections import Connection
from orchestrator.simulator.disk import Disk
from orchestrator.simulator.host import Host, Life, Observer
from orchestrator.simulator.links import SimulatedLink
from orchestrator.simulator.trace import TraceLog


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How fast everything around the members is. Means, in virtual milliseconds."""

    link_latency_ms: float = 0.1
    disk_sync_ms: float = 0.3
    client_latency_ms: float = 0.05
    reconnect_ms: float = 20.0
    start_spread_ms: float = 5.0
    budget_ms: float = 10_000_000.0


class World:
    """Invariants: the same seed and the same calls give the same trace, to the last bit;

    no wait is longer than the virtual time it is given.
    """

    def __init__(
        self, seed: int, config: MemberConfig, surroundings: Surroundings | None = None
    ) -> None:
        """Every member gets `config` with its own sid; all are down until `start`."""
        self.seed = seed
        self.surroundings = surroundings or Surroundings()
        self.rng = Random(seed)
        self.clock = Clock(self.surroundings.budget_ms)
        self.trace = TraceLog()
        self.sids = config.voters + config.observers
        self.hosts = {sid: self._make_host(replace(config, sid=sid)) for sid in self.sids}
        self.links = {
            (sender, receiver): self._make_link(sender, receiver)
            for sender in self.sids
            for receiver in self.sids
            if sender != receiver
        }
        self.connections: dict[int, Connection] = {}
        self._connections_made = 0
        self._is_tracing_all = False

    def _make_host(self, config: MemberConfig) -> Host:
        def deliver(event: Event) -> None:
            host.deliver(event)

        disk = Disk(self.clock, self.rng, self.surroundings.disk_sync_ms, deliver)
        host = Host(config, self.clock, disk, self._carry_out)
        return host

    def _make_link(self, sender: int, receiver: int) -> SimulatedLink:
        def arrive(connection: int, message: Message) -> None:
            self.hosts[receiver].deliver(Received(sender, connection, message))

        def is_answerable() -> bool:
            return self.links[receiver, sender].is_connected

        latency_ms = self.surroundings.link_latency_ms
        return SimulatedLink(
            sender, receiver, self.clock, self.rng, latency_ms, arrive, is_answerable
        )

    # What members ask for.

    def _carry_out(self, sid: int, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self.links[sid, effect.peer].send(effect.connection, effect.message)
                case (
                    Persist()
                    | PersistEpochs()
                    | TruncateLog()
                    | PersistSnapshot()
                    | WriteSnapshotPart()
                ):
                    self.hosts[sid].disk.write(effect)
                case ConnectReply() | Reply() | Notify():
                    self._send_back(effect)
                case CloseConnection(connection):
                    self._send_back(effect)
                    self.connections.pop(connection, None)
                case Trace(kind, fields):
                    self.trace.add(self.clock.now_ms, sid, kind, fields)
                case _:
                    assert_never(effect)

    def _send_back(self, frame: ConnectReply | Reply | Notify | CloseConnection) -> None:
        # The client may have dropped the connection before the member heard of it.
        connection = self.connections.get(frame.connection)
        if connection is None:
            return
        if connection.is_closed:
            del self.connections[frame.connection]
            return
        connection.send_back(frame)

    def trace_all(self) -> None:
        """From now on trace every message between members and every read, too: for a picture."""
        self._is_tracing_all = True
        for link in self.links.values():
            link.tell = lambda sid, kind, fields: self.trace.add(
                self.clock.now_ms, sid, kind, fields
            )
        for host in self.hosts.values():
            host.deliver(ReadTracingSet(True))

    def _note(self, kind: str, **fields: int | str | bool) -> None:
        self.trace.add(self.clock.now_ms, 0, kind, fields)

    # Members: life and death.

    def watch(self, observer: Observer) -> None:
        """Let `observer` see every step of every member."""
        for host in self.hosts.values():
            host.observer = observer

    def start(self, sids: Iterable[int] | None = None) -> None:
        """Start these members (None: all), a little apart as real processes are."""
        for sid in self.sids if sids is None else sids:
            delay_ms = self.rng.uniform(0, self.surroundings.start_spread_ms)
            self.clock.call_at(self.clock.now_ms + delay_ms, partial(self.restart, sid))

    def restart(self, sid: int) -> None:
        """Start a member that is down with what its disk holds."""
        if self.hosts[sid].is_up:
            raise ValueError(f"member {sid} is up")
        self._note("started", member=sid)
        self.hosts[sid].start()
        if self._is_tracing_all:
            self.hosts[sid].deliver(ReadTracingSet(True))
        for peer in self.sids:
            if peer != sid and self.hosts[peer].is_up:
                self._open_later(sid, peer)
                self._open_later(peer, sid)

    def crash(self, sid: int, survivors: int = 0) -> None:
        """Kill a member. What it had on its way is lost, and what it had not synced.

        `survivors`: how many of its unsynced writes reached the disk nevertheless.
        """
        lost = self.hosts[sid].crash(survivors)
        self._note("crashed", member=sid, unsynced_lost=lost)
        for link in self.links.values():
            if sid in (link.sender, link.receiver) and link.is_connected:
                self._break(link)
        for connection in [c for c in self.connections.values() if c.sid == sid]:
            connection.send_back(CloseConnection(connection.number))
            del self.connections[connection.number]

    def pause(self, sid: int) -> None:
        """Stop a member's process (SIGSTOP)."""
        self._note("paused", member=sid)
        self.hosts[sid].pause()

    def resume(self, sid: int) -> None:
        """Let a paused member go on (SIGCONT)."""
        self._note("resumed", member=sid)
        self.hosts[sid].resume()

    # Links.

    def _open_later(self, sender: int, receiver: int) -> None:
        delay_ms = self.surroundings.reconnect_ms * self.rng.uniform(0.5, 1.0)
        action = partial(self._open, self.links[sender, receiver])
        self.clock.call_at(self.clock.now_ms + delay_ms, action)

    def _open(self, link: SimulatedLink) -> None:
        both_up = self.hosts[link.sender].is_up and self.hosts[link.receiver].is_up
        if both_up and not link.is_connected:
            link.open()
            self.hosts[link.sender].deliver(PeerConnected(link.receiver))
            self.links[link.receiver, link.sender].go_on()

    def _break(self, link: SimulatedLink) -> int:
        lost = link.break_off()
        at_ms = self.clock.now_ms + self.surroundings.link_latency_ms
        self.clock.call_at(at_ms, partial(self._lose, link.sender, link.receiver))
        self.clock.call_at(at_ms, partial(self._lose, link.receiver, link.sender))
        return lost

    def _lose(self, sid: int, peer: int) -> None:
        """Tell `sid` of the break, and that it may speak if its own direction stands."""
        self.hosts[sid].deliver(PeerLost(peer))
        if self.links[sid, peer].is_connected:
            self.hosts[sid].deliver(PeerConnected(peer))

    def link(self, sender: int, receiver: int) -> SimulatedLink:
        """Return the link `sender->receiver`."""
        return self.links[sender, receiver]

    def reset(self, sender: int, receiver: int) -> None:
        """Break a link: what is on its way is lost, both sides notice, then it opens again."""
        link = self.links[sender, receiver]
        if link.is_connected:
            self._note("reset", sender=sender, receiver=receiver, lost=self._break(link))
            self._open_later(sender, receiver)

    def isolate(self, sid: int) -> None:
        """Cut every link from and to a member, silently."""
        for peer in self.sids:
            if peer != sid:
                self.links[sid, peer].set_rule("cut")
                self.links[peer, sid].set_rule("cut")

    def heal(self) -> None:
        """Take every rule off every link; what waited is on its way at once, in order."""
        for link in self.links.values():
            link.clear_rules()

    # Clients.

    def connect(
        self,
        sid: int,
        timeout_ms: int,
        *,
        session_id: int = 0,
        password: bytes = b"",
        last_zxid: int = 0,
    ) -> Connection:
        """Open a connection to a member and ask for a session (0: a new one) on it."""
        self._connections_made += 1
        number = self._connections_made
        latency_ms = self.surroundings.client_latency_ms
        deliver = self.hosts[sid].deliver
        connection = Connection(number, sid, self.clock, self.rng, latency_ms, deliver)
        if not self.hosts[sid].is_up:
            connection.send_back(CloseConnection(number))
            return connection
        self.connections[number] = connection
        connection.request_session(session_id, password, timeout_ms, last_zxid)
        return connection

    def expire(self, session_id: int) -> None:
        """Let the leader expire a session now, as if its bucket had come due."""
        self._host_of_leader().deliver(ExpireRequested(session_id))

    def hold_closing(self) -> None:
        """Stall the leader's expiry thread between marking and submitting (window W0)."""
        self._host_of_leader().deliver(ClosingHeld())

    def release_closing(self) -> None:
        """Let the leader's expiry thread go on."""
        self._host_of_leader().deliver(ClosingReleased())

    def _host_of_leader(self) -> Host:
        leader = self.leader()
        if leader is None:
            raise LookupError("no member leads")
        return self.hosts[leader]

    # Running, and looking.

    def leader(self) -> int | None:
        """Return the serving leader of the highest epoch, as it sees itself."""
        leaders: list[tuple[int, int]] = []
        for sid, host in self.hosts.items():
            if host.life is Life.RUNNING:
                status = host.member.status()
                if status.state is ServerState.LEADING and status.is_serving:
                    leaders.append((status.epoch, sid))
        return max(leaders)[1] if leaders else None

    def is_serving(self) -> bool:
        """Whether every running member serves, in one epoch under one leader."""
        members = [h.member.status() for h in self.hosts.values() if h.life is Life.RUNNING]
        places = {(status.leader, status.epoch) for status in members}
        return len(places) == 1 and all(status.is_serving for status in members)

    def run_for(self, span_ms: float) -> None:
        """Let virtual time pass."""
        self.clock.run_for(span_ms)

    def run_until(
        self, is_true: Callable[[], bool], within_ms: float = 60_000.0, what: str = "so"
    ) -> None:
        """Run until `is_true()`; raises VirtualTimeExceeded, with the seed, if it is too long."""
        self.clock.run_until(is_true, within_ms, f"{what} (seed {self.seed})")

    def run_until_traced(self, kind: str, session_id: int, within_ms: float = 60_000.0) -> None:
        """Run until a member traces `kind` about a session, from now on."""
        records = self.trace.records
        seen = len(records)

        def is_traced() -> bool:
            nonlocal seen
            for record in records[seen:]:
                if record.kind == kind and record.fields.get("session_id") == session_id:
                    return True
            seen = len(records)
            return False

        self.run_until(is_traced, within_ms, f"{kind} traced")

    def run_until_idle(self, within_ms: float = 60_000.0) -> None:
        """Run until nothing is on its way any more but timers."""
        self.clock.run_until_idle(within_ms)

    def run_until_serving(self, within_ms: float = 60_000.0) -> int:
        """Run until every running member serves; return the leader's sid."""
        self.run_until(self.is_serving, within_ms, "serving")
        leader = self.leader()
        assert leader is not None
        return leader
