"""`orchestrator race`: run the trials, show the table, exit with the verdict."""

from __future__ import annotations

import asyncio
import functools
import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from client.errors import LagkeeperError
from orchestrator.errors import InvalidInput, NotPossible
from orchestrator.race.runner import Setup, run_setups, setups
from orchestrator.race.tally import Experiment, make_table

_KEYS = ", ".join(dict.fromkeys(setup.key for setup in setups()))


class Where(StrEnum):
    """What the trials run on."""

    PROCESSES = "processes"
    SIMULATOR = "simulator"


class Over(StrEnum):
    """What the clients of the trials speak."""

    GRPC = "grpc"
    WIRE = "wire"


def register(app: typer.Typer) -> None:
    """Add `race`."""
    app.command()(race)


def race(
    window: Annotated[
        list[str] | None,
        typer.Option("--window", "-w", help=f"Only this set-up; repeatable. One of: {_KEYS}."),
    ] = None,
    delays: Annotated[
        str, typer.Option("--delays", help="Delays of W2 in milliseconds, with commas.")
    ] = "0,5,20,100",
    trials: Annotated[
        int | None,
        typer.Option("--trials", "-n", min=1, help="Trials of each set-up. Default: as measured."),
    ] = None,
    members: Annotated[int, typer.Option(min=3, help="Members of the ensemble.")] = 3,
    leader: Annotated[
        int | None, typer.Option(min=1, help="The member that leads. Default: who is elected.")
    ] = None,
    where: Annotated[
        Where, typer.Option("--on", help="Real processes, or the simulator in virtual time.")
    ] = Where.PROCESSES,
    over: Annotated[
        Over, typer.Option("--over", help="Clients over gRPC, or over ZooKeeper's own protocol.")
    ] = Over.GRPC,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Race "your session expired" against the end of its ephemerals, and compare with ZooKeeper.

    Starts ensembles of its own, lets sessions expire in each of the windows W0, W1 and W2, reads
    through sessions of each kind, and prints how often the znode was still there beside what a
    real ensemble showed. Exit status 0 if every row agrees, 1 if one differs.

    Examples: orchestrator race; orchestrator race -w w2 --delays 20 -n 5;
    orchestrator race --members 5 --leader 1 --json; orchestrator race --on simulator;
    orchestrator race --over wire
    """
    chosen = _choose(window, _parse_delays(delays))
    if leader is not None and leader > members:
        raise InvalidInput(f"no member {leader} to lead; members are 1 to {members}")
    if over is Over.WIRE and where is Where.SIMULATOR:
        raise InvalidInput("--over wire: the simulator has no ports; leave out --on simulator")
    run = functools.partial(_RUNNERS[where], chosen)
    if over is Over.WIRE:
        run = functools.partial(run, is_over_wire=True)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        tasks = {setup.name: bar.add_task(setup.name, total=None) for setup in chosen}

        def advance(name: str, finished: int, total: int) -> None:
            bar.update(tasks[name], completed=finished, total=total)

        try:
            experiments = run(members=members, leader=leader, trials=trials, progress=advance)
        except LagkeeperError as error:
            raise NotPossible(f"a client of the race failed: {error}") from None
    _tell(experiments, as_json=as_json)
    raise typer.Exit(0 if all(experiment.agrees() for experiment in experiments) else 1)


def _on_processes(chosen: list[Setup], **options: Any) -> list[Experiment]:
    return asyncio.run(run_setups(chosen, **options))


def _on_simulator(chosen: list[Setup], **options: Any) -> list[Experiment]:
    # Loaded only here: the simulator brings the members' core along.
    from orchestrator.race.simulated import SIMULATED, simulate_setups

    if not any(setup.key in SIMULATED for setup in chosen):
        raise InvalidInput(f"the simulator has only these set-ups: {', '.join(SIMULATED)}")
    return simulate_setups(chosen, **options)


_RUNNERS = {Where.PROCESSES: _on_processes, Where.SIMULATOR: _on_simulator}


def _parse_delays(text: str) -> list[int]:
    try:
        delays = [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInput(
            f"--delays {text!r}: whole milliseconds with commas, such as 5,20"
        ) from None
    if any(delay < 0 or delay > 5000 for delay in delays):
        raise InvalidInput(f"--delays {text!r}: each from 0 to 5000 ms")
    return delays


def _choose(keys: list[str] | None, delays_ms: list[int]) -> list[Setup]:
    known = setups(delays_ms)
    for key in keys or ():
        if key not in {setup.key for setup in known}:
            raise InvalidInput(f"no set-up '{key}'; one of {_KEYS}")
    return [setup for setup in known if not keys or setup.key in keys]


def _tell(experiments: list[Experiment], *, as_json: bool) -> None:
    agrees = all(experiment.agrees() for experiment in experiments)
    if as_json:
        report = {"agrees": agrees, "experiments": [e.as_json() for e in experiments]}
        typer.echo(json.dumps(report, indent=2))
        return
    console = Console()
    console.print("What a client sees after it was told that the session expired")
    for experiment in experiments:
        console.print(make_table(experiment))
    rows = [row for experiment in experiments for row in experiment.rows()]
    differing = sum(1 for row in rows if not row.agrees)
    windows = sum(1 for experiment in experiments if not experiment.window_agrees())
    if agrees:
        console.print(f"All {len(rows)} rows agree with the real ensemble.")
    else:
        console.print(f"{differing} of {len(rows)} rows and {windows} windows differ.")
