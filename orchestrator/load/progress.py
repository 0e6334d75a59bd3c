"""What is seen of a load experiment: a bar on a terminal, elsewhere now and then a line.

Owns the drawing. Writes to the standard error: the standard output is for the result.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_LINE_EVERY_S = 5.0


class LoadProgress:
    """Told again and again what goes on; use it in a `with`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[seen]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, markup=False)

    def begin(self, what: str, total_s: float) -> None:
        """A new stretch of so many seconds."""
        if self._task is not None:
            self._bar.update(self._task, seen="")
        self._task = self._bar.add_task(what, total=total_s, seen="")
        self._next_line = time.monotonic() + _LINE_EVERY_S
        if not self._console.is_terminal:
            self.say(f"{what}: {total_s:.0f} s")

    def advance(self, elapsed_s: float, seen: str) -> None:
        """So far it is; `seen` is what the ensemble shows."""
        if self._task is not None:
            self._bar.update(self._task, completed=elapsed_s, seen=seen)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            self.say(f"{elapsed_s:4.0f} s  {seen}")
