"""One run of chaos: an ensemble of its own, load on it, faults in it, and the judge at the end.

Owns the order of things and what is told meanwhile. Prints nothing itself.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from client.aio import AsyncClient
from client.aio_line import shared_lines
from client.errors import LagkeeperError
from client.history import FAILED, LIVING, OK, UNKNOWN, History, Trace
from client.recording import HistoryWriter, host_ms
from orchestrator.chaos.finish import finish
from orchestrator.chaos.load import LoadClient, prepare
from orchestrator.chaos.nemesis import Deed, Nemesis
from orchestrator.chaos.plan import KINDS, make_plan
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.check import Demands, check
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible

SESSION_TIMEOUT_MS = 4000
# A leader that hears nobody gives up after a second, so that short cuts depose leaders too.
SYNC_LIMIT = 5
PROGRESS_S = 5.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is asked for."""

    duration_s: float
    seed: int
    members: int = 3
    observers: int = 0
    kinds: Sequence[str] = KINDS
    clients: int = 6
    per_second: float = 400.0


@dataclass(slots=True)
class Report:
    """What came of a run. `directory`: the members' files, kept only for a violation."""

    setup: Setup
    history: History
    deeds: list[Deed] = field(default_factory=list)
    left_out: int = 0
    violations: list[Anomaly] = field(default_factory=list)
    directory: str = ""
    took_s: float = 0.0


class Stage:
    """An ensemble under load. Use as an asynchronous context; it ends everything it started."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.writer = HistoryWriter(source="orchestrator chaos")
        # Called with a client's number and a zxid for each write that was carried out.
        self.on_acknowledged: Callable[[int, int], None] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="lagkeeper-chaos-"))
        self.ensemble = Ensemble(
            members=setup.members,
            observers=setup.observers,
            sync_limit=SYNC_LIMIT,
            directory=self.directory / "ensemble",
        )
        self.clients: list[LoadClient] = []
        self._stop = asyncio.Event()
        self._load: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Stage:
        """Start the ensemble, then the load."""
        shared_lines().hold()
        try:
            await asyncio.to_thread(self.ensemble.start_all)
            await self._start_load()
        except LagkeeperError as error:
            await self.__aexit__()
            raise NotPossible(f"the load could not begin: {error}") from None
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End clients and ensemble; the members' files stay until `forget`."""
        for task in self._load:
            task.cancel()
        await asyncio.gather(*self._load, return_exceptions=True)
        await asyncio.to_thread(self.ensemble.close)
        await asyncio.gather(*(client.close() for client in self.clients))
        await shared_lines().release()

    async def _start_load(self) -> None:
        members = self.ensemble.members
        setup = self.setup
        program = self.writer.program(0)
        async with AsyncClient(members, SESSION_TIMEOUT_MS, history=program) as client:
            await prepare(client)
        self.clients = [
            LoadClient(
                number,
                members,
                self.writer,
                setup.seed,
                timeout_ms=SESSION_TIMEOUT_MS,
                per_second=setup.per_second / setup.clients,
                acknowledged=self._acknowledged,
            )
            for number in range(1, setup.clients + 1)
        ]
        self._load = [asyncio.create_task(client.run(self._stop)) for client in self.clients]

    def _acknowledged(self, client: int, zxid: int) -> None:
        if self.on_acknowledged is not None:
            self.on_acknowledged(client, zxid)

    def note(self, deed: Deed) -> None:
        """Have the history tell of a fault that has just ended."""
        fields: dict[str, int | str | bool | float] = {
            "what": deed.text,
            "lasted_ms": round(deed.lasted_s * 1000, 3),
            "touched": deed.touched,
        }
        at_ms = round(host_ms() - deed.lasted_s * 1000, 3)
        self.writer.add(Trace(at_ms, 0, deed.kind, fields))

    def check_load(self) -> None:
        """Raise what ended a client, if one has ended."""
        for task in self._load:
            if task.done() and not task.cancelled():
                task.result()

    def pick_session(self, aim: float) -> int:
        """A living session of the load, 0 if there is none."""
        sessions = self.writer.history.sessions.values()
        ids = [session.session_id for session in sessions if session.end == LIVING]
        return ids[int(aim * len(ids))] if ids else 0

    async def end_load(self) -> None:
        """Let the clients finish what is under way; their sessions stay open."""
        self._stop.set()
        await asyncio.gather(*self._load)

    async def judge(self) -> list[Anomaly]:
        """Bring the healed ensemble to its rest, read it, and judge the whole history."""
        await self.end_load()
        await finish(self.ensemble, self.writer, self.clients, SESSION_TIMEOUT_MS)
        # The sessions of the load are closed later; what was read belongs to before that.
        self.writer.close()
        # A stale read of an ephemeral is what a sound ensemble shows, too, when links are slow.
        demands = Demands(allows_stale=True)
        return (await asyncio.to_thread(check, self.writer.history, demands)).anomalies

    def forget(self) -> None:
        """Remove the members' files."""
        shutil.rmtree(self.directory, ignore_errors=True)


async def run_chaos(setup: Setup, tell: Tell) -> Report:
    """The whole of it. Raises OrchestratorError if it could not run."""
    began = time.monotonic()
    plan = make_plan(setup.seed, setup.duration_s, setup.kinds)
    stage = Stage(setup)
    report = Report(setup, stage.writer.history)
    try:
        async with stage:
            nemesis = _nemesis(stage, tell)
            report.deeds = nemesis.deeds
            progress = asyncio.create_task(_progress(stage, nemesis, tell))
            try:
                report.left_out = await nemesis.run(plan, setup.duration_s)
            finally:
                progress.cancel()
                await asyncio.gather(progress, return_exceptions=True)
            stage.check_load()
            tell("healing, and waiting until all is at rest")
            await nemesis.heal()
            report.violations = await stage.judge()
    except BaseException:
        stage.forget()
        raise
    if report.violations:
        report.directory = str(stage.directory)
    else:
        stage.forget()
    report.took_s = time.monotonic() - began
    return report


def _nemesis(stage: Stage, tell: Tell) -> Nemesis:
    config = stage.ensemble.config

    def told(deed: Deed) -> None:
        stage.note(deed)
        tell(show_deed(deed))

    return Nemesis(
        stage.ensemble,
        config.voters,
        config.sids,
        stage.pick_session,
        told,
    )


async def _progress(stage: Stage, nemesis: Nemesis, tell: Tell) -> None:
    history = stage.writer.history
    began = time.monotonic()
    while True:
        await asyncio.sleep(PROGRESS_S)
        tell(
            f"{time.monotonic() - began:5.1f} s  writes: {history.count(OK)} acknowledged,"
            f" {history.count(FAILED)} refused, {history.count(UNKNOWN)} unknown or under way;"
            f" {len(nemesis.deeds)} faults"
        )


def show_deed(deed: Deed) -> str:
    """One line: when, what, for how long, and what that touched."""
    unit = "" if deed.kind in ("kill", "pause", "expire") else f", touched {deed.touched}"
    note = f" ({deed.error})" if deed.error else ""
    nothing = ", did nothing" if not deed.touched else unit
    return f"{deed.at_s:5.1f} s  {deed.kind} {deed.text} for {deed.lasted_s:.1f} s{nothing}{note}"
