"""Refuses operations that make no sense, before anything is judged by them.

Owns what no reader of a history minds, but every rule relies on: known words, times that do not
run backwards, and one operation to a number.
"""

from __future__ import annotations

from itertools import pairwise

from client.history import FAILED, OK, UNKNOWN, History, HistoryError, Operation

_OUTCOMES = (OK, FAILED, UNKNOWN)
_WRITES = ("create", "set", "delete", "check")


def refuse_nonsense(history: History) -> None:
    """Raise HistoryError for the first operation of no sense."""
    for operation in history.operations:
        if text := _complaint(operation):
            raise HistoryError(f"operation {operation.number} {text}")
    for one, other in pairwise(history.operations):
        if one.number == other.number:
            raise HistoryError(
                f"two operations have the number {one.number}; is a line there twice?"
            )


def _complaint(operation: Operation) -> str:
    if operation.outcome not in _OUTCOMES:
        return f"has the outcome '{operation.outcome}', not one of {', '.join(_OUTCOMES)}"
    for write in operation.writes:
        if write.kind not in _WRITES:
            return f"writes by '{write.kind}', not by one of {', '.join(_WRITES)}"
    if operation.returned_ms is not None and operation.returned_ms < operation.called_ms:
        return "was answered before it was invoked"
    return ""
