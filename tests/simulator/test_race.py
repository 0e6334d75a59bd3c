"""The race in the simulator agrees with the real ensemble, row by row."""

from __future__ import annotations

import statistics

import pytest

from orchestrator.simulator.race import Race

TRIALS = 20

W2_OPEN_IS_STALE = {0: False, 5: True, 20: True, 100: True}
W1 = {
    "open on the leader": True,
    "open on the leader, sync first": True,
    "open on a follower": True,
    "open on a follower, sync first": False,
    "new on the leader": False,
    "new on a follower": False,
}
W0 = {
    "open on the leader": True,
    "open on the leader, sync first": True,
    "open on a follower": True,
    "open on a follower, sync first": True,
    "new on the leader": True,
    "new on the leader, sync first": True,
    "new on a follower": True,
    "new on a follower, sync first": True,
    "new, after a committed write": True,
    "after the release": False,
}


@pytest.mark.parametrize("delay_ms", W2_OPEN_IS_STALE)
def test_w2_shows_the_znode_to_open_sessions_without_sync_only(delay_ms: int) -> None:
    race = Race(seed=3)
    verdicts = [race.w2(delay_ms) for _ in range(TRIALS)]
    for verdict in verdicts:
        assert verdict.stale == {
            "open": W2_OPEN_IS_STALE[delay_ms],
            "open, sync first": False,
            "open on the leader": False,
            "new": False,
            "new, sync first": False,
        }
        assert verdict.told_through == ["leader"]
        assert not verdict.is_told_before_commit
        assert not verdict.is_create_refused
    windows = [verdict.window_ms for verdict in verdicts if verdict.window_ms is not None]
    assert len(windows) == TRIALS
    assert delay_ms <= statistics.median(windows) <= delay_ms + 10


def test_w2_shows_the_znode_to_a_new_local_session_too() -> None:
    race = Race(seed=4, local_sessions=True)
    for _ in range(15):
        assert race.w2(20).stale == {
            "open": True,
            "open, sync first": False,
            "open on the leader": False,
            "new": True,
            "new, sync first": False,
        }


def test_w1_shows_the_znode_to_open_sessions_and_past_a_sync_on_the_leader() -> None:
    race = Race(seed=5)
    for _ in range(8):
        verdict = race.w1()
        assert verdict.stale == W1
        assert verdict.told_through == ["leader"]
        assert verdict.is_told_before_commit
        assert not verdict.is_create_refused


def test_w0_shows_the_znode_to_everybody_until_the_thread_goes_on() -> None:
    race = Race(seed=6)
    for _ in range(5):
        verdict = race.w0()
        assert verdict.stale == W0
        assert verdict.told_through == ["follower", "leader"]
        assert verdict.is_told_before_commit
        assert verdict.is_create_refused


@pytest.mark.parametrize(
    ("members", "leader"), [(3, 1), (3, 2), (3, 3), (5, 1), (5, 3), (5, 4), (5, 5)]
)
def test_any_member_may_lead_an_ensemble_of_any_size(members: int, leader: int) -> None:
    race = Race(seed=members * 10 + leader, members=members, leader=leader)
    assert race.world.leader() == leader
    for reader in race.world.sids:
        if reader != leader:
            race.reader = reader
            assert race.w2(20).stale["open"]
    assert race.w1().stale == W1
    assert race.w0().stale == W0


def test_an_observer_lags_as_a_follower_does() -> None:
    race = Race(seed=8, observers=1, reader=4)
    assert race.w2(20).stale == {
        "open": True,
        "open, sync first": False,
        "open on the leader": False,
        "new": False,
        "new, sync first": False,
    }
    assert race.w1().stale == W1
    assert race.w0().stale == W0


def test_a_stalled_expiry_thread_does_not_wake_the_leader_without_end() -> None:
    race = Race(seed=9)
    world = race.world
    for timeout_ms in (300, 500):
        world.connect(race.leader, timeout_ms)
    world.run_until_idle()
    world.hold_closing()
    leader = world.hosts[race.leader].member
    while world.clock.now_ms < 2000:
        assert leader.deadline() > world.clock.now_ms
        world.run_for(10)
    assert leader.status().closing_sessions == 1
    world.release_closing()
    world.run_until_idle()
    assert leader.status().global_sessions == 0


def test_one_ensemble_serves_for_trials_of_every_kind_for_long() -> None:
    race = Race(seed=10)
    for _ in range(30):
        assert race.w1().stale == W1
        assert race.w2(5).stale["open"]
    assert race.world.clock.now_ms > 90_000
    for _ in range(3):
        assert race.w0().stale == W0
