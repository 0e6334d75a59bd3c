"""Histories in pairs: one breaks a rule and is rejected for it, its sound twin is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.history import (
    CLOSED,
    EXPIRED,
    LOST,
    History,
    Operation,
    Write,
)
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.check import check
from orchestrator.checker.rules import RULES
from tests.checker.histories import Book, seen, zxid


def judge(history: History) -> list[Anomaly]:
    return check(history).anomalies


def rules(book: Book) -> set[str]:
    found = {anomaly.rule for anomaly in judge(book.history)}
    assert found <= set(RULES)
    return found


def test_an_empty_history_is_sound() -> None:
    assert rules(Book()) == set()


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_acknowledged_set_must_be_there_at_the_end(is_lost: bool) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    book.final("/a", 9, seen(1, "1:1") if is_lost else seen(2, "1:2", 1, czxid=1))
    assert rules(book) == ({"no acknowledged write is lost"} if is_lost else set())


def test_an_acknowledged_create_must_be_there_at_the_end() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.final("/a", 9, None)
    assert rules(book) == {"no acknowledged write is lost"}


def test_an_acknowledged_delete_must_show_at_the_end() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.delete(1, "/a", 2)
    book.final("/a", 9, seen(1, "1:1"))
    assert rules(book) == {"no acknowledged write is lost"}


def test_a_member_must_end_behind_every_acknowledged_write() -> None:
    """A whole lost end of the log leaves no contradiction on any znode, but it leaves this."""
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.create(1, "/b", "1:2", 5)
    book.final("/a", 4, seen(1, "1:1"))
    book.final("/b", 4, None)
    assert rules(book) == {"no acknowledged write is lost"}


def test_a_lost_write_in_the_middle_shows_in_the_versions() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    book.set(2, "/a", "2:1", 3, 1, czxid=1)
    assert rules(book) == {"versions add up"}


@pytest.mark.parametrize("kind", ["set", "create", "delete"])
def test_an_unknown_write_may_explain_the_end(kind: str) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(2, Write("delete", "/a"))
    if kind == "delete":
        book.final("/a", 9, None)
    else:
        book.unknown(2, Write(kind, "/a", "2:1"))
        czxid, version = (5, 0) if kind == "create" else (1, 1)
        book.final("/a", 9, seen(5, "2:1", version, czxid=czxid))
    assert rules(book) == set()


def test_an_unknown_write_does_not_explain_what_was_seen_before_it() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.get(2, "/a", 3, None)
    book.unknown(2, Write("delete", "/a"))
    assert rules(book) == {"reads show their zxid"}


def test_an_unknown_write_does_not_bring_an_older_value_back() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(2, Write("set", "/a", "2:1"))
    book.get(2, "/a", 2, seen(2, "2:1", 1, czxid=1))
    book.set(1, "/a", "1:2", 3, 2, czxid=1)
    book.final("/a", 9, seen(2, "2:1", 1, czxid=1))
    assert rules(book) == {"no acknowledged write is lost"}


def test_a_read_shows_the_state_at_its_zxid_not_a_later_one() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 4)
    book.get(2, "/a", 3, seen(4, "1:1"))
    assert rules(book) == {"reads show their zxid"}


@pytest.mark.parametrize("shown", [seen(1, "1:1"), seen(1), None])
def test_another_session_may_not_see_less_than_its_zxid(shown: object) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    book.get(2, "/a", 2, shown)  # type: ignore[arg-type]
    assert rules(book) == {"reads show their zxid"}


def test_another_session_may_lag() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    book.get(2, "/a", 1, seen(1, "1:1"))
    assert rules(book) == set()


@pytest.mark.parametrize("names", [("b",), ("a", "b", "c"), ()])
def test_a_list_of_children_shows_the_state_at_its_zxid(names: tuple[str, ...]) -> None:
    book = Book()
    book.create(1, "/d/a", "1:1", 1)
    book.create(1, "/d/b", "1:2", 2)
    book.delete(1, "/d/a", 3)
    book.children(2, "/d", 3, *names)
    found = rules(book)
    if names == ("b",):
        assert found == set()
    else:
        assert found & {"reads show their zxid", "no value from nowhere"}


def test_a_session_reads_its_own_writes() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    book.get(1, "/a", 2, seen(1, "1:1"))
    assert rules(book) == {"read your writes"}


def test_a_session_may_see_a_later_write_of_another() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(2, "/a", "2:1", 2, 1, czxid=1)
    book.get(1, "/a", 2, seen(2, "2:1", 1, czxid=1))
    assert rules(book) == set()


def test_the_zxids_of_a_session_never_fall() -> None:
    book = Book()
    book.get(1, "/a", 7, None)
    book.get(2, "/a", 3, None)
    assert rules(book) == set()
    book.get(1, "/a", 6, None)
    assert rules(book) == {"no read goes back"}


def test_a_session_is_answered_in_its_order() -> None:
    book = Book()
    first = book.get(1, "/a", 7, None)
    second = book.get(1, "/a", 7, None)
    assert rules(book) == set()
    first.answered, second.answered = second.answered, first.answered
    assert rules(book) == {"session order"}


def test_a_sessions_writes_have_zxids_of_their_own() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.create(1, "/b", "1:2", 1)
    assert "session order" in rules(book)


@pytest.mark.parametrize("at", [2, 6])
def test_an_unknown_write_keeps_its_place_in_the_session(at: int) -> None:
    """An old request that a member still has must not overtake the session's later ones."""
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(1, Write("set", "/a", "1:2"))
    book.create(1, "/b", "1:3", 4)
    book.get(2, "/a", 6, seen(at, "1:2", 1, czxid=1))
    assert rules(book) == (set() if at == 2 else {"session order"})


def test_a_write_comes_after_all_that_were_acknowledged_before_it() -> None:
    book = Book()
    first = book.create(1, "/a", "1:1", 5)
    second = book.create(2, "/b", "2:1", 4)
    assert rules(book) == {"real-time order"}
    second.called_ms = first.called_ms
    assert rules(book) == set()


@pytest.mark.parametrize(("version", "is_sound"), [(1, True), (2, False), (0, False)])
def test_a_set_makes_the_next_version(version: int, is_sound: bool) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(2, "/a", "2:1", 2, version, czxid=1)
    assert rules(book) == (set() if is_sound else {"versions add up"})


@pytest.mark.parametrize(("version", "is_sound"), [(2, True), (3, False)])
def test_each_unknown_set_explains_one_version(version: int, is_sound: bool) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(2, Write("set", "/a", "2:1"))
    book.set(1, "/a", "1:2", 4, version, czxid=1)
    assert rules(book) == (set() if is_sound else {"versions add up"})


def test_a_write_of_unknown_version_may_belong_to_an_earlier_life() -> None:
    """As a run showed: a placed multi, then an unknown delete and create, then a set."""
    book = Book()
    book.create(3, "/a", "3:1", 1)
    book.unknown(1, Write("set", "/a", "1:1"), Write("create", "/b", "1:2"))
    book.unknown(2, Write("delete", "/a"))
    book.unknown(2, Write("create", "/a", "2:1"))
    book.set(3, "/a", "3:2", 7, 1, czxid=6)
    book.get(3, "/b", 8, seen(3, "1:2"))
    assert rules(book) == set()


def test_an_unknown_set_explains_a_version_only_once() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(2, Write("set", "/a", "2:1"))
    book.set(1, "/a", "1:2", 4, 2, czxid=1)
    book.set(1, "/a", "1:3", 5, 4, czxid=1)
    assert rules(book) == {"versions add up"}


def test_a_conditional_set_was_at_its_version() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1, expected=0)
    assert rules(book) == set()
    book.set(1, "/a", "1:3", 3, 2, czxid=1, expected=0)
    assert rules(book) == {"versions add up"}


def test_nothing_is_created_where_it_is_nor_written_where_it_is_not() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.create(2, "/a", "2:1", 2)
    assert rules(book) == {"versions add up"}
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.delete(1, "/a", 2)
    book.set(2, "/a", "2:1", 3, 1, czxid=1)
    assert rules(book) == {"versions add up"}


def test_a_write_is_at_the_zxid_at_which_it_was_acknowledged() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.final("/a", 9, seen(3, "1:1"))
    assert "one zxid for a write" in rules(book)


def test_an_unknown_write_takes_effect_once() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(1, Write("set", "/a", "1:2"))
    book.get(2, "/a", 4, seen(4, "1:2", 1, czxid=1))
    book.get(2, "/a", 6, seen(6, "1:2", 2, czxid=1))
    assert "one zxid for a write" in rules(book)


def test_an_unknown_multi_takes_effect_whole() -> None:
    def seen_in_part(other: bool) -> set[str]:
        book = Book()
        book.create(1, "/a", "1:1", 1)
        book.unknown(1, Write("set", "/a", "1:2"), Write("create", "/b", "1:3"))
        book.final("/a", 9, seen(4, "1:2", 1, czxid=1))
        book.final("/b", 9, seen(4, "1:3") if other else None)
        return rules(book)

    assert seen_in_part(True) == set()
    assert seen_in_part(False) == {"no acknowledged write is lost"}


def test_an_acknowledged_multi_takes_effect_whole() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.multi(
        1,
        2,
        (Write("set", "/a", "1:2"), seen(2, None, 1, czxid=1)),
        (Write("create", "/b", "1:3"), None),
    )
    book.final("/a", 9, seen(2, "1:2", 1, czxid=1))
    assert rules(book) == set()
    book.final("/b", 9, None)
    assert rules(book) == {"no acknowledged write is lost"}


def test_a_refused_write_is_never_seen() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.refused(2, Write("set", "/a", "2:1", 7), "BadVersion", 2)
    assert rules(book) == set()
    book.final("/a", 9, seen(2, "2:1", 1, czxid=1))
    assert "refused writes do nothing" in rules(book)


@pytest.mark.parametrize(("error", "is_sound"), [("NodeExists", True), ("NoNode", False)])
def test_a_refusal_is_right_at_its_zxid(error: str, is_sound: bool) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    kind = "create" if error == "NodeExists" else "delete"
    book.refused(2, Write(kind, "/a", "2:1"), error, 2)
    assert rules(book) == (set() if is_sound else {"reads show their zxid"})


@pytest.mark.parametrize("value", ["3:1", "1:9"])
def test_nothing_is_seen_that_nobody_wrote(value: str) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.create(1, "/b", "1:9", 2)
    book.get(2, "/a", 3, seen(3, value, 1, czxid=1))
    assert "no value from nowhere" in rules(book)


def test_no_znode_is_there_that_nobody_made() -> None:
    book = Book()
    book.create(1, "/d", "1:1", 1)
    book.children(2, "/d", 3, "x")
    assert rules(book) == {"no value from nowhere"}


def test_a_list_may_show_what_was_there_before_the_history() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 5)
    book.children(2, "/", 6, "a", "zookeeper")
    book.get(2, "/zookeeper", 6, seen(1, "", 7))
    assert rules(book) == set()
    book.get(2, "/zookeeper", 7, seen(6, "", 8, czxid=1))
    assert rules(book) == {"reads show their zxid"}


@pytest.mark.parametrize("end", [CLOSED, EXPIRED])
@pytest.mark.parametrize("is_gone", [True, False])
def test_an_ephemeral_goes_with_its_session(end: str, is_gone: bool) -> None:
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.history.sessions[1].end = end
    book.final("/e", 9, None if is_gone else seen(1, "1:1", owner=1))
    assert rules(book) == (set() if is_gone else {"ephemerals follow their session"})


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_ephemeral_of_a_living_session_stays(is_gone: bool) -> None:
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.final("/e", 9, None if is_gone else seen(1, "1:1", owner=1))
    assert rules(book) == ({"ephemerals follow their session"} if is_gone else set())


def test_an_ephemeral_belongs_to_its_creator() -> None:
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.get(2, "/e", 2, seen(1, "1:1", owner=2))
    assert rules(book) == {"reads show their zxid"}


def test_the_ephemeral_of_an_unknown_create_goes_with_its_session() -> None:
    book = Book()
    book.unknown(1, Write("create", "/e", "1:1", is_ephemeral=True))
    book.history.sessions[1].end = EXPIRED
    book.get(2, "/e", 4, seen(3, "1:1", owner=1))
    book.final("/e", 9, None)
    assert rules(book) == set()


def test_every_member_and_client_comes_back() -> None:
    for process, is_serving in (("running", False), ("exited", False)):
        book = Book()
        book.member(1, 5, "d")
        book.member(2, 5, "d", process=process, is_serving=is_serving)
        assert rules(book) == {"recovery"}
    book = Book()
    book.history.sessions[1].end = LOST
    assert rules(book) == {"recovery"}


@pytest.mark.parametrize(
    ("last_zxid", "digest", "is_sound"), [(5, "d", True), (5, "x", False), (4, "d", False)]
)
def test_trees_are_equal(last_zxid: int, digest: str, is_sound: bool) -> None:
    book = Book()
    book.member(1, 5, "d")
    book.member(2, last_zxid, digest)
    assert rules(book) == (set() if is_sound else {"equal trees"})


def test_an_anomaly_names_the_operations_that_prove_it() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    lost = book.set(1, "/a", "1:2", 2, 1, czxid=1)
    last = book.final("/a", 9, seen(1, "1:1"))
    (anomaly,) = judge(book.history)
    assert anomaly.proof == [lost, last]
    assert "set /a '1:2': ok zxid 1:2" in str(lost)


def test_a_history_reads_back_as_it_was_written(tmp_path: Path) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1, ephemeral=True)
    book.unknown(1, Write("set", "/a", "1:2")).returned_ms = None
    book.get(2, "/a", 3, seen(1, "1:1", owner=1))
    book.children(2, "/", 3, "a")
    book.member(1, 5, "d")
    book.history.save(tmp_path / "history.jsonl")
    assert History.load(tmp_path / "history.jsonl") == book.history


def test_an_operation_is_one_line() -> None:
    operation = Operation(3, 1, 2, "get", "/a", 1.0, zxid=zxid(4), outcome="ok", seen=(seen(4),))
    assert "\n" not in str(operation)
