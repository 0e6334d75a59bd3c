"""The first look at a history: how each session ended, and which reads were stale. Streams.

Keeps a few numbers for each session that ended and nothing for others, so that the size of a
history does not matter. Judges no more than `DESIGN`'s rule of a stale read asks for: the checker
judges histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from client.history import EXPIRED, OK, Operation, Record, Seen, Session, Told, Trace

MOST_STALE = 10_000
# From here on sids stand for addresses.
NAMELESS = 1000


@dataclass(slots=True)
class Closing:
    """The end of a session, step by step, by its leader's traces; None: not traced."""

    session_id: int
    marked_ms: float | None = None
    submitted_ms: float | None = None
    proposed_ms: float | None = None
    committed_ms: float | None = None
    leader: int = 0
    zxid: str = ""
    applied_ms: dict[int, float] = field(default_factory=dict)

    @property
    def begin_ms(self) -> float | None:
        """The first step that is known."""
        steps = (self.marked_ms, self.submitted_ms, self.proposed_ms, self.committed_ms)
        return next((step for step in steps if step is not None), None)

    def note(self, trace: Trace) -> None:
        """Take a step; of a step traced twice the first one counts."""
        step = trace.kind.removeprefix("close_")
        if step == "applied":
            self.applied_ms.setdefault(trace.sid, trace.at_ms)
        elif getattr(self, f"{step}_ms") is None:
            setattr(self, f"{step}_ms", trace.at_ms)
            self.leader = trace.sid
        self.zxid = str(trace.fields.get("zxid", self.zxid))

    def window_at(self, member: int, at_ms: float) -> str:
        """Which window stood open for who read on `member` at that instant; empty: none."""
        if self.submitted_ms is None or at_ms < self.submitted_ms:
            return "W0" if self.marked_ms is not None and at_ms >= self.marked_ms else ""
        if self.committed_ms is None or at_ms < self.committed_ms:
            return "W1"
        applied_ms = self.applied_ms.get(member)
        return "W2" if applied_ms is None or at_ms < applied_ms else ""


STEPS = frozenset(f"close_{s}" for s in ("marked", "submitted", "proposed", "committed", "applied"))


@dataclass(slots=True)
class Reading:
    """What a read of one znode showed, as its program knows it or as its member traced it."""

    session_id: int
    client: int
    member: str
    path: str
    called_ms: float
    returned_ms: float
    owner: int
    is_there: bool
    number: int = 0  # of the operation; 0: it is known from the member's trace alone
    xid: int = 0


@dataclass(slots=True)
class StaleRead:
    """A reading invoked after the program of the znode's owner was told of its end."""

    reading: Reading
    told: Told


@dataclass(slots=True)
class Survey:
    """What is known before anything is drawn.

    `told` and `connected` hold the first time, `created_ms` the last ephemeral znode, by session.
    """

    sessions: dict[int, Session] = field(default_factory=dict)
    told: dict[int, Told] = field(default_factory=dict)
    closings: dict[int, Closing] = field(default_factory=dict)
    connected: dict[int, int] = field(default_factory=dict)
    created_ms: dict[int, float] = field(default_factory=dict)
    stale: list[StaleRead] = field(default_factory=list)
    sids: set[int] = field(default_factory=set)
    begin_ms: float | None = None
    end_ms: float = 0.0
    has_operations: bool = False
    clock: str = "monotonic"
    _names: dict[str, int] = field(default_factory=dict)
    addresses: dict[int, str] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)

    def member(self, sid: int) -> str:
        """What to call a member: by its address, where only that is known."""
        return self.addresses.get(sid) or f"member {sid}"

    def sid_of(self, member: str) -> int:
        """The member that a record names by sid or address; 0: not known."""
        return int(member) if member.isdigit() else self._names.get(member, 0)

    def learn_names(self) -> None:
        """Find out which address is whose, from sessions that both sides tell of.

        Where no member has traced anything, each address is a member of its own.
        """
        if not self.sids:
            for place, address in enumerate(sorted(self.named - {""})):
                if not address.isdigit():
                    self._names[address] = NAMELESS + place
                    self.addresses[NAMELESS + place] = address
                self.sids.add(self.sid_of(address))
            return
        for session in self.sessions.values():
            sid = self.connected.get(session.session_id)
            if sid and session.member and not session.member.isdigit():
                self._names.setdefault(session.member, sid)


def survey(records: Iterable[Record]) -> Survey:
    """Look through a history twice."""
    found = Survey()
    for record in records:
        _note(found, record)
    if not found.told:
        _believe_members(found, records)
    found.learn_names()
    for stale in _stale_reads(found, records):
        found.stale.append(stale)
        if len(found.stale) >= MOST_STALE:
            break
    found.stale.sort(key=lambda each: each.reading.called_ms)
    return found


def _note(found: Survey, record: Record) -> None:
    found.named.add(getattr(record, "member", ""))
    match record:
        case Operation():
            found.has_operations = True
            if any(write.is_ephemeral for write in record.writes):
                found.created_ms[record.session_id] = record.called_ms
            _extend(found, record.called_ms)
            _extend(found, record.returned_ms or record.called_ms)
        case Session():
            found.sessions[record.session_id] = record
        case Told():
            _extend(found, record.at_ms)
            known = found.told.get(record.session_id)
            if known is None or record.at_ms < known.at_ms:
                found.told[record.session_id] = record
        case Trace():
            _extend(found, record.at_ms)
            _note_trace(found, record)
        case _:
            found.clock = getattr(record, "clock", found.clock)


def _note_trace(found: Survey, trace: Trace) -> None:
    if trace.sid:
        found.sids.add(trace.sid)
    session_id = int(trace.fields.get("session_id", 0))
    if trace.kind in STEPS:
        found.closings.setdefault(session_id, Closing(session_id)).note(trace)
    elif trace.kind == "session_connected" and trace.fields.get("is_valid"):
        found.connected.setdefault(session_id, trace.sid)


def _extend(found: Survey, at_ms: float) -> None:
    found.begin_ms = at_ms if found.begin_ms is None else min(found.begin_ms, at_ms)
    found.end_ms = max(found.end_ms, at_ms)


def _believe_members(found: Survey, records: Iterable[Record]) -> None:
    """No program told what it was told: take the members' word for what they answered."""
    for record in records:
        if (
            isinstance(record, Trace)
            and record.kind == "session_connected"
            and record.fields.get("is_valid") is False
        ):
            session_id = int(record.fields.get("session_id", 0))
            told = Told(session_id, 0, record.at_ms, EXPIRED, str(record.sid))
            found.told.setdefault(session_id, told)


def _stale_reads(found: Survey, records: Iterable[Record]) -> Iterator[StaleRead]:
    if not found.told:
        return
    for record in records:
        for reading in readings_of(record, with_traces=not found.has_operations):
            told = found.told.get(reading.owner)
            if told is not None and reading.called_ms >= told.at_ms:
                yield StaleRead(reading, told)


def readings_of(record: Record, *, with_traces: bool) -> Iterator[Reading]:
    """What a record says of znodes read, if it does."""
    if isinstance(record, Operation):
        if record.writes or record.returned_ms is None:
            return
        if record.kind in ("get", "exists") and _says_no_node(record):
            yield _reading(record, record.path, None)
        if record.outcome != OK:
            return
        for path, seen in zip(record.reads or (record.path,), record.seen, strict=False):
            yield _reading(record, path, seen)
    elif with_traces and isinstance(record, Trace) and record.kind == "read_served":
        fields = record.fields
        yield Reading(
            *(int(fields.get("session_id", 0)), 0, str(record.sid), str(fields.get("path", ""))),
            *(record.at_ms, record.at_ms, int(fields.get("ephemeral_owner", 0))),
            *(bool(fields.get("is_there", False)),),
            xid=int(fields.get("xid", 0)),
        )


def _says_no_node(operation: Operation) -> bool:
    """Whether it was answered by ZooKeeper's NoNode, however a program writes that."""
    return operation.error.replace("_", "").lower() == "nonode"


def _reading(operation: Operation, path: str, seen: Seen | None) -> Reading:
    return Reading(
        operation.session_id,
        operation.client,
        operation.member,
        path,
        operation.called_ms,
        operation.returned_ms or operation.called_ms,
        seen.ephemeral_owner if seen is not None else 0,
        seen is not None,
        operation.number,
    )
