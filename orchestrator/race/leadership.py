"""Puts the member one wants at the head of an ensemble, by ZooKeeper's own rules.

No vote is forged: the wanted member gets a transaction that nobody else has, and then the
leader dies. Who has logged more wins the election.
"""

from __future__ import annotations

import asyncio

from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse

from client.aio import AsyncClient
from client.ops import Create
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible


async def make_leader(ensemble: Ensemble, wanted: int) -> None:
    """Make `wanted` the leader of a running ensemble whose members all serve."""
    leader = await asyncio.to_thread(ensemble.leader)
    if leader == wanted:
        return
    status = await asyncio.to_thread(ensemble.status)
    sids = [member.sid for member in status.members]
    if wanted not in sids:
        raise NotPossible(f"no member {wanted}; members are {', '.join(map(str, sids))}")
    others = ",".join(f"{leader}->{sid}" for sid in sids if sid not in (leader, wanted))
    links = ensemble.link(others)
    client = AsyncClient([ensemble.address(leader)], 10_000)
    await client.start()
    await asyncio.to_thread(links.hold, only="PROPOSAL")
    # The leader's, not the wanted member's: the client's own session may still be on its way there.
    before = _logged(await asyncio.to_thread(ensemble.status), leader)
    # Logged by the leader and the wanted member alone; whether it commits does not matter.
    pending = client.submit(Create("/leader-", b"", 2))
    pending.add_done_callback(lambda future: future.exception())
    await asyncio.to_thread(
        ensemble.wait_until, lambda status: _logged(status, wanted) > before, 10
    )
    await asyncio.to_thread(ensemble.kill, leader)
    # A rule is the link's, not the member's: it would be in force again after the restart.
    await asyncio.to_thread(links.clear)
    await asyncio.to_thread(ensemble.wait_until, lambda status: _leads(status, wanted), 30)
    await asyncio.to_thread(ensemble.start, leader)
    await asyncio.to_thread(ensemble.wait_until_serving)
    await client.go_silent()
    await client.close()


def _logged(ensemble: GetEnsembleResponse, sid: int) -> int:
    return next(m.status.last_logged_zxid for m in ensemble.members if m.sid == sid)


def _leads(ensemble: GetEnsembleResponse, sid: int) -> bool:
    view = next(m.status for m in ensemble.members if m.sid == sid)
    return view.state == "LEADING" and view.is_serving
