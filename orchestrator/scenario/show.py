"""What came of scenarios, for people and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from client.history import History
from orchestrator.scenario.batch import STARTING
from orchestrator.scenario.keeping import Keeping
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.run import RunResult
from orchestrator.scenario.verdicts import PASSED, VariantResult


class Teller:
    """Prints runs as they end, or all at once as JSON."""

    def __init__(self, keeping: Keeping, *, as_json: bool) -> None:
        self._keeping = keeping
        self._as_json = as_json
        self._results: list[RunResult] = []

    def tell(self, result: RunResult) -> None:
        """A run has ended."""
        self._keeping.keep(result)
        # Its history is kept, where it was asked for; of hundreds of runs it would be too much.
        result.history = History()
        self._results.append(result)
        if self._as_json:
            return
        where = f"{result.on}, seed {result.seed}" if result.on == "simulator" else result.on
        print_line(f"{result.scenario} ({where}, {result.took_ms / 1000:.2f} s): {result.verdict}")
        for variant in result.variants:
            print_line(f"  {variant_line(result, variant)}")
            for note in variant.notes:
                print_line(f"    note: {note}")
            if variant.picture_file:
                print_line(f"    picture: {variant.picture_file}")
        if result.history_file:
            print_line(f"  history: {result.history_file}")

    def conclude(self) -> None:
        """Every run has ended."""
        results = self._results
        if self._as_json:
            print_line(json.dumps({"runs": [run_json(result) for result in results]}))
        elif len(results) > 1:
            counts: dict[str, int] = {}
            for result in results:
                counts[result.verdict] = counts.get(result.verdict, 0) + 1
            said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            print_line(f"{len(results)} runs: {said}")
        elif results and not any(variant.picture_file for variant in results[0].variants):
            print_line("to see it: add --picture race.html")


def variant_line(result: RunResult, variant: VariantResult) -> str:
    """A variant's verdict in a line."""
    harm = "harmed" if variant.harmed else "not harmed"
    line = f"{variant.variant}: {variant.verdict}"
    if variant.verdict == PASSED:
        return f"{line}, {harm}" + (f": {variant.why}" if variant.why else "")
    place = f"{result.file}, line {variant.line}: " if variant.line else f"{result.file}: "
    return f"{line}: {place}{variant.why}"


def summary(scenario: Scenario) -> str:
    """A scenario without its steps, for people."""
    head = scenario.head
    lines = [f"{head.name}: {head.title}", "", " ".join(head.about.split())]
    if head.windows:
        lines += ["", f"windows: {', '.join(head.windows)}"]
    if head.reports:
        lines += ["", "reports:", *(f"  {report.what}: {report.url}" for report in head.reports)]
    lines += ["", "variants:"]
    for name, variant in head.variants.items():
        harm = "harmed" if variant.harmed else "not harmed"
        lines.append(f"  {name} ({harm}): {variant.about}")
    return "\n".join(lines)


def summary_json(scenario: Scenario) -> dict[str, Any]:
    """A scenario without its steps, for programs."""
    return scenario.head.model_dump(exclude={"ensemble"})


def run_json(result: RunResult) -> dict[str, Any]:
    """A run, for programs."""
    return {
        "scenario": result.scenario,
        "file": result.file,
        "on": result.on,
        "seed": result.seed if result.on == "simulator" else None,
        "verdict": result.verdict,
        "took_ms": round(result.took_ms, 1),
        "variants": [
            {
                "variant": variant.variant,
                "verdict": variant.verdict,
                "harmed": variant.harmed,
                "why": variant.why,
                "line": variant.line or None,
                "notes": variant.notes,
                "picture": variant.picture_file or None,
            }
            for variant in result.variants
        ],
        "history": result.history_file or None,
    }


def print_line(text: str) -> None:
    """To standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def progress(runs: int) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done, for as long as it takes; yields who is told."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        # Else what is printed would go where the progress is shown, and not into a pipe.
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task("", total=runs)
        begun = -1

        def say(text: str) -> None:
            nonlocal begun
            begun += text != STARTING
            bar.update(task, description=text, completed=max(begun, 0))

        yield say
