"""The three windows between "expired" and gone, one function per trial.

Each trial lets a victim on the leader expire by silence, learns of it by presenting the
victim's id again, and only then reads. What is read is the trial's whole result; what the real
ensemble showed is not known here.
"""

from __future__ import annotations

import asyncio
import time

from client.ops import Exists
from orchestrator.errors import NotPossible
from orchestrator.race.ground_truth import NEW_SESSION, OPEN_SESSION, OPEN_SYNC, TOLD
from orchestrator.race.lab import Lab, Victim
from orchestrator.race.raw import RawConnection
from orchestrator.race.tally import Trial

VICTIM_TIMEOUT_MS = 300
W1_DELAY_MS = 1500.0
LATENCY_MS = 60.0
# What a read may need from the program to the member on a busy machine.
ARRIVAL_MS = 10.0


async def trial_w2(
    lab: Lab, reader_sid: int, delay_ms: float, *, has_local_sessions: bool = False
) -> Trial:
    """W2: committed, but the reader's member has not applied it. The link is delayed already."""

    async def read_in_new_session() -> tuple[bool, float]:
        async with lab.new_session(reader_sid) as client:
            asked_ms = time.monotonic() * 1000
            return await lab.is_stale(client, victim), asked_ms

    reader = lab.readers[reader_sid]
    victim = await lab.victim(lab.leader, VICTIM_TIMEOUT_MS)
    await victim.client.go_silent()
    # Told inside the window: the leader has committed, its commit is on the way to the reader.
    committed_ms = await lab.when(lab.leader, "close_committed", victim.session_id)
    await _require_told(lab, lab.leader, victim)
    invoked_ms = time.monotonic() * 1000
    stale, synced, (new, asked_ms) = await asyncio.gather(
        lab.is_stale(reader, victim),
        lab.is_stale_in_order(reader, victim),
        read_in_new_session(),
    )
    if has_local_sessions:
        # Nothing orders a local session behind the closing: its read is one in the window, or late.
        invoked_ms = asked_ms
    applied_ms = await lab.when(reader_sid, "close_applied", victim.session_id)
    await lab.forget(victim)
    trial = Trial({OPEN_SESSION: stale, OPEN_SYNC: synced, NEW_SESSION: new})
    trial.window_ms = applied_ms - committed_ms if delay_ms else None
    trial.is_void = is_void(delay_ms, invoked_ms, applied_ms)
    return trial


def is_void(delay_ms: float, invoked_ms: float, applied_ms: float) -> bool:
    """Whether a busy machine made another experiment of it, by the clock and the traces alone.

    Without an injected delay: the member had not applied yet, so something else delayed it.
    With one: the read was sent into the last moments of the window, by a program that got no
    processor in time, and may arrive behind it: it asks nothing about the window.
    """
    if delay_ms == 0:
        return invoked_ms < applied_ms
    return invoked_ms > applied_ms - min(ARRIVAL_MS, delay_ms / 2)


async def trial_w1(lab: Lab) -> Trial:
    """W1: proposed, but without a quorum of acks, because every follower's are late."""
    leader, follower = lab.leader, lab.followers[0]
    # What must wait for the commit goes through sessions of its own: a session's requests keep
    # their order, and the plain reads would wait behind it.
    creator, syncer = await lab.spare(leader), await lab.spare(follower)
    victim = await lab.victim(leader, VICTIM_TIMEOUT_MS)
    late = ",".join(f"{sid}->{leader}" for sid in lab.followers)
    await lab.delay(late, W1_DELAY_MS)
    closing = await _talk_raw(lab, leader, victim)
    await lab.when(leader, "close_marked", victim.session_id)
    told = await lab.is_told_expired(leader, victim)
    closing.send(Exists(victim.path))
    sessions = lab.readers
    slow = asyncio.gather(
        lab.is_stale_after_sync(syncer, victim),
        lab.is_stale_in_new_session(leader, victim),
        lab.is_stale_in_new_session(follower, victim),
        lab.is_create_refused(creator, victim),
    )
    on_leader = await lab.is_stale(sessions[leader], victim)
    on_leader_synced = await lab.is_stale_after_sync(sessions[leader], victim)
    on_follower = await lab.is_stale(sessions[follower], victim)
    is_early = not lab.has_happened(leader, "close_committed", victim.session_id)
    await lab.require_touched(late)
    # Everything else needs the commit: what it reads is behind it, however late the acks are.
    await lab.delay(late, 0)
    synced, new_leader, new_follower, refused = await slow
    await asyncio.wait_for(closing.lost, 10)
    await lab.forget(victim)
    return Trial(
        {
            f"{TOLD} before closeSession commits": told and is_early,
            f"{OPEN_SESSION}, on the leader": on_leader,
            f"{OPEN_SESSION}, on a follower": on_follower,
            f"{OPEN_SYNC}, on a follower": synced,
            f"{OPEN_SYNC}, on the leader": on_leader_synced,
            f"{NEW_SESSION}, on the leader": new_leader,
            f"{NEW_SESSION}, on a follower": new_follower,
            "create of the same path is refused": refused,
            "a request of the closing session on the leader gets a reply": bool(closing.replies),
            "the connection of the closing session is closed in the end": closing.lost.done(),
        }
    )


async def trial_w0(lab: Lab) -> Trial:
    """W0: marked closing, closeSession not submitted. Nothing orders a reader behind it."""
    leader, follower = lab.leader, lab.followers[0]
    victim = await lab.victim(leader, VICTIM_TIMEOUT_MS)
    await asyncio.to_thread(lab.ensemble.hold_closing)
    try:
        await victim.client.go_silent()
        await lab.when(leader, "close_marked", victim.session_id)
        seen = await _read_in_w0(lab, leader, follower, victim)
    finally:
        await asyncio.to_thread(lab.ensemble.release_closing)
    await asyncio.gather(*(lab.when(s, "close_applied", victim.session_id) for s in lab.sids))
    left = [await lab.is_stale(reader, victim) for reader in lab.readers.values()]
    seen["the znode is gone once the closing goes on"] = not any(left)
    await lab.forget(victim)
    return Trial(seen)


async def _read_in_w0(lab: Lab, leader: int, follower: int, victim: Victim) -> dict[str, bool]:
    on_follower, on_leader = lab.readers[follower], lab.readers[leader]
    new = lab.is_stale_in_new_session
    seen = {
        f"{TOLD}, through a follower": await lab.is_told_expired(follower, victim),
        f"{TOLD}, through the leader": await lab.is_told_expired(leader, victim),
        f"{OPEN_SESSION}, on a follower": await lab.is_stale(on_follower, victim),
        f"{OPEN_SESSION}, on the leader": await lab.is_stale(on_leader, victim),
        f"{OPEN_SYNC}, on a follower": await lab.is_stale_after_sync(on_follower, victim),
        f"{NEW_SESSION}, on a follower": await new(follower, victim),
        f"{NEW_SESSION}, on the leader": await new(leader, victim),
        f"{NEW_SESSION}, sync first, on a follower": await new(follower, victim, sync_first=True),
        f"{NEW_SESSION}, sync first, on the leader": await new(leader, victim, sync_first=True),
    }
    written = await on_leader.create("/written-", sequential=True)
    seen[f"{NEW_SESSION}, after another session's committed write"] = await new(follower, victim)
    seen["create of the same path is refused"] = await lab.is_create_refused(on_leader, victim)
    await on_leader.delete(written)
    return seen


async def trial_latency(lab: Lab) -> Trial:
    """Every link has the same latency: the verdict, W1 and W2 in one, as in a wide network."""
    victim = await lab.victim(lab.leader, VICTIM_TIMEOUT_MS)
    await victim.client.go_silent()
    await lab.when(lab.leader, "close_marked", victim.session_id)
    asked_ms = time.monotonic() * 1000
    told = await lab.is_told_expired(lab.leader, victim)
    told_ms = time.monotonic() * 1000
    readers = lab.followers[:2]
    stale = await asyncio.gather(*(lab.is_stale(lab.readers[sid], victim) for sid in readers))
    new = await asyncio.gather(*(lab.is_stale_in_new_session(s, victim) for s in readers))
    await lab.when(lab.leader, "close_applied", victim.session_id)
    applied_ms = min([await lab.when(s, "close_applied", victim.session_id) for s in lab.followers])
    await lab.forget(victim)
    return Trial(
        {
            f"{TOLD} before the znode is gone": told and told_ms < applied_ms,
            f"{OPEN_SESSION}, on the first follower": stale[0],
            f"{OPEN_SESSION}, on the second follower": stale[1],
            f"{NEW_SESSION}, on either follower": any(new),
        },
        is_void=is_void(LATENCY_MS, asked_ms, applied_ms),
    )


async def _require_told(lab: Lab, sid: int, victim: Victim) -> None:
    if not await lab.is_told_expired(sid, victim):
        raise NotPossible(
            f"session {victim.session_id:#x} is closed, but member {sid} calls it alive"
        )


async def _talk_raw(lab: Lab, sid: int, victim: Victim) -> RawConnection:
    """Put the victim's session on a bare connection, and let it fall silent there."""
    await victim.client.go_silent()
    connection = RawConnection(lab.lines)
    await connection.resume(
        lab.address(sid), victim.session_id, victim.client.password, victim.timeout_ms
    )
    return connection
