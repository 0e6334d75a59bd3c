"""What clients of the wire port may ask for at once, and how long they may be silent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from nodes.core import requests as core
from nodes.core.effects import Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectionLost
from nodes.wire.server import GLOBAL_OUTSTANDING_LIMIT
from tests.wire import ops
from tests.wire.port import CONNECT, a_port, frame, ok, on_a_loop, request, with_data


@on_a_loop
async def test_too_many_outstanding_requests_are_read_later() -> None:
    async with a_port() as port:
        client, other = await port.session(), await port.session()
        total = 3 * GLOBAL_OUTSTANDING_LIMIT
        client.send(b"".join(request(ops.create("/a"), xid) for xid in range(1, total + 1)))
        await port.until(lambda: len(port.requests) >= GLOBAL_OUTSTANDING_LIMIT)
        await asyncio.sleep(0.05)
        assert len(port.requests) < GLOBAL_OUTSTANDING_LIMIT + 100
        # One that waits for nothing is served all the same.
        other.send(request(ops.get_data("/a"), 1))
        await port.until(lambda: port.requests[-1].connection == 2)
        port.tell(with_data(1)(port.requests[-1]))
        assert await other.xid() == 1
        answered = 0
        while answered < total:
            mine = [event for event in port.requests if event.connection == 1]
            for event in mine[answered:]:
                port.tell(Reply(1, event.xid, 1, ErrorCode.OK, core.PathResult("/a")))
            for _ in mine[answered:]:
                answered += 1
                assert await client.xid() == answered
            await asyncio.sleep(0)
        assert port.server.outstanding == 0


@on_a_loop
async def test_a_client_that_sends_much_at_once_lets_others_have_their_turn() -> None:
    async with a_port() as port:
        port.answer = ok
        busy, other = await port.session(), await port.session()
        total = 5000
        busy.send(b"".join(request(ops.set_data("/a", None), xid) for xid in range(total)))
        other.send(request(ops.PING, -2))
        assert await other.xid() == -2
        assert len(port.requests) < total
        assert [await busy.xid() for _ in range(total)] == list(range(total))


@on_a_loop
async def test_a_client_that_does_not_read_is_not_read_either() -> None:
    async with a_port() as port:
        port.answer = with_data(100_000)
        client = await port.session()
        total = 600
        client.send(b"".join(request(ops.get_data("/a"), xid) for xid in range(1, total + 1)))
        await port.until(lambda: bool(port.requests))
        await asyncio.sleep(0.2)
        # 60 MB were asked for; what is not read stays in a batch, and in the kernel.
        assert len(port.requests) < 100
        for xid in range(1, total + 1):
            assert await client.xid() == xid


@on_a_loop
async def test_what_came_while_much_was_outstanding_is_read_whole_afterwards() -> None:
    """A long request before short ones: what waits is shorter than what was needed last."""
    async with a_port() as port:
        many = [request(ops.get_data("/a"), xid) for xid in range(2 * GLOBAL_OUTSTANDING_LIMIT)]
        first = await port.session()
        first.send(b"".join(many))
        await port.until(lambda: len(port.requests) >= GLOBAL_OUTSTANDING_LIMIT)
        held_at = len(port.requests)
        port.server.by_number[1].abort()
        second = await port.session()
        frames = many[: held_at + 5]
        frames[held_at - 1] = request(ops.set_data("/a", bytes(3000)), 0)
        second.send(b"".join(frames))
        answered = 0
        while answered < len(frames):
            for event in port.requests[held_at + answered :]:
                port.tell(Reply(2, event.xid, 1, ErrorCode.NO_NODE, None))
                await second.read()
                answered += 1
            await asyncio.sleep(0)
        assert port.server.outstanding == 0


@on_a_loop
async def test_one_host_has_so_many_connections_and_no_more() -> None:
    async with a_port(max_client_cnxns=2) as port:
        first, second, third = [await port.client() for _ in range(3)]
        assert await third.is_closed()
        first.writer.close()
        await port.until(lambda: len(port.server.connections) == 1)
        fourth = await port.session()
        port.answer = ok
        fourth.send(request(ops.PING, -2))
        assert await fourth.xid() == -2
        second.writer.close()


class ClockedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    offset_s = 0.0

    def time(self) -> float:
        return super().time() + self.offset_s


def test_idle_connections_are_closed_on_the_grid() -> None:
    loop = ClockedLoop()

    async def put_forward_to(instant_s: float) -> None:
        loop.offset_s += instant_s - loop.time()
        for _ in range(5):
            await asyncio.sleep(0)

    async def scenario() -> None:
        async with a_port() as port:
            # To just behind a multiple of 10 s.
            grid_s = (loop.time() // 10 + 2) * 10
            await put_forward_to(grid_s + 0.1)
            port.answer = ok
            silent, idle, busy = await port.client(), await port.session(), await port.session()
            busy.send(request(ops.PING, -2))
            await busy.xid()
            # Its session is never set up, and so it may wait as long as a session of 15 s.
            waiting = await port.client()
            deliver, port.server.deliver = port.server.deliver, lambda events: None
            waiting.send(frame(CONNECT.replace(ops.int_(4000), ops.int_(15_000))))
            await port.until(lambda: port.server.by_number[4].has_session)
            port.server.deliver = deliver
            # A session of 4 s, heard from 1 s after the multiple, has until the next but one.
            await put_forward_to(grid_s + 7)
            busy.send(request(ops.PING, -2))
            await busy.xid()
            await put_forward_to(grid_s + 10.01)
            assert await silent.is_closed()
            assert await idle.is_closed()
            assert [it.number for it in port.server.connections] == [3, 4]
            assert [ConnectionLost(2)] in port.batches
            await put_forward_to(grid_s + 20.01)
            assert await busy.is_closed()
            assert await waiting.is_closed()

    run_on(loop, scenario())


def test_a_client_that_nobody_came_to_read_is_not_idle() -> None:
    """A busy member may not have read the greeting of who came just before the grid's multiple."""
    loop = ClockedLoop()

    async def scenario() -> None:
        async with a_port() as port:
            silent, busy = await port.client(), await port.client()
            await port.until(lambda: len(port.server.connections) == 2)
            os.write(busy.writer.get_extra_info("socket").fileno(), frame(CONNECT))
            loop.offset_s += 10
            port.server._sweep()
            assert [it.number for it in port.server.connections if it.is_readable] == [2]
            assert await silent.is_closed()
            assert len(await busy.read()) > len(CONNECT) // 2

    run_on(loop, scenario())


def run_on(loop: asyncio.AbstractEventLoop, scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(scenario)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
