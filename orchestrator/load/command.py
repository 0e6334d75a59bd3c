"""`orchestrator load`: reads what is asked for, runs it, and exits with the verdict."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.errors import InvalidInput, NotPossible, OrchestratorError

if TYPE_CHECKING:
    from orchestrator.load.plan import Plan

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
_LONGEST_S = 24 * 3600
# Options of ours that are knobs of the load test under the same name.
_KNOBS = ("readers", "mitigations", "shape", "seed")


def register(app: typer.Typer) -> None:
    """Add `load`."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=settings)(load)


def load(
    context: typer.Context,
    users: Annotated[int, typer.Option("--users", "-u", min=1, help="Locust users.")] = 200,
    spawn_rate: Annotated[
        float | None, typer.Option(help="Users a second.  [default: all in 3 s]", metavar="R")
    ] = None,
    duration: Annotated[
        str, typer.Option("--for", help="How long, of each point in a sweep.", metavar="TIME")
    ] = "30s",
    session_timeout: Annotated[
        str | None,
        typer.Option(help="Of the sessions that end.  [default: 2s]", metavar="TIME"),
    ] = None,
    readers: Annotated[
        str | None, typer.Option(help="Reader kinds, with commas; see --knobs.", metavar="KINDS")
    ] = None,
    mitigations: Annotated[
        str | None, typer.Option(help="Mitigations, with commas; see --knobs.", metavar="KEYS")
    ] = None,
    user_class: Annotated[
        list[str] | None,
        typer.Option(help="Only this class of users; repeatable.", metavar="CLASS"),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="steady, ramp, storm or restart.  [default: steady]")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=256, help="Locust processes that carry the users.")
    ] = 1,
    seed: Annotated[
        int | None, typer.Option(min=1, help="Of the random choices.  [default: any]")
    ] = None,
    members: Annotated[
        str,
        typer.Option(
            help="How many members to start; or host:port,… of members that run.", metavar="N|LIST"
        ),
    ] = "3",
    observers: Annotated[int, typer.Option(min=0, help="Members without a vote.")] = 0,
    local_sessions: Annotated[
        bool, typer.Option("--local-sessions", help="New sessions are local, for reader 'local'.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="The ensemble's YAML or TOML.", metavar="FILE")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Use the ensemble that runs there.", metavar="DIR")
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(help="A rule, e.g. 'leader->slow delay=50ms'. Repeatable.", metavar="RULE"),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(help="'delay=0,5,20', '*->1 delay=0,5' or KNOB=V1,V2,…", metavar="SWEEP"),
    ] = None,
    fail_on_stale: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Exit 1 if a row exceeds this; see below.", metavar="RATIO"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The report's directory.  [default: reports/TIME]", metavar="DIR"),
    ] = None,
    knobs: Annotated[bool, typer.Option("--knobs", help="List the load test's knobs.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs.")
    ] = False,
) -> None:
    """Run a load experiment and write its report: ensemble, link rules, Locust, figures.

    Starts three members, or uses those of --dir or --members HOST:PORT,..., which it leaves
    running. Links are named by sids or by role: leader, and slow for the member that readers
    read on. Every knob of the load test (--knobs lists them) is an option here too.

    --fail-on-stale is held against the reads that a program acted upon (not those that its
    mitigation noticed), row by row, and against the lower end of the ratio's 95 % interval, so
    that chance alone fails nothing; 0 fails on a single one. A row without a verdict fails too.

    Exit status: 0; 1 if a row exceeds --fail-on-stale, requests failed, or the ensemble or its
    leader was lost; 2 for what makes no sense; 130 after Ctrl-C. A report is written but for 2.

    \b
    Examples:
      orchestrator load --link 'leader->slow delay=50ms'
      orchestrator load -u 500 --for 1min --readers open,new --mitigations none,sync --seed 7
      orchestrator load --sweep delay=0,5,20,50,100 --for 20s
      orchestrator load --sweep session-timeout=500,1000,2000 --link 'leader->slow delay=20ms'
      orchestrator load --shape storm --fault-after 5 --dir .lagkeeper
      orchestrator load --mitigations sync --fail-on-stale 0
      orchestrator load --link 'leader->slow delay=50ms' --history run.jsonl
    """
    _require_locust()
    from orchestrator.load.plan import Plan, check, knobs_help, parse_sweep

    if knobs:
        typer.echo(knobs_help())
        return
    given = {"readers": readers, "mitigations": mitigations, "shape": shape, "seed": seed}
    words = [word for key in _KNOBS if given[key] is not None for word in (f"--{key}", given[key])]
    if session_timeout is not None:
        words += ["--session-timeout", _milliseconds("--session-timeout", session_timeout)]
    settings, addresses = _ensemble(members, observers, config, directory)
    if settings is not None and local_sessions:
        settings |= {"local_sessions_enabled": True, "local_sessions_upgrading_enabled": True}
    plan = Plan(
        settings=settings,
        directory=directory,
        addresses=addresses,
        users=users,
        spawn_rate=spawn_rate if spawn_rate is not None else max(1.0, round(users / 3, 1)),
        duration_s=_seconds(duration),
        processes=processes,
        classes=tuple(user_class or ()),
        rules=tuple(link or ()),
        knobs=(*map(str, words), *context.args),
        sweep=parse_sweep(sweep) if sweep else None,
    )
    if plan.spawn_rate <= 0:
        raise InvalidInput("--spawn-rate: must be above 0")
    check(plan)
    raise typer.Exit(_run(plan, out, fail_on_stale, as_json))


def _run(plan: Plan, out: Path | None, bound: float | None, as_json: bool) -> int:
    from loadtests.report.verdicts import excesses
    from loadtests.stale_reads import console
    from orchestrator.load.files import new_directory, write_report
    from orchestrator.load.interrupt import Interrupted, Interrupts
    from orchestrator.load.progress import LoadProgress
    from orchestrator.load.runner import run_load
    from orchestrator.load.show import audit_lines, result_json, result_table

    is_new = out is None or not out.exists()
    directory = new_directory(out)
    interrupts = Interrupts()
    with interrupts.caught():
        try:
            with LoadProgress() as progress:
                result = run_load(plan, directory, progress, interrupts)
        except Interrupted:
            _remove(directory, is_new)
            sys.stderr.write("orchestrator: interrupted before the load began; no report\n")
            return EXIT_INTERRUPTED
        except OrchestratorError:
            _remove(directory, is_new)
            raise
        report = write_report(directory, result.found, result.values)
    exceeding = excesses(result.found, bound) if bound is not None else []
    if as_json:
        shown = result_json(directory, result.found, result.complaints, exceeding)
        typer.echo(json.dumps(shown, indent=2))
    else:
        screen = console()
        screen.print(result_table(result.found))
        screen.print(result.found.verdict or "no verdict", style="bold", markup=False)
        for line in audit_lines(result.found):
            screen.print(line, markup=False)
        for sentence in result.found.missing:
            if sentence not in result.complaints:
                screen.print(f"missing: {sentence}", style="yellow", markup=False)
        complaints = [f"not as it should be: {line}" for line in result.complaints]
        complaints += [f"--fail-on-stale: {line}" for line in exceeding]
        for complaint in complaints:
            screen.print(complaint, style="red", markup=False)
        screen.print(f"report: {report}", markup=False, soft_wrap=True)
    if result.is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.complaints or exceeding else 0


def _remove(directory: Path, is_new: bool) -> None:
    """Leave no directory without a report behind."""
    import shutil

    from orchestrator.load.files import REPORTS

    if is_new:
        shutil.rmtree(directory, ignore_errors=True)
    # Empty, since it was made for this one.
    with suppress(OSError):
        REPORTS.rmdir()


def _require_locust() -> None:
    if find_spec("locust") is None or find_spec("jinja2") is None:
        raise NotPossible("Locust is not installed: pip install 'lagkeeper[load]'")


def _ensemble(
    members: str, observers: int, config: Path | None, directory: Path | None
) -> tuple[dict[str, Any] | None, str]:
    """The settings of the ensemble to start, or the addresses of one that runs."""
    if members.strip().isdecimal():
        if directory is not None:
            return None, ""
        settings: dict[str, Any] = {"members": int(members), "observers": observers}
        # What the file says holds, unless the command line says otherwise.
        return ({"config_file": config} if config is not None else settings), ""
    from client.errors import BadArgumentsError
    from client.members import parse_members

    try:
        parse_members(members.split(","))
    except BadArgumentsError as error:
        raise InvalidInput(f"--members: {error.detail}") from None
    if directory is not None:
        raise InvalidInput("--members and --dir both name an ensemble; give one of them")
    return None, members


def _seconds(text: str) -> int:
    length = int(_milliseconds("--for", text)) / 1000
    if not 1 <= length <= _LONGEST_S:
        raise InvalidInput(f"--for: from 1s to {_LONGEST_S // 60}min, not {text}")
    return round(length)


def _milliseconds(option: str, text: str) -> str:
    from orchestrator.config import duration_ms

    try:
        return str(duration_ms(text))
    except ValueError as error:
        raise InvalidInput(f"{option}: {error}") from None
