"""The bench on which a trial stands: sessions on chosen members, victims, and members' traces.

Owns connections and subscriptions, no verdict. A trial learns when a session was marked, closed
or applied from the members' own traces, on the one monotonic clock of the host, so that it can
act inside a window of a few milliseconds instead of guessing where that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse

from client.aio import AsyncClient, connect_once
from client.aio_line import Lines, shared_lines
from client.errors import ConnectionLossError, NodeExistsError
from client.line import Answer, Verdict
from client.ops import Sync
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible

READER_TIMEOUT_MS = 60_000
PATIENCE_S = 30.0
Traces = grpc.aio.UnaryStreamCall[admin_pb2.StreamTracesRequest, admin_pb2.StreamTracesResponse]
WATCHED = ("close_marked", "close_committed", "close_applied", "serving")


@dataclass(slots=True)
class Victim:
    """A session that is to expire, and the ephemeral znode it owns."""

    client: AsyncClient
    path: str
    timeout_ms: int
    lines: Lines
    last_touch_ms: float = 0.0

    @property
    def session_id(self) -> int:
        """Its session."""
        return self.client.session_id

    async def present(self, address: str) -> Verdict:
        """Present the session's id to one member and return what that says."""
        return await connect_once(
            address,
            self.session_id,
            self.client.password,
            self.timeout_ms,
            wait_ms=5000,
            lines=self.lines,
        )


class Lab:
    """One running ensemble with a reader on every member. Use as an asynchronous context."""

    def __init__(self, ensemble: Ensemble, lines: Lines | None = None) -> None:
        """`lines`: how members are spoken to; gRPC if not given."""
        self.ensemble = ensemble
        self.lines = lines or shared_lines()
        self.sids: list[int] = []
        self.leader = 0
        self.readers: dict[int, AsyncClient] = {}
        self._channels: list[grpc.aio.Channel] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[tuple[int, str, int], asyncio.Future[float]] = {}
        self._seen: dict[tuple[int, str, int], float] = {}
        self._clients: list[AsyncClient] = []
        self._spares: dict[int, AsyncClient] = {}

    async def __aenter__(self) -> Self:
        """Subscribe to every member and open a session on each."""
        self.lines.hold()
        status = await asyncio.to_thread(self.ensemble.status)
        self.sids = [member.sid for member in status.members]
        await self.find_leader()
        for sid in self.sids:
            await self._subscribe(sid)
            self.readers[sid] = await self.open(sid)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what was opened; the ensemble stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()
        for client in self._clients:
            await client.go_silent()
            await client.close()
        await self.lines.release()

    async def find_leader(self) -> int:
        """Return who leads now."""
        self.leader = await asyncio.to_thread(self.ensemble.leader)
        return self.leader

    @property
    def followers(self) -> list[int]:
        """Everybody but the leader."""
        return [sid for sid in self.sids if sid != self.leader]

    def address(self, sid: int) -> str:
        """Where a member listens."""
        return self.ensemble.address(sid)

    # Traces.

    async def _subscribe(self, sid: int) -> None:
        channel = grpc.aio.insecure_channel(self.address(sid))
        self._channels.append(channel)
        call = AdminServiceStub(channel).StreamTraces(
            admin_pb2.StreamTracesRequest(kinds=list(WATCHED))
        )
        await call.read()  # the empty one that says: subscribed
        self._tasks.append(asyncio.create_task(self._listen(call)))

    async def _listen(
        self,
        call: grpc.aio.UnaryStreamCall[
            admin_pb2.StreamTracesRequest, admin_pb2.StreamTracesResponse
        ],
    ) -> None:
        try:
            while isinstance(response := await call.read(), admin_pb2.StreamTracesResponse):
                for trace in response.traces:
                    self._on_trace(trace)
        except grpc.aio.AioRpcError:
            # A member that was killed; who waits for its traces runs out of patience.
            return

    def _on_trace(self, trace: admin_pb2.TraceRecord) -> None:
        key = (trace.sid, trace.kind, trace.fields["session_id"].number)
        self._seen[key] = trace.at_ms
        waiting = self._waiting.pop(key, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(trace.at_ms)

    def disregard(self, kind: str) -> None:
        """Forget what was traced of `kind` so far: `when` is to wait for the next one."""
        self._seen = {key: at_ms for key, at_ms in self._seen.items() if key[1] != kind}

    async def when(self, sid: int, kind: str, session_id: int = 0) -> float:
        """Wait until a member traces `kind`, of a session; return the instant in milliseconds."""
        key = (sid, kind, session_id)
        if key in self._seen:
            return self._seen[key]
        future = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(future, PATIENCE_S)
        except TimeoutError:
            detail = f"member {sid} did not trace {kind} of session {session_id:#x}"
            raise NotPossible(f"{detail} within {PATIENCE_S:.0f} s") from None

    def has_happened(self, sid: int, kind: str, session_id: int) -> bool:
        """Whether a member has traced `kind` of a session so far."""
        return (sid, kind, session_id) in self._seen

    # Sessions.

    async def open(self, sid: int, timeout_ms: int = READER_TIMEOUT_MS) -> AsyncClient:
        """Open a session on one member; it never goes to another."""
        client = AsyncClient(
            [self.address(sid)], timeout_ms, connect_timeout_ms=20_000, lines=self.lines
        )
        await client.start()
        self._clients.append(client)
        return client

    async def victim(self, sid: int, timeout_ms: int) -> Victim:
        """Open a session on one member, with an ephemeral znode that every member has applied."""
        while True:
            client = await self.open(sid, timeout_ms)
            try:
                path = await client.create("/race-", ephemeral=True, sequential=True)
            except ConnectionLossError:
                pass
            else:
                victim = Victim(client, path, client.timeout_ms, self.lines)
                readers = self.readers.values()
                owned = await asyncio.gather(
                    *(self.is_stale_after_sync(r, victim) for r in readers)
                )
                if all(owned):
                    return victim
                # Nothing but its expiry takes the znode away.
                await self.when(self.leader, "close_marked", victim.session_id)
            # A timeout this short may pass before the machine finds time for an answer; nothing has
            # been asked yet, so take another session.
            await client.go_silent()

    async def is_stale(self, reader: AsyncClient, victim: Victim) -> bool:
        """Read; whether the znode is still there and the victim's."""
        stat = await reader.exists(victim.path)
        return stat is not None and stat.ephemeral_owner == victim.session_id

    async def is_stale_after_sync(self, reader: AsyncClient, victim: Victim) -> bool:
        """`sync()`, then read."""
        await reader.sync(victim.path)
        return await self.is_stale(reader, victim)

    async def is_stale_in_order(self, reader: AsyncClient, victim: Victim) -> bool:
        """`sync()`, then read, both sent at once: a session's requests keep their order."""
        reader.submit(Sync(victim.path))
        return await self.is_stale(reader, victim)

    async def is_stale_in_new_session(
        self, sid: int, victim: Victim, *, sync_first: bool = False
    ) -> bool:
        """Open a session, then read."""
        async with self.new_session(sid) as client:
            read = self.is_stale_after_sync if sync_first else self.is_stale
            return await read(client, victim)

    @asynccontextmanager
    async def new_session(self, sid: int) -> AsyncIterator[AsyncClient]:
        """Open a session on a member, and close it in the end."""
        client = await self.open(sid)
        yield client
        self._clients.remove(client)
        await client.close()

    async def spare(self, sid: int) -> AsyncClient:
        """A second session on a member, for what must not wait behind the reader's requests."""
        if sid not in self._spares:
            self._spares[sid] = await self.open(sid)
        return self._spares[sid]

    async def is_create_refused(self, client: AsyncClient, victim: Victim) -> bool:
        """Create the victim's path from another session; whether it is refused as existing."""
        try:
            await client.create(victim.path)
        except NodeExistsError:
            return True
        await client.delete(victim.path)
        return False

    async def is_told_expired(self, sid: int, victim: Victim) -> bool:
        """Present the victim's id to a member; whether the answer is: expired."""
        verdict = await victim.present(self.address(sid))
        return verdict.answer is Answer.EXPIRED

    async def forget(self, victim: Victim) -> None:
        """Let go of a victim that is gone."""
        self._clients.remove(victim.client)
        await victim.client.close()

    async def start(self, sid: int) -> None:
        """Start a member that was killed, and listen to it again."""
        await asyncio.to_thread(self.ensemble.start, sid)
        await self._subscribe(sid)

    async def settle(self) -> None:
        """Wait until every member serves under one leader and every reader is connected again."""
        await asyncio.to_thread(self.ensemble.wait_until, _is_settled, PATIENCE_S)
        await self.find_leader()
        for reader in self.readers.values():
            while True:
                try:
                    await reader.sync()
                    break
                except ConnectionLossError:
                    await asyncio.sleep(0.02)

    # Links.

    async def delay(self, links: str, delay_ms: float) -> None:
        """Delay links by as much; 0 takes the delay off."""
        link = self.ensemble.link(links)
        if delay_ms:
            await asyncio.to_thread(link.delay, ms=delay_ms)
        else:
            await asyncio.to_thread(link.clear)

    async def require_touched(self, links: str) -> None:
        """Raise NotPossible if a rule on these links touched nothing: that was no experiment."""
        if await asyncio.to_thread(self.ensemble.link(links).touched) == 0:
            raise NotPossible(f"the rules on {links} touched no message; the trial says nothing")


def _is_settled(ensemble: GetEnsembleResponse) -> bool:
    views = [member.status for member in ensemble.members]
    leaders = [view for view in views if view.state == "LEADING"]
    return len(leaders) == 1 and all(view.is_serving for view in views)
