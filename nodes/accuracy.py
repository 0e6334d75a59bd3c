"""How exactly a link keeps its delays, measured: two transports, real gRPC, the loopback.

A measurement for `orchestrator bench`, not part of a member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import grpc.aio

from nodes.codec import TxnCodec
from nodes.core.events import Event, PeerConnected, Received
from nodes.core.messages import Commit
from nodes.links import Delay, LinkRule
from nodes.timer import monotonic_ms
from nodes.transport import OPTIONS, Transport


@dataclass(slots=True, frozen=True)
class DelayAccuracy:
    """Errors are arrival - (sending + delay), in milliseconds, over `samples` messages."""

    delay_ms: float
    samples: int
    median_error_ms: float
    p99_error_ms: float
    max_error_ms: float
    reordered: int


class _Sink:
    """Takes what a transport delivers; zxid `n` is the n-th message."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.arrivals: list[tuple[int, float]] = []
        self.expected = 0
        self.complete = asyncio.Event()

    def deliver(self, events: list[Event]) -> None:
        now_ms = monotonic_ms()
        for event in events:
            match event:
                case PeerConnected():
                    self.connected.set()
                case Received(message=Commit(zxid=zxid)):
                    self.arrivals.append((zxid, now_ms))
                    if len(self.arrivals) == self.expected:
                        self.complete.set()
                case _:
                    pass


async def measure_delays(
    delays_ms: Sequence[float], samples: int = 200, interval_ms: float = 5.0
) -> list[DelayAccuracy]:
    """Send `samples` messages, one every `interval_ms`, over a link with each of the delays."""
    servers = [grpc.aio.server(options=OPTIONS) for _ in range(2)]
    ports = [server.add_insecure_port("127.0.0.1:0") for server in servers]
    sinks = [_Sink(), _Sink()]
    transports = [
        Transport(sid, {3 - sid: f"127.0.0.1:{ports[2 - sid]}"}, TxnCodec(), Random(sid))
        for sid in (1, 2)
    ]
    try:
        for server, transport, sink in zip(servers, transports, sinks, strict=True):
            transport.add_to(server)
            await server.start()
            transport.start(sink.deliver, _never)
        for sink in sinks:
            await sink.connected.wait()
        return [
            await _measure(transports[0], sinks[1], delay_ms, samples, interval_ms)
            for delay_ms in delays_ms
        ]
    finally:
        for transport in transports:
            await transport.close()
        for server in servers:
            await server.stop(None)


def _never(error: BaseException) -> None:
    raise error


async def _measure(
    sender: Transport, sink: _Sink, delay_ms: float, samples: int, interval_ms: float
) -> DelayAccuracy:
    link = sender.outbound[2].link
    link.clear_rules()
    link.set_rule(LinkRule(Delay(delay_ms)))
    sink.arrivals.clear()
    sink.complete.clear()
    sink.expected = samples
    sent_ms: list[float] = []
    for number in range(samples):
        sent_ms.append(monotonic_ms())
        sender.send(2, 0, Commit(number), sent_ms[-1])
        await asyncio.sleep(interval_ms / 1000)
    await sink.complete.wait()
    errors = sorted(at_ms - sent_ms[number] - delay_ms for number, at_ms in sink.arrivals)
    numbers = [number for number, _ in sink.arrivals]
    return DelayAccuracy(
        delay_ms=delay_ms,
        samples=samples,
        median_error_ms=errors[samples // 2],
        p99_error_ms=errors[min(samples - 1, samples * 99 // 100)],
        max_error_ms=errors[-1],
        reordered=sum(a > b for a, b in pairwise(numbers)),
    )
