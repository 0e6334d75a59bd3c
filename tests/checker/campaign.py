"""Judges sound histories, each also with an anomaly planted: none may be called for, none missed.

`python -m tests.checker.campaign 1000 --chaos 3` does so many of each, and tells how often each
mutation was planted. The sound ones come from chaos in the simulator, and from so many runs of
`orchestrator chaos` on real processes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from client.history import History
from orchestrator.checker.check import Demands, check
from tests.checker.facts import Facts
from tests.checker.mutations import MUTATIONS, Mutation
from tests.checker.simulated import record

PROMISES = Demands(allows_stale=True)
CHAOS_TIME = "20s"
_TELL_S = 5.0


@dataclass(slots=True)
class Tally:
    """What came of it. `false_alarms` and `missed` must be empty."""

    sound: int = 0
    operations: int = 0
    stale: int = 0
    planted: Counter[str] = field(default_factory=Counter)
    false_alarms: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another's."""
        self.sound += other.sound
        self.operations += other.operations
        self.stale += other.stale
        self.planted += other.planted
        self.false_alarms += other.false_alarms
        self.missed += other.missed

    def text(self, never: list[str]) -> str:
        """For people; `never`: mutations that no history had room for."""
        planted = [f"{times:6}  {name}" for name, times in sorted(self.planted.items())]
        kinds = len(self.planted)
        return "\n".join(
            [
                *planted,
                f"sound: {self.sound:,} histories, {self.operations:,} operations,"
                f" {self.stale} stale reads; false alarms: {len(self.false_alarms)}",
                f"mutated: {self.planted.total():,} histories, {kinds} mutations;"
                f" missed: {len(self.missed)}; never planted: {', '.join(never) or 'none'}",
                *self.false_alarms[:20],
                *self.missed[:20],
            ]
        )


def judge(history: History, name: str, number: int, mutations: int = 1) -> Tally:
    """Judge a sound history, then as often with the next mutation that finds a place in it."""
    tally = Tally(sound=1, operations=len(history.operations))
    verdict = check(history, PROMISES)
    tally.stale = len(verdict.stale)
    tally.false_alarms = [f"{name}: {a.rule}: {a.text}" for a in verdict.anomalies]
    found = {demands: count(history, demands) for demands in {m.demands for m in MUTATIONS}}
    place = number * mutations
    for _ in range(mutations):
        planted = plant(history, name, place)
        if planted is None:
            break
        place, mutation, mutated = planted
        tally.planted[mutation.name] += 1
        more = count(mutated, mutation.demands) - found[mutation.demands]
        # By a rule that must catch it, and not by whatever else it upsets.
        if not more.keys() & mutation.caught_by:
            tally.missed.append(f"{name}: {mutation.name}")
    return tally


def plant(history: History, name: str, place: int) -> tuple[int, Mutation, History] | None:
    """Mutate a copy, with the mutation at this place or the next that can; and the place then."""
    for offset in range(len(MUTATIONS)):
        mutation = MUTATIONS[(place + offset) % len(MUTATIONS)]
        facts = Facts(history, Random(f"{name} {mutation.name}"))
        if mutation.plant(facts):
            return place + offset + 1, mutation, facts.history
    return None


def count(history: History, demands: Demands) -> Counter[str]:
    """How many anomalies there are, by rule."""
    return Counter(anomaly.rule for anomaly in check(history, demands).anomalies)


def judge_seed(seed: int, mutations: int = 1) -> Tally:
    """Record a seed and judge it."""
    return judge(record(seed, has_traces=seed % 2 == 0), f"seed {seed}", seed, mutations)


def run_chaos(seed: int) -> History:
    """What clients of real processes saw under faults."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "history.jsonl"
        command = [sys.executable, "-m", "orchestrator", "chaos"]
        command += ["--for", CHAOS_TIME, "--seed", str(seed), "--history", str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return History.load(file)


def main() -> int:
    """Run it; 1 if anything was missed or called for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("histories", type=int, help="of the simulator")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--chaos", type=int, default=0, help="of real processes")
    arguments = parser.parse_args()
    tally = Tally()
    for seed in range(arguments.chaos):
        tally.add(judge(run_chaos(seed), f"chaos {seed}", seed, len(MUTATIONS)))
    with get_context("spawn").Pool(2) as pool:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.histories)
        _gather(pool.imap_unordered(judge_seed, seeds), tally)
    never = [m.name for m in MUTATIONS if m.name not in tally.planted]
    sys.stdout.write(tally.text(never) + "\n")
    return 1 if tally.false_alarms or tally.missed or never else 0


def _gather(tallies: Iterable[Tally], tally: Tally) -> None:
    told = time.monotonic()
    for done in tallies:
        tally.add(done)
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            sys.stderr.write(f"{tally.sound} histories\n")


if __name__ == "__main__":
    sys.exit(main())
