"""TCP relays between real servers: what `orchestrator link` does here, done from outside.

Owns one thread with an event loop. A server reaches each other one through a relay of its own;
bytes of one direction can be delayed or held. Nothing is lost or reordered, and a held
connection stays open.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Link = tuple[int, int]
T = TypeVar("T")


@dataclass
class _Rule:
    delay_s: float = 0.0
    free: asyncio.Event = field(default_factory=asyncio.Event)


class Relays:
    """Every relay of one ensemble. `close` ends the thread and all connections."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self._rules: dict[Link, _Rule] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def add(self, sender: int, receiver: int, target_port: int) -> int:
        """Open a relay for connections of `sender` to a port of `receiver`; return its port."""
        return self._run(self._add(sender, receiver, target_port))

    def delay(self, links: Iterable[Link], seconds: float) -> None:
        """Let bytes on these links arrive so much later; 0 ends it."""
        for link in links:
            self._rules[link].delay_s = seconds

    def hold(self, links: Iterable[Link]) -> None:
        """Keep the bytes of these links until `release`."""
        self._run(self._set_free(list(links), False))

    def release(self) -> None:
        """End every hold."""
        self._run(self._set_free(list(self._rules), True))

    def close(self) -> None:
        """End everything."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _set_free(self, links: list[Link], is_free: bool) -> None:
        for link in links:
            event = self._rules[link].free
            if is_free:
                event.set()
            else:
                event.clear()

    def _rule(self, link: Link) -> _Rule:
        if link not in self._rules:
            self._rules[link] = _Rule()
            self._rules[link].free.set()
        return self._rules[link]

    async def _add(self, sender: int, receiver: int, target_port: int) -> int:
        there, back = self._rule((sender, receiver)), self._rule((receiver, sender))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
            except OSError:
                writer.close()
                return
            pumps = [_pump(reader, far_writer, there), _pump(far_reader, writer, back)]
            try:
                await asyncio.gather(*pumps)
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.close()
                far_writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rule: _Rule) -> None:
    """Carry bytes from one to the other, each piece as late as the rule says, then the end."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await rule.free.wait()
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            try:
                data = await reader.read(1 << 16)
            except OSError:
                data = b""
            queue.put_nowait((loop.time() + rule.delay_s, data))
            if not data:
                break
        await delivery
    finally:
        delivery.cancel()
