"""A history as registers, one for each path: what other checkers of linearizability take.

Pure. Owns what an operation on znodes means for a register that holds a znode's data, nil while
there is none. Whatever a register cannot tell is left out so that no sound history turns bad:
versions that nobody saw, lists of children, stats without data.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from client.history import FAILED, OK, UNKNOWN, History, Operation, Write

READ, WRITE, CAS = "read", "write", "cas"
_NO_NODE = "NoNode"
_NANOSECOND_MS = 1e-6
_COUNTER = re.compile(r"-?\d{10}")
# A znode in one of its lives, at a version: czxid tells lives apart.
Version = tuple[str, int, int]


@dataclass(slots=True)
class Span:
    """Something that a client did; `returned_ms` None: no outcome came before the end."""

    client: int
    called_ms: float
    returned_ms: float | None
    outcome: str
    error: str


@dataclass(slots=True)
class Access(Span):
    """One thing done to one register. A cas took `expected` for the value it found."""

    kind: str
    path: str
    value: str | None = None
    expected: str | None = None


@dataclass(slots=True)
class Registers:
    """All accesses, and what could not be one.

    `foreign`: paths that show values which nobody in the history wrote; no register is known to
    begin with them. `other`: operations that touch no register, by kind.
    """

    accesses: list[Access] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    other: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def registers(history: History) -> Registers:
    """Every access of a history to a znode's data."""
    resolve_names(history.operations)
    found = Registers(foreign=sorted(foreign_paths(history.operations)))
    left_out = set(found.foreign)
    versions = values_by_version(history.operations)
    over_ms = told_ms(history)
    for operation in history.operations:
        accesses = [*_reads(operation, versions), *_writes(operation, versions)]
        accesses += [
            _vanishing(operation, write, over_ms.get(operation.session_id))
            for write in operation.writes
            if (write.is_ephemeral or write.may_vanish) and _may_be_there(operation, write)
        ]
        if not accesses:
            found.other[operation.kind] += 1
        found.accesses += (access for access in accesses if access.path not in left_out)
    return found


def resolve_names(operations: Iterable[Operation]) -> None:
    """Give a sequential create of unknown outcome its path, if somebody saw its value there."""
    unnamed: dict[str, Write] = {}
    for operation in operations:
        if operation.outcome == UNKNOWN:
            unnamed.update((w.value, w) for w in operation.writes if w.is_sequential and w.value)
    if not unnamed:
        return
    for path, value in _shown(operations):
        write = unnamed.get(value)
        if write is None or not path.startswith(write.path):
            continue
        if _COUNTER.fullmatch(path, len(write.path)):
            write.path = path
            del unnamed[value]


def foreign_paths(operations: Iterable[Operation]) -> set[str]:
    """Paths that show a value which nobody in the history wrote there."""
    written = {(w.path, w.value) for operation in operations for w in operation.writes}
    return {path for path, value in _shown(operations) if (path, value) not in written}


def _shown(operations: Iterable[Operation]) -> Iterator[tuple[str, str]]:
    for operation in operations:
        for path, value in read_values(operation):
            if value is not None:
                yield path, value


def read_values(operation: Operation) -> Iterator[tuple[str, str | None]]:
    """The data that an answered read shows, by path; None: there is no such znode."""
    if operation.kind in ("get", "exists") and operation.error == _NO_NODE:
        yield operation.path, None
    elif operation.kind == "get" and operation.outcome == OK and operation.seen:
        seen = operation.seen[0]
        if seen is not None and seen.value is not None:
            yield operation.path, seen.value
    elif operation.kind == "multi_read" and operation.outcome == OK:
        for path, seen in zip(operation.reads, operation.seen, strict=False):
            if seen is not None and seen.value is not None:
                yield path, seen.value


def values_by_version(operations: Iterable[Operation]) -> dict[Version, str]:
    """The value of each version that an answer tells of."""
    values: dict[Version, str] = {}
    for operation in operations:
        if operation.outcome != OK:
            continue
        for index, write in enumerate(operation.writes):
            seen = operation.seen[index] if index < len(operation.seen) else None
            if write.kind == "create":
                values[write.path, operation.zxid, 0] = write.value
            elif write.kind == "set" and seen is not None:
                values[write.path, seen.czxid, seen.version] = write.value
        if operation.kind == "get" and operation.seen and operation.seen[0] is not None:
            seen = operation.seen[0]
            if seen.value is not None:
                values[operation.path, seen.czxid, seen.version] = seen.value
    return values


def expected_value(
    operation: Operation, index: int, versions: dict[Version, str]
) -> tuple[bool, str | None]:
    """What a write found, as far as it says: a create nothing, a conditional set its version."""
    write = operation.writes[index]
    if write.kind == "create":
        return True, None
    seen = operation.seen[index] if index < len(operation.seen) else None
    if write.kind == "set" and write.version >= 0 and seen is not None:
        before = versions.get((write.path, seen.czxid, write.version))
        return before is not None, before
    return False, None


def shown_values(
    operation: Operation, versions: dict[Version, str]
) -> Iterator[tuple[str, str | None]]:
    """What `read_values` says, and of an `exists` the value of the version that it shows."""
    yield from read_values(operation)
    if operation.kind == "exists" and operation.outcome == OK and operation.seen:
        seen = operation.seen[0]
        version = None if seen is None else (operation.path, seen.czxid, seen.version)
        if version in versions:
            yield operation.path, versions[version]


def told_ms(history: History) -> dict[int, float]:
    """When a program was first told that a session is over."""
    first: dict[int, float] = {}
    for told in history.told:
        first[told.session_id] = min(told.at_ms, first.get(told.session_id, told.at_ms))
    return first


def _vanishing(operation: Operation, write: Write, over_ms: float | None) -> Access:
    """What was created goes by itself: nobody is told when, but a program is told that it has."""
    client, created_ms = operation.client, operation.until_ms
    if write.is_ephemeral and over_ms is not None and created_ms < over_ms:
        # At the very instant of the create's return it could come before the create.
        return Access(client, created_ms + _NANOSECOND_MS, over_ms, OK, "", WRITE, write.path)
    return Access(client, operation.called_ms, None, UNKNOWN, "", WRITE, write.path)


def _reads(operation: Operation, versions: dict[Version, str]) -> Iterator[Access]:
    for path, value in shown_values(operation, versions):
        yield _access(operation, READ, path, value, outcome=OK)
    if operation.kind == "get" and operation.outcome != OK and operation.error != _NO_NODE:
        yield _access(operation, READ, operation.path, None)


def _writes(operation: Operation, versions: dict[Version, str]) -> Iterator[Access]:
    by_path: dict[str, list[int]] = defaultdict(list)
    for index, write in enumerate(operation.writes):
        if write.kind != "check" and (
            operation.outcome == FAILED or _may_be_there(operation, write)
        ):
            by_path[write.path].append(index)
    for path, indices in by_path.items():
        # What a transaction did before its last write to a path, nobody ever sees.
        last = operation.writes[indices[-1]]
        value = None if last.kind == "delete" else last.value
        is_known, expected = False, None
        if len(indices) == 1:
            is_known, expected = expected_value(operation, indices[0], versions)
        kind = CAS if is_known else WRITE
        yield _access(operation, kind, path, value, expected)


def _may_be_there(operation: Operation, write: Write) -> bool:
    """Whether a write may have had an effect, and at a path that is known."""
    if operation.outcome == UNKNOWN and write.is_sequential:
        return _COUNTER.fullmatch(write.path[-10:]) is not None
    return operation.outcome != FAILED


def _access(
    operation: Operation,
    kind: str,
    path: str,
    value: str | None,
    expected: str | None = None,
    outcome: str = "",
) -> Access:
    outcome = outcome or operation.outcome
    return Access(
        operation.client,
        operation.called_ms,
        operation.returned_ms,
        outcome,
        "" if outcome == OK else operation.error,
        kind,
        path,
        value,
        expected,
    )
