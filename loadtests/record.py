"""The record of a run: one JSON-able dict with everything that was set up, seen, and is missing.

Owns its schema and the collecting of it. Measures nothing and asks nobody: whoever runs the test
(`loadtests.locustfile`) hands over counters, samples and events. On the process that has the web
UI or is the master, `current()` gives the recorder of the test that runs or ran last.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from typing import Any, TypedDict

from loadtests.read_audit import AuditCounts
from loadtests.stale_reads import StaleReads

SCHEMA = "lagkeeper-load/1"
ENDS = ("silence", "crash", "close", "cut")


class MemberSetup(TypedDict):
    """A member as the run found it; `role` is leader, follower or observer."""

    sid: int
    address: str
    role: str


class Setup(TypedDict):
    """What was asked for and where it ran. `started_at` is ISO 8601 with its zone."""

    started_at: str
    seed: int
    knobs: dict[str, Any]
    members: list[MemberSetup]
    versions: dict[str, str]
    machine: dict[str, Any]
    users: int
    processes: int


class ReaderRow(TypedDict):
    """A kind of reader; `latency_ms` has p50, p95, p99, max, the others median, p95, p99, max.

    `harmful`: deletions of a living owner's znode. `endless`: stale reads whose window did not
    end within the bound. `lag_txns`: how many transactions a stale reply was behind.
    """

    name: str
    operation: str
    session: str
    place: str
    mitigation: str
    requests: int
    stale: int
    ratio: float | None
    interval: list[float] | None
    acted_upon: int
    harmful: int
    endless: int
    latency_ms: dict[str, float] | None
    window_ms: dict[str, float] | None
    lag_txns: dict[str, float] | None


class Histogram(TypedDict):
    """`counts[i]` lengths were at most `bounds_ms[i]` and above the bound before; the last count,
    one more than there are bounds, is of those above all.
    """

    bounds_ms: list[float]
    counts: list[int]


class Storm(TypedDict):
    """`gone_everywhere_ms`: from the first mark to the last member's applying; null if not seen."""

    t: float
    sessions: int
    gone_everywhere_ms: float | None


class Sessions(TypedDict):
    """`alive` and `closing` as the leader counts them now; `expired` so many since the start."""

    alive: int
    closing: int
    expired: int


class LinkSample(TypedDict):
    """A rule in force and how many messages it touched."""

    link: str
    rule: str
    touched: int


class Sample(TypedDict):
    """Once a second; `readers`: requests and stale of each row so far, by its name."""

    t: float
    users: int
    readers: dict[str, list[int]]
    sessions: Sessions
    links: list[LinkSample]


class Event(TypedDict):
    """`kind`: link set, link cleared, storm, restart, leader changed, member lost, member back."""

    t: float
    kind: str
    text: str


class Failure(TypedDict):
    """As Locust counts them: a real error, never a stale read."""

    request_type: str
    name: str
    error: str
    count: int


class Record(TypedDict):
    """The whole. Times `t` are seconds since the start. `windows` has W0, W1 (a Histogram each)
    and W2 (one by sid), from the members' traces; empty if nothing is known of them. `audit` is the
    second count of the stale reads (`AuditCounts.as_json`); empty unless it was asked for.
    """

    schema: str
    setup: Setup
    duration_s: float
    readers: list[ReaderRow]
    void_rounds: dict[str, int]
    ends: dict[str, int]
    windows: dict[str, Any]
    audit: dict[str, Any]
    storms: list[Storm]
    samples: list[Sample]
    events: list[Event]
    failures: list[Failure]
    missing: list[str]
    verdict: str


def _no_failures() -> list[Failure]:
    return []


def _no_windows() -> dict[str, Any]:
    return {}


@dataclass(slots=True)
class Recorder:
    """One run's record in the making; `snapshot` may be asked for at any time.

    Invariants: samples and events are in the order of their `t`; after `end` no more come.
    """

    seed: int
    knobs: Mapping[str, Any]
    processes: int = 1
    # The sum over all processes; the caller goes on adding to it.
    counts: StaleReads = field(default_factory=StaleReads)
    # The same of the second count, where there is one.
    audit: AuditCounts | None = None
    failures: Callable[[], list[Failure]] = _no_failures
    windows: Callable[[], dict[str, Any]] = _no_windows
    members: list[MemberSetup] = field(default_factory=list)
    storms: list[Storm] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    users: int = 0
    # Of the busiest Locust process, in percent of a core.
    _cpu_percents: list[float] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _ended: float | None = None
    _started_at: datetime = field(default_factory=lambda: datetime.now(UTC).astimezone())

    @property
    def t(self) -> float:
        """Seconds since the start; the run's length once it has ended."""
        now = time.monotonic() if self._ended is None else self._ended
        return round(now - self._began, 3)

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self._ended is not None

    def sample(self, users: int, sessions: Sessions, links: list[LinkSample]) -> None:
        """Take down what holds now."""
        if self._ended is not None:
            return
        self.users = max(self.users, users)
        readers = {kind.name: [row.requests, row.stale] for kind, row in self.counts}
        self.samples.append(
            Sample(t=self.t, users=users, readers=readers, sessions=sessions, links=links)
        )

    def note(self, kind: str, text: str) -> None:
        """Take down an event that happens now."""
        if self._ended is None:
            self.events.append(Event(t=self.t, kind=kind, text=text))

    def note_cpu(self, percent: float) -> None:
        """Take down how busy the busiest Locust process is, in percent of a core."""
        if self._ended is None:
            self._cpu_percents.append(percent)

    def lack(self, sentence: str) -> None:
        """Say what the record lacks and why; once is enough."""
        if sentence not in self.missing:
            self.missing.append(sentence)

    def end(self) -> None:
        """The run is over: nothing more is taken down."""
        if self._ended is None:
            self._ended = time.monotonic()

    def snapshot(self) -> Record:
        """The record as it stands."""
        counted = self.counts.as_json()
        return Record(
            schema=SCHEMA,
            setup=self._setup(),
            duration_s=self.t,
            readers=counted["readers"],
            void_rounds=counted["void_rounds"],
            ends={how: counted["ends"].get(how, 0) for how in ENDS},
            windows=self.windows(),
            audit=self.audit.as_json() if self.audit else {},
            storms=list(self.storms),
            samples=list(self.samples),
            events=list(self.events),
            failures=self.failures(),
            missing=list(self.missing),
            verdict=verdict_on(counted["readers"]),
        )

    def save(self, path: Path) -> None:
        """Write it as JSON; whoever looks sees the whole file or the one before."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        unfinished.write_text(json.dumps(self.snapshot(), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)

    def _setup(self) -> Setup:
        # Not platform.platform(), which starts a process to ask.
        system = f"{platform.system()} {platform.release()} {platform.machine()}"
        machine: dict[str, Any] = {"cpus": os.cpu_count() or 0, "platform": system}
        if self._cpu_percents:
            machine["locust_cpu_percent"] = {
                "mean": round(fmean(self._cpu_percents), 1),
                "max": round(max(self._cpu_percents), 1),
            }
        return Setup(
            started_at=self._started_at.isoformat(timespec="milliseconds"),
            seed=self.seed,
            knobs=dict(self.knobs),
            members=list(self.members),
            versions=_versions(),
            machine=machine,
            users=self.users,
            processes=self.processes,
        )


def verdict_on(readers: list[ReaderRow]) -> str:
    """The answer in one sentence: the kind that was stale most often, with its figures."""
    seen = [row for row in readers if row["requests"]]
    if not seen:
        return "No reader got as far as an answer: this run says nothing."
    harmful = sum(row["harmful"] for row in seen)
    harm = f"; {harmful} times a living owner's znode was deleted" if harmful else ""
    worst = max(seen, key=lambda row: (row["ratio"] or 0.0, row["requests"]))
    if not worst["stale"]:
        fewest = min(seen, key=lambda row: row["requests"])
        total = sum(row["requests"] for row in seen)
        return (
            f"No stale read in {total} reads of {len(seen)} kinds; of the kind with the fewest,"
            f" {_figures(fewest)}{harm}."
        )
    never = sum(not row["stale"] for row in seen)
    others = f"{never} of {len(seen)} kinds were never stale"
    return f"Stale most often was {_figures(worst)}; {others}{harm}."


def _figures(row: ReaderRow) -> str:
    low, high = row["interval"] or (0.0, 1.0)
    return (
        f"'{row['name']}': {row['stale']} of {row['requests']} reads,"
        f" ratio {row['ratio']:.3f} (95 % interval {low:.3f}-{high:.3f})"
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("lagkeeper", "grpcio", "locust"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


_recorders: list[Recorder] = []


def begin(recorder: Recorder) -> None:
    """Make it the one that `current` gives."""
    _recorders[:] = [recorder]


def current() -> Recorder | None:
    """The recorder of the test that runs or ran last in this process; None before the first."""
    return _recorders[0] if _recorders else None
