"""Which set-ups there are, on which ensembles they run, and running them.

Owns the order of things: an ensemble is started once per kind, its leader put in place, and the
trials of a set-up run one after the other, so that none disturbs another's window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible
from orchestrator.race import ground_truth as truth
from orchestrator.race.expiry import TICK_MS, trial_expiry
from orchestrator.race.failover import trial_anew, trial_isolated, trial_paused
from orchestrator.race.lab import Lab
from orchestrator.race.leadership import make_leader
from orchestrator.race.tally import Experiment, Trial
from orchestrator.race.windows import LATENCY_MS, trial_latency, trial_w0, trial_w1, trial_w2
from orchestrator.race.wire import WireLines

MOST_VOID = 20

Progress = Callable[[str, int, int], None]
RaceTrial = Callable[[Lab, int], Awaitable[Trial]]


@dataclass(frozen=True, slots=True)
class Setup:
    """A set-up: its name in the ground truth, the kind of ensemble, and how to run one trial.

    `delayed`: links with a delay for all of its trials; `{leader}` and `{reader}` stand for
    members. `delay_ms`: that delay, and where it makes a W2 window the length of that window.
    """

    key: str
    name: str
    kind: str
    trials: int
    run: RaceTrial
    delayed: str = ""
    delay_ms: float = 0.0
    shows_window: bool = False


# Kinds of ensembles: ZooKeeper's settings in the real measurements, except that syncLimit must
# outlast the delays of W1, and in a failover the expiry at the leader that was cut off.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"tick_time_ms": 100, "sync_limit": 50, "max_session_timeout_ms": 60_000},
    "local": {
        "tick_time_ms": 100,
        "sync_limit": 50,
        "max_session_timeout_ms": 60_000,
        "local_sessions_enabled": True,
        "local_sessions_upgrading_enabled": True,
    },
    "failover": {"tick_time_ms": 100, "sync_limit": 20, "max_session_timeout_ms": 60_000},
    "slow_tick": {"tick_time_ms": TICK_MS, "max_session_timeout_ms": 60_000},
}


def _w2(delay_ms: int, *, has_local_sessions: bool = False) -> RaceTrial:
    return lambda lab, _: trial_w2(
        lab, lab.followers[0], delay_ms, has_local_sessions=has_local_sessions
    )


def setups(delays_ms: Sequence[int] = (0, 5, 20, 100)) -> list[Setup]:
    """Every set-up of the ground truth, with W2 at the given delays."""
    w2 = [
        Setup("w2", truth.W2.format(d), "plain", 20, _w2(d), "{leader}->{reader}", d, bool(d))
        for d in delays_ms
    ]
    return [
        *w2,
        Setup("w1", truth.W1, "plain", 8, lambda lab, _: trial_w1(lab)),
        Setup("w0", truth.W0, "plain", 5, lambda lab, _: trial_w0(lab)),
        Setup(
            "latency",
            truth.LATENCY,
            "plain",
            25,
            lambda lab, _: trial_latency(lab),
            "*->*",
            LATENCY_MS,
        ),
        Setup("paused", truth.PAUSED, "plain", 5, lambda lab, _: trial_paused(lab)),
        Setup(
            "w2-local",
            truth.W2_LOCAL.format(20),
            "local",
            15,
            _w2(20, has_local_sessions=True),
            "{leader}->{reader}",
            20,
            True,
        ),
        Setup("isolated", truth.ISOLATED, "failover", 5, lambda lab, _: trial_isolated(lab)),
        Setup("anew", truth.ANEW, "failover", 5, lambda lab, _: trial_anew(lab)),
        Setup(
            "expiry",
            truth.EXPIRY,
            "slow_tick",
            20,
            lambda lab, index: trial_expiry(lab, 50.0 * index),
        ),
    ]


async def run_setups(
    chosen: Sequence[Setup],
    *,
    members: int,
    leader: int | None,
    trials: int | None,
    progress: Progress,
    is_over_wire: bool = False,
) -> list[Experiment]:
    """Run set-ups, kind by kind, each kind on an ensemble of its own.

    `is_over_wire`: with clients of ZooKeeper's own protocol, on the members' wire ports.
    """
    experiments: list[Experiment] = []
    for kind in dict.fromkeys(setup.kind for setup in chosen):
        of_kind = [setup for setup in chosen if setup.kind == kind]
        ensemble = Ensemble(members=members, **KINDS[kind])
        await asyncio.to_thread(ensemble.start_all)
        try:
            if leader is not None:
                await make_leader(ensemble, leader)
            lines = await asyncio.to_thread(_wire_lines, ensemble) if is_over_wire else None
            async with Lab(ensemble, lines) as lab:
                for setup in of_kind:
                    experiments.append(await _run(lab, setup, trials or setup.trials, progress))
        finally:
            await asyncio.to_thread(ensemble.close)
    return experiments


def _wire_lines(ensemble: Ensemble) -> WireLines:
    members = ensemble.status().members
    return WireLines({member.address: member.zk_address for member in members})


async def _run(lab: Lab, setup: Setup, trials: int, progress: Progress) -> Experiment:
    links = setup.delayed.format(leader=lab.leader, reader=lab.followers[0])
    experiment = Experiment(setup.name)
    if setup.shows_window:
        experiment.window_delay_ms = setup.delay_ms
    if links:
        await lab.delay(links, setup.delay_ms)
    if setup.key == "expiry":
        runs = [setup.run(lab, index) for index in range(trials)]
        experiment.trials = list(await asyncio.gather(*runs))
        progress(setup.name, trials, trials)
        return experiment
    progress(setup.name, 0, trials)
    while len(experiment.trials) < trials:
        trial = await setup.run(lab, len(experiment.trials))
        if not trial.is_void:
            experiment.trials.append(trial)
            progress(setup.name, len(experiment.trials), trials)
            continue
        experiment.void += 1
        if experiment.void > trials + MOST_VOID:
            raise NotPossible(
                f"{setup.name}: {experiment.void} trials missed the moment that they ask about;"
                " the machine is too busy for this race"
            )
    if setup.delay_ms:
        await lab.require_touched(links)
        await lab.delay(links, 0)
    return experiment
