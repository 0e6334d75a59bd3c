"""`orchestrator chaos`: says what it may do, runs it, and exits with the verdict."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer

from orchestrator.chaos.failover import run_leader_kills
from orchestrator.chaos.plan import KINDS, parse_kinds
from orchestrator.chaos.report import (
    announce,
    as_json,
    verdict_text,
    violations_json,
    violations_text,
)
from orchestrator.chaos.runner import Report, Setup, Tell, run_chaos
from orchestrator.config import duration_ms
from orchestrator.errors import InvalidInput, NotPossible

LONGEST_S = 3600.0


def register(app: typer.Typer) -> None:
    """Add `chaos`."""
    app.command()(chaos)


def chaos(
    duration: Annotated[
        str, typer.Option("--for", help="How long faults come.", metavar="TIME")
    ] = "60s",
    seed: Annotated[
        int | None, typer.Option(help="Plans the same faults again.  [default: any]", metavar="S")
    ] = None,
    members: Annotated[int, typer.Option(min=2, max=25, help="Voting members.")] = 3,
    observers: Annotated[int, typer.Option(min=0, max=25, help="Members without a vote.")] = 0,
    faults: Annotated[
        str, typer.Option(help="Only these, with commas.", metavar="KINDS")
    ] = ",".join(KINDS),
    clients: Annotated[int, typer.Option(min=1, max=200, help="Clients at a time.")] = 6,
    rate: Annotated[
        float, typer.Option(min=1, max=100_000, help="Operations a second, of all clients.")
    ] = 400.0,
    leader_kills: Annotated[
        int | None,
        typer.Option(min=1, help="Instead: kill -9 the leader N times, and time it.", metavar="N"),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Write every operation there.", metavar="FILE")
    ] = None,
    as_json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs.")
    ] = False,
) -> None:
    """Kill, pause, cut and slow members of an ensemble under load, then judge what clients saw.

    Starts an ensemble of its own and ends it. Keeps a majority able to form, but for a moment now
    and then; heals everything at the end, and reads every member whole. Exit status 0 if no rule
    is broken, 1 with the operations that prove it if one is.

    \b
    Examples:
      orchestrator chaos --for 60s --seed 7
      orchestrator chaos --members 5 --observers 1 --faults kill,one-way-cut
      orchestrator chaos --leader-kills 10
      orchestrator chaos --for 30s --history run.jsonl; orchestrator check run.jsonl
    """
    setup = Setup(
        duration_s=_seconds(duration),
        seed=SystemRandom().randrange(1_000_000) if seed is None else seed,
        members=members,
        observers=observers,
        kinds=parse_kinds(faults),
        clients=clients,
        per_second=rate,
    )
    _check_writable(history)
    out = sys.stderr if as_json_ else sys.stdout

    def tell(line: str) -> None:
        out.write(line + "\n")
        out.flush()

    if leader_kills is not None:
        _kill_leaders(setup, leader_kills, tell, as_json_, history)
    tell(announce(setup))
    report = asyncio.run(run_chaos(setup, tell))
    _save(report, history)
    typer.echo(json.dumps(as_json(report), indent=2) if as_json_ else verdict_text(report))
    if not report.violations and not any(deed.touched for deed in report.deeds):
        raise NotPossible("no fault touched anything, so the run says nothing; run it for longer")
    raise typer.Exit(1 if report.violations else 0)


def _kill_leaders(setup: Setup, trials: int, tell: Tell, is_json: bool, file: Path | None) -> None:
    if setup.members < 3:
        raise InvalidInput("--leader-kills: without 3 members there is no quorum after a kill")
    report = asyncio.run(run_leader_kills(setup, trials, tell))
    if file is not None:
        report.history.save(file)
    if is_json:
        found = {**report.as_json(), "violations": violations_json(report.violations)}
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(f"{report.text()}\n{violations_text(report.violations)}")
    raise typer.Exit(1 if report.violations else 0)


def _seconds(text: str) -> float:
    try:
        length = duration_ms(text)
    except ValueError as error:
        raise InvalidInput(f"--for: {error}") from None
    assert isinstance(length, int)
    if not 1 <= length / 1000 <= LONGEST_S:
        raise InvalidInput(f"--for: from 1s to {LONGEST_S / 60:.0f}min, not {text}")
    return length / 1000


def _check_writable(file: Path | None) -> None:
    """Before the run, not after it."""
    if file is None:
        return
    try:
        file.open("a").close()
    except OSError as error:
        raise InvalidInput(f"--history: cannot write {file}: {error.strerror}") from None


def _save(report: Report, file: Path | None) -> None:
    """The history, where it is asked for, and beside the members' files if it proves anything."""
    if file is None and report.directory:
        file = Path(report.directory) / "history.jsonl"
    if file is not None:
        report.history.save(file)
