"""What the trials found: per row how often, how long the window was, and the table of it all."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from rich.table import Table

from orchestrator.race.ground_truth import GROUND_TRUTH, Seen
from orchestrator.race.intervals import wilson

# How far the median W2 window may exceed the delay that makes it, in milliseconds.
WINDOW_SLACK_MS = 10.0


@dataclass(slots=True)
class Trial:
    """One expiry: for each reader whether it saw what its row asks for, and the window.

    `is_void`: a busy machine made another experiment of it; judged by the clock and the
    members' traces alone, never by what was read.
    """

    seen: dict[str, bool] = field(default_factory=dict)
    window_ms: float | None = None
    is_void: bool = False


@dataclass(slots=True)
class Experiment:
    """The trials of one set-up. `window_delay_ms`: the delay that the window should show.

    `void`: how many more trials were void and are not among `trials`.
    """

    setup: str
    trials: list[Trial] = field(default_factory=list)
    window_delay_ms: float | None = None
    void: int = 0

    def rows(self) -> list[Row]:
        """A row for each reader, in the order in which the trials told of them."""
        readers = dict.fromkeys(reader for trial in self.trials for reader in trial.seen)
        return [Row(self.setup, reader, self._count(reader)) for reader in readers]

    def _count(self, reader: str) -> Seen:
        verdicts = [trial.seen[reader] for trial in self.trials if reader in trial.seen]
        return Seen(sum(verdicts), len(verdicts))

    def windows_ms(self) -> list[float]:
        """The lengths of the windows, where trials measured one."""
        return [trial.window_ms for trial in self.trials if trial.window_ms is not None]

    def window_agrees(self) -> bool:
        """The median window is the delay, and at most WINDOW_SLACK_MS longer."""
        windows = self.windows_ms()
        if not self.window_delay_ms:
            return True
        low, high = self.window_delay_ms, self.window_delay_ms + WINDOW_SLACK_MS
        return bool(windows) and low <= median(windows) <= high

    def agrees(self) -> bool:
        """Every row and the window."""
        return self.window_agrees() and all(row.agrees for row in self.rows())

    def as_json(self) -> dict[str, object]:
        """For programs."""
        windows = self.windows_ms()
        return {
            "setup": self.setup,
            "agrees": self.agrees(),
            "void_trials": self.void,
            "window_ms": {"n": len(windows), "median": median(windows), "max": max(windows)}
            if windows
            else None,
            "rows": [row.as_json() for row in self.rows()],
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A reader's verdicts beside the real ensemble's."""

    setup: str
    reader: str
    seen: Seen

    @property
    def expected(self) -> Seen | None:
        """What ZooKeeper showed; None where it was not measured."""
        return GROUND_TRUTH.get((self.setup, self.reader))

    @property
    def agrees(self) -> bool:
        """Whether the verdict is ZooKeeper's; a row that was not measured there cannot differ."""
        return self.expected is None or self.expected.agrees_with(self.seen)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        low, high = wilson(self.seen.seen, self.seen.n)
        expected = self.expected
        return {
            "reader": self.reader,
            "n": self.seen.n,
            "stale": self.seen.seen,
            "ratio": self.seen.seen / self.seen.n if self.seen.n else None,
            "interval": [round(low, 4), round(high, 4)],
            "zookeeper": {"n": expected.n, "stale": expected.seen} if expected else None,
            "agrees": self.agrees,
        }


def make_table(experiment: Experiment) -> Table:
    """The rows of one set-up, for people; narrow enough for 80 columns."""
    table = Table(title=_title(experiment), title_justify="left", title_style="bold", expand=True)
    table.add_column('asked after "expired"', ratio=1)
    for heading in ("seen", "ratio, 95 %", "ZooKeeper", ""):
        table.add_column(heading, no_wrap=True)
    for row in experiment.rows():
        low, high = wilson(row.seen.seen, row.seen.n)
        expected = row.expected
        table.add_row(
            row.reader,
            f"{row.seen.seen}/{row.seen.n}",
            f"{row.seen.seen / row.seen.n:.2f} {low:.2f}-{high:.2f}",
            f"{expected.seen}/{expected.n}" if expected else "-",
            "agrees" if row.agrees else "[red]DIFFERS[/red]",
        )
    return table


def _title(experiment: Experiment) -> str:
    title = experiment.setup
    windows = experiment.windows_ms()
    if windows:
        title += f"\nwindow: median {median(windows):.1f}, max {max(windows):.1f} ms"
        title += "" if experiment.window_agrees() else "  [red]DIFFERS[/red]"
    if experiment.void:
        title += f"\n{experiment.void} more trials were void"
    return title
