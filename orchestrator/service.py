"""OrchestratorService: what the command line can do to a running ensemble, over gRPC.

Translates between the wire and `supervisor.Supervisor`; holds no state of its own.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc
from lagkeeper.v1 import orchestrator_pb2 as wire
from lagkeeper.v1.orchestrator_pb2_grpc import (
    OrchestratorServiceServicer,
    add_OrchestratorServiceServicer_to_server,
)

from orchestrator.errors import InvalidInput, OrchestratorError
from orchestrator.supervisor import Link, Supervisor

Answer = TypeVar("Answer")


def _tells_errors(
    method: Callable[[Any, Any, Any], Awaitable[Answer]],
) -> Callable[[Any, Any, Any], Awaitable[Answer]]:
    """Turn an OrchestratorError into the status of the call."""

    @functools.wraps(method)
    async def told(self: Any, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Answer:
        try:
            return await method(self, request, context)
        except OrchestratorError as error:
            return await context.abort(grpc.StatusCode[error.grpc_code], str(error))

    return told


class OrchestratorService(OrchestratorServiceServicer):
    """One ensemble's service; `on_shutdown` ends every member and returns when they have ended."""

    def __init__(self, supervisor: Supervisor, on_shutdown: Callable[[], Awaitable[None]]) -> None:
        self._supervisor = supervisor
        self._on_shutdown = on_shutdown

    @_tells_errors
    async def GetEnsemble(
        self, request: wire.GetEnsembleRequest, context: Any
    ) -> wire.GetEnsembleResponse:
        """Every member, its process, its own view and its links."""
        return await self._supervisor.view(with_digest=request.with_digest)

    @_tells_errors
    async def SetLink(self, request: wire.SetLinkRequest, context: Any) -> wire.SetLinkResponse:
        """Adds a rule to links."""
        links = await self._supervisor.set_link(request.links, request.rule)
        return wire.SetLinkResponse(links=_shown(links))

    @_tells_errors
    async def ClearLink(
        self, request: wire.ClearLinkRequest, context: Any
    ) -> wire.ClearLinkResponse:
        """Takes rules off links."""
        links, cleared, released = await self._supervisor.clear_link(request.links, request.action)
        return wire.ClearLinkResponse(links=_shown(links), cleared=cleared, released=released)

    @_tells_errors
    async def BreakLink(
        self, request: wire.BreakLinkRequest, context: Any
    ) -> wire.BreakLinkResponse:
        """Breaks links."""
        links, lost = await self._supervisor.break_link(request.links)
        return wire.BreakLinkResponse(links=_shown(links), lost=lost)

    @_tells_errors
    async def SignalMember(
        self, request: wire.SignalMemberRequest, context: Any
    ) -> wire.SignalMemberResponse:
        """Does something to a member's process."""
        member = self._supervisor.processes[request.sid]
        match request.signal:
            case wire.MEMBER_SIGNAL_KILL:
                member.kill()
            case wire.MEMBER_SIGNAL_STOP:
                await self._supervisor.stop(request.sid)
            case wire.MEMBER_SIGNAL_START:
                await self._supervisor.start(request.sid)
            case wire.MEMBER_SIGNAL_PAUSE:
                member.pause()
            case wire.MEMBER_SIGNAL_RESUME:
                member.resume()
            case _:
                raise InvalidInput("no signal said; one of KILL, STOP, START, PAUSE, RESUME")
        self._supervisor.changed.set()
        return wire.SignalMemberResponse()

    @_tells_errors
    async def ExpireSession(
        self, request: wire.ExpireSessionRequest, context: Any
    ) -> wire.ExpireSessionResponse:
        """Expires a session on the leader."""
        leader = await self._supervisor.expire(request.session_id)
        return wire.ExpireSessionResponse(leader=leader)

    @_tells_errors
    async def StallClosing(
        self, request: wire.StallClosingRequest, context: Any
    ) -> wire.StallClosingResponse:
        """Stalls the leader's expiry of sessions between marking and submitting, or ends that."""
        leader = await self._supervisor.hold_closing(request.is_held)
        return wire.StallClosingResponse(leader=leader)

    @_tells_errors
    async def Shutdown(self, request: wire.ShutdownRequest, context: Any) -> wire.ShutdownResponse:
        """Stops every member and then the orchestrator itself."""
        # Shielded: a client that goes away must not leave half of the members running.
        await asyncio.shield(self._on_shutdown())
        return wire.ShutdownResponse()


async def serve(service: OrchestratorService) -> tuple[grpc.aio.Server, str]:
    """Serve on a free port of the loopback interface. Returns the server and its address."""
    server = grpc.aio.server()
    add_OrchestratorServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


def _shown(links: Sequence[Link]) -> list[str]:
    return [f"{sender}->{receiver}" for sender, receiver in links]
