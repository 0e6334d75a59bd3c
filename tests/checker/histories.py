"""Hand-made histories: operations one after the other, at times and zxids as told."""

from __future__ import annotations

from client.history import (
    FAILED,
    OK,
    UNKNOWN,
    History,
    Member,
    Operation,
    Seen,
    Session,
    Write,
)

EPOCH = 1 << 32


def zxid(counter: int, epoch: int = 1) -> int:
    return (epoch << 32) | counter


def seen(
    mzxid: int, value: str | None = None, version: int = 0, czxid: int = 0, owner: int = 0
) -> Seen:
    return Seen(zxid(czxid or mzxid), zxid(mzxid), version, owner, value)


class Book:
    """Writes a history. Each call is an operation, invoked when the one before it has returned."""

    def __init__(self, *sessions: int) -> None:
        self.history = History()
        self._now_ms = 0.0
        for session_id in sessions or (1, 2):
            self.history.sessions[session_id] = Session(session_id, session_id)

    def _add(self, session_id: int, kind: str, path: str) -> Operation:
        number = len(self.history.operations) + 1
        operation = Operation(number, session_id, session_id, kind, path, self._now_ms)
        operation.answered = number
        operation.returned_ms = self._now_ms + 5
        self._now_ms += 10
        self.history.operations.append(operation)
        return operation

    def _write(
        self, session_id: int, at: int, outcome: str, error: str, *parts: tuple[Write, Seen | None]
    ) -> Operation:
        writes = tuple(write for write, _ in parts)
        kind, path = (writes[0].kind, writes[0].path) if len(writes) == 1 else ("multi", "")
        operation = self._add(session_id, kind, path)
        operation.writes = writes
        operation.outcome, operation.error = outcome, error
        if outcome == OK:
            operation.seen = tuple(part for _, part in parts)
        operation.zxid = zxid(at) if at else 0
        return operation

    def create(
        self, session_id: int, path: str, value: str, at: int, *, ephemeral: bool = False
    ) -> Operation:
        write = Write("create", path, value, is_ephemeral=ephemeral)
        return self._write(session_id, at, OK, "", (write, None))

    def set(
        self,
        session_id: int,
        path: str,
        value: str,
        at: int,
        version: int,
        *,
        czxid: int,
        expected: int = -1,
    ) -> Operation:
        write = Write("set", path, value, expected)
        return self._write(session_id, at, OK, "", (write, seen(at, None, version, czxid)))

    def delete(self, session_id: int, path: str, at: int) -> Operation:
        return self._write(session_id, at, OK, "", (Write("delete", path), None))

    def multi(self, session_id: int, at: int, *parts: tuple[Write, Seen | None]) -> Operation:
        return self._write(session_id, at, OK, "", *parts)

    def unknown(self, session_id: int, *writes: Write) -> Operation:
        """It may have happened, at any time from now on."""
        operation = self._write(session_id, 0, UNKNOWN, "", *((w, None) for w in writes))
        operation.error = "ConnectionLoss"
        return operation

    def refused(self, session_id: int, write: Write, error: str, at: int = 0) -> Operation:
        return self._write(session_id, at, FAILED, error, (write, None))

    def get(self, session_id: int, path: str, at: int, shown: Seen | None) -> Operation:
        """A read at a zxid; `shown` None: no such znode."""
        operation = self._add(session_id, "get", path)
        operation.zxid = zxid(at)
        operation.outcome = OK if shown else FAILED
        operation.error = "" if shown else "NoNode"
        operation.seen = (shown,) if shown else ()
        return operation

    def children(self, session_id: int, path: str, at: int, *names: str) -> Operation:
        operation = self._add(session_id, "children", path)
        operation.zxid, operation.outcome, operation.names = zxid(at), OK, names
        return operation

    def final(self, path: str, at: int, shown: Seen | None) -> Operation:
        """A read at the very end, by a session of its own."""
        operation = self.get(99, path, at, shown)
        operation.is_final = True
        return operation

    def member(
        self,
        sid: int,
        last_zxid: int,
        digest: str,
        *,
        process: str = "running",
        is_serving: bool = True,
    ) -> None:
        record = Member(sid, process, is_serving, zxid(last_zxid), digest)
        self.history.members.append(record)
