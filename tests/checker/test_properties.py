"""One bad history for each property, which that property alone rejects; and its sound twin."""

from __future__ import annotations

import pytest

from client.history import CLOSED, EXPIRED, Event, Operation, Seen, Told, Trace, Write
from orchestrator.checker import rules
from orchestrator.checker.check import Demands, check
from tests.checker.histories import Book, seen, zxid

EVERYTHING = Demands()


def broken(book: Book, demands: Demands = EVERYTHING) -> dict[str, set[str]]:
    """The rules that are broken, by property."""
    found: dict[str, set[str]] = {}
    for anomaly in check(book.history, demands).anomalies:
        found.setdefault(rules.RULES[anomaly.rule].property, set()).add(anomaly.rule)
    return found


def two_versions() -> Book:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.set(1, "/a", "1:2", 2, 1, czxid=1)
    return book


# Linearizable writes.


def test_writes_that_do_not_respect_real_time() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 5)
    later = book.create(2, "/b", "2:1", 4)
    assert broken(book) == {rules.WRITES: {rules.REAL_TIME}}
    later.zxid = zxid(6)
    assert broken(book) == {}


def test_a_refused_write_is_placed_in_real_time_too() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 5)
    late = book.refused(2, Write("create", "/b", "2:1"), "NoAuth", 4)
    assert broken(book) == {rules.WRITES: {rules.REAL_TIME}}
    late.zxid = zxid(6)
    assert broken(book) == {}
    late.zxid, late.error = zxid(4), "NotReadOnly"  # the member's last zxid, not one of its own
    assert broken(book) == {}


@pytest.mark.parametrize(("version", "is_sound"), [(1, False), (2, True)])
def test_a_refusal_for_a_version_that_was_right(version: int, is_sound: bool) -> None:
    book = two_versions()
    book.refused(2, Write("set", "/a", "2:1", version), "BadVersion", 3)
    assert broken(book) == ({} if is_sound else {rules.SEQUENCE: {rules.PREFIX}})


@pytest.mark.parametrize("error", ["NotEmpty", "not_empty"])
def test_a_refusal_for_children_that_nobody_made(error: str) -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.refused(2, Write("delete", "/a"), error, 2)
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.create(1, "/a/b", "1:2", 2)
    book.refused(2, Write("delete", "/a"), error, 3)
    assert broken(book) == {}


def test_a_delete_of_a_znode_that_has_children() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.create(1, "/a/b", "1:2", 2)
    book.delete(1, "/a", 3)
    assert broken(book) == {rules.WRITES: {rules.VERSIONS}}


def test_a_create_below_what_is_gone() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.delete(1, "/a", 2)
    book.create(2, "/a/b", "2:1", 3)
    assert broken(book) == {rules.WRITES: {rules.VERSIONS}}


def test_one_unknown_create_makes_a_parent_for_many_children() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.delete(1, "/a", 2)
    book.unknown(1, Write("create", "/a", ""))
    book.create(2, "/a/b", "2:1", 4)
    book.create(2, "/a/c", "2:2", 5)
    assert broken(book) == {}


@pytest.mark.parametrize(("version", "is_sound"), [(0, False), (1, True)])
def test_a_check_of_a_version(version: int, is_sound: bool) -> None:
    book = two_versions()
    check_, create = Write("check", "/a", version=version), Write("create", "/b", "2:1")
    book.multi(2, 3, (check_, None), (create, None))
    assert broken(book) == ({} if is_sound else {rules.WRITES: {rules.VERSIONS}})


def test_a_sequential_create_of_unknown_outcome_explains_one_name() -> None:
    book = Book()
    book.create(1, "/q", "1:1", 1)
    book.unknown(2, Write("create", "/q/n-", "2:1", is_sequential=True))
    book.children(1, "/q", 4, "n-0000000007")
    assert broken(book) == {}
    book.children(1, "/q", 5, "n-0000000007", "n-0000000008")
    assert broken(book) == {rules.WRITES: {rules.NOWHERE}}


def test_a_sequential_create_of_unknown_outcome_is_placed_by_its_value() -> None:
    book = Book()
    book.create(1, "/q", "1:1", 1)
    book.unknown(2, Write("create", "/q/n-", "2:1", is_sequential=True))
    book.get(1, "/q/n-0000000007", 4, seen(3, "2:1"))
    book.children(1, "/q", 5, "n-0000000007")
    assert broken(book) == {}
    book.children(1, "/q", 6)
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}


@pytest.mark.parametrize("may_vanish", [True, False])
def test_a_container_may_vanish(may_vanish: bool) -> None:
    book = Book()
    book.create(1, "/c", "1:1", 1).writes[0].may_vanish = may_vanish
    book.get(2, "/c", 4, None)
    assert broken(book) == ({} if may_vanish else {rules.SEQUENCE: {rules.PREFIX}})


def test_a_value_of_two_unknown_writes_leaves_doubt() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(1, Write("set", "/a", "same"))
    book.unknown(2, Write("set", "/a", "same"))
    book.get(3, "/a", 4, seen(3, "same", 1, czxid=1))
    verdict = check(book.history)
    assert verdict.verdict == "unknown"
    assert "'same'" in verdict.doubts[0]


def test_values_that_acknowledged_writes_share_leave_none() -> None:
    book = Book()
    book.create(1, "/a", "same", 1)
    book.set(1, "/a", "same", 2, 1, czxid=1)
    book.get(3, "/a", 2, seen(2, "same", 1, czxid=1))
    assert check(book.history).verdict == "valid"


# Sequential consistency, read your writes, single system image.


def test_a_read_that_shows_no_prefix() -> None:
    book = two_versions()
    book.get(2, "/a", 2, seen(1, "1:1"))
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}


def test_two_answers_without_any_known_writer_contradict_each_other() -> None:
    """What stands at a zxid stands there for everybody, whoever wrote it."""
    book = Book()
    book.create(1, "/a", "1:1", 1)
    book.unknown(1, Write("set", "/a", ""))
    book.get(2, "/a", 9, seen(1, "1:1"))
    late = book.get(3, "/a", 10, seen(5, None, 1, czxid=1))
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}
    late.seen = (seen(10, None, 1, czxid=1),)
    assert broken(book) == {}


def test_a_session_that_misses_its_own_write() -> None:
    book = two_versions()
    book.get(1, "/a", 2, seen(1, "1:1"))
    assert broken(book) == {rules.OWN_WRITES: {rules.RYW}}


@pytest.mark.parametrize(("members", "found"), [("12", rules.ONE_IMAGE), ("11", rules.SEQUENCE)])
def test_a_session_that_goes_back(members: str, found: str) -> None:
    """To an older state, by moving to another member or without that."""
    book = Book()
    before = book.get(1, "/a", 7, None)
    after = book.get(1, "/a", 6, None)
    before.member, after.member = members[0], members[1]
    assert set(broken(book)) == {found}
    after.zxid = before.zxid
    assert broken(book) == {}


# Freshness.


def lagging(at: int) -> Book:
    book = Book()
    for counter in range(1, 6):
        book.create(1, f"/{counter}", f"1:{counter}", counter)
    sync = book.get(2, "/1", at, seen(1, "1:1"))
    sync.kind, sync.path, sync.seen = "sync", "/", ()
    book.get(2, "/1", at, seen(1, "1:1"))
    return book


def test_a_lag_is_measured_and_wrong_only_if_asked() -> None:
    book = lagging(2)
    freshness = check(book.history).freshness
    assert (freshness.reads, freshness.behind, freshness.lag(1.0)) == (1, 1, 3)
    assert freshness.lag_ms(1.0) == book.history.operations[-1].called_ms - 25.0
    assert broken(book) == {}
    assert broken(book, Demands(max_lag=3)) == {}
    assert broken(book, Demands(max_lag=2)) == {rules.FRESHNESS: {rules.LAG}}


def test_a_read_right_behind_a_sync() -> None:
    demands = Demands(is_fresh_after_sync=True)
    assert broken(lagging(2), demands) == {rules.FRESHNESS: {rules.SYNCED}}
    assert broken(lagging(5), demands) == {}
    book = lagging(2)
    book.get(2, "/1", 2, seen(1, "1:1"))
    assert len(check(book.history, demands).anomalies) == 1


# Watch order.


class Watching(Book):
    """Session 2 watches /a, which session 1 then changes."""

    def __init__(self, table: str = "data") -> None:
        super().__init__()
        self.create(1, "/a", "1:1", 1)
        self.left = self.get(2, "/a", 1, seen(1, "1:1"))
        self.left.watch = table

    def event(self, type_: str = "changed", path: str = "/a", session_id: int = 2) -> Event:
        last: Operation = self.history.operations[-1]
        event = Event(session_id, session_id, self._now_ms - 1, type_, path, last.answered)
        self.history.events.append(event)
        return event

    def change(self) -> Operation:
        return self.set(1, "/a", "1:2", 2, 1, czxid=1)

    def look(self) -> Operation:
        return self.get(2, "/a", 2, seen(2, "1:2", 1, czxid=1))


def test_an_event_before_and_behind_the_reply_that_shows_its_change() -> None:
    book = Watching()
    book.change()
    event = book.event()
    reply = book.look()
    assert broken(book) == {}
    event.answered = reply.answered
    assert broken(book) == {rules.WATCHES: {rules.FIRST}}


def test_an_event_that_never_comes() -> None:
    book = Watching()
    book.change()
    assert broken(book) == {}
    book.look()
    assert broken(book) == {rules.WATCHES: {rules.FIRST}}


def test_an_event_of_a_lasting_watch_comes_in_time_too() -> None:
    book = Watching("persistent")
    book.change()
    event = book.event()
    reply = book.look()
    assert broken(book) == {}
    event.answered = reply.answered
    assert broken(book) == {rules.WATCHES: {rules.FIRST}}


def test_a_watch_that_fires_twice() -> None:
    book = Watching()
    book.change()
    book.event()
    assert broken(book) == {}
    book.event()
    assert broken(book) == {rules.WATCHES: {rules.ONCE}}


def test_a_watch_left_again_fires_again() -> None:
    book = Watching()
    book.change()
    book.event()
    book.look().watch = "data"
    book.set(1, "/a", "1:3", 3, 2, czxid=1)
    book.event()
    assert broken(book) == {}


@pytest.mark.parametrize(("type_", "path"), [("changed", "/b"), ("children", "/a")])
def test_an_event_of_what_is_not_watched(type_: str, path: str) -> None:
    book = Watching()
    book.change()
    book.event(type_, path)
    assert broken(book) == {rules.WATCHES: {rules.WATCHED}}


def test_an_event_without_a_change() -> None:
    book = Watching()
    book.event()
    book.change()
    assert broken(book) == {rules.WATCHES: {rules.WATCHED}}


def test_an_event_of_an_unknown_write() -> None:
    book = Watching()
    book.unknown(1, Write("set", "/a", "1:2"))
    book.event()
    assert broken(book) == {}


def test_an_event_of_an_ephemeral_that_ends() -> None:
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.get(2, "/e", 1, seen(1, "1:1", owner=1)).watch = "data"
    book.history.sessions[1].end = CLOSED
    book.history.events.append(Event(2, 2, 40.0, "deleted", "/e", 2))
    book.get(2, "/e", 2, None)
    assert broken(book) == {}


def test_what_came_and_went_between_two_members_is_not_told() -> None:
    """An exist watch misses a znode that is created and deleted while its session has no member."""
    book = Book()
    book.get(2, "/x", 1, None).watch = "exist"
    book.create(1, "/x", "1:1", 2)
    book.delete(1, "/x", 3)
    book.get(2, "/x", 3, None)
    assert broken(book) == {}
    book.create(1, "/x", "1:2", 4)
    book.get(2, "/x", 4, seen(4, "1:2"))
    assert broken(book) == {rules.WATCHES: {rules.FIRST}}


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_child_watch_tells_of_children(is_heard: bool) -> None:
    book = Watching()
    book.left.watch = ""
    book.children(2, "/a", 1).watch = "child"
    book.create(1, "/a/b", "1:2", 2)
    if is_heard:
        book.event("children")
    book.children(2, "/a", 2, "b")
    assert broken(book) == ({} if is_heard else {rules.WATCHES: {rules.FIRST}})


def test_a_recursive_watch_tells_of_what_is_below() -> None:
    book = Watching("recursive")
    book.create(1, "/a/b", "1:2", 2)
    book.event("created", "/a/b")
    assert broken(book) == {}


# Ephemeral safety.


def expired() -> Book:
    """Session 1 owned /e at zxid 1; program 1 was told of its end at 9 ms."""
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.history.sessions[1].end = EXPIRED
    book.history.told.append(Told(1, 1, 9.0, EXPIRED))
    return book


def test_a_stale_read_is_told_apart_by_who_was_told() -> None:
    book = expired()
    book.get(2, "/e", 2, seen(1, "1:1", owner=1))
    own = book.get(2, "/e", 2, seen(1, "1:1", owner=1))
    own.client = 1
    assert broken(book) == {rules.EPHEMERALS: {rules.STALE}}
    assert [anomaly.reader[:7] for anomaly in check(book.history).stale] == ["another", "the pro"]
    assert broken(book, Demands(allows_stale=True)) == {}


def test_a_read_that_was_asked_before_the_verdict_is_not_stale() -> None:
    book = expired()
    book.get(2, "/e", 2, seen(1, "1:1", owner=1)).called_ms = 8.0
    assert broken(book) == {}


@pytest.mark.parametrize("kind", ["children", "create"])
def test_what_shows_a_znode_by_name_may_be_stale(kind: str) -> None:
    book = expired()
    if kind == "children":
        book.children(2, "/", 2, "e")
    else:
        book.refused(2, Write("create", "/e", "2:1"), "NodeExists", 2)
    assert broken(book) == {rules.EPHEMERALS: {rules.STALE}}


@pytest.mark.parametrize(
    ("marked", "submitted", "committed", "window"),
    [
        (1, 50, 60, "W0"),
        (1, 5, 60, "W1"),
        (1, 2, 5, "W2"),
        (1, 12, 60, "W0 or W1"),
        (None, None, None, "unknown window"),
    ],
)
def test_the_window_of_a_stale_read(
    marked: int | None, submitted: int | None, committed: int | None, window: str
) -> None:
    book = expired()
    book.get(2, "/e", 2, seen(1, "1:1", owner=1))
    instants = {"marked": marked, "submitted": submitted, "committed": committed}
    for what, at_ms in instants.items():
        if at_ms is not None:
            fields: dict[str, int | str | bool | float] = {"session_id": 1, "zxid": "1:9"}
            book.history.traces.append(Trace(at_ms, 3, f"close_{what}", fields))
    assert [anomaly.window for anomaly in check(book.history).stale] == [window]


def test_a_window_without_traces_is_w2_if_the_znode_was_seen_gone_before() -> None:
    book = expired()
    book.get(2, "/e", 4, None)
    book.get(3, "/e", 2, seen(1, "1:1", owner=1))
    assert [anomaly.window for anomaly in check(book.history).stale] == ["W2"]


def test_a_verdict_that_a_new_leader_forgot() -> None:
    book = expired()
    book.get(2, "/e", 2, seen(1, "1:1", owner=1))
    for at_ms, kind in ((5, "marked"), (6, "submitted"), (70, "marked"), (80, "committed")):
        book.history.traces.append(Trace(at_ms, 3, f"close_{kind}", {"session_id": 1}))
    assert [anomaly.window for anomaly in check(book.history).stale] == ["verdict forgotten"]


@pytest.mark.parametrize("by_name", [True, False])
def test_an_ephemeral_that_is_there_behind_its_closing(by_name: bool) -> None:
    """That no ensemble may show: the member had applied the closeSession."""
    book = expired()
    book.history.traces.append(Trace(20.0, 3, "close_committed", {"session_id": 1, "zxid": "1:3"}))
    if by_name:
        book.children(2, "/", 4, "e")
    else:
        book.get(2, "/e", 4, seen(1, "1:1", owner=1))
    found = broken(book, Demands(allows_stale=True))
    assert found == {rules.EPHEMERALS: {rules.FOLLOW}}
    assert check(book.history, Demands(allows_stale=True)).anomalies[0].is_promised


def test_an_ephemeral_that_is_gone_before_its_closing() -> None:
    book = expired()
    book.history.traces.append(Trace(90.0, 3, "close_committed", {"session_id": 1, "zxid": "1:7"}))
    early = book.get(2, "/e", 4, None)
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}
    early.zxid = zxid(7)
    assert broken(book) == {}


def test_an_ephemeral_that_is_gone_while_its_session_still_writes() -> None:
    book = expired()
    book.get(2, "/e", 2, None)
    assert broken(book) == {}
    book.create(1, "/b", "1:2", 3)
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}


def test_a_session_may_have_ended_without_its_program_knowing() -> None:
    book = Book()
    book.create(1, "/e", "1:1", 1, ephemeral=True)
    book.get(2, "/e", 2, None)
    assert broken(book) == {}


def test_an_ephemeral_that_comes_back() -> None:
    book = expired()
    book.get(2, "/e", 2, None)
    again = book.get(3, "/e", 3, seen(1, "1:1", owner=1))
    again.called_ms = 8.0
    assert broken(book) == {rules.SEQUENCE: {rules.PREFIX}}


def test_an_answer_shows_only_what_was_before_its_zxid() -> None:
    book = Book()
    book.create(1, "/a", "1:1", 4)
    book.get(2, "/a", 3, Seen(zxid(4), zxid(4), 0, 0, "1:1"))
    assert set(broken(book)) <= {rules.SEQUENCE, rules.WRITES}
    assert broken(book)


def test_a_child_that_is_missing_is_told_once() -> None:
    """A list after the other would leave out the same name."""
    book = Book()
    book.create(1, "/d", "1:1", 1)
    book.create(1, "/d/a", "1:2", 2)
    for at in (3, 4, 5):
        book.children(2, "/d", at)
    assert len(check(book.history).anomalies) == 1
    book.children(2, "/d", 6, "a")
    assert len(check(book.history).anomalies) == 1
    book.children(2, "/d", 7)
    assert len(check(book.history).anomalies) == 2
