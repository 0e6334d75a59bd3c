"""The result of a load experiment as a table for a terminal, and as an object for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from loadtests.read_audit import sentence_on
from loadtests.report.comparison import Comparison, Pair, label_of
from loadtests.report.curves import reader_at, readers_of
from loadtests.report.panels import by_place, title_of
from loadtests.report.schema import Reader, Record, Sweep
from orchestrator.load.files import REPORT, TABLE


def result_table(found: Record | Sweep) -> Table:
    """The rows of a run, or of a sweep with a column for each point; fits into 80 columns."""
    return _sweep_table(found) if isinstance(found, Sweep) else _run_table(found)


def comparison_table(comparison: Comparison) -> Table:
    """Both runs, row by row."""
    table = _table("Two runs side by side: stale of n, and the difference of the ratios")
    table.add_column("row")
    for heading in ("A", "B", "B - A", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for pair in comparison.pairs:
        table.add_row(escape(label_of(pair)), *_pair_cells(pair))
    return table


def _run_table(record: Record) -> Table:
    table = _table("What clients saw after they were told of a session's end")
    if record.void_rounds:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(record.void_rounds.items()))
        table.caption = escape(f"rounds without a verdict, not counted above: {reasons}")
    table.add_column("reader: mitigation")
    headings = ("stale/n", "ratio, 95 %", "window\nmedian", "acted\nupon", "cost\np95")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for place, rows in by_place(record.readers):
        table.add_row(f"[bold]{escape(place)}[/bold]")
        for row in rows:
            table.add_row(escape(title_of(row)), *_row_cells(row))
        table.add_section()
    return table


def _sweep_table(found: Sweep) -> Table:
    unit = f" {found.swept.unit}" if found.swept.unit else ""
    table = _table(f"Stale ratio, stale of n, median window against {escape(found.swept.knob)}")
    table.add_column("reader: mitigation")
    for point in found.points:
        table.add_column(f"{escape(point.value)}{unit}", justify="right")
    for place, rows in by_place(readers_of(found)):
        table.add_row(f"[bold]{escape(place)}[/bold]")
        for row in rows:
            cells = [reader_at(found, index, row.name) for index in range(len(found.points))]
            table.add_row(escape(title_of(row)), *map(_cell, cells))
        table.add_section()
    return table


def _row_cells(row: Reader) -> list[str]:
    low, high = row.interval or (0.0, 1.0)
    harm = f"\n[red]{row.harmful} harmful[/red]" if row.harmful else ""
    endless = f"\n{row.endless} endless" if row.endless else ""
    return [
        f"{row.stale}/{row.requests}",
        "no verdict" if row.ratio is None else f"{row.ratio:.3f} {low:.3f}-{high:.3f}",
        (f"{row.window_ms.median:.1f} ms" if row.window_ms else "-") + endless,
        f"{row.acted_upon}{harm}",
        f"{row.latency_ms.p95:.1f} ms" if row.latency_ms else "-",
    ]


def _cell(row: Reader | None) -> str:
    if row is None or row.ratio is None:
        return "-"
    window = f"\n{row.window_ms.median:.1f} ms" if row.window_ms else ""
    return f"[bold]{row.ratio:.3f}[/bold]\n{row.stale}/{row.requests}{window}"


def _pair_cells(pair: Pair) -> list[str]:
    counts = [f"{row.stale}/{row.requests}" for row in (pair.a, pair.b)]
    if pair.difference is None or pair.interval is None:
        return [*counts, "-", "-", "no verdict"]
    interval = "{:+.3f} to {:+.3f}".format(*pair.interval)
    words = "" if not pair.differs else "more stale" if pair.difference > 0 else "less stale"
    return [*counts, f"{pair.difference:+.3f}", interval, words]


def result_json(
    directory: Path, found: Record | Sweep, complaints: list[str], excesses: list[str]
) -> dict[str, Any]:
    """What programs want to know first; the record has the rest."""
    shown: dict[str, Any] = {
        "directory": str(directory),
        "report": str(directory / REPORT),
        "table": str(directory / TABLE),
        "verdict": found.verdict,
        "missing": found.missing,
        "complaints": complaints,
        "exceeding": excesses,
    }
    if isinstance(found, Record):
        return {**shown, "readers": _rows(found), "audit": _audit(found)}
    points = [
        {
            "value": point.value,
            "readers": _rows(point.record) if point.record else None,
            "audit": _audit(point.record) if point.record else None,
        }
        for point in found.points
    ]
    return {**shown, "swept": found.swept.model_dump(), "points": points}


def audit_lines(found: Record | Sweep) -> list[str]:
    """What the second count says, a sentence for each run that made one."""
    if isinstance(found, Record):
        runs: list[tuple[str, Record | None]] = [("", found)]
    else:
        runs = [(f"{found.swept.knob}={p.value}: ", p.record) for p in found.points]
    audits = [(where, _audit(record)) for where, record in runs if record is not None]
    return [f"{where}{sentence_on(audit)}" for where, audit in audits if audit is not None]


def _audit(record: Record) -> dict[str, Any] | None:
    return record.audit.model_dump() if record.audit else None


def _rows(record: Record) -> list[dict[str, Any]]:
    return [reader.model_dump() for reader in record.readers]


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
