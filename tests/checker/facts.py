"""What a mutation has to know of a sound history, so that what it plants is an anomaly for sure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random

import msgspec

from client.history import (
    FAILED,
    LIVING,
    OK,
    UNKNOWN,
    Event,
    History,
    Operation,
    Seen,
    Write,
)

Client = tuple[int, int]  # a session, and the program that has it


@dataclass(slots=True)
class Effect:
    """An acknowledged write at its zxid, and the znode as it left it; None: gone."""

    operation: Operation
    write: Write
    state: Seen | None

    @property
    def zxid(self) -> int:
        return self.operation.zxid


class Facts:
    """A copy of a history, to be mutated, and an index of it as it was."""

    def __init__(self, history: History, rng: Random) -> None:
        self.history = copy(history)
        self.rng = rng
        self.effects: defaultdict[str, list[Effect]] = defaultdict(list)
        self.unsure: set[str] = set()  # paths of writes whose outcome nobody knows
        self.of_client: defaultdict[Client, list[Operation]] = defaultdict(list)
        for operation in self.history.operations:
            self.of_client[operation.session_id, operation.client].append(operation)
            for index, write in enumerate(operation.writes):
                if operation.outcome == UNKNOWN:
                    self.unsure.add(write.path)
                elif operation.outcome == OK and write.kind != "check":
                    effect = Effect(operation, write, _state(operation, write, index))
                    self.effects[write.path].append(effect)
        for effects in self.effects.values():
            effects.sort(key=lambda effect: effect.zxid)
        self.first_zxid = min(op.zxid for op in self.history.operations if op.zxid)

    def operations(self) -> list[Operation]:
        """All of them, in an order of its own, so that the first that fits is any that fits."""
        found = list(self.history.operations)
        self.rng.shuffle(found)
        return found

    def writes(self, kind: str) -> list[Operation]:
        """Acknowledged writes of a kind, of one znode each, of which all is known."""
        return [
            op
            for op in self.operations()
            if op.outcome == OK
            and op.kind == kind
            and op.path not in self.unsure
            and op.writes[0].path == op.path
        ]

    def gets(self) -> list[Operation]:
        """Reads that show data, before the end."""
        return [op for op in self.operations() if is_get(op) and not op.is_final]

    def last(self, path: str, zxid: int) -> tuple[Effect | None, Effect | None]:
        """The last effect up to a zxid, and the one before it."""
        before = [effect for effect in self.effects[path] if effect.zxid <= zxid]
        return (before[-1] if before else None, before[-2] if len(before) > 1 else None)

    def finals(self, path: str) -> list[Operation]:
        """The reads of a znode at the end."""
        ends = (op for op in self.history.operations if op.is_final and op.path == path)
        return [op for op in ends if op.kind == "get" and op.zxid]

    def is_written_at(self, path: str, zxid: int) -> bool:
        """Whether an acknowledged write of the znode has that zxid."""
        return any(effect.zxid == zxid for effect in self.effects[path])

    def is_owned(self, path: str) -> bool:
        """Whether it was ever an ephemeral, whose end has no zxid in a history."""
        return any(effect.write.is_ephemeral for effect in self.effects[path])

    def lives(self, session_id: int) -> bool:
        """Whether the session lives at the end."""
        session = self.history.sessions.get(session_id)
        return session is not None and session.end == LIVING

    def lasting_paths(self, client: Client) -> set[str]:
        """What a program watches for good."""
        return {op.path for op in self.of_client[client] if op.watch in ("persistent", "recursive")}

    def events(self) -> list[Event]:
        """Events of watches that fire once, in any order."""
        found = [
            event
            for event in self.history.events
            if event.path not in self.lasting_paths((event.session_id, event.client))
        ]
        self.rng.shuffle(found)
        return found

    def remove(self, operation: Operation) -> None:
        """Take an operation out."""
        self.history.operations = [op for op in self.history.operations if op is not operation]


def copy(history: History) -> History:
    """The same again, sharing nothing."""
    lines = (msgspec.json.encode(record) for record in history.records())
    kinds = (type(record) for record in history.records())
    found = History(is_complete=False)
    for line, kind in zip(lines, kinds, strict=True):
        found.add(msgspec.json.decode(line, type=kind))
    return found


def is_get(operation: Operation) -> bool:
    """A read that was answered with data."""
    return operation.kind == "get" and operation.outcome == OK and bool(operation.seen)


def is_absent(operation: Operation) -> bool:
    """A read that was answered with: no such znode."""
    is_read = operation.kind in ("get", "exists")
    return is_read and operation.outcome == FAILED and operation.error == "NoNode"


def show(operation: Operation, state: Seen | None) -> None:
    """Let a read show a znode like this."""
    operation.watch = ""
    if state is None:
        operation.outcome, operation.error, operation.seen = FAILED, "NoNode", ()
        return
    operation.outcome, operation.error = OK, ""
    value = state.value if operation.kind == "get" else None
    operation.seen = (msgspec.structs.replace(state, value=value),)


def _state(operation: Operation, write: Write, index: int) -> Seen | None:
    if write.kind == "create":
        owner = operation.session_id if write.is_ephemeral else 0
        return Seen(operation.zxid, operation.zxid, 0, owner, write.value)
    seen = operation.seen[index] if index < len(operation.seen) else None
    if write.kind == "set" and seen is not None:
        return msgspec.structs.replace(seen, value=write.value)
    return None
