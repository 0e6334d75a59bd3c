"""Events in, effects carried out in order, deadlines met, a broken core stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import uvloop

from nodes.client_codec import ClientEffect
from nodes.codec import TxnCodec, encode_txn
from nodes.core import txns
from nodes.core.counters import Counters
from nodes.core.effects import CloseConnection, Effect, Notify, Persist, PersistEpochs, Send, Trace
from nodes.core.errors import InvariantBroken
from nodes.core.events import DeadlineReached, Event, PeerLost, Persisted, ReadTracingSet, Started
from nodes.core.messages import Message, Ping
from nodes.core.status import Status
from nodes.driver import Driver
from nodes.storage import Job
from nodes.timer import monotonic_ms
from nodes.traces import REMEMBERED, TraceLog

TXN = txns.Txn(1, 2, 3, 4, txns.DeleteTxn("/a"))


class Core:
    """Gives the effects it was told to give."""

    def __init__(self, effects: dict[type[Event], list[Effect]]) -> None:
        self.effects = effects
        self.events: list[tuple[Event, float]] = []
        self.next_deadline: float | None = None
        self.is_serving = False
        self.reached = asyncio.Event()
        self.counters = Counters()

    def steps(self, events: Sequence[Event], now_ms: float) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            self.events.append((event, now_ms))
            if isinstance(event, PeerLost):
                raise InvariantBroken("two leaders of epoch 1")
            if isinstance(event, DeadlineReached):
                self.next_deadline = None
                self.reached.set()
            effects += self.effects.get(type(event), [])
        return effects

    def deadline(self) -> float | None:
        return self.next_deadline

    def status(self) -> Status:
        zeros: dict[str, Any] = {field.name: 0 for field in fields(Status)}
        return Status(**{**zeros, "is_serving": self.is_serving})

    def digest(self) -> str:
        return ""

    def dump(self) -> None:
        """Not used here."""

    def knows_session(self, session_id: int) -> bool:
        return False


class Outside:
    """Peers, clients and disk at once: one list of what was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.serving: list[bool] = []

    def send(self, peer: int, connection: int, message: Message, now_ms: float) -> None:
        self.asked.append((peer, connection, message))

    def answer(self, effect: ClientEffect) -> None:
        self.asked.append(effect)

    def submit(self, jobs: Sequence[Job]) -> None:
        self.asked.append(list(jobs))


def drive(core: Core, outside: Outside) -> Driver:
    driver = Driver(core, TxnCodec(), outside, TraceLog())
    driver.attach(outside, outside, outside.serving.append)
    return driver


def test_effects_are_carried_out_in_order_and_the_disk_gets_one_batch() -> None:
    async def scenario() -> None:
        epochs = PersistEpochs(1, 0)
        effects: list[Effect] = [Persist(TXN), Send(2, 7, Ping()), epochs, Notify(5, 1, "/a")]
        outside = Outside()
        driver = drive(Core({Started: effects}), outside)
        driver.handle([Started(), Started()])
        sent: list[object] = [(2, 7, Ping()), Notify(5, 1, "/a")]
        assert outside.asked == sent * 2
        await asyncio.sleep(0)
        assert outside.asked[4:] == [[(Persist(TXN), encode_txn(TXN)), (epochs, b"")] * 2]

    uvloop.run(scenario())


def test_a_deadline_is_reached_not_before_its_instant_even_when_moved() -> None:
    async def scenario() -> None:
        core = Core({})
        driver = drive(core, Outside())
        core.next_deadline = monotonic_ms() + 5
        driver.handle([Started()])
        await asyncio.sleep(0)
        moved = core.next_deadline = monotonic_ms() + 30
        async with asyncio.timeout(10):
            await core.reached.wait()
        event, at_ms = core.events[1]
        assert event == DeadlineReached()
        assert at_ms >= moved

    uvloop.run(scenario())


def test_a_deadline_nearer_than_the_loop_can_tell_is_reached_and_the_next_one_too() -> None:
    async def scenario() -> None:
        core = Core({})
        driver = drive(core, Outside())
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        async with asyncio.timeout(10):
            for _ in range(3):
                core.next_deadline = monotonic_ms() + 0.1
                driver.handle([Started()])
                await asyncio.sleep(0)
                driver.handle([Persisted(1)])
                await core.reached.wait()
                core.reached.clear()
        assert [event for event, _ in core.events].count(DeadlineReached()) == 3
        assert errors == []

    uvloop.run(scenario())


def test_a_nearer_deadline_replaces_a_farther_one() -> None:
    async def scenario() -> None:
        core = Core({})
        driver = drive(core, Outside())
        core.next_deadline = monotonic_ms() + 60_000
        driver.handle([Started()])
        await asyncio.sleep(0)
        core.next_deadline = monotonic_ms() + 5
        driver.handle([Persisted(1)])
        async with asyncio.timeout(10):
            await core.reached.wait()

    uvloop.run(scenario())


def test_a_broken_invariant_stops_everything() -> None:
    async def scenario() -> None:
        core = Core({})
        driver = drive(core, Outside())
        driver.handle([PeerLost(2), Started()])
        assert isinstance(driver.failed.result(), InvariantBroken)
        driver.handle([Started()])
        assert len(core.events) == 1

    uvloop.run(scenario())


def test_a_change_of_serving_is_told_once() -> None:
    async def scenario() -> None:
        core, outside = Core({}), Outside()
        driver = drive(core, outside)
        for is_serving in (False, True, True, False):
            core.is_serving = is_serving
            driver.handle([Started()])
            await asyncio.sleep(0)
        assert outside.serving == [True, False]

    uvloop.run(scenario())


def test_traces_are_stamped_kept_and_told() -> None:
    async def scenario() -> None:
        driver = drive(
            Core({Started: [Trace("a", {"n": 1})], Persisted: [Trace("b", {})]}), Outside()
        )
        driver.handle([Started(), Persisted(1)])
        listening = driver.traces.listen(["a"], with_past=True)
        assert await anext(listening) == ([], 0)
        ((_, kind, fields),), _ = await anext(listening)
        assert (kind, fields) == ("a", {"n": 1})
        driver.handle([Persisted(1), Started()])
        ((at_ms, kind, _),), _ = await anext(listening)
        assert kind == "a"
        assert abs(at_ms - monotonic_ms()) < 1000

    uvloop.run(scenario())


def test_reads_are_traced_only_while_somebody_names_them() -> None:
    async def scenario() -> None:
        core = Core({Persisted: [Trace("read_served", {"path": "/a"}), Trace("b", {})]})
        driver = drive(core, Outside())
        everything = driver.traces.listen([], with_past=True)
        assert await anext(everything) == ([], 0)
        assert core.events == []
        reads = driver.traces.listen(["read_served"], with_past=True)
        more = driver.traces.listen(["read_served"], with_past=True)
        assert await anext(reads) == await anext(more) == ([], 0)
        driver.handle([Persisted(1)])
        assert [kind for _, kind, _ in (await anext(reads))[0]] == ["read_served"]
        assert [kind for _, kind, _ in (await anext(everything))[0]] == ["b"]
        await more.aclose()
        await reads.aclose()
        told = [event for event, _ in core.events if isinstance(event, ReadTracingSet)]
        assert told == [ReadTracingSet(True), ReadTracingSet(False)]

    uvloop.run(scenario())


def test_a_listener_that_is_too_slow_learns_how_much_it_lost() -> None:
    async def scenario() -> None:
        traces = TraceLog()
        listening = traces.listen(["a"], with_past=False)
        await anext(listening)
        for number in range(REMEMBERED + 3):
            traces.add(float(number), "a", {})
        records, lost = await anext(listening)
        assert (len(records), records[0][0], lost) == (REMEMBERED, 3.0, 3)

    uvloop.run(scenario())


def test_packets_to_clients_are_counted_and_the_end_of_a_connection_is_none() -> None:
    async def scenario() -> None:
        core = Core({Started: [Notify(5, 1, "/a"), CloseConnection(5)]})
        drive(core, Outside()).handle([Started()])
        assert core.counters.requests.packets_sent == 1

    uvloop.run(scenario())
