"""The same set-ups in virtual time: the verdicts of the simulator under the names of the rows.

Only names and numbers of trials are here; what happens in a trial is `orchestrator.simulator`'s.
Set-ups about the operating system (a stopped process) and about the wall clock have no simulated
counterpart and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.race import ground_truth as truth
from orchestrator.race.ground_truth import NEW_SESSION, OPEN_SESSION, OPEN_SYNC, TOLD
from orchestrator.race.runner import Progress, Setup
from orchestrator.race.tally import Experiment, Trial
from orchestrator.simulator.failover import TICK_MS, TIMEOUT_MS, Failover
from orchestrator.simulator.race import Race, Verdict

FIRST_SEED = 1


def simulate_setups(
    chosen: Sequence[Setup],
    *,
    members: int,
    leader: int | None,
    trials: int | None,
    progress: Progress,
) -> list[Experiment]:
    """Run the set-ups that can be simulated; the n-th trial of failover has the n-th seed."""
    races: dict[str, Race] = {}
    experiments = []
    for setup in chosen:
        if setup.key not in SIMULATED:
            continue
        experiment = Experiment(setup.name)
        experiment.window_delay_ms = setup.delay_ms if setup.shows_window else None
        n = trials or setup.trials
        if setup.key in _WINDOWS and setup.kind not in races:
            is_local = setup.kind == "local"
            races[setup.kind] = Race(
                FIRST_SEED, members=members, leader=leader, local_sessions=is_local
            )
        for index in range(n):
            if setup.key in _WINDOWS:
                trial = _WINDOWS[setup.key](races[setup.kind], setup)
            else:
                trial = _FAILOVERS[setup.key](Failover(FIRST_SEED + index, members=members))
            experiment.trials.append(trial)
            progress(setup.name, index + 1, n)
        experiments.append(experiment)
    return experiments


def _w2(race: Race, setup: Setup) -> Trial:
    verdict = race.w2(setup.delay_ms)
    rows = {
        OPEN_SESSION: verdict.stale["open"],
        OPEN_SYNC: verdict.stale["open, sync first"],
        NEW_SESSION: verdict.stale["new"],
    }
    return Trial(rows, verdict.window_ms if setup.delay_ms else None)


def _w1(race: Race, setup: Setup) -> Trial:
    verdict = race.w1()
    return Trial(
        {
            f"{TOLD} before closeSession commits": verdict.is_told_before_commit,
            **_readers(verdict),
            f"{OPEN_SYNC}, on the leader": verdict.stale["open on the leader, sync first"],
            "create of the same path is refused": verdict.is_create_refused,
        }
    )


def _w0(race: Race, setup: Setup) -> Trial:
    verdict = race.w0()
    stale, write = verdict.stale, f"{NEW_SESSION}, after another session's committed write"
    return Trial(
        {
            f"{TOLD}, through a follower": "follower" in verdict.told_through,
            f"{TOLD}, through the leader": "leader" in verdict.told_through,
            **_readers(verdict),
            f"{NEW_SESSION}, sync first, on a follower": stale["new on a follower, sync first"],
            f"{NEW_SESSION}, sync first, on the leader": stale["new on the leader, sync first"],
            write: stale["new, after a committed write"],
            "create of the same path is refused": verdict.is_create_refused,
            "the znode is gone once the closing goes on": not stale["after the release"],
        }
    )


def _readers(verdict: Verdict) -> dict[str, bool]:
    stale = verdict.stale
    return {
        f"{OPEN_SESSION}, on the leader": stale["open on the leader"],
        f"{OPEN_SESSION}, on a follower": stale["open on a follower"],
        f"{OPEN_SYNC}, on a follower": stale["open on a follower, sync first"],
        f"{NEW_SESSION}, on the leader": stale["new on the leader"],
        f"{NEW_SESSION}, on a follower": stale["new on a follower"],
    }


def _isolated(failover: Failover) -> Trial:
    lost = failover.lost()
    is_full = lost.is_valid_again and lost.timeout_again_ms == TIMEOUT_MS
    return Trial(
        {
            f"{TOLD} by the old leader": lost.is_told_expired,
            "a session alive on a follower is told expired by the old leader": (
                lost.is_living_told_expired
            ),
            f"{NEW_SESSION} on the new leader reads the znode": lost.is_there,
            f"{NEW_SESSION} on the new leader reads the znode after sync": lost.is_there_after_sync,
            "the expired id is valid on the new leader, with its full timeout": is_full,
            "that session's id works on the new leader": lost.is_living_valid,
        }
    )


def _anew(failover: Failover) -> Trial:
    anew = failover.anew()
    is_full = TIMEOUT_MS < anew.marked_after_ms <= TIMEOUT_MS + 1.5 * TICK_MS
    still, later = (reader for setup, reader in truth.GROUND_TRUTH if setup == truth.ANEW)
    return Trial({still: anew.is_there_when_overdue, later: is_full})


_FAILOVERS: dict[str, Callable[[Failover], Trial]] = {"isolated": _isolated, "anew": _anew}
_WINDOWS: dict[str, Callable[[Race, Setup], Trial]] = {
    "w2": _w2,
    "w2-local": _w2,
    "w1": _w1,
    "w0": _w0,
}
SIMULATED = (*_WINDOWS, *_FAILOVERS)
