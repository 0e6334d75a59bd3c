"""`orchestrator check`: reads a history, judges it, and exits with the verdict."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from client.history import History, HistoryError
from orchestrator.checker.check import Demands, Verdict, check
from orchestrator.checker.schema import EXIT_STATUS, as_json
from orchestrator.checker.sense import refuse_nonsense
from orchestrator.checker.text import verdict_text
from orchestrator.commands.options import AsJson, answer
from orchestrator.errors import InvalidInput

# Lines to read before the clock is looked at.
_STEP = 10_000
_PATIENCE_S = 2.0


def register(app: typer.Typer) -> None:
    """Add `check`."""
    app.command("check")(check_history)


def check_history(
    history: Annotated[Path, typer.Argument(help="JSON lines.", metavar="HISTORY")],
    allow_stale: Annotated[
        bool,
        typer.Option(
            "--allow-stale",
            help="Stale reads of ephemerals are counted, but are no anomaly: ZooKeeper has them.",
        ),
    ] = False,
    max_lag: Annotated[
        int | None,
        typer.Option(min=0, help="A read more transactions behind is an anomaly.", metavar="N"),
    ] = None,
    fresh_after_sync: Annotated[
        bool,
        typer.Option(
            "--fresh-after-sync",
            help="So is a read right behind a sync that misses what was acknowledged before it.",
        ),
    ] = False,
    as_json_: AsJson = False,
) -> None:
    """Judge what clients saw: is it what ZooKeeper promises, and were ephemerals safe?

    Exit status 0: valid. 1: an anomaly, shown with the operations that prove it. 2: unknown, since
    the history is cut off, cannot be read, or says too little.

    \b
    Examples:
      orchestrator chaos --for 30s --history run.jsonl; orchestrator check run.jsonl --allow-stale
      orchestrator check run.jsonl --max-lag 100 --json
    """
    demands = Demands(allow_stale, max_lag, fresh_after_sync)
    found, verdict = judge_file(history, demands)
    name = str(history)
    text = "" if as_json_ else verdict_text(name, found, verdict, demands)
    values = as_json(name, found, verdict, demands) if as_json_ else {}
    answer(as_json_, text, values)
    raise typer.Exit(EXIT_STATUS[verdict.verdict])


def judge_file(path: Path, demands: Demands) -> tuple[History, Verdict]:
    """Read and judge a history. Raises InvalidInput for what cannot be read."""
    progress = _Progress()
    # A million records are nothing that the collector could free; it would look at them each time.
    gc.disable()
    try:
        with path.open("rb") as lines:
            found = History.read(progress.counting(lines))
        refuse_nonsense(found)
        return found, check(found, demands, progress.tell)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
    except HistoryError as error:
        raise InvalidInput(f"{path}, {error}") from None
    finally:
        gc.enable()


class _Progress:
    """A line to the error stream every two seconds."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()

    def counting(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Pass lines on, and tell how many there were."""
        for number, line in enumerate(lines, 1):
            yield line
            if number % _STEP == 0:
                self.tell(f"{number:,} lines read")

    def tell(self, phase: str) -> None:
        """Say what is being done now."""
        now = time.monotonic()
        if now - self._told > _PATIENCE_S:
            self._told = now
            sys.stderr.write(f"{now - self._began:5.1f} s  {phase}\n")
            sys.stderr.flush()
