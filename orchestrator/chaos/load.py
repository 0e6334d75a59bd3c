"""Clients that write, read, own ephemerals, and come and go, all from one seed.

Owns what is asked for and how often; the history keeps what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from client.aio import AsyncClient
from client.aio_line import Lines
from client.errors import LagkeeperError
from client.events import SessionState
from client.ops import (
    EPHEMERAL,
    Create,
    DataResult,
    Delete,
    Exists,
    GetChildren,
    GetData,
    Multi,
    MultiResult,
    Reply,
    SetData,
    StatResult,
    Sync,
    UserOp,
    WriteOp,
)
from client.recorded_ops import error_code
from client.recording import HistoryWriter

ROOT = "/chaos"
KEYS, LOG, EPHEMERALS = f"{ROOT}/keys", f"{ROOT}/log", f"{ROOT}/ephemerals"
DIRECTORIES = (ROOT, KEYS, LOG, EPHEMERALS)
KEY_COUNT = 16
OUTSTANDING = 16
OWNED = 4
LIFE_S = 12.0
CONNECT_MS = 8000
RETRY_S = 0.1

# What a client does next, and how often in a hundred.
MIX = {
    "set": 34,
    "set_if": 10,
    "create_key": 6,
    "delete_key": 1,
    "append": 8,
    "multi": 6,
    "own": 5,
    "disown": 3,
    "get": 15,
    "exists": 4,
    "children": 2,
    "sync_get": 5,
    "hop": 1,
}


async def prepare(client: AsyncClient) -> None:
    """Create the directories of the load. Raises the client's error."""
    for path in DIRECTORIES:
        await client.create(path, f"0:{path}".encode())


class LoadClient:
    """A program that keeps a session open; another one once that has ended.

    `acknowledged` is called with its number and the zxid of each write that was carried out.
    Invariant: `client` is the session of now, or the last one.
    """

    def __init__(
        self,
        number: int,
        members: Sequence[str],
        history: HistoryWriter,
        seed: int,
        *,
        timeout_ms: int,
        per_second: float,
        acknowledged: Callable[[int, int], object],
    ) -> None:
        self.number = number
        self.client: AsyncClient | None = None
        self._members = members
        self._history = history.program(number)
        self._acknowledged = acknowledged
        self._rng = Random(f"{seed} {number}")
        self._timeout_ms = timeout_ms
        # Its own, as of a program of its own: when one breaks, the other clients keep theirs.
        self._lines = Lines()
        self._per_second = per_second
        self._room = asyncio.Semaphore(OUTSTANDING)
        self._written = 0
        self._owned: list[str] = []
        self._versions: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then the last session stays open, with nothing outstanding."""
        while not stop.is_set():
            client = await self._open(stop)
            if client is None:
                return
            self._owned.clear()
            await self._live(client, stop)
            await self._drain()
            if not stop.is_set():
                await self._leave(client)

    async def close(self) -> None:
        """End the last session."""
        if self.client is not None:
            await self.client.close()

    async def _open(self, stop: asyncio.Event) -> AsyncClient | None:
        while not stop.is_set():
            client = AsyncClient(
                self._members,
                self._timeout_ms,
                first=self._rng.randrange(len(self._members)),
                connect_timeout_ms=CONNECT_MS,
                lines=self._lines,
                history=self._history,
            )
            try:
                await client.start()
            except LagkeeperError:
                await asyncio.sleep(RETRY_S)
                continue
            self.client = client
            return client
        return None

    async def _live(self, client: AsyncClient, stop: asyncio.Event) -> None:
        """Ask for one thing after the other, until it is time to go."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._rng.expovariate(1 / LIFE_S)
        kinds, weights = list(MIX), list(MIX.values())
        due = loop.time()
        while loop.time() < ends and client.state is not SessionState.EXPIRED:
            if stop.is_set():
                return
            (kind,) = self._rng.choices(kinds, weights)
            if kind == "hop":
                self._hop(client)
            else:
                await self._room.acquire()
                self._ask(client, kind)
            # On the grid of its own rate, unless it has fallen behind.
            due = max(due + self._rng.expovariate(self._per_second), loop.time())
            await asyncio.sleep(due - loop.time())

    async def _drain(self) -> None:
        for _ in range(OUTSTANDING):
            await self._room.acquire()
        for _ in range(OUTSTANDING):
            self._room.release()

    async def _leave(self, client: AsyncClient) -> None:
        """Close the session, or drop out and let the ensemble expire it."""
        if client.state is not SessionState.EXPIRED and self._rng.random() < 0.5:
            await client.go_silent()
        await client.close()

    def _ask(self, client: AsyncClient, kind: str) -> None:
        key = f"{KEYS}/{self._rng.randrange(KEY_COUNT)}"
        match kind:
            case "set":
                self._submit(client, SetData(key, self._value()))
            case "set_if":
                self._submit(client, SetData(key, self._value(), self._versions.get(key, 0)))
            case "create_key":
                self._submit(client, Create(key, self._value()))
            case "delete_key":
                self._submit(client, Delete(key))
            case "append":
                self._submit(client, self._new(LOG))
            case "multi":
                self._submit(client, Multi((SetData(key, self._value()), self._new(LOG))))
            case "own":
                create = self._new(EPHEMERALS, EPHEMERAL)
                self._owned.append(create.path)
                self._submit(client, create)
            case "disown" if len(self._owned) > OWNED:
                path = self._owned.pop(self._rng.randrange(len(self._owned)))
                self._submit(client, Delete(path))
            case "sync_get":
                client.submit(Sync(key)).add_done_callback(_ignore)
                self._submit(client, GetData(key))
            case "children":
                self._submit(client, GetChildren(KEYS))
            case "exists":
                self._submit(client, Exists(key))
            case _:
                self._submit(client, GetData(key))

    def _hop(self, client: AsyncClient) -> None:
        """Lose the connection: the session goes on at a member which may have applied less."""
        if client.member is not None:
            self._lines.to(client.member).task.cancel()

    def _value(self) -> bytes:
        """One that nobody else writes."""
        self._written += 1
        return f"{self.number}:{self._written}".encode()

    def _new(self, directory: str, flags: int = 0) -> Create:
        value = self._value()
        return Create(f"{directory}/{value.decode().replace(':', '-')}", value, flags)

    def _submit(self, client: AsyncClient, op: UserOp) -> None:
        client.submit(op).add_done_callback(lambda done: self._learn(op, done))

    def _learn(self, op: UserOp, done: asyncio.Future[Reply]) -> None:
        self._room.release()
        error = done.exception()
        if isinstance(error, LagkeeperError):
            return
        reply = done.result()
        if error_code(op, reply):
            return
        if isinstance(op, WriteOp | Multi):
            self._acknowledged(self.number, reply.zxid)
        shown, first = reply.result, op.ops[0] if isinstance(op, Multi) else op
        if isinstance(shown, MultiResult):
            shown = shown.results[0]
        if isinstance(shown, StatResult | DataResult):
            self._versions[first.path] = shown.stat.version


def _ignore(done: asyncio.Future[Reply]) -> None:
    """Take note of an error, which asyncio would complain about otherwise."""
    done.exception()
