"""Which events a session may get, by the modes of its watches and by what changed."""

from __future__ import annotations

import pytest

from client.history import OK, Event, Operation
from orchestrator.checker import rules
from orchestrator.checker.check import check
from tests.checker.histories import Book, seen, zxid


def broken(book: Book) -> set[str]:
    return {anomaly.rule for anomaly in check(book.history).anomalies}


def ask(book: Book, kind: str, path: str, at: int, watch: str = "") -> Operation:
    """Session 2 asks for something that is about watches alone."""
    operation = book.get(2, path, at, seen(1))
    operation.kind, operation.seen, operation.watch, operation.outcome = kind, (), watch, OK
    return operation


def hear(book: Book, type_: str, path: str) -> None:
    """Session 2 gets an event behind the last outcome."""
    last = book.history.operations[-1]
    book.history.events.append(Event(2, 2, last.until_ms + 1, type_, path, last.answered))


def watched(watch: str = "data") -> Book:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.get(2, "/a", 1, seen(1, "1:1")).watch = watch
    return book


@pytest.mark.parametrize("kind", ["remove_watches", "check_watches"])
def test_a_watch_that_was_removed_tells_nothing(kind: str) -> None:
    book = watched()
    ask(book, kind, "/a", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    book.get(2, "/a", 2, seen(2, "1:2", 1, 1))
    assert broken(book) == set()


def test_the_later_mode_of_a_lasting_watch_counts() -> None:
    book = watched("")
    ask(book, "add_watch", "/a", 1, "persistent")
    ask(book, "add_watch", "/a", 1, "recursive")
    book.create(1, "/a/b", "1:2", 2)
    hear(book, "created", "/a/b")
    assert broken(book) == set()


@pytest.mark.parametrize("is_recursive_first", [False, True])
def test_a_recursive_watch_silences_the_child_watch_of_its_znode(is_recursive_first: bool) -> None:
    book = watched("")
    if not is_recursive_first:
        book.children(2, "/a", 1).watch = "child"
    lasting = ask(book, "add_watch", "/a", 1, "recursive")
    if is_recursive_first:
        book.children(2, "/a", 1).watch = "child"
    book.create(1, "/a/b", "1:2", 2)
    book.children(2, "/a", 2, "b")
    assert broken(book) == set()
    book.history.operations.remove(lasting)
    assert broken(book) == {rules.FIRST}


@pytest.mark.parametrize(
    ("type_", "is_sound"), [("changed", True), ("deleted", False), ("created", False)]
)
def test_an_event_tells_what_a_set_did(type_: str, is_sound: bool) -> None:
    book = watched()
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    hear(book, type_, "/a")
    assert broken(book) == (set() if is_sound else {rules.WATCHED})


@pytest.mark.parametrize(("is_made_again", "is_sound"), [(False, False), (True, True)])
def test_a_znode_that_is_deleted_and_made_again_may_be_told_as_changed(
    is_made_again: bool, is_sound: bool
) -> None:
    book = watched()
    book.delete(1, "/a", 2)
    if is_made_again:
        book.create(1, "/a", "1:2", 3)
    hear(book, "changed", "/a")
    assert broken(book) == (set() if is_sound else {rules.WATCHED})
    assert book.history.operations[-1].zxid >= zxid(2)


def test_a_file_that_lacks_its_last_events_proves_no_silence() -> None:
    book = watched()
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    reply = book.get(2, "/a", 2, seen(2, "1:2", 1, 1))
    book.history.is_complete = False
    assert broken(book) == set()
    # A later event is there, so none from before it is missing.
    book.history.events.append(Event(1, 1, reply.until_ms, "changed", "/z", reply.answered))
    assert rules.FIRST in broken(book)
