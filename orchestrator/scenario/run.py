"""Scenarios run: read, checked, played variant by variant on a stage; what came of it.

The Python API of scenarios: `run_scenario(load_scenario("w2-lagging-follower"), on="simulator")`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from client.history import History, Trace
from client.recording import HistoryWriter
from orchestrator.errors import InvalidInput, NotPossible
from orchestrator.scenario.hands import Hands
from orchestrator.scenario.lint import check_scenario
from orchestrator.scenario.model import EnsembleSection, Scenario
from orchestrator.scenario.play import Play
from orchestrator.scenario.reading import find_text, read_scenario
from orchestrator.scenario.stage import Stage
from orchestrator.scenario.verdicts import FAILED, INCONCLUSIVE, PASSED, VariantResult, Verdict

On = Literal["processes", "simulator"]
EXIT_STATUS: dict[Verdict, int] = {PASSED: 0, FAILED: 1, INCONCLUSIVE: 2}
LEADER_MS = 10_000
SEED = 1


@dataclass(slots=True)
class RunResult:
    """What came of playing a scenario once, and its history. `took_ms`: of real time."""

    scenario: str
    file: str
    on: str
    seed: int
    variants: list[VariantResult] = field(default_factory=list)
    history: History = field(default_factory=History)
    took_ms: float = 0.0
    history_file: str = ""

    @property
    def verdict(self) -> Verdict:
        """Failed if any variant failed, else inconclusive if any is, else passed."""
        verdicts = {variant.verdict for variant in self.variants}
        return next((v for v in (FAILED, INCONCLUSIVE) if v in verdicts), PASSED)

    @property
    def exit_status(self) -> int:
        """0, 1 and 2."""
        return EXIT_STATUS[self.verdict]


def load_scenario(name: str | Path) -> Scenario:
    """A packaged scenario by its name, or one in a file. Raises ScenarioProblems, InvalidInput."""
    file, text = find_text(str(name))
    scenario = read_scenario(text, file)
    check_scenario(scenario)
    return scenario


def run_scenario(
    scenario: Scenario | str | Path,
    on: On = "simulator",
    *,
    variant: str | None = None,
    seed: int = SEED,
    with_messages: bool = False,
) -> RunResult:
    """Play a scenario once. `variant`: only this one; `seed`: of the simulator.

    `with_messages`: the history has every message between members and every read, for pictures.
    """
    found = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)

    async def run() -> RunResult:
        async with open_stage(found.head.ensemble, on, seed, with_messages=with_messages) as stage:
            return await play_scenario(stage, found, variant=variant, seed=seed)

    return asyncio.run(run())


def open_stage(
    section: EnsembleSection, on: On, seed: int = SEED, *, with_messages: bool = False
) -> AbstractAsyncContextManager[Stage]:
    """An ensemble for scenarios with this section."""
    if on == "simulator":
        return _simulated(section, seed, with_messages)
    from orchestrator.scenario.processes import open_processes

    return open_processes(section, with_messages)


@asynccontextmanager
async def _simulated(
    section: EnsembleSection, seed: int, with_messages: bool
) -> AsyncIterator[Stage]:
    from orchestrator.scenario.simulated import SimulatedStage

    yield SimulatedStage(section, seed, with_messages)


async def play_scenario(
    stage: Stage, scenario: Scenario, *, variant: str | None = None, seed: int = SEED
) -> RunResult:
    """Play every variant, or one, on a stage. Leaves the stage as it found it."""
    chosen = chosen_variants(scenario, variant)
    result = RunResult(scenario.name, scenario.file, stage.kind, seed)
    source = f"scenario {scenario.name} on {stage.kind}"
    writer = HistoryWriter(source=source, clock=stage.clock, now_ms=stage.now_ms)
    began = time.perf_counter()
    stage.on_trace = writer.add
    hands = Hands(stage, writer)
    await hands.open()
    for name in chosen:
        result.variants.append(await _play(stage, writer, scenario, name, hands))
    await hands.close()
    stage.on_trace = lambda trace: None
    writer.close()
    result.history = writer.history
    result.took_ms = (time.perf_counter() - began) * 1000
    return result


async def _play(
    stage: Stage, writer: HistoryWriter, scenario: Scenario, variant: str, hands: Hands
) -> VariantResult:
    leader = await stage.leader()
    if leader is None:
        raise NotPossible(f"no member leads before variant '{variant}'")
    await hands.make_root(f"{scenario.name}-{variant}", leader)
    play = Play(stage, writer, scenario, variant, hands, leader)

    def on_trace(trace: Trace) -> None:
        writer.add(trace)
        play.on_trace(trace)

    stage.on_trace = on_trace
    return await play.run()


def chosen_variants(scenario: Scenario, variant: str | None) -> Sequence[str]:
    """The variants to play: one, or all. Raises InvalidInput if there is no such variant."""
    variants = list(scenario.head.variants)
    if variant is None:
        return variants
    if variant not in variants:
        raise InvalidInput(
            f"{scenario.name} has no variant '{variant}'; variants are {', '.join(variants)}"
        )
    return [variant]
