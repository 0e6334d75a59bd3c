"""Sound histories from a seed: one tree, programs that overlap, outcomes that get lost."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from client.history import FAILED, OK, UNKNOWN, History, Operation, Seen, Session, Write

SESSIONS = 3


@dataclass(slots=True)
class Znode:
    value: str
    czxid: int
    mzxid: int
    version: int = 0
    owner: int = 0


class Tree:
    """Carries operations out, one by one, each at an instant between its call and its return."""

    def __init__(self, rng: Random, *, is_fresh: bool = True) -> None:
        self.znodes: dict[str, Znode] = {}
        self.history = History()
        self._rng = rng
        self._is_fresh = is_fresh
        self._old: dict[str, Znode | None] = {}
        self._zxid = 1 << 32
        self._answers: list[Operation] = []

    def run(self, count: int, paths: list[str]) -> History:
        """So many operations; reads of a tree that is not `is_fresh` lag by a write."""
        free_ms = dict.fromkeys(range(1, SESSIONS + 1), 0.0)
        at_ms = 1000.0
        for session_id in free_ms:
            self.history.sessions[session_id] = Session(session_id, session_id)
        for number in range(1, count + 1):
            at_ms += self._rng.randrange(1, 4)
            session_id = self._rng.choice(list(free_ms))
            operation = self._invent(number, session_id, self._rng.choice(paths))
            operation.called_ms = max(free_ms[session_id], at_ms - self._rng.randrange(6)) + 0.25
            at_ms = max(at_ms, operation.called_ms)
            self._carry_out(operation)
            operation.returned_ms = at_ms + self._rng.randrange(6) + 0.5
            if operation.writes and self._rng.random() < 0.2:
                operation.outcome, operation.error = UNKNOWN, "ConnectionLoss"
                operation.zxid, operation.seen = 0, ()
            free_ms[session_id] = operation.returned_ms
            self.history.operations.append(operation)
        self._number()
        return self.history

    def _number(self) -> None:
        operations = self.history.operations
        operations.sort(key=lambda operation: operation.called_ms)
        for number, operation in enumerate(operations, 1):
            operation.number = number
        for answered, operation in enumerate(
            sorted(operations, key=lambda operation: operation.until_ms), 1
        ):
            operation.answered = answered

    def _invent(self, number: int, session_id: int, path: str) -> Operation:
        kind = self._rng.choice(["get", "get", "create", "set", "set_if", "delete", "multi"])
        znode = self.znodes.get(path)
        value = f"v{number}"
        writes: tuple[Write, ...] = ()
        if kind == "create":
            writes = (Write("create", path, value, is_ephemeral=self._rng.random() < 0.2),)
        elif kind == "set":
            writes = (Write("set", path, value),)
        elif kind == "set_if":
            writes = (Write("set", path, value, znode.version if znode else 0),)
        elif kind == "delete":
            writes = (Write("delete", path),)
        elif kind == "multi":
            writes = (Write("set", path, value), Write("set", path, f"{value}b"))
        kind = "set" if kind == "set_if" else kind
        return Operation(number, session_id, session_id, kind, path, 0.0, writes)

    def _carry_out(self, operation: Operation) -> None:
        operation.outcome = OK
        if not operation.writes:
            self._read(operation)
            return
        before = dict(self.znodes)
        self._zxid += 1
        seen = []
        for write in operation.writes:
            error = self._write(write, operation.session_id)
            if error:
                self.znodes = before
                operation.outcome, operation.error = FAILED, error
                break
            znode = self.znodes.get(write.path)
            is_shown = write.kind == "set" and znode is not None
            seen.append(_seen(znode) if is_shown and znode else None)
        else:
            operation.seen = tuple(seen)
            self._old |= {path: before.get(path) for path in {w.path for w in operation.writes}}
        operation.zxid = self._zxid

    def _write(self, write: Write, session_id: int) -> str:
        znode = self.znodes.get(write.path)
        if write.kind == "create":
            if znode is not None:
                return "NodeExists"
            owner = session_id if write.is_ephemeral else 0
            self.znodes[write.path] = Znode(write.value, self._zxid, self._zxid, 0, owner)
            return ""
        if znode is None:
            return "NoNode"
        if write.version not in (-1, znode.version):
            return "BadVersion"
        if write.kind == "delete":
            del self.znodes[write.path]
            return ""
        self.znodes[write.path] = Znode(
            write.value, znode.czxid, self._zxid, znode.version + 1, znode.owner
        )
        return ""

    def _read(self, operation: Operation) -> None:
        path = operation.path
        znode = self.znodes.get(path)
        if not self._is_fresh and path in self._old:
            znode = self._old[path]
        operation.zxid = self._zxid
        if znode is None:
            operation.outcome, operation.error = FAILED, "NoNode"
        else:
            operation.seen = (_seen(znode, with_value=True),)


def _seen(znode: Znode, *, with_value: bool = False) -> Seen:
    value = znode.value if with_value else None
    return Seen(znode.czxid, znode.mzxid, znode.version, znode.owner, value)
