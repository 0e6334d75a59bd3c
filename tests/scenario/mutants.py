"""Packaged scenarios with lines changed at random, played on both stages: the verdicts must agree.

`python -m tests.scenario.mutants SEED SECONDS` prints each file whose variants end differently on
processes and in virtual time, and exits with 1 if there was one. Most changes make a file that
`lint` refuses, which must be all that happens; the others make experiments that nobody thought of.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from random import Random

from orchestrator.errors import InvalidInput
from orchestrator.scenario.lint import check_scenario
from orchestrator.scenario.model import EnsembleSection, Scenario
from orchestrator.scenario.reading import catalogue, find_text, read_scenario
from orchestrator.scenario.run import RunResult, open_stage, play_scenario, run_scenario
from orchestrator.scenario.stage import Stage

WORDS = (
    *("leader", "follower", "other", "new leader", "seen", "/lock", "3", "true", "{seen.path}"),
    *("silence", "crash", "drop", "kill", "pause", "start", "hold", "release", "close", "expire"),
    *("sync", "exists", "session"),
)


def mutate(text: str, rng: Random) -> str:
    """The text with up to two lines left out, moved, said twice, or changed in a word."""
    lines = text.splitlines()
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines[at], lines[at - 1] = lines[at - 1], lines[at]
            case 2:
                lines.insert(at, rng.choice(lines))
            case _:
                words = lines[at].split(" ")
                words[rng.randrange(len(words))] = rng.choice(WORDS)
                lines[at] = " ".join(words)
    return "\n".join(lines) + "\n"


def read(name: str, text: str) -> Scenario | None:
    """The scenario, if it is one that can be played on the one ensemble there is."""
    try:
        scenario = read_scenario(text, f"{name}.yaml")
        check_scenario(scenario)
    except InvalidInput:
        return None
    return scenario if scenario.head.ensemble == EnsembleSection() else None


def told(result: RunResult) -> list[tuple[str, str, bool, int]]:
    """What must be the same on both."""
    return [(v.variant, v.verdict, v.harmed, v.line) for v in result.variants]


async def compare(stage: Stage, scenario: Scenario) -> list[str]:
    """Play it on both; what differs, a line for each variant."""
    virtual = await asyncio.to_thread(run_scenario, scenario, "simulator")
    real = await play_scenario(stage, scenario)
    if told(virtual) == told(real):
        return []
    return [
        f"  {a.variant}: simulator {a.verdict}, line {a.line} ({a.why});"
        f" processes {b.verdict}, line {b.line} ({b.why})"
        for a, b in zip(virtual.variants, real.variants, strict=True)
        if (a.verdict, a.harmed, a.line) != (b.verdict, b.harmed, b.line)
    ]


async def run(seed: int, seconds: float) -> Counter[str]:
    """Compare for so long; counts what came of it."""
    rng, counts = Random(seed), Counter[str]()
    texts = [(name, find_text(name)[1]) for name in catalogue()]
    end = time.monotonic() + seconds
    async with open_stage(EnsembleSection(), "processes") as stage:
        while time.monotonic() < end:
            name, original = rng.choice(texts)
            text = mutate(original, rng)
            scenario = read(name, text)
            if scenario is None:
                counts["not played"] += 1
                continue
            differences = await compare(stage, scenario)
            counts["differing" if differences else "alike"] += 1
            if differences:
                sys.stdout.write("\n".join([f"{name}:", *differences, text]) + "\n")
    return counts


def main() -> None:
    """Take seed and seconds from the command line."""
    seed, seconds = (*sys.argv[1:], *("1", "60")[len(sys.argv) - 1 :])
    counts = asyncio.run(run(int(seed), float(seconds)))
    sys.stdout.write(", ".join(f"{count} {what}" for what, count in counts.items()) + "\n")
    sys.exit(1 if counts["differing"] else 0)


if __name__ == "__main__":
    main()
