"""Several scenarios, several times, on one place or on both: in what order, on which ensembles."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from orchestrator.scenario.model import EnsembleSection, Scenario
from orchestrator.scenario.run import RunResult, chosen_variants, open_stage, play_scenario

Tell = Callable[[RunResult], None]
Say = Callable[[str], None]
STARTING = "starting an ensemble"


class Batch:
    """Scenarios with equal `ensemble` sections share an ensemble of processes.

    In virtual time each run has an ensemble of its own, so that a seed is a run.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        places: Sequence[str],
        *,
        times: int = 1,
        variant: str | None = None,
        seed: int = 1,
    ) -> None:
        for scenario in scenarios:
            chosen_variants(scenario, variant)
        self.with_messages = False
        self._statuses: set[int] = set()
        self._scenarios = scenarios
        self._places = places
        self._times = times
        self._variant = variant
        self._seed = seed

    @property
    def exit_status(self) -> int:
        """1 if a run failed, else 2 if one is inconclusive, else 0."""
        return next((status for status in (1, 2) if status in self._statuses), 0)

    @property
    def size(self) -> int:
        """How many runs there are."""
        return len(self._scenarios) * len(self._places) * self._times

    async def run(self, tell: Tell, say: Say = lambda text: None) -> None:
        """Play everything; `tell` gets each run's result, `say` what is being done."""
        if "simulator" in self._places:
            for scenario in self._scenarios:
                for index in range(self._times):
                    say(f"{scenario.name} in virtual time")
                    await self._simulate(scenario, self._seed + index, tell)
        if "processes" in self._places:
            for section in dict.fromkeys(s.head.ensemble for s in self._scenarios):
                await self._on_processes(section, tell, say)

    async def _simulate(self, scenario: Scenario, seed: int, tell: Tell) -> None:
        section, with_messages = scenario.head.ensemble, self.with_messages
        began = time.perf_counter()
        async with open_stage(section, "simulator", seed, with_messages=with_messages) as stage:
            result = await play_scenario(stage, scenario, variant=self._variant, seed=seed)
        # Here the ensemble is the run's own, and as quick.
        result.took_ms = (time.perf_counter() - began) * 1000
        self._take(result, tell)

    async def _on_processes(self, section: EnsembleSection, tell: Tell, say: Say) -> None:
        with_messages = self.with_messages
        say(STARTING)
        async with open_stage(section, "processes", with_messages=with_messages) as stage:
            for scenario in self._scenarios:
                for _ in range(self._times if scenario.head.ensemble == section else 0):
                    say(f"{scenario.name} on processes")
                    result = await play_scenario(stage, scenario, variant=self._variant)
                    self._take(result, tell)

    def _take(self, result: RunResult, tell: Tell) -> None:
        self._statuses.add(result.exit_status)
        tell(result)
