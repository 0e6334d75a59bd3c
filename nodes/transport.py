"""Links between members over gRPC: one client stream per link, first in first out.

The sender's side applies the link's rules (`nodes.links`), then writes everything that is due in
one message. Retries nothing: what a broken link had not delivered is lost, and both ends are told.
Decides nothing of the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from lagkeeper.v1 import peer_pb2

from nodes.codec import (
    MAX_RUN,
    MalformedPacket,
    TxnCodec,
    continues,
    fill_envelope,
    read_envelope,
    read_run,
)
from nodes.core.events import Event, PeerConnected, PeerLost, Received
from nodes.core.messages import Commit, Inform, Message
from nodes.core.packet_traces import LEFT, RECEIVED, SENT, describe
from nodes.core.txns import CloseSessionTxn
from nodes.links import Link
from nodes.streams import OpenStreams
from nodes.timer import Alarm, monotonic_ms
from nodes.traces import TraceLog

METHOD = "/lagkeeper.v1.PeerService/Link"
MAX_BACKOFF_S = 0.5
MIN_BACKOFF_S = 0.02
# No keepalive: a stopped process is slow, not dead, and its links must outlive the stop.
NEVER_MS = 2**31 - 1
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", NEVER_MS),
]
# A subchannel shared between attempts would bring gRPC's own backoff of seconds with it.
CHANNEL_OPTIONS = [
    *OPTIONS,
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]

Deliver = Callable[[list[Event]], None]
# The zxid of a closeSession, and when its leader committed it.
NoteCommit = Callable[[int, float], None]
# With the instant of the commit, for those of closeSession, and the number of those that are
# traced; 0 for all others.
Queued = tuple[int, Message, float, int]


class Outbound:
    """The link `self->peer`: its queue, its rules, its stream.

    Invariant: the queue is empty while the link is not connected.
    """

    def __init__(self, sid: int, peer: int, address: str, codec: TxnCodec, rng: Random) -> None:
        self.peer = peer
        self.link: Link[Queued] = Link(rng)
        self.connected = asyncio.Event()
        self._hello = peer_pb2.LinkRequest(sender=sid).SerializeToString()
        self._address = address
        self._codec = codec
        self._wake = asyncio.Event()
        self._call: Any = None
        self._is_closing = False
        self.traces = TraceLog()
        self._traced = 0
        # Numbers of the traced messages that a rule keeps back.
        self._kept: set[int] = set()

    def send(self, connection: int, message: Message, now_ms: float) -> None:
        """Queue a packet; silently lost while the link is not connected."""
        if not self.connected.is_set():
            return
        link = self.link
        txn_type = getattr(message, "txn_type", "") if link.is_ruled else ""
        committed_ms = now_ms if _is_end_of_session(message) else 0.0
        if self.traces.wants_messages:
            self._send_traced(connection, message, committed_ms, now_ms)
        else:
            link.send((connection, message, committed_ms, 0), message.kind, txn_type, now_ms)
        self._wake.set()

    def _send_traced(
        self, connection: int, message: Message, committed_ms: float, now_ms: float
    ) -> None:
        self._traced += 1
        number = self._traced
        fields = describe(message)
        queued = (connection, message, committed_ms, number)
        txn_type = str(fields.get("txn_type", ""))
        if not self.link.send(queued, message.kind, txn_type, now_ms):
            self._kept.add(number)
            fields["is_kept"] = True
        self.traces.add(now_ms, SENT, {"peer": self.peer, "number": number, **fields})

    def wake(self) -> None:
        """Look again at once: rules changed, or the peer is known to be up."""
        self._wake.set()

    def reset(self) -> int:
        """Break the link; return how many packets are lost."""
        lost = self.link.drop_all()
        if self._call is not None and self.connected.is_set():
            self._call.cancel()
        return lost

    async def run(self, deliver: Deliver) -> None:
        """Keep the link open until cancelled."""
        backoff_s = MIN_BACKOFF_S
        while True:
            if await self._connect_once(deliver):
                backoff_s = MIN_BACKOFF_S
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), backoff_s)
            except TimeoutError:
                backoff_s = min(backoff_s * 1.5, MAX_BACKOFF_S)

    async def _connect_once(self, deliver: Deliver) -> bool:
        """Open the stream and carry packets until it breaks; return whether it was open."""
        channel = grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS)
        call: Any = channel.stream_unary(METHOD)()
        self._call = call
        call.add_done_callback(lambda _: self._wake.set())
        try:
            await call.write(self._hello)
            # Sent when the peer has accepted the stream.
            await call.initial_metadata()
            if not call.done():
                self.connected.set()
                deliver([PeerConnected(self.peer)])
                await self._carry(call)
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass
        except asyncio.CancelledError:
            # A reset cancels the call, which looks from here as if the task were cancelled.
            if self._is_closing or not call.cancelled():
                raise
        finally:
            was_connected = self.connected.is_set()
            self.connected.clear()
            self._call = None
            self.link.drop_all()
            self._kept.clear()
            call.cancel()
            if was_connected and not self._is_closing:
                deliver([PeerLost(self.peer)])
            await channel.close()
        return was_connected

    async def _carry(self, call: Any) -> None:
        link, wake = self.link, self._wake
        alarm = Alarm(wake.set)
        try:
            while not call.done():
                wake.clear()
                if due := link.take_due(monotonic_ms()):
                    await call.write(self._pack(due))
                    continue
                next_due_ms = link.next_due_ms()
                if next_due_ms is not None:
                    alarm.set(next_due_ms)
                await wake.wait()
        finally:
            alarm.close()

    def _pack(self, due: list[Queued]) -> bytes:
        out = peer_pb2.LinkRequest()
        envelope: peer_pb2.Envelope | None = None
        previous: Message | None = None
        for connection, message, committed_ms, number in due:
            is_plain = not committed_ms and not number
            if (
                is_plain
                and envelope is not None
                and envelope.connection == connection
                and envelope.more < MAX_RUN
                and continues(message, previous)
            ):
                envelope.more += 1
            else:
                envelope = out.envelopes.add()
                fill_envelope(envelope, connection, message, self._codec)
                if not is_plain:
                    self._mark(envelope, committed_ms, number)
            previous = message
        return out.SerializeToString()

    def _mark(self, envelope: peer_pb2.Envelope, committed_ms: float, number: int) -> None:
        envelope.committed_ms = committed_ms
        envelope.trace_number = number
        if number in self._kept:
            self._kept.remove(number)
            self.traces.add(monotonic_ms(), LEFT, {"peer": self.peer, "number": number})

    def close(self) -> None:
        """From now on a broken stream is no news."""
        self._is_closing = True


class Transport:
    """All links of one member, from it and to it.

    Invariant: packets of a peer are delivered only while the link to that peer is connected, so
    that no answer to a packet is lost on a link that is not open yet.
    """

    def __init__(self, sid: int, peers: Mapping[int, str], codec: TxnCodec, rng: Random) -> None:
        self.sid = sid
        self._codec = codec
        self.outbound = {
            peer: Outbound(sid, peer, address, codec, rng) for peer, address in peers.items()
        }
        self._inbound: dict[int, object] = {}
        self._streams = OpenStreams()
        self._deliver: Deliver = lambda events: None
        self._note_commit: NoteCommit = lambda zxid, committed_ms: None
        self._traces = TraceLog()
        self._tasks: list[asyncio.Task[None]] = []

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve the links to this member."""
        handler: Any = grpc.stream_unary_rpc_method_handler(self._serve_link)
        service, name = METHOD.strip("/").split("/")
        generic = grpc.method_handlers_generic_handler(service, {name: handler})
        server.add_generic_rpc_handlers((generic,))

    def start(self, deliver: Deliver, fail: Callable[[BaseException], None]) -> None:
        """Begin to open links; `deliver` takes the events, `fail` what should never happen."""
        self._deliver = deliver

        def watch(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                fail(error)

        for outbound in self.outbound.values():
            task = asyncio.get_running_loop().create_task(outbound.run(deliver))
            task.add_done_callback(watch)
            self._tasks.append(task)

    def watch_commits(self, note: NoteCommit) -> None:
        """Tell `note` of every commit of a closeSession, before it is delivered."""
        self._note_commit = note

    def trace_to(self, traces: TraceLog) -> None:
        """Tell there of every message that leaves and arrives, while somebody wants it."""
        self._traces = traces
        for outbound in self.outbound.values():
            outbound.traces = traces

    def send(self, peer: int, connection: int, message: Message, now_ms: float) -> None:
        """Send a packet over the link `self->peer`."""
        self.outbound[peer].send(connection, message, now_ms)

    async def close(self) -> None:
        """Break every link from this member and to it."""
        self._deliver = lambda events: None
        for outbound in self.outbound.values():
            outbound.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._streams.end_all()

    async def _serve_link(self, _: object, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """One inbound stream, to its end."""
        try:
            sender = await self._greet(context)
            stream = object()
            self._lose(sender)
            self._inbound[sender] = stream
            await context.send_initial_metadata(())
            self.outbound[sender].wake()
            try:
                with self._streams.ending():
                    await self._receive(sender, stream, context)
            finally:
                if self._inbound.get(sender) is stream:
                    self._lose(sender)
        except (MalformedPacket, DecodeError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return b""

    async def _greet(self, context: grpc.aio.ServicerContext[Any, Any]) -> int:
        first = await context.read()
        if first is grpc.aio.EOF:
            raise MalformedPacket("a link that ended before its sender was named")
        sender = peer_pb2.LinkRequest.FromString(first).sender
        if sender not in self.outbound:
            raise MalformedPacket(f"member {self.sid} has no peer {sender}")
        return sender

    async def _receive(
        self, sender: int, stream: object, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        is_answerable = self.outbound[sender].connected
        while (raw := await context.read()) is not grpc.aio.EOF:
            events, numbers = self._read(sender, raw)
            if not is_answerable.is_set():
                await is_answerable.wait()
            if self._inbound.get(sender) is not stream:
                return
            if self._traces.wants_messages:
                self._trace_received(sender, events, numbers)
            self._deliver(events)

    def _read(self, sender: int, raw: bytes) -> tuple[list[Event], list[int]]:
        """Return the packets in a message, and the number of each one's trace."""
        events: list[Event] = []
        numbers: list[int] = []
        codec = self._codec
        for envelope in peer_pb2.LinkRequest.FromString(raw).envelopes:
            connection, message = envelope.connection, read_envelope(envelope, codec)
            numbers.append(envelope.trace_number)
            if envelope.committed_ms:
                self._note_commit(_zxid_of(message), envelope.committed_ms)
            events.append(Received(sender, connection, message))
            if envelope.more:
                for follower in read_run(message, envelope.more):
                    numbers.append(0)
                    events.append(Received(sender, connection, follower))
        return events, numbers

    def _trace_received(self, sender: int, events: list[Event], numbers: list[int]) -> None:
        now_ms = monotonic_ms()
        for event, number in zip(events, numbers, strict=True):
            if isinstance(event, Received):
                fields = {"peer": sender, "number": number, **describe(event.message)}
                self._traces.add(now_ms, RECEIVED, fields)

    def _lose(self, sender: int) -> None:
        """The link from `sender` broke, if there was one: nothing of it is delivered any more."""
        if self._inbound.pop(sender, None) is None:
            return
        events: list[Event] = [PeerLost(sender)]
        if self.outbound[sender].connected.is_set():
            # The other direction stands: say so, or nobody would believe in it again.
            events.append(PeerConnected(sender))
        self._deliver(events)


def _is_end_of_session(message: Message) -> bool:
    if type(message) is Commit or type(message) is Inform:
        return message.txn_type == CloseSessionTxn.type
    return False


def _zxid_of(message: Message) -> int:
    if isinstance(message, Inform):
        return message.txn.zxid
    return message.zxid if isinstance(message, Commit) else 0
