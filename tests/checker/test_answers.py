"""What an acknowledged write is answered with, and what it needs to be carried out at all."""

from __future__ import annotations

import pytest

from client.history import CLOSED, OK, UNKNOWN, Seen, Told, Trace, Write
from orchestrator.checker import rules
from orchestrator.checker.check import Demands, check
from tests.checker.histories import Book, seen, zxid


def broken(book: Book) -> set[str]:
    return {anomaly.rule for anomaly in check(book.history, Demands(True)).anomalies}


def queued(book: Book, session_id: int, given: str, counter: int, at: int) -> None:
    """A sequential create that was answered with a counter."""
    write = Write("create", f"{given}{counter:010}", f"{session_id}:{at}", is_sequential=True)
    book.multi(session_id, at, (write, None)).path = given


@pytest.mark.parametrize(("second", "is_sound"), [(0, False), (3, False), (4, True), (9, True)])
def test_sequential_znodes_of_one_parent_count_upwards(second: int, is_sound: bool) -> None:
    book = Book()
    book.create(1, "/q", "1:1", 1)
    queued(book, 1, "/q/a-", 3, 2)
    queued(book, 2, "/q/b-", second, 3)
    assert broken(book) == (set() if is_sound else {rules.VERSIONS})


def test_sequential_znodes_of_a_new_parent_count_anew() -> None:
    book = Book()
    book.create(1, "/q", "1:1", 1)
    queued(book, 1, "/q/a-", 0, 2)
    book.delete(1, "/q/a-0000000000", 3)
    book.delete(1, "/q", 4)
    book.create(1, "/q", "1:5", 5)
    queued(book, 1, "/q/a-", 0, 6)
    assert broken(book) == set()


def test_a_sequential_znode_has_the_name_that_was_given() -> None:
    book = Book()
    book.create(1, "/q", "1:1", 1)
    queued(book, 1, "/q/a-", 0, 2)
    assert broken(book) == set()
    book.history.operations[-1].path = "/q/b-"
    assert broken(book) == {rules.VERSIONS}


@pytest.mark.parametrize("is_ephemeral", [True, False])
def test_nothing_is_created_below_an_ephemeral(is_ephemeral: bool) -> None:
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=is_ephemeral)
    book.create(2, "/e/child", "2:1", 2)
    book.set(1, "/e", "1:2", 3, 1, czxid=1)
    assert broken(book) == ({rules.VERSIONS} if is_ephemeral else set())


@pytest.mark.parametrize(
    ("answer", "rule"),
    [(seen(2, owner=1), ""), (seen(9, owner=1), rules.ONE_ZXID), (seen(2, owner=2), rules.FOLLOW)],
)
def test_a_create_is_answered_with_what_it_made(answer: Seen, rule: str) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.multi(1, 2, (Write("create", "/a/e", "1:2", is_ephemeral=True), answer))
    assert broken(book) == ({rule} if rule else set())


def test_a_session_writes_nothing_behind_its_closing() -> None:
    book = Book()
    book.create(2, "/a", "2:1", 1)
    write = book.create(2, "/b", "2:2", 9)
    closing = Trace(20.0, 1, "close_committed", {"session_id": 2, "zxid": "1:8"})
    book.history.traces.append(closing)
    assert broken(book) == {rules.ORDER}
    write.zxid = zxid(7)
    assert broken(book) == set()
    write.outcome, write.zxid, write.returned_ms = UNKNOWN, 0, None
    book.get(1, "/b", 10, seen(9, "2:2"))
    assert broken(book) == set()


def test_a_session_whose_program_has_closed_it_writes_nothing() -> None:
    book = Book()
    book.create(2, "/a", "2:1", 1)
    write = book.create(2, "/b", "2:2", 9)
    book.history.told.append(Told(2, 2, write.called_ms - 1, CLOSED))
    assert write.outcome == OK
    assert broken(book) == {rules.ORDER}
    book.history.told[0].at_ms = write.called_ms + 1
    assert broken(book) == set()
