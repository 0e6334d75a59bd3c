"""What makes no sense is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from client.history import HistoryError, Write
from orchestrator.checker.sense import refuse_nonsense
from tests.checker.histories import Book


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"outcome": "maybe"}, "operation 2 has the outcome 'maybe', not one of ok, failed"),
        ({"writes": (Write("move", "/a"),)}, "operation 2 writes by 'move', not by one of create"),
        ({"returned_ms": 9.0}, "operation 2 was answered before it was invoked"),
        ({"number": 1}, "two operations have the number 1"),
    ],
)
def test_an_operation_that_makes_no_sense_is_refused(
    change: dict[str, Any], complaint: str
) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    operation = book.create(1, "/b", "1:2", 2)
    refuse_nonsense(book.history)
    for name, value in change.items():
        setattr(operation, name, value)
    with pytest.raises(HistoryError, match=complaint):
        refuse_nonsense(book.history)
