"""What a load experiment leaves behind: a directory with the report, the table and the record.

Owns the names of the files. What stands in them is `loadtests.report`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtests.report.comparison import Comparison
from loadtests.report.page import comparison_html, html_of
from loadtests.report.schema import FILE_NAME, Record, Sweep
from loadtests.report.table import csv_of
from orchestrator.errors import InvalidInput

REPORTS = Path("reports")
REPORT, TABLE = "report.html", "table.csv"


def new_directory(asked: Path | None) -> Path:
    """The directory of a report: the one asked for, or one named by the time."""
    directory = asked or _by_time()
    try:
        directory.mkdir(parents=True, exist_ok=asked is not None)
    except OSError as error:
        raise InvalidInput(f"--out: cannot make {directory}: {error.strerror}") from None
    if asked is not None and (directory / FILE_NAME).exists():
        raise InvalidInput(f"--out: {directory} holds a report already; choose another")
    return directory


def write_report(directory: Path, found: Record | Sweep, values: Mapping[str, Any]) -> Path:
    """Write report, table and record there; return the report. `values`: the record as it is."""
    _write(directory / FILE_NAME, json.dumps(values, indent=1) + "\n")
    _write(directory / TABLE, csv_of(found))
    return _write(directory / REPORT, html_of(found))


def write_comparison(file: Path | None, comparison: Comparison) -> Path:
    """Write two runs side by side; return where."""
    return _write(file or _by_time("compare-{}.html"), comparison_html(comparison))


def _by_time(pattern: str = "{}") -> Path:
    """A path that is free."""
    now = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    names = [now, *(f"{now}-{n}" for n in range(2, 100))]
    paths = (REPORTS / pattern.format(name) for name in names)
    return next(path for path in paths if not path.exists())


def _write(file: Path, text: str) -> Path:
    """Whoever looks sees the whole file or the one before."""
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        return unfinished.replace(file)
    except OSError as error:
        raise InvalidInput(f"--out: cannot write {file}: {error.strerror}") from None
