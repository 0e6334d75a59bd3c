"""Two transports over real gRPC: order, breaks told on both sides, nothing from the dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import grpc.aio
import pytest
from lagkeeper.v1 import peer_pb2

from nodes.accuracy import measure_delays
from nodes.codec import TxnCodec
from nodes.core.events import Event, PeerConnected, PeerLost, Received
from nodes.core.messages import Ack, Commit, Inform, Message, Ping
from nodes.core.txns import CloseSessionTxn, Txn
from nodes.rules import parse_rule
from nodes.timer import monotonic_ms
from nodes.transport import OPTIONS, Transport

PATIENCE_S = 10


class Side:
    """One member's transport and what it delivered."""

    def __init__(self, sid: int, port: int, peer_port: int) -> None:
        self.events: list[Event] = []
        self.failures: list[BaseException] = []
        self._news = asyncio.Event()
        self._port = port
        address = f"127.0.0.1:{peer_port}"
        self.transport = Transport(sid, {3 - sid: address}, TxnCodec(), Random(sid))
        self.link = self.transport.outbound[3 - sid].link
        self.server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
        self.transport.add_to(self.server)

    async def start(self) -> None:
        assert self.server.add_insecure_port(f"127.0.0.1:{self._port}") == self._port
        await self.server.start()
        self.transport.start(self._deliver, self.failures.append)

    async def stop(self) -> None:
        await self.transport.close()
        await self.server.stop(None)
        assert self.failures == []

    def _deliver(self, events: list[Event]) -> None:
        self.events += events
        self._news.set()

    def send(self, *messages: Message) -> None:
        for message in messages:
            peer = next(iter(self.transport.outbound))
            self.transport.send(peer, 7, message, monotonic_ms())

    def received(self) -> list[Message]:
        return [event.message for event in self.events if isinstance(event, Received)]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self._news.clear()
                await self._news.wait()

    async def until_received(self, count: int) -> None:
        await self.until(lambda: len(self.received()) >= count)

    async def until_event(self, event: Event, times: int = 1) -> None:
        await self.until(lambda: self.events.count(event) >= times)


async def free_ports() -> list[int]:
    servers = [await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    for server in servers:
        server.close()
        await server.wait_closed()
    return ports


@asynccontextmanager
async def two_sides() -> AsyncIterator[tuple[Side, Side]]:
    ports = await free_ports()
    one, two = Side(1, *ports), Side(2, *reversed(ports))
    try:
        await one.start()
        await two.start()
        await one.until_event(PeerConnected(2))
        await two.until_event(PeerConnected(1))
        yield one, two
    finally:
        await one.stop()
        await two.stop()


def test_runs_are_written_and_read_as_what_they_stand_for() -> None:
    """Two connections, another kind, a traced packet and a marked one, each amid a run."""
    ack, commit = Ack, Commit
    queued: list[tuple[int, Message, float, int]] = [
        (7, commit(1), 0.0, 0),
        (7, commit(2), 0.0, 0),
        (7, commit(3), 5.5, 0),
        (7, commit(4), 0.0, 0),
        (7, commit(5), 0.0, 9),
        (8, commit(6), 0.0, 0),
        (8, commit(7), 0.0, 0),
        (8, ack(8), 0.0, 0),
        (8, ack(9), 0.0, 0),
        (8, ack(11), 0.0, 0),
        (8, Ping(), 0.0, 0),
        (8, ack(12), 0.0, 0),
    ]

    async def scenario() -> None:
        sender, receiver = (Transport(sid, {3 - sid: ""}, TxnCodec(), Random()) for sid in (1, 2))
        noted: list[tuple[int, float]] = []
        receiver.watch_commits(lambda zxid, at_ms: noted.append((zxid, at_ms)))
        raw = sender.outbound[2]._pack(queued)
        events, numbers = receiver._read(1, raw)
        assert events == [Received(1, number, message) for number, message, _, _ in queued]
        assert numbers == [number for *_, number in queued]
        assert noted == [(3, 5.5)]
        envelopes = peer_pb2.LinkRequest.FromString(raw).envelopes
        assert [envelope.more for envelope in envelopes] == [1, 1, 0, 1, 1, 0, 0, 0]

    asyncio.run(scenario())


def test_everything_arrives_in_order_both_ways() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            messages = [Commit(number) for number in range(3000)]
            for number in range(0, 3000, 100):
                one.send(*messages[number : number + 100])
                two.send(*messages[number : number + 100])
                await asyncio.sleep(0)
            for side in (one, two):
                await side.until_received(3000)
                assert side.received() == messages
            assert isinstance(two.events[-1], Received)
            assert two.events[-1].connection == 7

    asyncio.run(scenario())


def test_a_held_message_waits_and_a_ping_passes() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            one.link.set_rule(parse_rule("hold only=COMMIT"))
            one.send(Commit(1), Ack(2), Ping())
            await two.until(lambda: two.received() == [Ping()])
            one.link.clear_rules("hold")
            one.transport.outbound[2].wake()
            await two.until(lambda: two.received() == [Ping(), Commit(1), Ack(2)])

    asyncio.run(scenario())


def test_a_reset_is_told_on_both_sides_and_loses_what_waited() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            one.link.set_rule(parse_rule("hold"))
            one.send(Commit(1), Commit(2))
            assert one.transport.outbound[2].reset() == 2
            await one.until_event(PeerLost(2))
            await two.until_event(PeerLost(1))
            await one.until_event(PeerConnected(2), times=2)
            one.link.clear_rules()
            one.send(Commit(3))
            await two.until(lambda: bool(two.received()))
            assert two.received() == [Commit(3)]

    asyncio.run(scenario())


def test_a_link_that_stands_is_told_again_when_the_other_broke() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            one.transport.outbound[2].reset()
            await two.until_event(PeerConnected(1), times=2)
            lost = two.events.index(PeerLost(1))
            assert two.events[lost : lost + 2] == [PeerLost(1), PeerConnected(1)]
            two.send(Commit(5))
            await one.until(lambda: one.received() == [Commit(5)])

    asyncio.run(scenario())


def test_a_peer_that_ends_is_lost_at_once_and_found_again() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            await two.stop()
            before_ms = monotonic_ms()
            await one.until_event(PeerLost(2))
            assert monotonic_ms() - before_ms < 1000
            is_connected = one.transport.outbound[2].connected.is_set
            await one.until(lambda: not is_connected())
            one.send(Commit(1))
            again = Side(2, two._port, one._port)
            await again.start()
            await one.until(is_connected)
            one.send(Commit(2))
            await again.until(lambda: bool(again.received()))
            assert again.received() == [Commit(2)]
            await again.stop()

    asyncio.run(scenario())


def test_nothing_is_delivered_before_an_answer_could_be_sent() -> None:
    async def scenario() -> None:
        ports = await free_ports()
        one, two = Side(1, *ports), Side(2, *reversed(ports))
        # Member 2 listens, but opens no link of its own yet.
        assert two.server.add_insecure_port(f"127.0.0.1:{two._port}")
        await two.server.start()
        await one.start()
        await one.until_event(PeerConnected(2))
        one.send(Commit(1))
        two.transport.start(two._deliver, two.failures.append)
        await two.until(lambda: bool(two.received()))
        assert two.events[-2:] == [PeerConnected(1), Received(1, 7, Commit(1))]
        await one.stop()
        await two.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("first", [b"\xff\xff", b"", b"\x08\x09"])
def test_a_stream_that_names_no_peer_is_refused(first: bytes) -> None:
    async def scenario() -> None:
        async with two_sides() as (one, _):
            async with grpc.aio.insecure_channel(f"127.0.0.1:{one._port}") as channel:
                call: Any = channel.stream_unary("/lagkeeper.v1.PeerService/Link")()
                await call.write(first)
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            one.send(Ping())

    asyncio.run(scenario())


def test_delays_are_kept_and_never_reorder() -> None:
    for measured in asyncio.run(measure_delays([1, 20], samples=40, interval_ms=2)):
        assert measured.reordered == 0
        # Generous, because other work may share the machine; `orchestrator bench` measures.
        assert 0 <= measured.median_error_ms < 10


def test_the_commit_of_a_close_session_tells_when_it_was_committed_and_no_other_does() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            noted: list[tuple[int, float]] = []
            two.transport.watch_commits(lambda zxid, at_ms: noted.append((zxid, at_ms)))
            one.link.set_rule(parse_rule("delay=30ms"))
            close = Txn(9, 0, 6, 0, CloseSessionTxn(("/a",)))
            before_ms = monotonic_ms()
            one.send(Commit(4, "create"), Commit(5, "closeSession"), Inform(close))
            after_ms = monotonic_ms()
            await two.until_received(3)
            assert [zxid for zxid, _ in noted] == [5, 6]
            assert all(before_ms <= at_ms <= after_ms for _, at_ms in noted)

    asyncio.run(scenario())
