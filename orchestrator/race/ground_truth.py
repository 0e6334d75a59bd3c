"""What Apache ZooKeeper 3.8.0 does, row by row: measured on a real ensemble of three members.

The only place where an expected verdict stands. A trial never reads it: it is compared with
what the trials found, after they are over. Where the measurement says "every run" and no number,
one of one stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.race.intervals import wilson


@dataclass(frozen=True, slots=True)
class Seen:
    """`seen` of `n` trials showed what the row asks for."""

    seen: int
    n: int

    def agrees_with(self, other: Seen) -> bool:
        """All stays all, none stays none; in between the 95 % intervals must overlap."""
        if other.n == 0 or self.n == 0:
            return False
        if self.seen in (0, self.n):
            return other.seen * self.n == self.seen * other.n
        low, high = wilson(self.seen, self.n)
        other_low, other_high = wilson(other.seen, other.n)
        return low <= other_high and other_low <= high


OPEN_SESSION = "session open before the expiry"
OPEN_SYNC = "session open before the expiry, sync first"
NEW_SESSION = "new session"
TOLD = "the victim is told expired"

W2 = "W2, leader->reader's member delayed by {} ms"
W2_LOCAL = "W2, local sessions, leader->reader's member delayed by {} ms"
W1 = "W1, followers->leader delayed by 1500 ms"
W0 = "W0, closing held on the leader"
LATENCY = "60 ms latency on all links"
ISOLATED = "leader cut off from all"
ANEW = "leader killed while a session is silent"
PAUSED = "follower stopped, resumed after the expiry"
EXPIRY = "tick 1 s, timeout 2 s, delay from last touch to expiry"

GROUND_TRUTH: dict[tuple[str, str], Seen] = {
    (W2.format(0), OPEN_SESSION): Seen(0, 20),
    (W2.format(0), OPEN_SYNC): Seen(0, 20),
    (W2.format(0), NEW_SESSION): Seen(0, 20),
    (W2.format(5), OPEN_SESSION): Seen(17, 20),
    (W2.format(5), OPEN_SYNC): Seen(0, 20),
    (W2.format(5), NEW_SESSION): Seen(0, 20),
    (W2.format(20), OPEN_SESSION): Seen(20, 20),
    (W2.format(20), OPEN_SYNC): Seen(0, 20),
    (W2.format(20), NEW_SESSION): Seen(0, 20),
    (W2.format(100), OPEN_SESSION): Seen(20, 20),
    (W2.format(100), OPEN_SYNC): Seen(0, 20),
    (W2.format(100), NEW_SESSION): Seen(0, 20),
    (W2_LOCAL.format(20), OPEN_SESSION): Seen(15, 15),
    (W2_LOCAL.format(20), OPEN_SYNC): Seen(0, 15),
    (W2_LOCAL.format(20), NEW_SESSION): Seen(15, 15),
    (W1, f"{TOLD} before closeSession commits"): Seen(48, 48),
    (W1, f"{OPEN_SESSION}, on the leader"): Seen(8, 8),
    (W1, f"{OPEN_SESSION}, on a follower"): Seen(8, 8),
    (W1, f"{OPEN_SYNC}, on a follower"): Seen(0, 8),
    (W1, f"{OPEN_SYNC}, on the leader"): Seen(8, 8),
    (W1, f"{NEW_SESSION}, on the leader"): Seen(0, 8),
    (W1, f"{NEW_SESSION}, on a follower"): Seen(0, 8),
    (W1, "create of the same path is refused"): Seen(0, 8),
    (W1, "a request of the closing session on the leader gets a reply"): Seen(0, 8),
    (W1, "the connection of the closing session is closed in the end"): Seen(8, 8),
    (W0, f"{TOLD}, through a follower"): Seen(5, 5),
    (W0, f"{TOLD}, through the leader"): Seen(5, 5),
    (W0, f"{OPEN_SESSION}, on a follower"): Seen(5, 5),
    (W0, f"{OPEN_SESSION}, on the leader"): Seen(5, 5),
    (W0, f"{OPEN_SYNC}, on a follower"): Seen(5, 5),
    (W0, f"{NEW_SESSION}, on a follower"): Seen(5, 5),
    (W0, f"{NEW_SESSION}, on the leader"): Seen(5, 5),
    (W0, f"{NEW_SESSION}, sync first, on a follower"): Seen(5, 5),
    (W0, f"{NEW_SESSION}, sync first, on the leader"): Seen(5, 5),
    (W0, f"{NEW_SESSION}, after another session's committed write"): Seen(5, 5),
    (W0, "create of the same path is refused"): Seen(5, 5),
    (W0, "the znode is gone once the closing goes on"): Seen(5, 5),
    (LATENCY, f"{TOLD} before the znode is gone"): Seen(25, 25),
    (LATENCY, f"{OPEN_SESSION}, on the first follower"): Seen(25, 25),
    (LATENCY, f"{OPEN_SESSION}, on the second follower"): Seen(25, 25),
    (LATENCY, f"{NEW_SESSION}, on either follower"): Seen(0, 25),
    (ISOLATED, f"{TOLD} by the old leader"): Seen(1, 1),
    (ISOLATED, f"{NEW_SESSION} on the new leader reads the znode"): Seen(1, 1),
    (ISOLATED, f"{NEW_SESSION} on the new leader reads the znode after sync"): Seen(1, 1),
    (ISOLATED, "the expired id is valid on the new leader, with its full timeout"): Seen(1, 1),
    (ISOLATED, "a session alive on a follower is told expired by the old leader"): Seen(1, 1),
    (ISOLATED, "that session's id works on the new leader"): Seen(1, 1),
    # Seen in every run, with a leader that was cut off for good: to the others it is as one killed.
    (ANEW, "a timeout and a tick after its last touch, the znode is still there"): Seen(1, 1),
    (ANEW, "the new leader expires it a full timeout, and at most 1.5 ticks, later"): Seen(1, 1),
    (PAUSED, "one read is answered, stale"): Seen(1, 1),
    (PAUSED, "then the connection is closed"): Seen(1, 1),
    (EXPIRY, "on the leader: within (2, 3] s"): Seen(20, 20),
    (EXPIRY, "on a follower: within (2, 3.5] s"): Seen(20, 20),
}
