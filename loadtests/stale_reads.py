"""The stale-read table: what readers of each kind saw after they were told of the end of a session.

Owns the counting and its forms: for programs, for people, and for Locust's messages. All counters
add up, so that the tables of several processes can be added. Asks nobody anything and knows no
clock.

A stale read is an operation invoked after the program was told that session S expired (or closed)
that still shows a znode whose ephemeral owner is S. Figures of different kinds are never added
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from orchestrator.race.intervals import wilson

_PER_MS = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """What is told apart: the session that reads, where, and what it does to be safe.

    `operation` is read, create, delete or watch. `is_noticed`: the mitigation lets the program
    notice a stale answer (it waits and asks again), so that it never acts upon one.
    """

    session: str
    place: str
    mitigation: str = "none"
    operation: str = "read"
    is_noticed: bool = False

    @property
    def name(self) -> str:
        """Its row in Locust's statistics."""
        mitigation = "" if self.mitigation == "none" else f", {self.mitigation}"
        return f"{self.operation}: {self.session}, {self.place}{mitigation}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What one reader saw after one end of a session.

    `is_stale` speaks of its first answer. `window_ms`: from being told to the first fresh answer,
    for a stale one; None if none came within the bound, or if nobody looked (`has_window` is
    false). `latency_ms`: from the invocation until
    the program could go on. `lag`: how many transactions, the closeSession among them, the reply
    was behind it; None if not known. `is_harmful`: it deleted a znode whose owner lives.
    """

    is_stale: bool
    window_ms: float | None = None
    latency_ms: float | None = None
    lag: int | None = None
    is_harmful: bool = False
    has_window: bool = True


@dataclass(slots=True)
class Row:
    """The observations of one kind. Invariants: acted_upon <= stale <= requests; the windows and
    `endless` together are as many as the stale ones that were followed; harmful <= requests.
    """

    requests: int = 0
    stale: int = 0
    acted_upon: int = 0
    harmful: int = 0
    endless: int = 0
    # Tenths of a millisecond: bounded however long the run, and sums of two runs are exact.
    windows: Counter[int] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    lags: Counter[int] = field(default_factory=Counter)

    def add(self, kind: Kind, observation: Observation) -> None:
        """Count one more."""
        self.requests += 1
        self.harmful += observation.is_harmful
        if observation.latency_ms is not None:
            self.latencies[_coarse(round(observation.latency_ms * _PER_MS))] += 1
        if not observation.is_stale:
            return
        self.stale += 1
        self.acted_upon += not kind.is_noticed
        if observation.lag is not None:
            self.lags[observation.lag] += 1
        if observation.window_ms is None:
            self.endless += observation.has_window
        else:
            self.windows[round(observation.window_ms * _PER_MS)] += 1

    def merge(self, other: Row) -> None:
        """Add another table's row of the same kind."""
        self.requests += other.requests
        self.stale += other.stale
        self.acted_upon += other.acted_upon
        self.harmful += other.harmful
        self.endless += other.endless
        self.windows.update(other.windows)
        self.latencies.update(other.latencies)
        self.lags.update(other.lags)

    def window_ms(self) -> tuple[float, float] | None:
        """The median and the greatest window of the stale reads; None without any."""
        if not self.windows:
            return None
        return quantile(self.windows, 0.5) / _PER_MS, max(self.windows) / _PER_MS


def quantile(counts: Counter[int], q: float) -> float:
    """The q-quantile of what was counted, between the two nearest values; there must be one."""
    (value,) = quantiles(counts, (q,))
    return value


def quantiles(counts: Counter[int], wanted: Iterable[float]) -> list[float]:
    """Several of them, in rising order, in one pass: a live table asks for many every second."""
    positions = [q * (counts.total() - 1) for q in wanted]
    found: list[float] = []
    passed, below = 0, 0
    for value in sorted(counts):
        first, passed = passed, passed + counts[value]
        while len(found) < len(positions) and positions[len(found)] <= passed - 1:
            part = first - positions[len(found)]
            # Between the last of the value below and the first of this one.
            found.append(value if part <= 0 else value - (value - below) * part)
        below = value
    return found


def _coarse(tenths: int) -> int:
    """As fine as anybody needs, 1 % at worst: a long run must not count each read by itself."""
    return tenths if tenths < 1000 else round(tenths, -1 if tenths < 100_000 else -2)


@dataclass(slots=True)
class StaleReads:
    """A row for each kind, how sessions ended, and the rounds that gave no observation."""

    rows: dict[Kind, Row] = field(default_factory=dict)
    void: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, kind: Kind, observation: Observation) -> None:
        """Count what a reader of this kind saw."""
        self.rows.setdefault(kind, Row()).add(kind, observation)

    def add_void(self, reason: str) -> None:
        """Count a round that proves nothing: it must not pass for a fresh read."""
        self.void[reason] += 1

    def add_end(self, how: str) -> None:
        """Count a session that ended this way, and whose program was told."""
        self.ends[how] += 1

    def __iter__(self) -> Iterator[tuple[Kind, Row]]:
        """Return the rows, in the order in which their kinds were first seen or announced."""
        return iter(self.rows.items())

    def announce(self, kind: Kind) -> None:
        """Give a kind its row before anything is seen: a row without requests shows too."""
        self.rows.setdefault(kind, Row())

    def merge(self, other: StaleReads) -> None:
        """Add another table."""
        for kind, row in other:
            self.rows.setdefault(kind, Row()).merge(row)
        self.void.update(other.void)
        self.ends.update(other.ends)

    def take(self) -> StaleReads:
        """Return what was counted since the last take, and begin anew."""
        taken = StaleReads(self.rows, self.void, self.ends)
        self.rows = {kind: Row() for kind in taken.rows}
        self.void, self.ends = Counter(), Counter()
        return taken

    def as_message(self) -> dict[str, Any]:
        """For another process, in lists and strings: what `from_message` reads."""
        return {
            "rows": [[astuple(kind), _row_message(row)] for kind, row in self],
            "void": list(self.void.items()),
            "ends": list(self.ends.items()),
        }

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> StaleReads:
        """Read what `as_message` wrote."""
        rows = {Kind(*kind): _row_of(row) for kind, row in message["rows"]}
        return cls(rows, Counter(dict(message["void"])), Counter(dict(message["ends"])))

    def as_json(self) -> dict[str, Any]:
        """For programs. `ratio` and `interval` are null where there were no requests."""
        return {
            "readers": [_row_json(kind, row) for kind, row in self],
            "void_rounds": dict(self.void),
            "ends": dict(self.ends),
        }


def _row_message(row: Row) -> list[Any]:
    counters: Iterable[Counter[int]] = (row.windows, row.latencies, row.lags)
    numbers = [row.requests, row.stale, row.acted_upon, row.harmful, row.endless]
    return [*numbers, *(list(counter.items()) for counter in counters)]


def _row_of(message: list[Any]) -> Row:
    counters = (Counter(dict(pairs)) for pairs in message[5:])
    return Row(*message[:5], *counters)


def _row_json(kind: Kind, row: Row) -> dict[str, Any]:
    low, high = wilson(row.stale, row.requests) if row.requests else (None, None)
    return {
        "name": kind.name,
        "operation": kind.operation,
        "session": kind.session,
        "place": kind.place,
        "mitigation": kind.mitigation,
        "requests": row.requests,
        "stale": row.stale,
        "ratio": row.stale / row.requests if row.requests else None,
        "interval": [low, high] if row.requests else None,
        "acted_upon": row.acted_upon,
        "harmful": row.harmful,
        "endless": row.endless,
        "latency_ms": _quantiles(row.latencies, _PER_MS, "p50"),
        "window_ms": _quantiles(row.windows, _PER_MS, "median"),
        "lag_txns": _quantiles(row.lags, 1, "median"),
    }


def _quantiles(counts: Counter[int], per_unit: int, middle: str) -> dict[str, float] | None:
    if not counts:
        return None
    names, wanted = (middle, "p95", "p99", "max"), (0.5, 0.95, 0.99, 1.0)
    found = zip(names, quantiles(counts, wanted), strict=True)
    return {name: round(value / per_unit, 2) for name, value in found}


def table_of(result: dict[str, Any], title: str) -> Table:
    """The table of `StaleReads.as_json()` (or of a whole record), for people."""
    void = result["void_rounds"]
    table = Table(
        title=title,
        title_justify="left",
        caption=_caption(void) if void else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("reader: session, place")
    table.add_column("mitigation")
    headings = ("n", "stale", "ratio", "95 % interval", "window, ms\nmedian / max", "acted on")
    for heading in (*headings, "harmful", "price, ms\np50 / p99"):
        table.add_column(heading, justify="right")
    for row in result["readers"]:
        table.add_row(
            _show_reader(row),
            row["mitigation"],
            str(row["requests"]),
            str(row["stale"]),
            "-" if row["ratio"] is None else f"{row['ratio']:.3f}",
            "-" if row["interval"] is None else "{:.3f}-{:.3f}".format(*row["interval"]),
            _show_window(row),
            str(row["acted_upon"]),
            str(row["harmful"]),
            _show_latency(row),
        )
    return table


def console() -> Console:
    """Where tables go: as wide as the terminal, and wide enough where there is none."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=140, highlight=False)


def _show_reader(row: dict[str, Any]) -> str:
    # Creates and deletes are told by their mitigation; who watches asks nothing at all.
    how = "watch: " if row["operation"] == "watch" else ""
    return f"{how}{row['session']}, {row['place']}"


def _show_window(row: dict[str, Any]) -> str:
    window = row["window_ms"]
    text = f"{window['median']:.1f} / {window['max']:.1f}" if window else "-"
    return f"{text} ({row['endless']} did not end)" if row["endless"] else text


def _show_latency(row: dict[str, Any]) -> str:
    latency = row["latency_ms"]
    return f"{latency['p50']:.1f} / {latency['p99']:.1f}" if latency else "-"


def _caption(void: dict[str, int]) -> str:
    reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(void.items()))
    return f"rounds without a verdict, not counted above: {reasons}"
