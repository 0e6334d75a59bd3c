"""The client's session machine against simulated members: what a program sees of failures."""

from __future__ import annotations

from client.events import SessionEvent, SessionState
from client.ops import (
    EPHEMERAL,
    Check,
    Create,
    DataResult,
    Exists,
    GetData,
    Multi,
    MultiResult,
    PathResult,
    Reply,
    SetData,
)
from nodes.core.config import MemberConfig
from orchestrator.simulator.clients import SimulatedClient
from orchestrator.simulator.world import World

CONFIG = MemberConfig(
    sid=1,
    voters=(1, 2, 3),
    tick_time_ms=100,
    min_session_timeout_ms=200,
    max_session_timeout_ms=60_000,
)


def serving() -> World:
    world = World(11, CONFIG)
    world.start()
    world.run_until_serving()
    return world


def connected(world: World, *sids: int, timeout_ms: int = 3000) -> SimulatedClient:
    client = SimulatedClient(world, sids or (1, 2, 3), timeout_ms)
    world.run_until(lambda: client.state is SessionState.CONNECTED, 5000, "connected")
    return client


def last_reply(client: SimulatedClient) -> Reply:
    outcome = client.outcomes[-1]
    assert isinstance(outcome, Reply)
    return outcome


def test_operations_and_results_of_every_shape_pass_both_ways() -> None:
    world = serving()
    client = connected(world)
    client.submit(Create("/a", b"1", EPHEMERAL))
    client.submit(Multi((Check("/a", 0), SetData("/a", b"2"), Create("/b", None))))
    client.submit(GetData("/a"))
    world.run_until_idle()
    created, multi, data = [reply for reply in client.outcomes if isinstance(reply, Reply)]
    assert created.result == PathResult("/a")
    assert isinstance(multi.result, MultiResult)
    assert multi.result.results[0] is None
    assert multi.result.results[2] == PathResult("/b")
    assert isinstance(data.result, DataResult)
    assert data.result.data == b"2"
    assert data.result.stat.ephemeral_owner == client.session_id


def test_pings_keep_an_idle_session_alive() -> None:
    world = serving()
    client = connected(world, timeout_ms=300)
    world.run_for(5000)
    assert client.events == [SessionEvent.CONNECTED]


def test_a_session_survives_its_member_and_keeps_its_ephemerals() -> None:
    world = serving()
    client = connected(world, 1, 2)
    session_id = client.session_id
    client.submit(Create("/e", b"", EPHEMERAL))
    world.run_until_idle()
    world.crash(1)
    world.run_until(lambda: client.events[1:] != [] and client.state is SessionState.CONNECTED)
    assert client.sid == 2
    assert client.session_id == session_id
    client.submit(Exists("/e"))
    world.run_until_idle()
    assert last_reply(client).error == 0


def test_a_watch_survives_the_move_to_another_member() -> None:
    world = serving()
    watcher, writer = connected(world, 1, 2), connected(world, 3)
    watcher.submit(Exists("/w", watch=True))
    world.run_until_idle()
    world.crash(1)
    writer.submit(Create("/w", b""))
    world.run_for(1000)
    assert [(event.type, event.path) for event in watcher.watch_events] == [(1, "/w")]


def test_sessions_survive_the_leader() -> None:
    world = serving()
    client = connected(world, 3, 2, 1)
    client.submit(Create("/e", b"", EPHEMERAL))
    world.run_until_idle()
    world.crash(3)
    world.run_for(3000)
    client.submit(Exists("/e"))
    world.run_until_idle()
    assert client.events == [
        SessionEvent.CONNECTED,
        SessionEvent.DISCONNECTED,
        SessionEvent.CONNECTED,
    ]
    assert last_reply(client).error == 0


def test_a_silent_client_loses_its_ephemerals() -> None:
    world = serving()
    client, reader = connected(world, timeout_ms=300), connected(world, 2)
    client.submit(Create("/e", b"", EPHEMERAL))
    world.run_until_idle()
    client.fall_silent()
    world.run_until_traced("close_applied", client.session_id, within_ms=450 + 5)
    world.run_until_idle()
    reader.submit(Exists("/e"))
    world.run_until_idle()
    assert last_reply(reader).error == -101
