"""How long after its last touch a session is expired, by where its client is connected."""

from __future__ import annotations

import asyncio
import time

from client.ops import Exists
from orchestrator.race.lab import Lab
from orchestrator.race.raw import RawConnection
from orchestrator.race.tally import Trial

TICK_MS = 1000
TIMEOUT_MS = 2000
# The leader's expiry thread may get its processor a little late.
SLACK_MS = 20.0


async def trial_expiry(lab: Lab, at_ms: float) -> Trial:
    """Touch a session on the leader and one on a follower, `at_ms` from now; time both expiries."""
    leader, follower = lab.leader, lab.followers[0]
    on_leader, on_follower = await asyncio.gather(
        _delay_ms(lab, leader, at_ms), _delay_ms(lab, follower, at_ms)
    )
    return Trial(
        {
            "on the leader: within (2, 3] s": _is_within(on_leader, TICK_MS),
            "on a follower: within (2, 3.5] s": _is_within(on_follower, 1.5 * TICK_MS),
        }
    )


def _is_within(delay_ms: tuple[float, float], most_ms: float) -> bool:
    """Whether a delay known to lie between two bounds can lie in (T, T + most]."""
    least, greatest = delay_ms
    return greatest > TIMEOUT_MS and least <= TIMEOUT_MS + most_ms + SLACK_MS


async def _delay_ms(lab: Lab, sid: int, at_ms: float) -> tuple[float, float]:
    """The delay from the touch to the mark; the touch fell between the request and its reply."""
    client = await lab.open(sid, TIMEOUT_MS)
    await client.go_silent()
    connection = RawConnection(lab.lines)
    await connection.resume(lab.address(sid), client.session_id, client.password, client.timeout_ms)
    await asyncio.sleep(at_ms / 1000)
    sent_ms = time.monotonic() * 1000
    connection.send(Exists("/"))
    marked_ms = await lab.when(lab.leader, "close_marked", client.session_id)
    await asyncio.wait_for(connection.lost, 10)
    return marked_ms - connection.last_reply_ms, marked_ms - sent_ms
