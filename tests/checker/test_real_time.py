"""Nothing is known of a write before it was invoked."""

from __future__ import annotations

from client.history import OK, History, Write
from orchestrator.checker import rules
from orchestrator.checker.check import check
from tests.checker.histories import Book, seen, zxid


def broken(history: History) -> set[str]:
    return {anomaly.rule for anomaly in check(history).anomalies}


def test_a_read_does_not_show_a_write_before_its_invocation() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    read = book.get(2, "/a", 2, seen(2, "1:2", 1, 1))
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    assert broken(book.history) == {rules.REAL_TIME}
    read.returned_ms = 100.0
    assert broken(book.history) == set()


def test_an_answer_does_not_name_a_zxid_before_its_write() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    read = book.get(2, "/none", 9, None)
    book.set(1, "/a", "1:2", 8, 1, czxid=1)
    assert broken(book.history) == {rules.REAL_TIME}
    read.zxid = zxid(7)
    assert broken(book.history) == set()


def test_a_write_of_unknown_outcome_is_placed_behind_its_invocation() -> None:
    for at, expected in ((2, {rules.REAL_TIME}), (4, set())):
        book = Book()
        book.create(1, "/a", "1:1", 1)
        book.create(1, "/b", "1:2", 3)
        book.unknown(2, Write("create", "/a/c", "2:1"))
        book.get(1, "/a/c", 5, seen(at, "2:1"))
        assert broken(book.history) == expected


def test_an_answer_before_its_own_question_ends_no_judging() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    write = book.create(2, "/b", "2:1", 2)
    write.called_ms, write.returned_ms, write.outcome = 500.0, 400.0, OK
    assert broken(book.history) == {rules.REAL_TIME}
