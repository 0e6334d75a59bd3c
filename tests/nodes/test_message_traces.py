"""Messages between members are traced at both ends, and only while somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nodes.core.messages import Ack, Commit, Ping, Proposal, Request, Revalidated
from nodes.core.packet_traces import MESSAGE_TRACES, describe
from nodes.core.requests import Delete
from nodes.core.txns import CloseSessionTxn, DeleteTxn, Txn
from nodes.core.zxid import make_zxid
from nodes.rules import parse_rule
from nodes.traces import Record, TraceLog
from tests.nodes.test_transport import Side, two_sides


class Records(list[Record]):
    """Records, and a sign that there are more."""

    def __init__(self) -> None:
        super().__init__()
        self.news = asyncio.Event()


@asynccontextmanager
async def listening(side: Side) -> AsyncIterator[Records]:
    """The records that a side traces of messages, as they come."""
    traces = TraceLog()
    side.transport.trace_to(traces)
    records = Records()
    listener = traces.listen([*MESSAGE_TRACES], with_past=True)
    assert await anext(listener) == ([], 0)

    async def listen() -> None:
        async for batch, _ in listener:
            records.extend(batch)
            records.news.set()

    task = asyncio.create_task(listen())
    try:
        yield records
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.aclose()
        assert not traces.wants_messages


async def until(records: Records, count: int) -> None:
    async with asyncio.timeout(10):
        while len(records) < count:
            records.news.clear()
            await records.news.wait()


def test_both_ends_tell_of_the_same_message() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two), listening(one) as sent, listening(two) as received:
            one.send(Commit(make_zxid(1, 7), "closeSession"), Ping())
            await until(sent, 2)
            await until(received, 2)
            (at_ms, kind, fields), _ = sent
            common = {"number": 1, "packet": "COMMIT", "zxid": "1:7"}
            assert (kind, fields) == (
                *("message_sent", {"peer": 2, "txn_type": "closeSession", **common}),
            )
            (later_ms, kind, fields), (_, _, ping) = received
            assert (kind, fields) == ("message_received", {"peer": 1, **common})
            assert at_ms <= later_ms
            assert ping == {"peer": 1, "number": 2, "packet": "PING"}

    asyncio.run(scenario())


def test_one_that_a_rule_keeps_tells_when_it_left() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two), listening(one) as sent, listening(two) as received:
            one.link.set_rule(parse_rule("hold only=COMMIT"))
            one.send(Commit(1), Ack(2), Ping())
            await until(received, 1)
            kept = [fields.get("is_kept", False) for _, _, fields in sent]
            assert kept == [True, True, False]
            one.link.clear_rules()
            one.transport.outbound[2].wake()
            await until(received, 3)
            left = [(kind, fields) for _, kind, fields in sent if kind == "message_left"]
            assert left == [("message_left", {"peer": 2, "number": n}) for n in (1, 2)]
            assert [fields["number"] for _, _, fields in received] == [3, 1, 2]

    asyncio.run(scenario())


def test_nothing_is_numbered_or_told_while_nobody_asks() -> None:
    async def scenario() -> None:
        async with two_sides() as (one, two):
            traces = TraceLog()
            one.transport.trace_to(traces)
            two.transport.trace_to(traces)
            told: list[Record] = []

            class Watcher:
                def add(self, record: Record) -> None:
                    told.append(record)

            traces.watch(Watcher())
            one.send(Commit(1), Commit(2))
            await two.until_received(2)
            assert told == []
            async with listening(two) as received:
                one.send(Commit(3))
                await until(received, 1)
                # Its sender is not traced: there is no number to find its other end by.
                assert received[0][2]["number"] == 0

    asyncio.run(scenario())


def test_everything_else_beside_what_is_named() -> None:
    async def scenario() -> None:
        traces = TraceLog()
        listener = traces.listen(["*", "message_sent"], with_past=True)
        await anext(listener)
        for kind in ("close_marked", "message_sent", "message_received", "read_served"):
            traces.add(1.0, kind, {})
        assert [kind for _, kind, _ in (await anext(listener))[0]] == [
            *("close_marked", "message_sent"),
        ]
        await listener.aclose()

    asyncio.run(scenario())


def test_what_a_packet_says() -> None:
    closing = Txn(5, 0, make_zxid(2, 3), 0, CloseSessionTxn(("/a",)))
    named = {"txn_type": "closeSession", "zxid": "2:3", "session_id": 5}
    assert describe(Proposal(closing)) == {"packet": "PROPOSAL", **named}
    deleting = Proposal(Txn(5, 1, make_zxid(2, 4), 0, DeleteTxn("/a")))
    assert describe(deleting)["path"] == "/a"
    asked = {"packet": "REQUEST", "txn_type": "delete", "session_id": 5, "path": "/a"}
    assert describe(Request(5, 1, Delete("/a"))) == asked
    verdict = {"packet": "REVALIDATE", "session_id": 5, "is_valid": False}
    assert describe(Revalidated(5, False)) == verdict
