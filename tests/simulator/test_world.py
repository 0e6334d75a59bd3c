"""The world: determinism, virtual time, faults of members and links."""

from __future__ import annotations

import pytest

from nodes.core.config import MemberConfig
from nodes.core.errors import ErrorCode
from nodes.core.messages import ServerState
from nodes.core.requests import EPHEMERAL, Create, Exists, Sync
from orchestrator.simulator.clock import VirtualTimeExceeded
from orchestrator.simulator.connections import Connection
from orchestrator.simulator.race import Race
from orchestrator.simulator.world import World

CONFIG = MemberConfig(
    sid=1,
    voters=(1, 2, 3),
    tick_time_ms=100,
    min_session_timeout_ms=200,
    max_session_timeout_ms=60_000,
)


def serving(seed: int = 1) -> World:
    world = World(seed, CONFIG)
    world.start()
    world.run_until_serving()
    return world


def connected(world: World, sid: int, timeout_ms: int = 10_000) -> Connection:
    connection = world.connect(sid, timeout_ms)
    world.run_until(lambda: connection.is_connected, 1000, "connected")
    return connection


def errors(connection: Connection) -> list[ErrorCode]:
    return [connection.replies[xid].error for xid in connection.reply_order]


def run_of(seed: int) -> str:
    race = Race(seed)
    race.w2(5)
    race.world.crash(race.leader)
    race.world.run_for(1000)
    return race.world.trace.digest()


def test_the_same_seed_gives_the_same_trace() -> None:
    assert run_of(7) == run_of(7)


def test_another_seed_gives_another_trace() -> None:
    assert len({run_of(seed) for seed in range(5)}) == 5


def test_a_run_that_is_over_its_virtual_time_fails_and_tells_the_seed() -> None:
    world = serving(seed=42)
    with pytest.raises(VirtualTimeExceeded, match="seed 42"):
        world.run_until(lambda: False, 1000)


def test_the_ensemble_starts_without_a_member_that_is_down() -> None:
    world = World(1, CONFIG)
    world.start([1, 2])
    assert world.run_until_serving() == 2
    world.restart(3)
    world.run_until_serving()
    assert world.hosts[3].member.status().state is ServerState.FOLLOWING


def test_a_crash_closes_clients_and_loses_what_was_on_its_way() -> None:
    world = serving()
    client = connected(world, 1)
    client.submit(Exists("/"))
    world.crash(1)
    world.run_until_idle()
    assert client.is_closed
    assert errors(client) == []
    refused = world.connect(1, 1000)
    world.run_until_idle()
    assert refused.is_closed


def test_acknowledged_writes_survive_the_crash_of_every_member() -> None:
    world = serving()
    client = connected(world, 2)
    client.submit(Create("/a", b"1"))
    client.submit(Create("/b", b"2", EPHEMERAL))
    world.run_until_idle()
    assert errors(client) == [ErrorCode.OK, ErrorCode.OK]
    for sid in world.sids:
        world.crash(sid)
    world.start()
    world.run_until_serving()
    reader = connected(world, 1)
    for path in ("/a", "/b", "/c"):
        reader.submit(Exists(path))
    world.run_until_idle()
    assert errors(reader) == [ErrorCode.OK, ErrorCode.OK, ErrorCode.NO_NODE]


def test_a_write_that_no_disk_has_synced_is_lost_with_the_power() -> None:
    world = serving()
    client = connected(world, 3)
    for host in world.hosts.values():
        host.disk.delay_ms = 50.0
    client.submit(Create("/a", b""))
    world.run_for(20)
    assert errors(client) == []
    assert all(host.disk.unsynced for host in world.hosts.values())
    for sid in world.sids:
        world.crash(sid)
    world.start()
    world.run_until_serving()
    reader = connected(world, 1)
    reader.submit(Exists("/a"))
    world.run_until_idle()
    assert errors(reader) == [ErrorCode.NO_NODE]


def test_an_unsynced_write_may_survive_a_crash() -> None:
    world = serving()
    client = connected(world, 3)
    for host in world.hosts.values():
        host.disk.delay_ms = 50.0
    client.submit(Create("/a", b""))
    world.run_for(20)
    for sid in world.sids:
        world.crash(sid, survivors=1)
    world.start()
    world.run_until_serving()
    reader = connected(world, 1)
    reader.submit(Exists("/a"))
    world.run_until_idle()
    assert errors(reader) == [ErrorCode.OK]


def test_a_write_waits_for_the_disks_of_a_quorum() -> None:
    world = serving()
    client = connected(world, 1)
    for sid in (2, 3):
        world.hosts[sid].disk.delay_ms = 30.0
    began = world.clock.now_ms
    client.submit(Create("/a", b""))
    world.run_until(lambda: bool(client.replies), 1000, "answered")
    assert 30 <= world.clock.now_ms - began <= 32


def test_a_reset_link_is_noticed_and_the_learner_comes_back() -> None:
    world = serving()
    leader = world.leader()
    assert leader == 3
    client = connected(world, 1)
    world.reset(leader, 1)
    world.run_until_idle()
    assert client.is_closed
    world.run_until_serving()
    assert world.leader() == leader


def test_a_resumed_member_answers_a_read_before_it_hears_of_the_expiry() -> None:
    race = Race(seed=1)
    world = race.world
    world.pause(race.reader)
    reader = [c for c in world.connections.values() if c.sid == race.reader]
    assert reader == []
    world.resume(race.reader)
    victim = connected(world, race.reader, 300)
    victim.submit(Create("/v", b"", EPHEMERAL))
    world.run_until_idle()
    world.pause(race.reader)
    world.run_until_traced("close_applied", victim.session_id)
    victim.submit(Exists("/v"))
    world.run_for(5)
    world.resume(race.reader)
    world.run_until_idle()
    assert errors(victim) == [ErrorCode.OK, ErrorCode.OK]
    assert victim.is_closed


def test_a_cut_off_follower_serves_stale_reads_until_it_notices() -> None:
    world = serving()
    reader, writer = connected(world, 1), connected(world, 3)
    world.isolate(1)
    writer.submit(Create("/a", b""))
    world.run_until_idle()
    reader.submit(Exists("/a"))
    reader.submit(Sync("/a"))
    world.run_until_idle()
    assert errors(reader) == [ErrorCode.NO_NODE]
    world.heal()
    world.run_until_idle()
    reader.submit(Exists("/a"))
    world.run_until_idle()
    assert errors(reader) == [ErrorCode.NO_NODE, ErrorCode.OK, ErrorCode.OK]
