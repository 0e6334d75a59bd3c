"""What becomes of a verdict when its leader is cut off, and of a read when its member was stopped.

An expiry is the leader's own until its closeSession is committed: the next leader knows nothing
of it, and gives every session a full timeout.
"""

from __future__ import annotations

import asyncio
import time

from client.line import Answer
from client.ops import Exists
from orchestrator.errors import NotPossible
from orchestrator.race.ground_truth import NEW_SESSION, TOLD
from orchestrator.race.lab import PATIENCE_S, Lab
from orchestrator.race.raw import RawConnection
from orchestrator.race.tally import Trial
from orchestrator.race.windows import VICTIM_TIMEOUT_MS

# Longer than the cut-off leader takes to expire it, shorter than the others take to elect.
LOST_TIMEOUT_MS = 1000
# A deadline is noticed by a process that may have to wait for a processor.
SLACK_MS = 40.0


async def trial_isolated(lab: Lab) -> Trial:
    """Cut the leader off; it expires a dead session and a living one; elect another leader."""
    old = lab.leader
    survivor = lab.followers[0]
    lost = await lab.victim(old, LOST_TIMEOUT_MS)
    alive = await lab.victim(survivor, LOST_TIMEOUT_MS)
    both_ways = f"{old}->*,*->{old}"
    await asyncio.to_thread(lab.ensemble.link(both_ways).cut)
    await lost.client.go_silent()
    for victim in (lost, alive):
        await lab.when(old, "close_marked", victim.session_id)
    seen = {
        f"{TOLD} by the old leader": await lab.is_told_expired(old, lost),
        "a session alive on a follower is told expired by the old leader": (
            await lab.is_told_expired(old, alive)
        ),
    }
    new = await _next_leader(lab, old)
    fresh = await lab.open(new)
    seen[f"{NEW_SESSION} on the new leader reads the znode"] = await lab.is_stale(fresh, lost)
    seen[
        f"{NEW_SESSION} on the new leader reads the znode after sync"
    ] = await lab.is_stale_after_sync(fresh, lost)
    verdict = await lost.present(lab.address(new))
    seen["the expired id is valid on the new leader, with its full timeout"] = (
        verdict.answer is Answer.VALID and verdict.timeout_ms == lost.timeout_ms
    )
    verdict = await alive.present(lab.address(new))
    seen["that session's id works on the new leader"] = verdict.answer is Answer.VALID
    await asyncio.to_thread(lab.ensemble.link(both_ways).heal)
    for victim in (lost, alive):
        await lab.forget(victim)
    await lab.settle()
    return Trial(seen)


async def trial_anew(lab: Lab) -> Trial:
    """Kill the leader when a silent session's timeout is nearly over; see when its znode goes."""
    old, tick_ms = lab.leader, lab.ensemble.config.tick_time_ms
    victim = await lab.victim(old, LOST_TIMEOUT_MS)
    await victim.client.go_silent()
    silent_ms = time.monotonic() * 1000
    lab.disregard("serving")
    await asyncio.sleep((LOST_TIMEOUT_MS - 3 * tick_ms) / 1000)
    await asyncio.to_thread(lab.ensemble.kill, old)
    new = await _next_leader(lab, old)
    serving_ms = await lab.when(new, "serving")
    # A leader that had gone on would have expired it by now.
    overdue_ms = silent_ms + victim.timeout_ms + tick_ms
    await asyncio.sleep(max(0.0, overdue_ms - time.monotonic() * 1000) / 1000)
    asked_ms = time.monotonic() * 1000
    outlives = await lab.is_stale(lab.readers[new], victim)
    marked_ms = await lab.when(new, "close_marked", victim.session_id)
    await lab.forget(victim)
    await lab.start(old)
    await lab.settle()
    least_ms, slop_ms = victim.timeout_ms, 1.5 * tick_ms
    return Trial(
        {
            "a timeout and a tick after its last touch, the znode is still there": outlives,
            "the new leader expires it a full timeout, and at most 1.5 ticks, later": (
                least_ms < marked_ms - serving_ms <= least_ms + slop_ms + SLACK_MS
            ),
        },
        # A program or an election that took that long asks nothing about the timeout.
        is_void=asked_ms + tick_ms > serving_ms + least_ms,
    )


async def _next_leader(lab: Lab, old: int) -> int:
    """Wait until one of the others leads and serves."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        status = await asyncio.to_thread(lab.ensemble.status)
        for member in status.members:
            view = member.status
            if member.sid != old and view.state == "LEADING" and view.is_serving:
                return int(member.sid)
        await asyncio.sleep(0.02)
    raise NotPossible(f"nobody leads in the place of member {old} after {PATIENCE_S:.0f} s")


async def trial_paused(lab: Lab) -> Trial:
    """Stop a follower until its client's session is gone elsewhere; then let it go on."""
    sid = lab.followers[0]
    victim = await lab.victim(sid, VICTIM_TIMEOUT_MS)
    await victim.client.go_silent()
    connection = RawConnection(lab.lines)
    await connection.resume(
        lab.address(sid), victim.session_id, victim.client.password, victim.timeout_ms
    )
    await asyncio.to_thread(lab.ensemble.pause, sid)
    try:
        # It waits in the member's socket, as a request does that a stopped process has not read.
        connection.send(Exists(victim.path))
        await lab.when(lab.leader, "close_applied", victim.session_id)
    finally:
        await asyncio.to_thread(lab.ensemble.resume, sid)
    await asyncio.wait_for(connection.lost, PATIENCE_S)
    await lab.forget(victim)
    stale = [reply for reply in connection.replies if reply.error == 0]
    return Trial(
        {
            "one read is answered, stale": len(stale) == 1,
            "then the connection is closed": connection.lost.done(),
        }
    )
