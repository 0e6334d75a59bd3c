"""One seed, one run: an ensemble, clients and faults drawn from it; ends in an outcome.

A run has three parts: serve, suffer, recover. Everything is drawn from the seed beforehand, so
that a run with fewer faults is the same run with fewer faults.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from nodes.core.config import MemberConfig
from orchestrator.simulator.faults import KINDS, Fault, draw_schedule
from orchestrator.simulator.injection import Injector
from orchestrator.simulator.invariants import Invariant, Violation
from orchestrator.simulator.judge import Judge
from orchestrator.simulator.promises import Promises
from orchestrator.simulator.workload import Workload
from orchestrator.simulator.world import Surroundings, World

ALL_KINDS = tuple(KINDS)
TICK_MS = 100
SUFFER_MS = 3000.0
RECOVER_MS = 90_000.0
QUIET_MS = 400.0
POLL_MS = 20.0
CLIENTS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a run. Invariant: it is a function of the seed and of what was asked for."""

    seed: int
    config: MemberConfig
    faults: tuple[Fault, ...]
    clock_offsets_ms: tuple[float, ...]
    surroundings: Surroundings


@dataclass(slots=True)
class Outcome:
    """What came of a run; `violation` empty: nothing was violated."""

    seed: int
    steps: int = 0
    core_s: float = 0.0
    virtual_ms: float = 0.0
    healing_ms: float = 0.0
    delivered: int = 0
    acknowledged: int = 0
    epochs: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    invariant: str = ""
    violation: str = ""
    digest: str = ""


def make_plan(
    seed: int,
    kinds: tuple[str, ...] = ALL_KINDS,
    members: tuple[int, int] = (3, 7),
    only: Collection[int] | None = None,
) -> Plan:
    """Return the run of a seed, with faults of `kinds` and members within these bounds.

    `only`: of the schedule, only the faults at these places, counted from 0.
    """
    rng = Random(f"{seed}/plan")
    low, high = members
    sizes = [size for size in (3, 3, 3, 4, 5, 5, 6, 7) if low <= size <= high]
    total = rng.choice(sizes or [low])
    observers = rng.choice((0, 0, 1, 2))
    observers = min(observers, max(total - 3, 0))
    sids = tuple(range(1, total + 1))
    has_local_sessions = rng.random() < 0.15
    config = MemberConfig(
        sid=1,
        voters=sids[: total - observers],
        observers=sids[total - observers :],
        tick_time_ms=TICK_MS,
        init_limit=10,
        sync_limit=rng.choice((3, 5)),
        min_session_timeout_ms=2 * TICK_MS,
        max_session_timeout_ms=20 * TICK_MS,
        finalize_wait_ms=rng.choice((10, 50, 200)),
        snap_count=rng.choice((10, 30, 100, 100_000)),
        container_check_interval_ms=4 * TICK_MS,
        local_sessions_enabled=has_local_sessions,
        local_sessions_upgrading_enabled=has_local_sessions,
    )
    faults = draw_schedule(rng, kinds, sids, CLIENTS, SUFFER_MS)
    if only is not None:
        faults = tuple(fault for place, fault in enumerate(faults) if place in only)
    offsets = tuple(rng.uniform(0, 10_000_000) for _ in sids)
    # Where disks and links are slow, a crash finds more that is not on disk and not sent yet.
    surroundings = Surroundings(
        link_latency_ms=rng.choice((0.1, 0.1, 1.0, 4.0)),
        disk_sync_ms=rng.choice((0.05, 0.3, 2.0, 8.0)),
    )
    return Plan(seed, config, faults, offsets, surroundings)


class Run:
    """A plan on its way."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(plan.seed, plan.config, plan.surroundings)
        self.judge = Judge(self.world.hosts, plan.config)
        self.promises = Promises(self.judge.ledger)
        self.world.watch(self.judge)
        self.workload = Workload(self.world, self.promises, Random(f"{plan.seed}/clients"), CLIENTS)
        self.injector = Injector(self.world, self.workload)
        self.healing_ms = 0.0
        self.healed_ms = 0.0

    def play(self) -> None:
        """Serve, suffer, recover. Raises Violation, or whatever the core raises."""
        world = self.world
        for sid, offset_ms in zip(world.sids, self.plan.clock_offsets_ms, strict=True):
            world.hosts[sid].set_clock(1.0, offset_ms)
        world.start()
        self._await_serving()
        self.workload.start()
        self.injector.schedule(self.plan.faults)
        world.run_for(SUFFER_MS)
        self.injector.end_all()
        self.healing_ms = self._await_serving()
        self.healed_ms = world.clock.now_ms
        world.run_for(QUIET_MS)
        self.workload.stop()
        # What was on its way when the last member came back may have needed an election more.
        self._await_serving()
        world.run_for(QUIET_MS)
        # Sessions still expire; a commit may be on its way to some members at any instant.
        while not self.judge.is_even and world.clock.now_ms < self.healed_ms + RECOVER_MS:
            world.run_for(POLL_MS)
        self.judge.at_end()

    def _await_serving(self) -> float:
        began_ms = self.world.clock.now_ms
        while not self.world.is_serving():
            if self.world.clock.now_ms - began_ms > RECOVER_MS:
                states = [str(host.member.status()) for host in self.world.hosts.values()]
                detail = f"not within {RECOVER_MS:.0f} ms: {'; '.join(states)}"
                raise Violation(Invariant.RECOVERY, detail)
            self.world.run_for(POLL_MS)
        return self.world.clock.now_ms - began_ms


def run_plan(plan: Plan, *, wants_digest: bool = False) -> Outcome:
    """Play a plan to its end or to its first violation."""
    began = time.process_time()
    run = Run(plan)
    outcome = Outcome(plan.seed)
    try:
        run.play()
    except Violation as violation:
        outcome.invariant, outcome.violation = violation.invariant.value, violation.detail
    except Exception as error:
        # Whatever a member raises would end its process; the sweep must name the seed, not end.
        outcome.invariant = Invariant.CORE.value
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        outcome.violation = f"{type(error).__name__} at {where}: {error}"
    ledger = run.judge.ledger
    outcome.core_s = time.process_time() - began
    outcome.steps = run.judge.steps
    outcome.virtual_ms = run.world.clock.now_ms
    outcome.healing_ms = run.healing_ms
    outcome.delivered = len(ledger.delivered)
    outcome.acknowledged = len(ledger.acknowledged)
    outcome.epochs = ledger.epochs
    outcome.faults = run.injector.done
    outcome.digest = run.world.trace.digest() if wants_digest else ""
    return outcome


def shrink(plan: Plan, invariant: str) -> tuple[tuple[int, ...], Outcome]:
    """Return the places of the faults that the violation needs, and what comes of them alone.

    Leaves out one fault after the other, as long as the same invariant is violated.
    """
    needed = list(range(len(plan.faults)))
    outcome = run_plan(plan)
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for place in list(needed):
            kept = [other for other in needed if other != place]
            smaller = run_plan(replace(plan, faults=tuple(plan.faults[each] for each in kept)))
            if smaller.invariant == invariant:
                needed, outcome = kept, smaller
                is_smaller = True
    return tuple(needed), outcome
