"""The record of a run and of a sweep, as reports read them.

Owns the typed form of both and what is said when a file is not one. Everything that a run may have
failed to learn is optional, so that what is left of an interrupted run makes a report as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

RUN, SWEEP = "lagkeeper-load/1", "lagkeeper-sweep/1"
FILE_NAME = "record.json"


class BadRecord(Exception):
    """A file that is no record: one line with the file, the place in it, and what is wrong."""


class _Part(BaseModel):
    # Unknown keys pass: a record may know more than its report shows.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Latency(_Part):
    """How long the operation took, mitigation included, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Spread(_Part):
    """How long (ms) or by how much (transactions) stale answers were stale."""

    median: float
    p95: float | None = None
    p99: float | None = None
    max: float


class Reader(_Part):
    """A row of the table. `ratio` and `interval` are None where there were no requests."""

    name: str
    operation: str = "read"
    session: str
    place: str
    mitigation: str = "none"
    requests: int = Field(ge=0)
    stale: int = Field(ge=0)
    ratio: float | None
    interval: tuple[float, float] | None
    acted_upon: int = Field(default=0, ge=0)
    harmful: int = Field(default=0, ge=0)
    endless: int = Field(default=0, ge=0)
    latency_ms: Latency | None = None
    window_ms: Spread | None = None
    lag_txns: Spread | None = None


class Member(_Part):
    sid: int
    address: str
    role: str


class Setup(_Part):
    """What was run, on what."""

    started_at: str = ""
    seed: int | None = None
    knobs: dict[str, Any] = {}
    members: list[Member] = []
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    users: int = 0
    processes: int = 1


class Histogram(_Part):
    """Counts up to each bound, in milliseconds; the last count is of what is above them all."""

    bounds_ms: list[float] = []
    counts: list[int] = []


class Windows(_Part):
    """Lengths of the windows by the members' own traces; W2 by sid."""

    W0: Histogram = Histogram()
    W1: Histogram = Histogram()
    W2: dict[str, Histogram] = {}


class Storm(_Part):
    t: float
    sessions: int
    gone_everywhere_ms: float | None = None


class LinkRule(_Part):
    link: str
    rule: str
    touched: int


class Sample(_Part):
    """One look: counters since the start, gauges as they were."""

    t: float
    users: int = 0
    readers: dict[str, tuple[int, int]] = {}
    sessions: dict[str, int] = {}
    links: list[LinkRule] = []


class Event(_Part):
    t: float
    kind: str
    text: str


class Failure(_Part):
    request_type: str
    name: str
    error: str
    count: int


class Differences(_Part):
    """How far the ends of windows are from the members' traces, in milliseconds."""

    n: int
    p50: float
    p99: float
    max: float
    within_5_ms: float


class Audit(_Part):
    """The second count of the stale reads, made of what the members traced."""

    reads: int
    stale_seen: int
    stale_served: int
    disagreeing: int
    untraced: int
    window_difference_ms: Differences | None = None


class Record(_Part):
    """One run. `audit` is None unless it was asked for."""

    schema_: Literal["lagkeeper-load/1"] = Field(alias="schema")
    setup: Setup
    duration_s: float = 0.0
    readers: list[Reader] = []
    void_rounds: dict[str, int] = {}
    ends: dict[str, int] = {}
    windows: Windows = Windows()
    audit: Annotated[Audit | None, BeforeValidator(lambda said: said or None)] = None
    storms: list[Storm] = []
    samples: list[Sample] = []
    events: list[Event] = []
    failures: list[Failure] = []
    missing: list[str] = []
    verdict: str = ""


class Swept(_Part):
    """What was varied: a knob's name, its unit if it has one, and the link a rule was on."""

    knob: str
    unit: str = ""
    link: str = ""


class Point(_Part):
    """A value of the knob and the run at it; None if that run did not come about."""

    value: str
    record: Record | None = None


class Sweep(_Part):
    """Runs that differ in one knob."""

    schema_: Literal["lagkeeper-sweep/1"] = Field(alias="schema")
    swept: Swept
    points: list[Point]
    missing: list[str] = []
    verdict: str = ""


def parse(values: Any, where: str) -> Record | Sweep:
    """The record or sweep that the JSON values are. Raises BadRecord, which names `where`."""
    known: dict[str, type[Record] | type[Sweep]] = {RUN: Record, SWEEP: Sweep}
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(schema, str) or schema not in known:
        found = f"its schema is {schema!r}" if schema else "it has no key 'schema'"
        raise BadRecord(f"{where} is no record of a load run: {found}; known are {RUN}, {SWEEP}")
    try:
        return known[schema].model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRecord(f"{where}: {place}: {first['msg'].lower()}") from None


def read(path: Path) -> tuple[Record | Sweep, dict[str, Any]]:
    """The record in a file, or in a report's directory, with its values as they are written."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRecord(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"{file} is not JSON: {error}") from None
    return parse(values, str(file)), values
