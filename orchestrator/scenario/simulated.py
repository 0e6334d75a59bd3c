"""The stage in virtual time: `orchestrator.simulator`'s world. Its waits run the world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from client.history import Trace
from client.line import CLOSED_BY_MEMBER, Handler
from client.ops import (
    ClientFrame,
    Reply,
    Request,
    SessionRequest,
    SessionResponse,
    WatchEvent,
)
from nodes.core import effects as member_effects
from nodes.core.config import MemberConfig
from nodes.rules import LinkRule, show_rule
from orchestrator.errors import NotPossible
from orchestrator.scenario.model import EnsembleSection
from orchestrator.scenario.stage import Link, RuleKey
from orchestrator.simulator.clients import to_client, to_member
from orchestrator.simulator.clock import VirtualTimeExceeded
from orchestrator.simulator.connections import Connection, Frame
from orchestrator.simulator.elections import elect
from orchestrator.simulator.host import Life
from orchestrator.simulator.world import World

# Timeouts are as long as files like: an hour is the longest that they can say.
MAX_SESSION_TIMEOUT_MS = 3_600_000
INIT_LIMIT = 50
START_MS = 60_000
# Enough for two instants of a history, which has three digits, to differ.
MOMENT_MS = 0.01
STRIDE_MS = 5_000


class SimulatedStage:
    """An ensemble in virtual time; the same seed and the same calls give the same run."""

    kind = "simulator"
    clock = "virtual"

    def __init__(self, section: EnsembleSection, seed: int, with_messages: bool = False) -> None:
        """Start the ensemble and let it elect its highest voter.

        `with_messages`: messages between members and reads are traced, too.
        """
        config = MemberConfig(
            sid=1,
            voters=section.voters,
            observers=section.observer_sids,
            tick_time_ms=section.tick,
            init_limit=INIT_LIMIT,
            sync_limit=section.sync_limit,
            min_session_timeout_ms=2 * section.tick,
            max_session_timeout_ms=MAX_SESSION_TIMEOUT_MS,
            local_sessions_enabled=section.local_sessions,
            local_sessions_upgrading_enabled=(
                section.local_sessions and section.upgrade_local_sessions
            ),
        )
        self.voters = section.voters
        self.roots: set[str] = set()
        self.observers = section.observer_sids
        self.on_trace: Callable[[Trace], None] = lambda trace: None
        self.world = World(seed, config)
        self.world.start()
        self.world.run_until_serving(START_MS)
        elect(self.world, max(section.voters))
        if with_messages:
            self.world.trace_all()
        self._told = len(self.world.trace.records)

    def now_ms(self) -> float:
        """Virtual time."""
        return self.world.clock.now_ms

    def call_at(self, at_ms: float, action: Callable[[], None]) -> None:
        """Call later."""
        self.world.clock.call_at(at_ms, action, is_timer=True)

    def changed(self) -> None:
        """Nothing to do: waits look after every action of the world."""

    def line_to(self, sid: int) -> SimulatedLine:
        """The way to a member."""
        return SimulatedLine(self.world, sid)

    async def until(self, is_true: Callable[[], bool], within_ms: float) -> bool:
        """Run the world until it is true."""

        def is_so() -> bool:
            self._tell()
            return is_true()

        try:
            self.world.run_until(is_so, within_ms)
        except VirtualTimeExceeded:
            return False
        return True

    async def pass_moment(self) -> None:
        """Let the least of time pass: a step that waits for nothing takes none by itself."""
        await self.sleep(MOMENT_MS)

    async def sleep(self, span_ms: float) -> None:
        """Run the world for so long."""
        end_ms = self.now_ms() + span_ms
        while (left_ms := end_ms - self.now_ms()) > 0:
            self.world.run_for(min(left_ms, STRIDE_MS))
            self._tell()
            # Where Ctrl-C is heard: an hour of virtual time takes half a minute.
            await asyncio.sleep(0)

    def _tell(self) -> None:
        records = self.world.trace.records
        while self._told < len(records):
            record = records[self._told]
            self._told += 1
            self.on_trace(Trace(record.at_ms, record.sid, record.kind, {**record.fields}))

    async def leader(self) -> int | None:
        """Who leads."""
        return self.world.leader()

    async def serving(self) -> set[int]:
        """The members that serve."""
        return {
            sid
            for sid, host in self.world.hosts.items()
            if host.life is Life.RUNNING and host.member.status().is_serving
        }

    async def is_settled(self) -> bool:
        """Whether every member serves under one leader."""
        return all(host.is_up for host in self.world.hosts.values()) and self.world.is_serving()

    async def set_rule(self, links: list[Link], rule: LinkRule) -> None:
        """Put a rule on links."""
        for link in links:
            self.world.link(*link).set_rule(show_rule(rule))

    async def clear_rules(self, links: list[Link], action: str) -> None:
        """Take rules off links."""
        for link in links:
            self.world.link(*link).clear_rules(action)

    async def touched(self) -> dict[RuleKey, int]:
        """How many messages each rule has touched."""
        return {
            (ends, active.rule.match): active.touched
            for ends, link in self.world.links.items()
            for active in link.rules
        }

    async def reset(self, links: list[Link]) -> None:
        """Break links."""
        for link in links:
            self.world.reset(*link)

    async def kill(self, sid: int) -> None:
        """Crash a member: what it had not synced is lost."""
        self.world.crash(sid)

    async def start(self, sid: int) -> None:
        """Start it again."""
        self.world.restart(sid)

    async def pause(self, sid: int) -> None:
        """Stop it where it stands."""
        self.world.pause(sid)

    async def resume(self, sid: int) -> None:
        """Let it go on."""
        self.world.resume(sid)

    async def expire(self, session_id: int) -> None:
        """Let the leader expire a session now."""
        self._require_leader()
        self.world.expire(session_id)

    async def hold_closing(self) -> None:
        """Stall the leader's expiry thread."""
        self._require_leader()
        self.world.hold_closing()

    async def release_closing(self) -> None:
        """Let every expiry thread go on."""
        for host in self.world.hosts.values():
            host.release_closing()

    def _require_leader(self) -> None:
        if self.world.leader() is None:
            raise NotPossible("no member leads now")


class SimulatedLine:
    """Connections to one member, for handlers that speak the client's own types."""

    def __init__(self, world: World, sid: int) -> None:
        self._world = world
        self._sid = sid
        self._connections: dict[int, Connection] = {}

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Open a connection; a member that is down closes it."""
        connection = self._world.connect(
            self._sid,
            request.timeout_ms,
            session_id=request.session_id,
            password=request.password,
            last_zxid=request.last_zxid_seen,
        )
        connection.on_frame = lambda frame: _hand_over(handler, token, frame)
        self._connections[connection.number] = connection
        return connection.number

    def send(self, number: int, frame: ClientFrame) -> None:
        """Send a request."""
        connection = self._connections.get(number)
        if connection is not None and isinstance(frame, Request):
            connection.submit_as(frame.xid, to_member(frame.op))

    def drop(self, number: int) -> None:
        """Close a connection from this end."""
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.drop()


def _hand_over(handler: Handler, token: int, frame: Frame) -> None:
    match frame:
        case member_effects.ConnectReply():
            answer = SessionResponse(frame.timeout_ms, frame.session_id, frame.password)
            handler.on_frame(token, answer)
        case member_effects.Reply():
            reply = Reply(frame.xid, frame.zxid, int(frame.error), to_client(frame.result))
            handler.on_frame(token, reply)
        case member_effects.Notify():
            handler.on_frame(token, WatchEvent(frame.type, frame.path))
        case member_effects.CloseConnection():
            handler.on_lost(token, CLOSED_BY_MEMBER)
