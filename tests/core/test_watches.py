"""Which change fires which watch: standard one-shot watches."""

from __future__ import annotations

import pytest

from nodes.core.requests import (
    OPEN_ACL,
    CloseSession,
    Create,
    Delete,
    Id,
    Multi,
    SetData,
    SetWatches,
    Write,
)
from nodes.core.tree import EventType
from nodes.core.watches import WatchManager

from .pipeline import OTHER, SESSION, Pipeline

CREATED = EventType.NODE_CREATED
DELETED = EventType.NODE_DELETED
DATA_CHANGED = EventType.NODE_DATA_CHANGED
CHILDREN_CHANGED = EventType.NODE_CHILDREN_CHANGED

Fired = list[tuple[int, EventType, str]]


def nobody(_: int) -> tuple[Id, ...]:
    return ()


DATA_ON_P, CHILD_ON_P, DATA_ON_PARENT, CHILD_ON_PARENT = 1, 2, 3, 4


def watch_all_around(path: str, parent: str) -> WatchManager:
    watches = WatchManager(nobody)
    watches.add_child(CHILD_ON_PARENT, parent)
    watches.add_data(DATA_ON_PARENT, parent)
    watches.add_child(CHILD_ON_P, path)
    watches.add_data(DATA_ON_P, path)
    return watches


@pytest.mark.parametrize(
    ("existing", "op", "fired"),
    [
        ([], Create("/q/p", b""), [(1, CREATED, "/q/p"), (4, CHILDREN_CHANGED, "/q")]),
        (["/q/p"], SetData("/q/p", b"x"), [(1, DATA_CHANGED, "/q/p")]),
        (
            ["/q/p"],
            Delete("/q/p"),
            [(1, DELETED, "/q/p"), (2, DELETED, "/q/p"), (4, CHILDREN_CHANGED, "/q")],
        ),
        (["/q/p"], Create("/q/p/c", b""), [(2, CHILDREN_CHANGED, "/q/p")]),
        ([], SetData("/q", b"x"), [(3, DATA_CHANGED, "/q")]),
        (["/q/p"], Create("/q/p", b""), []),
        (["/q/p"], SetData("/q/p", b"x", 7), []),
    ],
)
def test_trigger_table(existing: list[str], op: Write, fired: Fired) -> None:
    pipeline = Pipeline()
    pipeline.create("/q", *existing)
    watches = watch_all_around("/q/p", "/q")
    assert watches.fire(pipeline.write(op).changes) == fired
    assert watches.count == 4 - len(fired)


def test_a_watch_fires_once() -> None:
    watches = WatchManager(nobody)
    watches.add_data(1, "/a")
    changes = [(DATA_CHANGED, "/a", OPEN_ACL)]
    assert watches.fire(changes) == [(1, DATA_CHANGED, "/a")]
    assert watches.fire(changes) == []
    assert watches.count == 0


def test_registering_twice_gives_one_event() -> None:
    watches = WatchManager(nobody)
    watches.add_data(1, "/a")
    watches.add_data(1, "/a")
    assert watches.count == 1
    assert watches.fire([(CREATED, "/a", OPEN_ACL)]) == [(1, CREATED, "/a")]


def test_data_and_child_watch_of_one_connection_are_told_of_a_delete_once() -> None:
    watches = WatchManager(nobody)
    watches.add_child(1, "/a")
    watches.add_data(1, "/a")
    watches.add_child(2, "/a")
    assert watches.fire([(DELETED, "/a", OPEN_ACL)]) == [(1, DELETED, "/a"), (2, DELETED, "/a")]
    assert watches.count == 0


def test_connections_are_told_in_the_order_of_their_watches() -> None:
    watches = WatchManager(nobody)
    for connection in (9, 3, 7):
        watches.add_data(connection, "/a")
    assert [connection for connection, _, _ in watches.fire([(CREATED, "/a", OPEN_ACL)])] == [
        9,
        3,
        7,
    ]


def test_drop_forgets_only_that_connection() -> None:
    watches = WatchManager(nobody)
    for connection in (1, 2):
        watches.add_data(connection, "/a")
        watches.add_child(connection, "/a")
    watches.add_data(1, "/b")
    watches.drop(1)
    watches.drop(3)
    assert watches.count == 2
    assert watches.fire([(CREATED, "/b", OPEN_ACL), (DELETED, "/a", OPEN_ACL)]) == [
        (2, DELETED, "/a")
    ]


def test_close_session_fires_for_each_ephemeral_and_once_for_the_parent() -> None:
    pipeline = Pipeline()
    pipeline.create("/q")
    pipeline.create("/q/a", "/q/b", flags=1, session=OTHER)
    watches = WatchManager(nobody)
    for path in ("/q/a", "/q/b"):
        watches.add_data(1, path)
    watches.add_child(1, "/q")
    assert watches.fire(pipeline.write(CloseSession(), OTHER).changes) == [
        (1, DELETED, "/q/a"),
        (1, CHILDREN_CHANGED, "/q"),
        (1, DELETED, "/q/b"),
    ]


def test_a_multi_fires_part_by_part_and_a_failed_one_never() -> None:
    pipeline = Pipeline()
    watches = WatchManager(nobody)
    watches.add_data(1, "/a")
    watches.add_data(1, "/b")
    failed = Multi((Create("/a", b""), Delete("/missing")))
    assert watches.fire(pipeline.write(failed).changes) == []
    done = Multi((Create("/b", b""), Create("/a", b"")))
    assert watches.fire(pipeline.write(done).changes) == [(1, CREATED, "/b"), (1, CREATED, "/a")]


@pytest.mark.parametrize(
    ("op", "missed"),
    [
        # /a: created at 1, data changed at 2. /q: created at 3, a child at 4.
        (SetWatches(2, data=("/a",)), []),
        (SetWatches(1, data=("/a",)), [(DATA_CHANGED, "/a")]),
        (SetWatches(9, data=("/gone",)), [(DELETED, "/gone")]),
        (SetWatches(9, exist=("/a",)), [(CREATED, "/a")]),
        (SetWatches(0, exist=("/gone",)), []),
        (SetWatches(4, child=("/q",)), []),
        (SetWatches(3, child=("/q",)), [(CHILDREN_CHANGED, "/q")]),
        (SetWatches(9, child=("/gone",)), [(DELETED, "/gone")]),
        (
            SetWatches(0, data=("/q", "/gone"), exist=("/a",), child=("/a", "/q")),
            [
                (DATA_CHANGED, "/q"),
                (DELETED, "/gone"),
                (CREATED, "/a"),
                (CHILDREN_CHANGED, "/a"),
                (CHILDREN_CHANGED, "/q"),
            ],
        ),
    ],
)
def test_set_watches_tells_what_was_missed_and_arms_the_rest(
    op: SetWatches, missed: list[tuple[EventType, str]]
) -> None:
    pipeline = Pipeline()
    pipeline.create("/a")
    pipeline.write(SetData("/a", b"x"))
    pipeline.create("/q", "/q/c")
    watches = WatchManager(nobody)
    assert watches.reset(SESSION, op, pipeline.tree) == missed
    assert watches.count == len(op.data) + len(op.exist) + len(op.child) - len(missed)


def test_an_armed_exist_watch_tells_of_the_creation() -> None:
    pipeline = Pipeline()
    watches = WatchManager(nobody)
    watches.reset(1, SetWatches(0, exist=("/a",)), pipeline.tree)
    assert watches.fire(pipeline.write(Create("/a", b"")).changes) == [(1, CREATED, "/a")]


def test_nothing_is_kept_of_paths_that_fired_nor_of_connections_that_are_gone() -> None:
    watches = WatchManager(nobody)
    for connection in range(100):
        watches.add_data(connection, "/a")
        watches.add_child(connection, "/a")
    watches.fire([(DELETED, "/a", OPEN_ACL)])
    for connection in range(100):
        watches.drop(connection)
    for table in (watches._data, watches._child):
        assert not table._paths_by_connection
        assert not table._modes_by_path
