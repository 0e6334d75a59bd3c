"""Writing a history while it happens: one writer for many clients, of threads or of asyncio.

Owns the numbers that order invocations and outcomes, the file, and what is under way. A client
joins a writer and then tells it each event and effect of its session machine, so that no operation
is missed. Decides nothing for the client; a disk that is full is told by `close`, not to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Protocol, Self

from client.errors import error_for
from client.events import (
    Announce,
    Complete,
    Effect,
    Event,
    Fail,
    Fire,
    SessionEvent,
    Submitted,
)
from client.history import (
    CLOSED,
    EXPIRED,
    FAILED,
    LIVING,
    SILENT,
    UNKNOWN,
    End,
    Header,
    History,
    Operation,
    Record,
    Told,
    write_record,
)
from client.history import Event as EventRecord
from client.history import Session as SessionRecord
from client.ops import Reply, UserOp, WatchEvent
from client.recorded_ops import KINDS, reads_of, take_reply, writes_of
from client.session import Session
from client.watches import EventType

_BUFFER_BYTES = 1 << 18
_FLUSH_MS = 1000.0
# The types that a member sends; the others tell a program of its own removal of a watch.
_EVENTS: dict[int, str] = {
    EventType.NODE_CREATED: "created",
    EventType.NODE_DELETED: "deleted",
    EventType.NODE_DATA_CHANGED: "changed",
    EventType.NODE_CHILDREN_CHANGED: "children",
}


def host_ms() -> float:
    """The host's monotonic clock, which all processes on it share, in whole microseconds."""
    return time.monotonic_ns() // 1000 / 1000


class Joinable(Protocol):
    """What a client takes as `history=`."""

    def join(self, members: Sequence[str]) -> Recording:
        """Return the part of a client whose members these are."""


class HistoryWriter:
    """A history that grows: in a file, or, without one, in `history`. Safe for threads.

    Invariants: numbers are given in the order of invocations, answers in that of outcomes; each
    operation is written once, with its outcome or, at `close`, as unknown. Behind `close` nothing
    is recorded any more. With a file, `history` holds the sessions only.
    """

    def __init__(
        self,
        file: Path | str | None = None,
        *,
        source: str = "",
        clock: str = "monotonic",
        now_ms: Callable[[], float] = host_ms,
    ) -> None:
        """Begin. `now_ms` must be the clock that `clock` names. Raises OSError."""
        self.history = History(header=Header(clock=clock, source=source), is_complete=False)
        self._keeps = file is None
        self._out: BinaryIO | None = None
        if file is not None:
            self._out = Path(file).open("wb", buffering=_BUFFER_BYTES)  # noqa: SIM115
        self._now_ms = now_ms
        self._lock = Lock()
        self._is_closed = False
        self._error: OSError | None = None
        self._clients = 0
        self._invoked = 0
        self._answered = 0
        self._under_way: dict[int, Operation] = {}
        self._flushed_ms = -_FLUSH_MS
        self._write(self.history.header)
        self._flush(0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is under way as unknown, then the last line.

        Raises the OSError of a line that could not be written, now or before.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for operation in self._under_way.values():
                self._write(operation)
            self._under_way.clear()
            self._write(End(self._invoked))
            self.history.is_complete = True
            if self._out is not None:
                try:
                    self._out.close()
                except OSError as error:
                    self._error = self._error or error
        if self._error is not None:
            raise self._error

    def join(self, members: Sequence[str] = ()) -> Recording:
        """Take in one more client; clients are numbered from 1."""
        with self._lock:
            self._clients += 1
            return Recording(self, self._clients, members)

    def program(self, number: int) -> Program:
        """Return what several clients take as `history=` to be one program.

        What one of them is told, the others know. Give numbers to all clients yourself, then.
        """
        return Program(self, number)

    def add(self, *records: Record) -> None:
        """Take records of another kind: members at the end, what an experiment did (Trace)."""
        with self._lock:
            if not self._is_closed:
                for record in records:
                    self._take(record)

    def told(self, session_id: int, verdict: str, client: int, member: str = "") -> None:
        """A program has just learnt, other than by that session's client, that it is over."""
        self.ended(client, session_id, verdict, member)

    # For the parts

    def invoked(self, client: int, session_id: int, op: UserOp) -> Operation:
        """Return the record of an operation that is about to be sent."""
        writes = writes_of(op)
        with self._lock:
            self._invoked += 1
            operation = Operation(
                self._invoked,
                client,
                session_id,
                KINDS[type(op)],
                op.path,
                self._now_ms(),
                writes,
                reads=reads_of(op),
            )
            if not self._is_closed:
                self._under_way[operation.number] = operation
                if self._keeps:
                    self.history.add(operation)
        return operation

    def answered(self, operation: Operation, fill: Callable[[Operation], None]) -> None:
        """Have the outcome of an operation noted by `fill`, and write it."""
        with self._lock:
            # Closed meanwhile: it stands there as unknown.
            if self._under_way.pop(operation.number, None) is None:
                return
            self._answered += 1
            operation.answered = self._answered
            operation.returned_ms = self._now_ms()
            fill(operation)
            if not self._keeps:
                self._write(operation)
                self._flush(operation.returned_ms)

    def fired(self, client: int, session_id: int, member: str, event: WatchEvent) -> None:
        """A watch event arrived."""
        name = _EVENTS.get(event.type)
        with self._lock:
            if name is not None and not self._is_closed:
                at_ms = self._now_ms()
                self._take(
                    EventRecord(session_id, client, at_ms, name, event.path, self._answered, member)
                )

    def opened(self, client: int, session_id: int, timeout_ms: int, member: str) -> None:
        """A session is open, or was resumed by another client."""
        with self._lock:
            known = self.history.sessions.get(session_id)
            is_news = known is None or known.client != client or known.end != LIVING
            if self._is_closed or not is_news:
                return
            opened_ms = self._now_ms() if known is None else known.opened_ms
            self._take(SessionRecord(session_id, client, LIVING, opened_ms, timeout_ms, member))

    def ended(self, client: int, session_id: int, end: str, member: str) -> None:
        """A session is over, as `member` has told a client, or is left to expire (SILENT)."""
        with self._lock:
            if self._is_closed:
                return
            if end != SILENT:
                self._take(Told(session_id, client, self._now_ms(), end, member))
            session = self.history.sessions.get(session_id) or SessionRecord(session_id, client)
            # Over is over, whoever lets go of it later.
            if session.end not in (CLOSED, EXPIRED):
                session.end = end
                self._take(session)

    def _take(self, record: Record) -> None:
        if self._keeps or isinstance(record, SessionRecord):
            self.history.add(record)
        self._write(record)

    def _write(self, record: Record) -> None:
        if self._out is None or self._error is not None:
            return
        try:
            write_record(record, self._out)
        except OSError as error:
            self._error = error

    def _flush(self, now_ms: float) -> None:
        """Once a second, so that a process that is killed leaves what it saw until then."""
        if self._out is None or self._error is not None or now_ms < self._flushed_ms + _FLUSH_MS:
            return
        self._flushed_ms = now_ms
        try:
            self._out.flush()
        except OSError as error:
            self._error = error


class Program:
    """Clients that are one program, under its number."""

    def __init__(self, writer: HistoryWriter, number: int) -> None:
        self._writer = writer
        self._number = number

    def join(self, members: Sequence[str]) -> Recording:
        """Take in one more client of the program."""
        return Recording(self._writer, self._number, members)

    def told(self, session_id: int, verdict: str, member: str = "") -> None:
        """It has just learnt, other than by that session's client, that the session is over."""
        self._writer.told(session_id, verdict, self._number, member)


class Recording:
    """One client's part: told of each event and effect of its session machine, in order.

    `members`: names of the members, by the machine's index. Called by one thread at a time.
    """

    def __init__(self, writer: HistoryWriter, client: int, members: Sequence[str]) -> None:
        self.client = client
        self._writer = writer
        self._members = members
        self._under_way: dict[Any, tuple[Operation, UserOp]] = {}

    def before(self, session: Session, event: Event) -> None:
        """The machine is about to take an event."""
        if isinstance(event, Submitted):
            operation = self._writer.invoked(self.client, session.session_id, event.op)
            self._under_way[event.token] = (operation, event.op)

    def after(self, session: Session, effects: Iterable[Effect]) -> None:
        """The machine wants this done; nothing of it is done yet."""
        for effect in effects:
            match effect:
                case Complete():
                    self._complete(session, effect.token, effect.reply)
                case Fail():
                    self._fail(effect)
                case Fire():
                    member = self._member(session)
                    self._writer.fired(self.client, session.session_id, member, effect.event)
                case Announce():
                    self._announce(session, effect.event)
                case _:
                    pass

    def _complete(self, session: Session, token: Any, reply: Reply) -> None:
        operation, op = self._under_way.pop(token)

        def fill(operation: Operation) -> None:
            # Asked for before its session was open, or before a read-only one became another.
            operation.session_id = session.session_id
            operation.member = self._member(session)
            take_reply(operation, op, reply)

        self._writer.answered(operation, fill)

    def _fail(self, effect: Fail) -> None:
        operation, _ = self._under_way.pop(effect.token)

        def fill(operation: Operation) -> None:
            operation.outcome = FAILED if effect.definite else UNKNOWN
            operation.error = error_for(effect.code).word

        self._writer.answered(operation, fill)

    def _announce(self, session: Session, event: SessionEvent) -> None:
        session_id, member = session.session_id, self._member(session)
        if not session_id:
            return
        match event:
            case SessionEvent.CONNECTED:
                self._writer.opened(self.client, session_id, session.timeout_ms, member)
            case SessionEvent.EXPIRED:
                self._writer.ended(self.client, session_id, EXPIRED, member)
            case SessionEvent.CLOSED if session.is_closed_surely:
                self._writer.ended(self.client, session_id, CLOSED, member)
            case SessionEvent.CLOSED | SessionEvent.AUTH_FAILED:
                self._writer.ended(self.client, session_id, SILENT, member)
            case SessionEvent.DISCONNECTED:
                pass

    def _member(self, session: Session) -> str:
        return self._members[session.member] if self._members else ""
