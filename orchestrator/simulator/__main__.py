"""Prints how long a trial of the race takes in real time: `python -m orchestrator.simulator`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from orchestrator.simulator.race import Race, Verdict

TRIALS: dict[str, Callable[[Race], Verdict]] = {
    "W2, D = 0 ms": lambda race: race.w2(0),
    "W2, D = 5 ms": lambda race: race.w2(5),
    "W2, D = 20 ms": lambda race: race.w2(20),
    "W2, D = 100 ms": lambda race: race.w2(100),
    "W1": Race.w1,
    "W0": Race.w0,
}


def measure(rounds: int, members: int = 3) -> dict[str, float]:
    """Return the mean real milliseconds of one trial, for each kind of trial."""
    race = Race(seed=1, members=members)
    means: dict[str, float] = {}
    for name, trial in TRIALS.items():
        began = time.perf_counter()
        for _ in range(rounds):
            trial(race)
        means[name] = (time.perf_counter() - began) * 1000 / rounds
    return means


def main() -> None:
    """Measure ensembles of 3 and of 5 members and print a line for each kind of trial."""
    for members in (3, 5):
        for name, mean_ms in measure(100, members).items():
            sys.stdout.write(f"{members} members, {name:14} {mean_ms:6.2f} ms a trial\n")


if __name__ == "__main__":
    main()
