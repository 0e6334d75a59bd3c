"""The stage of real processes: an `Ensemble`, the members' traces, clients over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse

from client.aio_line import Line, Lines
from client.history import Trace
from nodes.rule_codec import decode_rule
from nodes.rules import LinkRule, show_link, show_rule
from nodes.traces import ON_DEMAND
from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, NotAnswering
from orchestrator.race.leadership import make_leader
from orchestrator.scenario.model import EnsembleSection
from orchestrator.scenario.stage import Link, RuleKey
from orchestrator.scenario.values import TRACES
from orchestrator.views import leader_of

# Timeouts are as long as files like: an hour is the longest that they can say.
MAX_SESSION_TIMEOUT_MS = 3_600_000
ANSWER_S = 5.0
Answer = TypeVar("Answer")
_Call = grpc.aio.UnaryStreamCall[admin_pb2.StreamTracesRequest, admin_pb2.StreamTracesResponse]


@asynccontextmanager
async def open_processes(
    section: EnsembleSection, with_messages: bool
) -> AsyncIterator[ProcessStage]:
    """Start an ensemble for scenarios, and end it; `with_messages`: they are traced, too."""
    ensemble = Ensemble(
        members=section.members,
        observers=section.observers,
        tick_time_ms=section.tick,
        sync_limit=section.sync_limit,
        max_session_timeout_ms=MAX_SESSION_TIMEOUT_MS,
        local_sessions_enabled=section.local_sessions,
        local_sessions_upgrading_enabled=section.local_sessions and section.upgrade_local_sessions,
    )
    starting = asyncio.ensure_future(asyncio.to_thread(ensemble.start_all))
    try:
        await asyncio.shield(starting)
        # As every ensemble that starts empty, unless the machine was too slow for one of them.
        await make_leader(ensemble, max(section.voters))
        async with ProcessStage(ensemble, section, with_messages) as stage:
            yield stage
    finally:
        # Whoever broke off while it started: a thread cannot be stopped, so its end is awaited.
        await asyncio.wait([starting])
        await asyncio.to_thread(ensemble.close)


class ProcessStage:
    """An ensemble of processes that serves. Use as an asynchronous context."""

    kind = "processes"
    clock = "monotonic"

    def __init__(self, ensemble: Ensemble, section: EnsembleSection, with_messages: bool) -> None:
        self.voters = section.voters
        self.observers = section.observer_sids
        self.on_trace: Callable[[Trace], None] = lambda trace: None
        self.roots: set[str] = set()
        self._ensemble = ensemble
        self._kinds = [*TRACES, *sorted(ON_DEMAND)] if with_messages else []
        self._lines = Lines()
        self._addresses: dict[int, str] = {}
        self._changed = asyncio.Event()
        self._channels: dict[int, grpc.aio.Channel] = {}
        self._listening: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ProcessStage:
        """Listen to every member."""
        self._lines.hold()
        view = await self._view()
        self._addresses = {member.sid: member.address for member in view.members}
        for sid in self._addresses:
            await self._listen_to(sid, with_past=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the members."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        for channel in self._channels.values():
            await channel.close()
        await self._lines.release()

    def now_ms(self) -> float:
        """The host's monotonic clock, which members stamp traces with."""
        return asyncio.get_running_loop().time() * 1000

    def call_at(self, at_ms: float, action: Callable[[], None]) -> None:
        """Call later."""
        asyncio.get_running_loop().call_at(at_ms / 1000, action)

    def changed(self) -> None:
        """Wake whoever waits."""
        self._changed.set()

    def line_to(self, sid: int) -> Line:
        """The line to a member."""
        return self._lines.to(self._addresses[sid])

    async def until(self, is_true: Callable[[], bool], within_ms: float) -> bool:
        """Wait, looking whenever something has arrived."""
        try:
            async with asyncio.timeout(within_ms / 1000):
                while not is_true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return is_true()
        return True

    async def pass_moment(self) -> None:
        """Nothing to do: time passes by itself."""

    async def sleep(self, span_ms: float) -> None:
        """Let time pass."""
        await asyncio.sleep(span_ms / 1000)

    # Traces.

    async def _listen_to(self, sid: int, *, with_past: bool) -> None:
        if sid in self._channels:
            # Its earlier life's would wait long before it tries to connect again.
            await self._channels.pop(sid).close()
        channel = self._channels[sid] = grpc.aio.insecure_channel(self._addresses[sid])
        request = admin_pb2.StreamTracesRequest(kinds=self._kinds, with_past=with_past)
        call: _Call = AdminServiceStub(channel).StreamTraces(request)
        try:
            await call.read()  # the empty one that says: subscribed
        except grpc.aio.AioRpcError as error:
            raise _not_answering(sid, error) from None
        task = asyncio.create_task(self._listen(call))
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)

    async def _listen(self, call: _Call) -> None:
        try:
            while isinstance(response := await call.read(), admin_pb2.StreamTracesResponse):
                for record in response.traces:
                    self.on_trace(_trace_of(record))
                self.changed()
        except grpc.aio.AioRpcError:
            # A member that was killed; who waits for its traces runs out of patience.
            return

    # What members say.

    async def _do(self, call: Callable[..., Answer], *given: object) -> Answer:
        return await asyncio.to_thread(call, *given)

    async def _view(self) -> GetEnsembleResponse:
        return await self._do(self._ensemble.status)

    async def leader(self) -> int | None:
        """Who leads."""
        return leader_of(await self._view())

    async def serving(self) -> set[int]:
        """The members that serve."""
        return {member.sid for member in (await self._view()).members if member.status.is_serving}

    async def is_settled(self) -> bool:
        """Whether every member serves, in one epoch, under one leader."""
        members = [member.status for member in (await self._view()).members]
        places = {(member.leader, member.epoch) for member in members}
        return len(places) == 1 and all(member.is_serving for member in members)

    async def touched(self) -> dict[RuleKey, int]:
        """How many messages each rule has touched."""
        return {
            ((link.sender, link.receiver), decode_rule(active.rule).match): active.touched
            for member in (await self._view()).members
            for link in member.status.links
            for active in link.rules
        }

    # What is done to them.

    async def set_rule(self, links: list[Link], rule: LinkRule) -> None:
        """Put a rule on links."""
        await self._do(self._ensemble.link(_names(links)).set, show_rule(rule))

    async def clear_rules(self, links: list[Link], action: str) -> None:
        """Take rules off links."""
        link = self._ensemble.link(_names(links))
        await self._do({"hold": link.release, "cut": link.heal}.get(action, link.clear))

    async def reset(self, links: list[Link]) -> None:
        """Break links."""
        await self._do(self._ensemble.link(_names(links)).reset)

    async def kill(self, sid: int) -> None:
        """SIGKILL."""
        await self._do(self._ensemble.kill, sid)
        self._note("crashed", sid)

    async def start(self, sid: int) -> None:
        """Start it again, and listen to it from its beginning."""
        await self._do(self._ensemble.start, sid)
        self._note("started", sid)
        await self._listen_to(sid, with_past=True)

    async def pause(self, sid: int) -> None:
        """SIGSTOP."""
        await self._do(self._ensemble.pause, sid)
        self._note("paused", sid)

    async def resume(self, sid: int) -> None:
        """SIGCONT."""
        await self._do(self._ensemble.resume, sid)
        self._note("resumed", sid)

    def _note(self, kind: str, sid: int) -> None:
        """As the simulator does: what became of a member is part of the history."""
        self.on_trace(Trace(self.now_ms(), 0, kind, {"member": sid}))

    async def expire(self, session_id: int) -> None:
        """Let the leader expire a session now."""
        # Told twice, a leader knows the session no more, if it was quick: the same to the file.
        with contextlib.suppress(InvalidInput):
            await self._do(self._ensemble.expire, session_id)

    async def hold_closing(self) -> None:
        """Stall the leader's expiry thread."""
        await self._do(self._ensemble.hold_closing)

    async def release_closing(self) -> None:
        """Let every expiry thread go on."""
        request = admin_pb2.HoldClosingRequest(is_held=False)
        for member in (await self._view()).members:
            if member.process == "running":
                stub = AdminServiceStub(self._channels[member.sid])
                try:
                    await stub.HoldClosing(request, timeout=ANSWER_S)
                except grpc.aio.AioRpcError as error:
                    raise _not_answering(member.sid, error) from None


def _not_answering(sid: int, error: grpc.aio.AioRpcError) -> NotAnswering:
    return NotAnswering(f"member {sid} does not answer: {error.details()}")


def _names(links: list[Link]) -> str:
    return ",".join(show_link(*link) for link in links)


def _trace_of(record: admin_pb2.TraceRecord) -> Trace:
    fields: dict[str, int | str | bool | float] = {
        name: getattr(value, value.WhichOneof("value") or "text")
        for name, value in record.fields.items()
    }
    return Trace(record.at_ms, record.sid, record.kind, fields)
