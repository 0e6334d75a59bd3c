"""How soon an ensemble is back once what was broken is whole again (section 3.1)."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from nodes.core.config import MemberConfig
from orchestrator.simulator.host import Life
from orchestrator.simulator.world import World

TICK_MS = 100
INIT_LIMIT = 20
SYNC_LIMIT = 10
FAULTS = ("isolate", "cut", "cut", "reset", "crash", "restart", "pause", "resume", "heal")


def make_world(seed: int, voters: int, observers: int = 0) -> World:
    """An ensemble that serves."""
    world = World(
        seed,
        MemberConfig(
            sid=1,
            voters=tuple(range(1, voters + 1)),
            observers=tuple(range(voters + 1, voters + 1 + observers)),
            tick_time_ms=TICK_MS,
            init_limit=INIT_LIMIT,
            sync_limit=SYNC_LIMIT,
            min_session_timeout_ms=2 * TICK_MS,
            max_session_timeout_ms=100_000,
        ),
    )
    world.start()
    world.run_until_serving()
    return world


def break_something(world: World, rng: Random) -> None:
    """One fault, or the end of one."""
    sid, peer = rng.sample(world.sids, 2)
    life = world.hosts[sid].life
    match rng.choice(FAULTS):
        case "isolate":
            world.isolate(sid)
        case "cut":
            world.link(sid, peer).set_rule("cut")
        case "reset":
            world.reset(sid, peer)
        case "crash" if life is not Life.DOWN:
            world.crash(sid)
        case "pause" if life is Life.RUNNING:
            world.pause(sid)
        case "heal":
            world.heal()
        case "restart" | "resume":
            bring_back(world, sid)


def bring_back(world: World, sid: int) -> None:
    """Start a member that is down, resume one that is paused."""
    match world.hosts[sid].life:
        case Life.DOWN:
            world.restart(sid)
        case Life.PAUSED:
            world.resume(sid)


def has_quorum(world: World) -> bool:
    """Whether a leader serves a quorum."""
    leader = world.leader()
    if leader is None:
        return False
    host = world.hosts[leader]
    return 2 * (1 + len(host.member.status().synced_learners)) > len(host.config.voters)


@pytest.mark.parametrize("voters", [3, 5])
def test_a_quorum_serves_within_a_second_of_healing(voters: int) -> None:
    """Nobody waits for a resend that has become rare: what was cut arrives, or a link comes up.

    A single member that follows, or was elected, in vain gives up after initLimit, as in
    ZooKeeper.
    """
    for seed in range(60):
        rng = Random(seed)
        world = make_world(seed, voters)
        for _ in range(rng.randint(3, 10)):
            break_something(world, rng)
            world.run_for(rng.choice((10, 100, 500, 2000, 10_000)))
        world.heal()
        for sid in world.sids:
            bring_back(world, sid)
        healed_ms = world.clock.now_ms
        world.run_until(partial(has_quorum, world), 1000, "a quorum")
        world.run_until_serving(INIT_LIMIT * TICK_MS + 1000)
        assert world.clock.now_ms - healed_ms < INIT_LIMIT * TICK_MS + 1000


@pytest.mark.parametrize("outage_ms", [3_000, 30_000, 100_000])
def test_observers_are_back_within_a_second_of_their_voters(outage_ms: int) -> None:
    """They ask ever more rarely while nobody leads, but soon again once a voter is up."""
    for seed in range(5):
        world = make_world(seed, voters=3, observers=2)
        world.crash(1)
        world.crash(2)
        world.run_for(outage_ms)
        assert world.leader() is None
        world.restart(1)
        world.restart(2)
        world.run_until_serving(1000)
