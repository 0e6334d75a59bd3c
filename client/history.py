"""Histories: what programs saw of an ensemble, as plain records and as JSON lines.

Owns the records, their form in a file, one JSON object a line: `{"operation": {...}}`, and a whole
history in memory. Takes no part in any operation (`client.recording` writes what a client does)
and judges nothing; `orchestrator.checker` does, and knows nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self, assert_never

import msgspec

VERSION = 1

# Outcomes. A failed operation surely did not happen; an unknown one may have, or may yet.
OK = "ok"
FAILED = "failed"
UNKNOWN = "unknown"

# How a session stands, as its program knows. SILENT: left to expire. LOST: nobody answered.
LIVING = "living"
CLOSED = "closed"
EXPIRED = "expired"
SILENT = "silent"
LOST = "lost"


class HistoryError(ValueError):
    """A line that is no record: says which line and what is wrong with it."""


class Header(msgspec.Struct):
    """The first line. `clock`: `monotonic` (the host's) or `virtual`, both in milliseconds."""

    version: int = VERSION
    clock: str = "monotonic"
    source: str = ""


class Write(msgspec.Struct, omit_defaults=True, gc=False):
    """One change that an operation asks for. Values are unique in a history."""

    kind: str  # create, set, delete, or check: no change, but the version asked for
    path: str
    value: str = ""
    version: int = -1
    is_ephemeral: bool = False
    is_sequential: bool = False  # `path` is the name given until an answer tells the whole
    may_vanish: bool = False  # a container, or with a TTL: the ensemble may delete it by itself


class Seen(msgspec.Struct, omit_defaults=True, gc=False):
    """A znode as an answer shows it. `value` None: the answer did not show the data."""

    czxid: int
    mzxid: int
    version: int
    ephemeral_owner: int = 0
    value: str | None = None


class Operation(msgspec.Struct, omit_defaults=True, gc=False):
    """From its invocation to its outcome.

    `number` counts invocations, `answered` outcomes, over all clients of a history, from 1;
    `answered` is 0 if no outcome came. `zxid` is the reply's: of a write its own, of a read the
    last that the member had applied; 0 if there was no reply. `seen` belongs to `writes`, one by
    one, or to the one znode read. `path` of a sequential create is the name that was given.
    """

    number: int
    client: int
    session_id: int
    kind: str  # create, set, delete, multi, get, exists, children, sync, ...
    path: str
    called_ms: float
    writes: tuple[Write, ...] = ()
    outcome: str = UNKNOWN
    error: str = ""
    answered: int = 0
    returned_ms: float | None = None
    member: str = ""
    zxid: int = 0
    seen: tuple[Seen | None, ...] = ()
    names: tuple[str, ...] = ()
    watch: str = ""  # the watch left with a read: data, exist, child, persistent, recursive
    reads: tuple[str, ...] = ()  # the paths of a multi_read; `seen` belongs to them, one by one
    is_final: bool = False

    @property
    def until_ms(self) -> float:
        """Until when it may take effect: its outcome, infinity if that never became known."""
        if self.outcome == UNKNOWN or self.returned_ms is None:
            return math.inf
        return self.returned_ms

    def __str__(self) -> str:
        """One line for people."""
        what = " + ".join(map(_show_write, self.writes)) or f"{self.kind} {self.path}"
        outcome = f"{self.outcome} {self.error}".strip()
        shown = " ".join(_show_seen(seen) for seen in self.seen if seen is not None)
        return (
            f"#{self.number} client {self.client} session {self.session_id:#x}"
            f" at {self.called_ms:.1f}..{self.until_ms:.1f} ms {what}: {outcome}"
            f" zxid {show_zxid(self.zxid)} by {self.member or '-'} {shown}"
        ).rstrip()


class Session(msgspec.Struct, omit_defaults=True, gc=False):
    """A session that a program opened; written again, with its new `end`, when that changes.

    `name` is what people call it (a scenario's `victim`), if anything.
    """

    session_id: int
    client: int
    end: str = LIVING
    opened_ms: float = 0.0
    timeout_ms: int = 0
    member: str = ""
    is_local: bool = False
    name: str = ""


class Told(msgspec.Struct, omit_defaults=True, gc=False):
    """The instant at which a program learnt that a session is over (`expired` or `closed`)."""

    session_id: int
    client: int
    at_ms: float
    verdict: str
    member: str = ""


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """A watch event as a program got it; `answered` places it among the outcomes.

    It came after as many outcomes as `answered` says, and before the next one.
    """

    session_id: int
    client: int
    at_ms: float
    type: str  # created, deleted, changed, children
    path: str
    answered: int = 0
    member: str = ""


class Member(msgspec.Struct, omit_defaults=True, gc=False):
    """A member at the end, after everything was healed."""

    sid: int
    process: str
    is_serving: bool
    last_zxid: int = 0
    digest: str = ""
    last_error: str = ""


class Trace(msgspec.Struct, omit_defaults=True, gc=False):
    """What a member traced, on the history's clock; `sid` 0 is the experiment itself."""

    at_ms: float
    sid: int
    kind: str
    fields: dict[str, int | str | bool | float] = {}


class End(msgspec.Struct):
    """The last line. Without it the history was cut off, and more may have happened."""

    operations: int


Record = Header | Session | Operation | Told | Event | Member | Trace | End


class Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A line: exactly one of these."""

    history: Header | None = None
    operation: Operation | None = None
    session: Session | None = None
    told: Told | None = None
    event: Event | None = None
    member: Member | None = None
    trace: Trace | None = None
    end: End | None = None


_NAMES: dict[type, str] = {
    Header: "history",
    Operation: "operation",
    Session: "session",
    Told: "told",
    Event: "event",
    Member: "member",
    Trace: "trace",
    End: "end",
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def write_record(record: Record, out: BinaryIO) -> None:
    """Append a line."""
    out.write(_encode({_NAMES[type(record)]: record}) + b"\n")


def read_records(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of a file, lazily. Raises HistoryError at the first line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            decoded = _decode(line)
        except msgspec.DecodeError as error:
            if number > 1 and not line.endswith(b"\n"):
                return  # its writer was killed in the middle of it; there is no End either
            raise HistoryError(f"line {number}: {error}") from None
        found: list[Any] = [
            record
            for name in decoded.__struct_fields__
            if (record := getattr(decoded, name)) is not None
        ]
        if len(found) != 1:
            raise HistoryError(f"line {number}: {len(found)} records in a line; one is expected")
        yield found[0]


@dataclass(slots=True)
class History:
    """A whole history. `operations` are in the order of their invocations.

    `sessions` has each as it stood last. Not `is_complete`: it was cut off, more may have happened.
    """

    operations: list[Operation] = field(default_factory=list)
    sessions: dict[int, Session] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    header: Header = field(default_factory=Header)
    is_complete: bool = True

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> Self:
        """Take the lines of a file. Raises HistoryError for anything that is no history."""
        history = cls(is_complete=False)
        records = read_records(lines)
        first = next(records, None)
        if not isinstance(first, Header):
            raise HistoryError('line 1: a history begins with {"history": {"version": 1}}')
        if first.version != VERSION:
            raise HistoryError(f"line 1: version {first.version} is not {VERSION}, the one known")
        history.header = first
        for number, record in enumerate(records, 2):
            if isinstance(record, Header):
                raise HistoryError(f"line {number}: a second beginning; merge histories instead")
            history.add(record)
        # In a file they stand in the order of their outcomes.
        history.operations.sort(key=lambda operation: operation.number)
        return history

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a file. Raises HistoryError, which names file and line, and OSError."""
        try:
            with Path(path).open("rb") as lines:
                return cls.read(lines)
        except HistoryError as error:
            raise HistoryError(f"{path}, {error}") from None

    def add(self, record: Record) -> None:
        """Take one more record."""
        match record:
            case Operation():
                self.operations.append(record)
            case Session():
                self.sessions[record.session_id] = record
            case Told():
                self.told.append(record)
            case Event():
                self.events.append(record)
            case Member():
                self.members.append(record)
            case Trace():
                self.traces.append(record)
            case End():
                self.is_complete = record.operations == len(self.operations)
            case Header():
                self.header = record
            case _:
                assert_never(record)

    def records(self) -> Iterator[Record]:
        """Yield the lines of its file, in order."""
        yield self.header
        yield from self.sessions.values()
        yield from self.operations
        yield from self.told
        yield from self.events
        yield from self.traces
        yield from self.members
        if self.is_complete:
            yield End(len(self.operations))

    def save(self, path: Path | str) -> None:
        """Write a file; OSError if that cannot be."""
        with Path(path).open("wb") as out:
            for record in self.records():
                write_record(record, out)

    def count(self, outcome: str) -> int:
        """How many writes had this outcome."""
        return sum(1 for op in self.operations if op.writes and op.outcome == outcome)


def show_zxid(zxid: int) -> str:
    """A zxid as `epoch:counter`."""
    return f"{zxid >> 32}:{zxid & 0xFFFFFFFF}"


def _show_write(write: Write) -> str:
    words = [write.kind, write.path]
    if write.value:
        words.append(f"'{write.value}'")
    if write.version >= 0:
        words.append(f"if version {write.version}")
    if write.is_ephemeral:
        words.append("ephemeral")
    return " ".join(words)


def _show_seen(seen: Seen) -> str:
    value = "" if seen.value is None else f"'{seen.value}' "
    owner = f" owner {seen.ephemeral_owner:#x}" if seen.ephemeral_owner else ""
    return (
        f"[{value}version {seen.version} czxid {show_zxid(seen.czxid)}"
        f" mzxid {show_zxid(seen.mzxid)}{owner}]"
    )
