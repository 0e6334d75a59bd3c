"""Expiries across a change of leaders, as on a real ensemble."""

from __future__ import annotations

import pytest

from orchestrator.simulator.failover import TICK_MS, TIMEOUT_MS, Anew, Failover, Lost

ENSEMBLES = [(3, 0), (5, 0), (3, 1)]


@pytest.mark.parametrize(("members", "observers"), ENSEMBLES)
@pytest.mark.parametrize("seed", range(3))
def test_verdict_of_a_cut_off_leader_is_forgotten(seed: int, members: int, observers: int) -> None:
    race = Failover(seed, members=members, observers=observers)
    assert race.lost() == Lost(
        is_told_expired=True,
        is_there=True,
        is_there_after_sync=True,
        is_valid_again=True,
        timeout_again_ms=TIMEOUT_MS,
        is_living_told_expired=True,
        is_living_answered_meanwhile=True,
        is_living_valid=True,
    )
    race.world.run_until_idle()
    assert len({host.member.digest() for host in race.world.hosts.values()}) == 1


def is_anew(seen: Anew) -> bool:
    """Overdue by the old leader's clock and still there; then a full timeout of the new one's."""
    return (
        seen.is_there_when_overdue
        and TIMEOUT_MS < seen.marked_after_ms <= TIMEOUT_MS + TICK_MS
        and seen.outlived_ms > TIMEOUT_MS - 2 * TICK_MS + TIMEOUT_MS
    )


@pytest.mark.parametrize(("members", "observers"), ENSEMBLES)
@pytest.mark.parametrize("seed", range(3))
def test_every_timeout_starts_anew_with_the_leader(seed: int, members: int, observers: int) -> None:
    assert is_anew(Failover(seed, members=members, observers=observers).anew())


@pytest.mark.parametrize("seed", range(3))
def test_every_timeout_starts_anew_after_a_restart_of_all(seed: int) -> None:
    assert is_anew(Failover(seed).anew_after_full_restart())


def test_each_change_of_leaders_keeps_a_dead_clients_znode_alive_once_more() -> None:
    """No bound on its life but the number of elections (ZooKeeper's `LeaderSessionTracker`)."""
    seen = Failover(seed=5, members=7).anew(changes=3)
    assert is_anew(seen)
    assert seen.outlived_ms > 3 * (TIMEOUT_MS - 2 * TICK_MS) + TIMEOUT_MS
