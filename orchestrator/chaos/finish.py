"""The end of a run: waits until a healed ensemble is at rest, and reads it whole, member by member.

Owns what the judge is told of the end. A member or a client that does not come back is recorded
as such; nothing is raised for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice

from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse

from client.aio import AsyncClient
from client.errors import LagkeeperError
from client.events import SessionState
from client.history import LIVING, LOST, Member
from client.ops import GetData
from client.recording import HistoryWriter
from orchestrator.chaos.load import DIRECTORIES, LoadClient
from orchestrator.ensemble import Ensemble

SERVING_S = 30.0
CLIENTS_S = 20.0
REST_S = 10.0
POLL_S = 0.05
BATCH = 256
READER_TIMEOUT_MS = 10_000

View = GetEnsembleResponse


async def finish(
    ensemble: Ensemble, writer: HistoryWriter, clients: Iterable[LoadClient], timeout_ms: int
) -> None:
    """Bring the run to its rest, and add to the history what every member then shows."""
    await _reached(ensemble, _all_serve, SERVING_S)
    await asyncio.gather(*(_confirm(writer, client) for client in clients))
    sessions = writer.history.sessions.values()
    living = sum(1 for session in sessions if session.end == LIVING)
    # The timeouts of all sessions began anew with the last leader.
    await _reached(ensemble, lambda view: _count_sessions(view, living), 2 * timeout_ms / 1000 + 5)
    view = await asyncio.to_thread(ensemble.status)
    await asyncio.gather(
        *(_read_all(writer, m.address) for m in view.members if m.status.is_serving)
    )
    await _reached(ensemble, _are_equal, REST_S, with_digest=True)
    view = await asyncio.to_thread(lambda: ensemble.status(with_digest=True))
    writer.add(
        *(
            Member(
                member.sid,
                member.process,
                member.status.is_serving,
                member.status.last_zxid,
                member.status.digest,
                member.last_error,
            )
            for member in view.members
        )
    )


async def _reached(
    ensemble: Ensemble,
    claim: Callable[[View], bool],
    patience_s: float,
    *,
    with_digest: bool = False,
) -> bool:
    """Poll until the ensemble's view satisfies a claim; False if it never does."""
    deadline = time.monotonic() + patience_s
    while True:
        view = await asyncio.to_thread(lambda: ensemble.status(with_digest=with_digest))
        if claim(view):
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)


def _all_serve(view: View) -> bool:
    return all(member.status.is_serving for member in view.members)


def _count_sessions(view: View, living: int) -> bool:
    return all(member.status.global_sessions == living for member in view.members)


def _are_equal(view: View) -> bool:
    return len({(m.status.last_zxid, m.status.digest) for m in view.members}) == 1


async def _confirm(writer: HistoryWriter, load: LoadClient) -> None:
    """Learn whether a client's last session lives: it does if it is answered now."""
    client = load.client
    if client is None:
        return
    session = writer.history.sessions[client.session_id]
    if session.end != LIVING:
        return
    try:
        async with asyncio.timeout(CLIENTS_S):
            while client.state is not SessionState.EXPIRED:
                with suppress(LagkeeperError):
                    await client.sync("/")
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        session.end = LOST


async def _read_all(writer: HistoryWriter, address: str) -> None:
    """Read every znode that anybody named or that is there, through one member."""
    history = writer.history
    client = AsyncClient([address], READER_TIMEOUT_MS, history=writer.program(0))
    try:
        await client.start()
    except LagkeeperError:
        return  # the members' records tell
    paths = {write.path: None for op in history.operations for write in op.writes}
    try:
        await client.sync("/")
        for directory in DIRECTORIES:
            with suppress(LagkeeperError):
                names = await client.children(directory)
                paths.update((f"{directory}/{name}", None) for name in names)
        rest = iter(paths)
        while batch := list(islice(rest, BATCH)):
            reads = (client.submit(GetData(path)) for path in batch)
            await asyncio.gather(*reads, return_exceptions=True)
    except LagkeeperError:
        pass  # its operations tell
    finally:
        for operation in history.operations:
            operation.is_final |= operation.session_id == client.session_id
        await client.close()
