"""The operator's port of a member: look at it, disturb its links, its disk, its expiry.

Carries orders to where they belong and refuses those that cannot be, by status code.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
from lagkeeper.v1 import admin_pb2, admin_pb2_grpc

from nodes.core.events import ClosingHeld, ClosingReleased, ExpireRequested
from nodes.core.messages import ServerState
from nodes.driver import Driver
from nodes.rule_codec import decode_rule, encode_rule
from nodes.rules import RuleError
from nodes.storage import Storage
from nodes.streams import OpenStreams
from nodes.traces import Record
from nodes.transport import Outbound, Transport

Context = grpc.aio.ServicerContext[Any, Any]

ACTIONS = ("", "delay", "hold", "cut")


class AdminService(admin_pb2_grpc.AdminServiceServicer):
    """Serves `admin.proto`."""

    def __init__(self, driver: Driver, transport: Transport, storage: Storage) -> None:
        self._driver = driver
        self._transport = transport
        self._storage = storage
        self._streams = OpenStreams()

    async def close(self) -> None:
        """End every stream."""
        await self._streams.end_all()

    async def GetStatus(
        self, request: admin_pb2.GetStatusRequest, context: Context
    ) -> admin_pb2.GetStatusResponse:
        """The member's own view."""
        status = self._driver.member.status()
        return admin_pb2.GetStatusResponse(
            sid=status.sid,
            state=status.state.name,
            phase=status.phase,
            is_serving=status.is_serving,
            leader=status.leader or 0,
            epoch=status.epoch,
            last_zxid=status.last_zxid,
            last_logged_zxid=status.last_logged_zxid,
            global_sessions=status.global_sessions,
            local_sessions=status.local_sessions,
            closing_sessions=status.closing_sessions,
            connections=status.connections,
            znodes=status.znodes,
            ephemerals=status.ephemerals,
            watches=status.watches,
            outstanding_proposals=status.outstanding_proposals,
            synced_learners=status.synced_learners,
            closing_is_held=status.closing_is_held,
            links=[
                _link_status(self._transport.sid, link)
                for _, link in sorted(self._transport.outbound.items())
            ],
            pid=os.getpid(),
            resident_bytes=resident_bytes(),
            disk_delay_ms=self._storage.disk_delay_ms,
            digest=self._driver.member.digest() if request.with_digest else "",
        )

    async def SetRule(
        self, request: admin_pb2.SetRuleRequest, context: Context
    ) -> admin_pb2.SetRuleResponse:
        """Adds a rule."""
        outbound = await self._find(request.receiver, context)
        try:
            rule = decode_rule(request.rule)
        except RuleError as error:
            await _refuse(context, str(error))
        outbound.link.set_rule(rule)
        return admin_pb2.SetRuleResponse()

    async def ClearRules(
        self, request: admin_pb2.ClearRulesRequest, context: Context
    ) -> admin_pb2.ClearRulesResponse:
        """Takes rules off; what they kept goes on."""
        outbound = await self._find(request.receiver, context)
        if request.action not in ACTIONS:
            valid = ", ".join(ACTIONS[1:])
            await _refuse(context, f"action {request.action!r}: unknown; one of {valid}")
        cleared, released = outbound.link.clear_rules(request.action)
        outbound.wake()
        return admin_pb2.ClearRulesResponse(cleared=cleared, released=released)

    async def ResetLink(
        self, request: admin_pb2.ResetLinkRequest, context: Context
    ) -> admin_pb2.ResetLinkResponse:
        """Breaks a link."""
        outbound = await self._find(request.receiver, context)
        return admin_pb2.ResetLinkResponse(lost=outbound.reset())

    async def Expire(
        self, request: admin_pb2.ExpireRequest, context: Context
    ) -> admin_pb2.ExpireResponse:
        """Expires a session, on the leader."""
        status = self._driver.member.status()
        if status.state is not ServerState.LEADING or not status.is_serving:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"member {status.sid} does not lead: the leader alone expires sessions",
            )
        if not self._driver.member.knows_session(request.session_id):
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"the leader knows no session {request.session_id:#x}: it may be closed already",
            )
        self._driver.handle((ExpireRequested(request.session_id),))
        return admin_pb2.ExpireResponse()

    async def ListSessions(
        self, request: admin_pb2.ListSessionsRequest, context: Context
    ) -> admin_pb2.ListSessionsResponse:
        """Sessions with their ephemeral znodes."""
        dump = self._driver.member.dump()
        if dump is None:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"member {self._transport.sid} does not serve now",
            )
        connected = set(dump.session_of.values())
        return admin_pb2.ListSessionsResponse(
            sessions=[
                admin_pb2.KnownSession(
                    session_id=session_id,
                    timeout_ms=timeout_ms,
                    is_local=session_id in dump.local_sessions,
                    is_connected=session_id in connected,
                    ephemerals=dump.ephemerals.get(session_id, ()),
                )
                for session_id, timeout_ms in sorted(
                    {**dump.sessions, **dump.local_sessions}.items()
                )
            ]
        )

    async def HoldClosing(
        self, request: admin_pb2.HoldClosingRequest, context: Context
    ) -> admin_pb2.HoldClosingResponse:
        """Opens or ends window W0."""
        self._driver.handle((ClosingHeld() if request.is_held else ClosingReleased(),))
        return admin_pb2.HoldClosingResponse()

    async def SetDiskDelay(
        self, request: admin_pb2.SetDiskDelayRequest, context: Context
    ) -> admin_pb2.SetDiskDelayResponse:
        """Delays every sync."""
        if not (math.isfinite(request.delay_ms) and request.delay_ms >= 0):
            await _refuse(context, f"delay_ms {request.delay_ms:g}: must be 0 or more, finite")
        self._storage.disk_delay_ms = request.delay_ms
        return admin_pb2.SetDiskDelayResponse()

    async def StreamTraces(
        self, request: admin_pb2.StreamTracesRequest, context: Context
    ) -> AsyncIterator[admin_pb2.StreamTracesResponse]:
        """What happens, in batches."""
        sid = self._transport.sid
        traces = self._driver.traces.listen(request.kinds, request.with_past)
        # Closed at once, not when it is collected: until then reads would be traced for nobody.
        with self._streams.ending():
            async with aclosing(traces):
                async for records, lost in traces:
                    yield admin_pb2.StreamTracesResponse(
                        traces=[_trace_record(sid, record) for record in records], lost=lost
                    )

    async def _find(self, receiver: int, context: Context) -> Outbound:
        outbound = self._transport.outbound.get(receiver)
        if outbound is None:
            await _refuse(context, f"member {self._transport.sid} has no link to {receiver}")
        return outbound


async def _refuse(context: Context, message: str) -> NoReturn:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
    raise AssertionError("abort raises")


def _link_status(sender: int, outbound: Outbound) -> admin_pb2.LinkStatus:
    link = outbound.link
    return admin_pb2.LinkStatus(
        sender=sender,
        receiver=outbound.peer,
        is_connected=outbound.connected.is_set(),
        sent=link.sent,
        waiting=link.waiting,
        rules=[
            admin_pb2.RuleStatus(rule=encode_rule(active.rule), touched=active.touched)
            for active in link.rules
        ],
        touched_before=link.touched_before,
    )


def _trace_record(sid: int, record: Record) -> admin_pb2.TraceRecord:
    at_ms, kind, fields = record
    out = admin_pb2.TraceRecord(sid=sid, at_ms=at_ms, kind=kind)
    for name, value in fields.items():
        match value:
            case bool():
                out.fields[name].flag = value
            case int():
                out.fields[name].number = value
            case _:
                out.fields[name].text = value
    return out


def resident_bytes() -> int:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
