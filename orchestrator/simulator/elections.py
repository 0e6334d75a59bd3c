"""Makes a member of the experimenter's choice the leader, by means that the protocol offers."""

from __future__ import annotations

from nodes.core.requests import SetData
from orchestrator.simulator.world import World


def elect(world: World, sid: int) -> None:
    """Let `sid`, a voter, lead a serving ensemble; afterwards every member is up and serves.

    The vote goes to the longest log. So the leader proposes a transaction that, of all
    voters, only `sid` gets to log, and dies; then it comes back as a follower.
    """
    leader = world.run_until_serving()
    if leader == sid:
        return
    client = world.connect(leader, timeout_ms=1)
    world.run_until(lambda: client.is_connected, what="connected")
    for peer in world.sids:
        if peer not in (leader, sid):
            world.link(leader, peer).set_rule("hold only=PROPOSAL")
    # A write: opening a session would not do, since a local one is no transaction.
    client.submit(SetData("/", b""))
    world.run_for(10 * (world.surroundings.link_latency_ms + world.surroundings.disk_sync_ms))
    world.crash(leader)
    world.heal()
    world.run_until(lambda: world.leader() is not None and world.is_serving(), what="elected")
    world.restart(leader)
    if world.run_until_serving() != sid:
        raise AssertionError(f"member {world.leader()} leads, not {sid} (seed {world.seed})")
