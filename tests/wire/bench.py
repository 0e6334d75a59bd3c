"""How many operations a second a wire port serves: `python -m tests.wire.bench [HOSTS...]`.

Measures an ensemble of its own, and then each connect string given (of a real ZooKeeper, say), all
by the same cheap client: 4 connections, 256 requests outstanding on each, 100-byte values. Other
load on the machine shows in the figures: compare only what was measured in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.ensemble import Ensemble
from tests.wire import ops

CLIENTS = 4
OUTSTANDING = 256
VALUE = bytes(100)
CLOCK_TICKS = 100


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


class Pump(asyncio.Protocol):
    """Keeps OUTSTANDING requests on the way; counts frames, and looks at their errors only."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frames: Sequence[bytes] = ()
        self._sent = self._answered = self._answers_wanted = 0
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))

    async def run(self, frames: Sequence[bytes]) -> None:
        """Send all, and return when all are answered."""
        self.done = asyncio.get_running_loop().create_future()
        self._frames, self._sent, self._answered = frames, 0, 0
        self._send()
        await self.done

    def _send(self) -> None:
        end = min(self._answered + OUTSTANDING, len(self._frames))
        if end > self._sent:
            self._transport.write(b"".join(self._frames[self._sent : end]))
            self._sent = end

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        while len(data) - at >= 4:
            size = struct.unpack_from(">i", data, at)[0]
            if len(data) - at - 4 < size:
                break
            # The first frame is the ConnectResponse, which has no header; 12 bytes on is no error.
            error = struct.unpack_from(">i", data, at + 16)[0] if self._answers_wanted else 0
            if error:
                raise AssertionError(f"error {error}")
            self._answers_wanted = 1
            self._answered += 1
            at += 4 + size
        self._rest = data[at:]
        if self._answered == len(self._frames) and not self.done.done():
            self.done.set_result(None)
        elif self._answered < len(self._frames):
            self._send()


def request(xid: int, op: ops.Op) -> bytes:
    return framed(ops.int_(xid) + ops.int_(op.type) + op.body)


async def measure(hosts: str, count: int) -> dict[str, float]:
    """Operations a second of each kind; two rounds, the second one counts."""
    loop = asyncio.get_running_loop()
    addresses = [host.rpartition(":") for host in hosts.split(",")]
    pumps = []
    for number in range(CLIENTS):
        host, _, port = addresses[number % len(addresses)]
        _, pump = await loop.create_connection(Pump, host, int(port))
        session = ops.int_(0) + ops.long_(0) + ops.int_(30_000) + ops.long_(0)
        await pump.run([framed(session + ops.buffer(bytes(16)) + b"\0")])
        pumps.append(pump)
    figures = {}
    for turn in range(2):
        root = f"/bench{time.monotonic_ns()}"
        await pumps[0].run([request(0, ops.create(root)), request(1, ops.sync(root))])
        await asyncio.gather(*(pump.run([request(0, ops.sync(root))]) for pump in pumps))
        for name, make in kinds(root).items():
            work = [[request(i, make(c, i)) for i in range(count)] for c in range(CLIENTS)]
            began = time.perf_counter()
            await asyncio.gather(*map(Pump.run, pumps, work))
            if turn:
                figures[name] = CLIENTS * count / (time.perf_counter() - began)
    await asyncio.gather(*(pump.run([request(0, ops.CLOSE)]) for pump in pumps))
    return figures


def kinds(root: str) -> dict[str, Callable[[int, int], ops.Op]]:
    return {
        "create": lambda client, i: ops.create(f"{root}/c{client}n{i}", VALUE),
        "get": lambda client, i: ops.get_data(f"{root}/c{client}n{i}"),
        "set": lambda client, i: ops.set_data(f"{root}/c{client}n{i}", VALUE),
    }


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", help="connect strings to measure, too")
    parser.add_argument("-n", type=int, default=5000, help="operations of each kind and client")
    asked = parser.parse_args()
    with Ensemble(members=3, tick_time_ms=2000, max_client_cnxns=0) as ensemble:
        show("ours", asyncio.run(measure(ensemble.zookeeper_hosts, asked.n)))
        for member in ensemble.status().members:
            sys.stdout.write(f"  member {member.sid}: {cpu_s(member.pid):.1f} s of CPU\n")
    for hosts in asked.hosts:
        show(hosts, asyncio.run(measure(hosts, asked.n)))


def show(name: str, figures: dict[str, float]) -> None:
    sys.stdout.write(f"{name}: {', '.join(f'{k} {v:,.0f}/s' for k, v in figures.items())}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
