"""`orchestrator sim`: sweep seeds through the simulator, and say what is violated and how."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator.errors import InvalidInput
from orchestrator.simulator.run import ALL_KINDS, Outcome
from orchestrator.simulator.sweep import Options, Report, shrink_violation, sweep

# Each shrinking takes some dozens of runs.
MOST_SHRUNK = 3
FEWEST_MEMBERS = 3
MOST_MEMBERS = 7


def register(app: typer.Typer) -> None:
    """Add `sim`."""
    app.command()(sim)


def sim(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 200,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, help="Processes; 0: one for each core.")
    ] = 0,
    faults: Annotated[
        str, typer.Option(help=f"all, none, or some with commas of: {', '.join(ALL_KINDS)}.")
    ] = "all",
    members: Annotated[
        str, typer.Option(help="Members of the ensemble, observers among them: 5, or 3-7.")
    ] = "3-7",
    only: Annotated[
        str, typer.Option(help="Of the schedule, only the faults with these numbers: 2,5.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run ensembles in virtual time under faults drawn from seeds, and judge every step.

    After each step of each member the invariants are checked: those of ZooKeeper's TLA+
    specification, and what clients were promised. A violation is printed with its seed, the
    faults that it needs and the command that replays it. Exit status 0 if there is none, else 1.

    Examples: orchestrator sim; orchestrator sim --seeds 2000;
    orchestrator sim --seeds 1 --first-seed 42 --faults crash,cut --members 5
    """
    options = Options(_parse_faults(faults), _parse_members(members), _parse_only(only))
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("seeds", total=seeds)

        def advance(report: Report) -> None:
            rate = report.steps / report.real_s if report.real_s else 0.0
            bad = len(report.violations)
            text = f"{rate:,.0f} steps/s, {bad} violations"
            bar.update(task, completed=report.seeds, description=text)

        report = sweep(first_seed, seeds, options, jobs, advance)
    found = [
        _explain(violation, options, faults, members)
        for violation in report.violations[:MOST_SHRUNK]
    ]
    if as_json:
        typer.echo(json.dumps(_as_json(report, found), indent=2))
    else:
        _tell(report, found)
    raise typer.Exit(1 if report.violations else 0)


def _parse_faults(text: str) -> tuple[str, ...]:
    if text in ("all", "none"):
        return ALL_KINDS if text == "all" else ()
    kinds = tuple(text.split(","))
    for kind in kinds:
        if kind not in ALL_KINDS:
            raise InvalidInput(f"--faults {kind!r}: all, none, or of {', '.join(ALL_KINDS)}")
    return kinds


def _parse_members(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        bounds = (int(low), int(high or low))
    except ValueError:
        raise InvalidInput(f"--members {text!r}: a number, or two such as 3-7") from None
    if not FEWEST_MEMBERS <= bounds[0] <= bounds[1] <= MOST_MEMBERS:
        raise InvalidInput(f"--members {text!r}: from {FEWEST_MEMBERS} to {MOST_MEMBERS}")
    return bounds


def _parse_only(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    try:
        return () if text == "none" else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--only {text!r}: none, or numbers with commas") from None


def _explain(violation: Outcome, options: Options, faults: str, members: str) -> dict[str, Any]:
    """Shrink a violation; return what happened, with which faults, and how to see it again."""
    shrunk = shrink_violation(options, violation)
    only = ",".join(map(str, shrunk.places)) or "none"
    return {
        "seed": violation.seed,
        "invariant": violation.invariant,
        "detail": shrunk.outcome.violation,
        "voters": len(shrunk.plan.config.voters),
        "observers": len(shrunk.plan.config.observers),
        "faults": [str(fault) for fault in shrunk.plan.faults],
        "faults_drawn": shrunk.drawn,
        "replay": f"orchestrator sim --seeds 1 --first-seed {violation.seed} --faults {faults}"
        f" --members {members} --only {only}",
    }


def _as_json(report: Report, found: list[dict[str, Any]]) -> dict[str, Any]:
    figures = asdict(report)
    figures["violations"] = [
        {"seed": v.seed, "invariant": v.invariant, "detail": v.violation} for v in report.violations
    ]
    figures["explained"] = found
    figures["steps_per_second"] = report.steps / report.real_s if report.real_s else 0.0
    return figures


def _tell(report: Report, found: list[dict[str, Any]]) -> None:
    rate = report.steps / report.real_s if report.real_s else 0.0
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(report.faults.items()))
    typer.echo(
        f"{report.seeds} seeds, {report.steps:,} steps in {report.real_s:.1f} s"
        f" ({rate:,.0f} steps/s, {report.core_s:.0f} s on cores),"
        f" {report.virtual_ms / 1000:,.0f} s of virtual time"
    )
    typer.echo(
        f"{report.epochs:,} epochs, {report.delivered:,} transactions,"
        f" {report.acknowledged:,} acknowledged writes"
    )
    typer.echo(f"faults: {counts or 'none'}")
    if report.longest_healing_seed is not None:
        typer.echo(
            f"longest healing after the faults: {report.longest_healing_ms:.0f} ms"
            f" (seed {report.longest_healing_seed})"
        )
    for violation in found:
        typer.echo(f"\nseed {violation['seed']} violates {violation['invariant']}")
        typer.echo(f"  {violation['detail']}")
        typer.echo(f"  {violation['voters']} voters, {violation['observers']} observers;")
        count = violation["faults_drawn"]
        typer.echo(f"  {len(violation['faults'])} of {count} faults are needed:")
        for fault in violation["faults"]:
            typer.echo(f"    {fault}")
        typer.echo(f"  replay: {violation['replay']}")
    rest = report.violations[len(found) :]
    if rest:
        typer.echo(f"\nmore seeds: {', '.join(str(v.seed) for v in rest)}")
    typer.echo("no violation" if not report.violations else f"{len(report.violations)} violations")
