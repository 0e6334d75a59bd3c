"""Histories in Jepsen's form: an operation map in EDN a line, invocation and completion apart.

Pure. Owns two ways to say it: registers for Knossos, and transactions for Elle's rw-register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from client.history import FAILED, OK, UNKNOWN, History, Operation
from orchestrator.errors import InvalidInput
from orchestrator.history.edn import Keyword, edn
from orchestrator.history.registers import (
    CAS,
    READ,
    Access,
    Registers,
    Span,
    Version,
    expected_value,
    foreign_paths,
    registers,
    resolve_names,
    shown_values,
    values_by_version,
)
from orchestrator.history.spans import moments

S = TypeVar("S", bound=Span)
MicroOp = tuple[str, str, str | None]
_TYPES = {OK: "ok", FAILED: "fail", UNKNOWN: "info"}


@dataclass(slots=True)
class Transaction(Span):
    """Reads and writes that took effect at once: ("r", path, value), ("w", path, value)."""

    micro_ops: list[MicroOp]


def register_lines(found: Registers, path: str | None) -> Iterator[str]:
    """Yield operations on registers. With a path: of this one; else the value is [path value]."""

    def describe(access: Access, is_end: bool) -> tuple[str, Any]:
        value: Any = access.value if is_end or access.kind != READ else None
        if access.kind == CAS:
            value = [access.expected, access.value]
        return access.kind, value if path is not None else [access.path, value]

    chosen = [a for a in found.accesses if path is None or a.path == path]
    return _lines(chosen, describe)


def transaction_lines(transactions: Sequence[Transaction]) -> Iterator[str]:
    """Yield transactions over registers, as Elle's rw-register takes them."""

    def describe(transaction: Transaction, is_end: bool) -> tuple[str, Any]:
        is_known = is_end and transaction.outcome == OK
        return "txn", [
            [Keyword(kind), path, value if is_known or kind == "w" else None]
            for kind, path, value in transaction.micro_ops
        ]

    return _lines(transactions, describe)


def _lines(spans: Sequence[S], describe: Callable[[S, bool], tuple[str, Any]]) -> Iterator[str]:
    for index, moment in enumerate(moments(spans)):
        function, value = describe(moment.span, moment.is_end)
        line: dict[str, Any] = {
            "index": index,
            "type": Keyword(_TYPES[moment.span.outcome] if moment.is_end else "invoke"),
            "process": moment.process,
            "f": Keyword(function),
            "value": value,
            "time": moment.at_ns,
        }
        if moment.is_end and moment.span.error:
            line["error"] = moment.span.error
        yield edn(line)


def transactions_of(history: History) -> list[Transaction]:
    """What Elle can use of a history. Raises InvalidInput for values that are not unique.

    Elle takes nil for what comes before every write. So of a path whose znode may have been
    deleted in between, a read of nothing is left out, and so is every deletion.
    """
    resolve_names(history.operations)
    writers = _writers(history.operations)
    versions = values_by_version(history.operations)
    foreign = foreign_paths(history.operations)
    mortal = {
        write.path
        for operation in history.operations
        for write in operation.writes
        if write.kind == "delete" or write.is_ephemeral or write.may_vanish
    }
    found = []
    for operation in history.operations:
        micro_ops = [
            micro_op
            for micro_op in (
                *_read_ops(operation, mortal, versions),
                *_write_ops(operation, versions),
            )
            if micro_op[1] not in foreign
            # A refused write of a value that another wrote would make reads of that look aborted.
            and (micro_op[0] == "r" or writers.get(micro_op[1:], 0) in (0, operation.number))
        ]
        if micro_ops:
            is_answered_read = not operation.writes
            found.append(
                Transaction(
                    operation.client,
                    operation.called_ms,
                    operation.returned_ms,
                    OK if is_answered_read else operation.outcome,
                    "" if is_answered_read else operation.error,
                    micro_ops,
                )
            )
    return found


def _read_ops(
    operation: Operation, mortal: set[str], versions: dict[Version, str]
) -> Iterator[MicroOp]:
    for path, value in shown_values(operation, versions):
        if value is not None or path not in mortal:
            yield "r", path, value


def _write_ops(operation: Operation, versions: dict[Version, str]) -> Iterator[MicroOp]:
    for index, write in enumerate(operation.writes):
        if write.kind == "set":
            is_known, expected = expected_value(operation, index, versions)
            if is_known and operation.outcome == OK and len(operation.writes) == 1:
                yield "r", write.path, expected
        if write.kind in ("create", "set"):
            yield "w", write.path, write.value


def _writers(operations: Sequence[Operation]) -> dict[tuple[str, str | None], int]:
    """The operation that may have written a value to a path, by path and value.

    Raises InvalidInput if there are two.
    """
    writers: dict[tuple[str, str | None], int] = {}
    for operation in operations:
        for write in operation.writes:
            if write.kind not in ("create", "set") or operation.outcome == FAILED:
                continue
            first = writers.setdefault((write.path, write.value), operation.number)
            if first != operation.number:
                raise InvalidInput(
                    f"operations {first} and {operation.number} both write '{write.value}' to"
                    f" {write.path}; Elle tells writes apart by their values: write others each"
                    " time, or export to jepsen or porcupine"
                )
    return writers


def registers_of(history: History, path: str | None) -> Registers:
    """The registers of a history. Raises InvalidInput if there is none of that path."""
    found = registers(history)
    if path is not None and not any(access.path == path for access in found.accesses):
        why = "it shows values that nobody in it wrote" if path in found.foreign else "not in it"
        raise InvalidInput(f"--path {path}: the history has no such register: {why}")
    return found
