"""How long writes stop when the leader is killed: kill -9 under load, again and again.

Measures; the judge then looks at the whole history, so that a figure never hides a lost write.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from client.history import OK, History
from orchestrator.chaos.runner import Setup, Stage, Tell
from orchestrator.checker.anomalies import Anomaly
from orchestrator.errors import NotAnswering

WARM_S = 1.0
PATIENCE_S = 30.0


@dataclass(slots=True)
class LeaderKill:
    """One trial: from the kill to the first write that the next leader acknowledged, to anybody
    and to the last of the clients.
    """

    leader: int
    first_s: float
    all_s: float


@dataclass(slots=True)
class FailoverReport:
    """The trials, and what the judge says."""

    setup: Setup
    history: History
    trials: list[LeaderKill] = field(default_factory=list)
    acknowledged: int = 0
    violations: list[Anomaly] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        firsts = [trial.first_s for trial in self.trials]
        alls = [trial.all_s for trial in self.trials]
        return {
            "is_sound": not self.violations,
            "n": len(self.trials),
            "first_write_s": {"median": median(firsts), "max": max(firsts), "each": firsts},
            "every_client_s": {"median": median(alls), "max": max(alls), "each": alls},
            "writes_acknowledged": self.acknowledged,
        }

    def text(self) -> str:
        """For people."""
        figures = self.as_json()
        first, every = figures["first_write_s"], figures["every_client_s"]
        return (
            f"kill -9 of the leader, n = {figures['n']}, {self.setup.members} members:\n"
            f"  first write acknowledged again   median {first['median']:.2f} s,"
            f" max {first['max']:.2f} s\n"
            f"  every client writes again        median {every['median']:.2f} s,"
            f" max {every['max']:.2f} s\n"
            f"  {self.acknowledged} writes acknowledged in all"
        )


class _Watch:
    """Waits for the first acknowledged write of each client in an epoch behind a given one."""

    def __init__(self, epoch: int, clients: int) -> None:
        self._epoch = epoch
        self._left = set(range(1, clients + 1))
        self.first_s = 0.0
        self.all_s = 0.0
        self.is_over = asyncio.Event()

    def on_acknowledged(self, client: int, zxid: int) -> None:
        """Look at one acknowledged write."""
        if zxid >> 32 <= self._epoch or client not in self._left:
            return
        now_s = time.monotonic()
        self.first_s = self.first_s or now_s
        self._left.remove(client)
        if not self._left:
            self.all_s = now_s
            self.is_over.set()


async def run_leader_kills(setup: Setup, trials: int, tell: Tell) -> FailoverReport:
    """Kill the leader `trials` times. Raises NotAnswering when writes do not flow again."""
    stage = Stage(setup)
    report = FailoverReport(setup, stage.writer.history)
    try:
        async with stage:
            for number in range(1, trials + 1):
                trial = await _trial(stage)
                report.trials.append(trial)
                tell(
                    f"{number:3}  leader {trial.leader} killed: first write after"
                    f" {trial.first_s:.2f} s, every client after {trial.all_s:.2f} s"
                )
            stage.check_load()
            report.violations = await stage.judge()
            report.acknowledged = report.history.count(OK)
    finally:
        stage.forget()
    return report


async def _trial(stage: Stage) -> LeaderKill:
    ensemble = stage.ensemble
    await asyncio.to_thread(ensemble.wait_until_serving)
    await asyncio.sleep(WARM_S)
    view = await asyncio.to_thread(ensemble.status)
    leader = await asyncio.to_thread(ensemble.leader)
    epoch = max(member.status.epoch for member in view.members)
    watch = _Watch(epoch, stage.setup.clients)
    stage.on_acknowledged = watch.on_acknowledged
    killed_s = time.monotonic()
    await asyncio.to_thread(ensemble.kill, leader)
    try:
        await asyncio.wait_for(watch.is_over.wait(), PATIENCE_S)
    except TimeoutError:
        late = "no write was" if not watch.first_s else "not every client's writes were"
        raise NotAnswering(
            f"{late} acknowledged within {PATIENCE_S:.0f} s of the end of leader {leader}"
        ) from None
    finally:
        stage.on_acknowledged = None
    await asyncio.to_thread(ensemble.start, leader)
    return LeaderKill(leader, watch.first_s - killed_s, watch.all_s - killed_s)
