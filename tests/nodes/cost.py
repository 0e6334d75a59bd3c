"""What a create costs by function, from client to client: `python -m tests.nodes.cost`.

Three members and their codecs, links and client ports in one process, without gRPC and without a
disk: what is left is the work that Python does for each operation. The client is a follower's.
Prints microseconds per create, the median of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from statistics import median
from typing import Any

from lagkeeper.v1 import client_pb2

from client.codec import encode
from client.line import LineBook
from client.ops import Create, Request, SessionRequest
from nodes.codec import TxnCodec
from nodes.core.config import MemberConfig
from nodes.core.effects import Persist, PersistEpochs
from nodes.core.events import EpochsPersisted, Event, PeerConnected, Persisted, Started
from nodes.core.member import Member
from nodes.core.status import Status
from nodes.core.txns import Recovered
from nodes.driver import Driver
from nodes.logfile import pack_record
from nodes.process import tune_collector
from nodes.service import ClientService, _Stream
from nodes.storage import Job
from nodes.traces import TraceLog
from nodes.transport import Transport

SIDS = (1, 2, 3)
BATCH = 64
VALUE = b"x" * 100
Costs = defaultdict[str, float]


def timed(costs: Costs, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which also counts how long it takes."""

    def run(*arguments: Any) -> Any:
        began = time.perf_counter()
        result = work(*arguments)
        costs[name] += time.perf_counter() - began
        return result

    return run


class Desk:
    """One member with all that surrounds it in its process, but sockets and files."""

    def __init__(self, sid: int, costs: Costs) -> None:
        self.member = Member(MemberConfig(sid, SIDS), Recovered())
        self._steps = self.member.steps
        self.codec = TxnCodec()
        self.jobs: list[Job] = []
        self.driver = Driver(self.member, self.codec, self, TraceLog())
        peers = {peer: "" for peer in SIDS if peer != sid}
        self.transport = Transport(sid, peers, self.codec, Random(sid))
        self.clients = ClientService(itertools.count(1))
        self.clients.start(self.driver.handle)
        self.stream = _Stream("127.0.0.1")
        for outbound in self.transport.outbound.values():
            outbound.connected.set()
        self.driver.attach(self.transport, self.clients, lambda is_serving: None)
        self.costs = costs

    def submit(self, jobs: Sequence[Job]) -> None:
        """Be the disk."""
        self.jobs += jobs

    def handle(self, events: Sequence[Event]) -> None:
        """Take events; the core's part is counted apart from the carrying out."""
        role = "leader" if self.status().state.name == "LEADING" else "follower"
        kind = type(events[0]).__name__ if events else ""
        core = f"{role}: core, {kind}"
        self.member.steps = timed(self.costs, core, self._steps)  # type: ignore[method-assign]
        before = self.costs[core]
        began = time.perf_counter()
        self.driver.handle(events)
        spent = time.perf_counter() - began
        self.costs[f"{role}: effects to queues"] += spent - (self.costs[core] - before)

    def answer_disk(self) -> None:
        """Say that everything asked for is done."""
        self.driver._flush()
        jobs, self.jobs = self.jobs, []
        timed(self.costs, "log records", lambda: [pack_record(encoded) for _, encoded in jobs])()
        answers: list[Event] = []
        for effect, _ in jobs:
            match effect:
                case Persist():
                    answers.append(Persisted(effect.txn.zxid))
                case PersistEpochs():
                    answers.append(EpochsPersisted(effect.accepted_epoch, effect.current_epoch))
        if answers:
            self.handle(answers)

    def status(self) -> Status:
        """What the member says of itself."""
        return self.member.status()


class Room:
    """All three, and messages between them."""

    def __init__(self) -> None:
        self.costs: Costs = defaultdict(float)
        self.desks = {sid: Desk(sid, self.costs) for sid in SIDS}
        for desk in self.desks.values():
            desk.handle([Started()])
            desk.handle([PeerConnected(peer) for peer in SIDS if peer != desk.transport.sid])

    def run(self) -> None:
        """Carry messages and answer disks until nobody has anything to say."""
        is_busy = True
        while is_busy:
            is_busy = any(desk.jobs for desk in self.desks.values())
            for sid, desk in self.desks.items():
                desk.answer_disk()
                for peer, outbound in desk.transport.outbound.items():
                    due = outbound.link.take_due(float("inf"))
                    if not due:
                        continue
                    is_busy = True
                    raw = timed(self.costs, "packets to bytes", outbound._pack)(due)
                    read = timed(self.costs, "bytes to packets", self.desks[peer].transport._read)
                    self.desks[peer].handle(read(sid, raw)[0])

    def elect(self) -> int:
        """Run until one leads and all serve; return a follower."""
        while not all(desk.status().is_serving for desk in self.desks.values()):
            self.run()
            for desk in self.desks.values():
                desk.driver._on_timer()
            time.sleep(0.005)
        return next(sid for sid, d in self.desks.items() if d.status().state.name == "FOLLOWING")

    def say(self, desk: Desk, raw: bytes) -> None:
        """A client's message arrives at a member."""
        events: list[Event] = []

        def read() -> None:
            for frame in client_pb2.ConnectRequest.FromString(raw).frames:
                desk.clients._read(desk.stream, frame, events, False)

        timed(self.costs, "follower: client's bytes to events", read)()
        desk.handle(events)
        self.run()


def round_of(operations: int) -> Costs:
    """Seconds by function for so many creates."""
    room = Room()
    desk = room.desks[room.elect()]
    room.say(desk, encode(1, SessionRequest(0, 30_000, 0, b"")))
    desk.stream.take()
    numbers = itertools.count(1)
    book = LineBook()
    for turn in ("warm", "counted"):
        room.costs.clear()
        for _ in range(operations // BATCH):
            ops = [Create(f"/{turn}-{n}", VALUE) for n in itertools.islice(numbers, BATCH)]

            def frames(ops: Sequence[Create] = tuple(ops)) -> bytes:
                return b"".join(encode(1, Request(xid, op)) for xid, op in enumerate(ops, 1))

            room.say(desk, timed(room.costs, "client: operations to bytes", frames)())
            raw = timed(room.costs, "follower: answers to bytes", desk.stream.take)()

            def answers(raw: bytes = raw) -> int:
                return len(list(book.route(client_pb2.ConnectResponse.FromString(raw))))

            timed(room.costs, "client: bytes to answers", answers)()
            assert len(client_pb2.ConnectResponse.FromString(raw).frames) == BATCH
    return room.costs


async def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="cost", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--operations", type=int, default=6400, help="creates (default 6400)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    options = parser.parse_args()
    tune_collector()
    rounds = [round_of(options.operations) for _ in range(options.rounds)]
    names = sorted(rounds[0], key=lambda name: -rounds[0][name])
    per_us = 1e6 / (options.operations // BATCH * BATCH)
    for name in names:
        print(f"{median(costs[name] for costs in rounds) * per_us:8.2f} {name}")  # noqa: T201
    total = median(sum(costs.values()) for costs in rounds) * per_us
    print(f"{total:8.2f} microseconds for each create")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
