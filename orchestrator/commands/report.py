"""`orchestrator report …`: makes reports of records, and lays two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.commands.options import AsJson, answer
from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from loadtests.report.schema import Record, Sweep

Run = Annotated[
    Path, typer.Argument(help="A record (JSON), or a report's directory.", metavar="RUN")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    report = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Make reports of load runs, and compare two of them.",
    )
    report.command("make")(make)
    report.command("compare")(compare_runs)
    app.add_typer(report, name="report")


def make(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(help="The report's directory.  [default: reports/TIME]", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write report.html, table.csv and record.json of a record that Locust wrote (--record).

    \b
    Examples:
      locust -f loadtests/locustfile.py --headless -t 1m --record run.json
      orchestrator report make run.json --out report
    """
    found, values = _read(run)
    from orchestrator.load.files import TABLE, new_directory, write_report

    directory = new_directory(out)
    report = write_report(directory, found, values)
    files = {"report": str(report), "table": str(directory / TABLE), "verdict": found.verdict}
    answer(as_json, f"{found.verdict or 'no verdict'}\nreport: {report}", files)


def compare_runs(
    a: Run,
    b: Run,
    out: Annotated[
        Path | None,
        typer.Option(help="The page.  [default: reports/compare-TIME.html]", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lay two runs, or two sweeps, side by side: each row's difference with its 95 % interval.

    \b
    Examples:
      orchestrator report compare reports/before reports/after
      orchestrator report compare a.json b.json --out compare.html --json
    """
    (found_a, _), (found_b, _) = _read(a), _read(b)
    from loadtests.report.comparison import compare
    from loadtests.stale_reads import console
    from orchestrator.load.files import write_comparison
    from orchestrator.load.show import comparison_table

    comparison = compare(str(a), found_a, str(b), found_b)
    page = write_comparison(out, comparison)
    if as_json:
        typer.echo(json.dumps({"page": str(page), **comparison.as_json()}, indent=2))
        return
    screen = console()
    screen.print(comparison_table(comparison))
    for line in (*comparison.alone, *comparison.missing):
        screen.print(line, markup=False)
    screen.print(comparison.verdict, style="bold", markup=False)
    screen.print(f"page: {page}", markup=False, soft_wrap=True)


def _read(run: Path) -> tuple[Record | Sweep, dict[str, Any]]:
    from loadtests.report.schema import BadRecord, read

    try:
        return read(run)
    except BadRecord as error:
        raise InvalidInput(str(error)) from None
