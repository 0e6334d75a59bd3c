"""Plays the runs of many seeds on all cores, and adds up what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from os import cpu_count
from time import perf_counter

import multiprocess

from orchestrator.simulator.run import ALL_KINDS, Outcome, Plan, make_plan, run_plan, shrink

# A process imports for half a second, and a seed takes a sixth of one.
SEEDS_WORTH_A_PROCESS = 8
CHUNK = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What the runs of a sweep have in common. `only` as in `make_plan`."""

    kinds: tuple[str, ...] = ALL_KINDS
    members: tuple[int, int] = (3, 7)
    only: tuple[int, ...] | None = None

    def plan(self, seed: int) -> Plan:
        """Return what happens with this seed."""
        return make_plan(seed, self.kinds, self.members, self.only)


@dataclass(slots=True)
class Report:
    """The sum of a sweep. `violations` are in the order of their seeds."""

    seeds: int = 0
    steps: int = 0
    real_s: float = 0.0
    core_s: float = 0.0
    virtual_ms: float = 0.0
    longest_healing_ms: float = 0.0
    longest_healing_seed: int | None = None
    delivered: int = 0
    acknowledged: int = 0
    epochs: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    violations: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one more run."""
        self.seeds += 1
        self.steps += outcome.steps
        self.core_s += outcome.core_s
        self.virtual_ms += outcome.virtual_ms
        self.delivered += outcome.delivered
        self.acknowledged += outcome.acknowledged
        self.epochs += outcome.epochs
        if outcome.healing_ms > self.longest_healing_ms:
            self.longest_healing_ms = outcome.healing_ms
            self.longest_healing_seed = outcome.seed
        for kind, count in outcome.faults.items():
            self.faults[kind] = self.faults.get(kind, 0) + count
        if outcome.invariant:
            self.violations.append(outcome)
            self.violations.sort(key=lambda violation: violation.seed)


def sweep(
    first_seed: int,
    seeds: int,
    options: Options,
    jobs: int = 0,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Play `seeds` runs from `first_seed` on, in `jobs` processes (0: one for each core)."""
    jobs = min(jobs or cpu_count() or 1, max(seeds // SEEDS_WORTH_A_PROCESS, 1))
    report = Report()
    began = perf_counter()
    for outcome in _outcomes(range(first_seed, first_seed + seeds), options, jobs):
        report.add(outcome)
        report.real_s = perf_counter() - began
        progress(report)
    return report


def _outcomes(seeds: range, options: Options, jobs: int) -> Iterator[Outcome]:
    play = partial(play_seed, options)
    if jobs == 1:
        yield from map(play, seeds)
        return
    with multiprocess.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(play, seeds, chunksize=CHUNK)


def play_seed(options: Options, seed: int) -> Outcome:
    """Play the run of one seed; in a process of the pool, so nothing but plain data."""
    return run_plan(options.plan(seed))


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A violation and what it takes. `places`: which faults of the `faults` that were drawn."""

    plan: Plan
    places: tuple[int, ...]
    drawn: int
    outcome: Outcome


def shrink_violation(options: Options, violation: Outcome) -> Shrunk:
    """Leave out of the run of a violation every fault that it does not need."""
    plan = options.plan(violation.seed)
    drawn = replace(options, only=None).plan(violation.seed).faults
    places = [place for place, fault in enumerate(drawn) if fault in plan.faults]
    needed, outcome = shrink(plan, violation.invariant)
    faults = tuple(plan.faults[each] for each in needed)
    shrunk = replace(plan, faults=faults)
    return Shrunk(shrunk, tuple(places[each] for each in needed), len(drawn), outcome)
