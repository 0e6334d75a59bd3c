"""Watches that stay, and how one connection's watches on one path get into each other's way.

The oddities are ZooKeeper 3.8.0's: ZOOKEEPER-4466, ZOOKEEPER-4471.
"""

from __future__ import annotations

import pytest

from nodes.core.acl import READ, WRITE, digest_id
from nodes.core.requests import (
    OPEN_ACL,
    Acl,
    Create,
    Delete,
    Id,
    Multi,
    SetAcl,
    SetData,
    SetWatches,
    WatcherType,
    WatchMode,
    Write,
)
from nodes.core.tree import EventType
from nodes.core.watches import WatchesSummary, WatchManager

from .pipeline import Pipeline

CREATED = EventType.NODE_CREATED
DELETED = EventType.NODE_DELETED
DATA_CHANGED = EventType.NODE_DATA_CHANGED
CHILDREN_CHANGED = EventType.NODE_CHILDREN_CHANGED
PERSISTENT = WatchMode.PERSISTENT
RECURSIVE = WatchMode.PERSISTENT_RECURSIVE

FRIEND = Id("digest", digest_id("friend:secret"))
STRANGER, KNOWN = 1, 2


def ids_of(connection: int) -> tuple[Id, ...]:
    return (FRIEND,) if connection == KNOWN else ()


Told = list[tuple[EventType, str]]


def told(watches: WatchManager, pipeline: Pipeline, *ops: Write, connection: int = 1) -> Told:
    """What one connection is told of these writes, in order."""
    fired = [
        event for op in ops for event in watches.fire(pipeline.write(op, ids=(FRIEND,)).changes)
    ]
    return [(event_type, path) for number, event_type, path in fired if number == connection]


LIFE_OF_P = (
    Create("/p", b""),
    SetData("/p", b"x"),
    Create("/p/c", b""),
    SetData("/p/c", b"x"),
    Create("/p/c/d", b""),
    Delete("/p/c/d"),
    Delete("/p/c"),
    Delete("/p"),
)


def test_a_persistent_watch_stays_and_tells_of_the_path_and_its_children() -> None:
    watches = WatchManager(ids_of)
    watches.add(1, "/p", PERSISTENT)
    once = [
        (CREATED, "/p"),
        (DATA_CHANGED, "/p"),
        (CHILDREN_CHANGED, "/p"),
        (CHILDREN_CHANGED, "/p"),
        (DELETED, "/p"),
    ]
    assert told(watches, Pipeline(), *LIFE_OF_P, *LIFE_OF_P) == once + once


def test_a_recursive_watch_tells_of_everything_below_but_never_of_children() -> None:
    watches = WatchManager(ids_of)
    watches.add(1, "/p", RECURSIVE)
    once = [
        (CREATED, "/p"),
        (DATA_CHANGED, "/p"),
        (CREATED, "/p/c"),
        (DATA_CHANGED, "/p/c"),
        (CREATED, "/p/c/d"),
        (DELETED, "/p/c/d"),
        (DELETED, "/p/c"),
        (DELETED, "/p"),
    ]
    assert told(watches, Pipeline(), *LIFE_OF_P, *LIFE_OF_P) == once + once


def test_a_recursive_watch_on_the_root_sees_everything() -> None:
    watches = WatchManager(ids_of)
    watches.add(1, "/", RECURSIVE)
    ops = (Create("/a", b""), Create("/a/b", b""), SetData("/", b"x"))
    assert told(watches, Pipeline(), *ops) == [
        (CREATED, "/a"),
        (CREATED, "/a/b"),
        (DATA_CHANGED, "/"),
    ]


def test_a_path_that_only_begins_alike_is_not_below() -> None:
    watches = WatchManager(ids_of)
    watches.add(1, "/a", RECURSIVE)
    assert told(watches, Pipeline(), Create("/ab", b"")) == []


def test_a_connection_is_told_once_however_many_of_its_watches_fit() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    pipeline.create("/a", "/a/b")
    for path, mode in (("/", RECURSIVE), ("/a", RECURSIVE), ("/a/b", PERSISTENT)):
        watches.add(1, path, mode)
    assert told(watches, pipeline, SetData("/a/b", b"x"), Delete("/a/b")) == [
        (DATA_CHANGED, "/a/b"),
        (DELETED, "/a/b"),
    ]


def test_the_last_mode_asked_for_counts() -> None:
    watches = WatchManager(ids_of)
    watches.add(1, "/p", RECURSIVE)
    watches.add(1, "/p", PERSISTENT)
    assert watches.count == 2
    assert told(watches, Pipeline(), *LIFE_OF_P[:3]) == [
        (CREATED, "/p"),
        (DATA_CHANGED, "/p"),
        (CHILDREN_CHANGED, "/p"),
    ]
    watches.add(1, "/p", RECURSIVE)
    assert told(watches, Pipeline(), *LIFE_OF_P[:3])[2:] == [(CREATED, "/p/c")]


def test_a_standard_watch_makes_its_half_of_a_persistent_one_one_shot() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    pipeline.create("/p")
    watches.add(1, "/p", PERSISTENT)
    watches.add_data(1, "/p")
    assert watches.count == 2
    change = SetData("/p", b"x")
    assert told(watches, pipeline, change, change) == [(DATA_CHANGED, "/p")]
    birth = (Create("/p/c", b""), Delete("/p/c"))
    assert told(watches, pipeline, *birth) == [(CHILDREN_CHANGED, "/p")] * 2


def test_what_is_left_of_a_recursive_watch_tells_of_deletes_below() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    pipeline.create("/p")
    watches.add(1, "/p", RECURSIVE)
    watches.add_data(1, "/p")
    birth = (SetData("/p", b"x"), Create("/p/c", b""), SetData("/p/c", b"x"), Delete("/p/c"))
    assert told(watches, pipeline, *birth) == [(DATA_CHANGED, "/p"), (DELETED, "/p/c")]


def test_one_shot_watches_of_others_are_consumed_beside_a_persistent_one() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    watches.add_data(2, "/p")
    watches.add(1, "/p", PERSISTENT)
    fired = watches.fire(pipeline.write(Create("/p", b"")).changes)
    assert fired == [(2, CREATED, "/p"), (1, CREATED, "/p")]
    assert watches.fire(pipeline.write(SetData("/p", b"x")).changes) == [(1, DATA_CHANGED, "/p")]


@pytest.mark.parametrize(
    ("kind", "still"),
    [
        (WatcherType.ANY, []),
        (WatcherType.DATA, [(CHILDREN_CHANGED, "/p")]),
        (WatcherType.CHILDREN, [(DATA_CHANGED, "/p")]),
    ],
)
def test_remove_takes_the_half_that_is_named(kind: WatcherType, still: Told) -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    pipeline.create("/p")
    watches.add(1, "/p", PERSISTENT)
    assert watches.remove(1, "/p", kind)
    assert not watches.remove(1, "/p", kind)
    assert told(watches, pipeline, SetData("/p", b"x"), Create("/p/c", b"")) == still


def test_remove_takes_one_shot_watches_too_but_only_the_connection_s_own() -> None:
    watches = WatchManager(ids_of)
    watches.add_data(1, "/p")
    watches.add_child(2, "/p")
    assert not watches.remove(2, "/p", WatcherType.DATA)
    assert not watches.remove(1, "/q", WatcherType.ANY)
    assert watches.remove(1, "/p", WatcherType.ANY)
    assert watches.count == 1


def test_check_is_content_with_the_watch_of_another_connection() -> None:
    watches = WatchManager(ids_of)
    watches.add_data(1, "/p")
    watches.add_child(2, "/q")
    assert watches.has("/p", WatcherType.DATA)
    assert watches.has("/q", WatcherType.CHILDREN)
    assert watches.has("/q", WatcherType.ANY)
    assert not watches.has("/p", WatcherType.CHILDREN)
    watches.add(3, "/r", RECURSIVE)
    assert not watches.has("/r/below", WatcherType.ANY)
    watches.drop(1)
    assert not watches.has("/p", WatcherType.ANY)


def test_a_dropped_connection_hears_no_more() -> None:
    watches = WatchManager(ids_of)
    watches.add(1, "/p", RECURSIVE)
    watches.add(2, "/p", PERSISTENT)
    watches.drop(1)
    assert watches.count == 2
    assert told(watches, Pipeline(), *LIFE_OF_P) == []
    watches.drop(2)
    assert watches.count == 0


def test_set_watches_arms_persistent_ones_without_telling_the_past() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    pipeline.create("/p")
    op = SetWatches(0, (), (), (), persistent=("/p", "/q"), persistent_recursive=("/r", "/p"))
    assert watches.reset(1, op, pipeline.tree) == []
    assert told(watches, pipeline, Create("/q", b""), Create("/p/c", b"")) == [
        (CREATED, "/q"),
        (CREATED, "/p/c"),
    ]


PRIVATE = (Acl(READ | WRITE, FRIEND),)


def test_news_of_a_znode_reach_those_alone_who_may_read_it() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    for connection in (STRANGER, KNOWN):
        watches.add_data(connection, "/p")
        watches.add_child(connection, "/")
    birth = pipeline.write(Create("/p", b"", acl=PRIVATE))
    assert watches.fire(birth.changes) == [
        (KNOWN, CREATED, "/p"),
        # The list of names belongs to the parent, which is open.
        (STRANGER, CHILDREN_CHANGED, "/"),
        (KNOWN, CHILDREN_CHANGED, "/"),
    ]
    # Consumed, all the same.
    assert watches.count == 0


def test_a_persistent_watch_without_permission_lives_in_silence_until_it_has_it() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    watches.add(STRANGER, "/p", RECURSIVE)
    admin = (Acl(31, FRIEND),)
    born = (Create("/p", b"", acl=admin), Create("/p/open", b""))
    assert told(watches, pipeline, born[0], connection=STRANGER) == []
    assert told(
        watches, pipeline, born[1], SetAcl("/p", OPEN_ACL), SetData("/p", b"x"), connection=STRANGER
    ) == [(CREATED, "/p/open"), (DATA_CHANGED, "/p")]


def test_the_end_of_a_znode_is_told_by_the_list_that_it_had() -> None:
    watches = WatchManager(ids_of)
    pipeline = Pipeline()
    pipeline.write(Create("/p", b"", acl=PRIVATE))
    for connection in (STRANGER, KNOWN):
        watches.add_data(connection, "/p")
    reborn = Multi((Delete("/p"), Create("/p", b"")))
    fired = watches.fire(pipeline.write(reborn).changes)
    assert fired == [(KNOWN, DELETED, "/p")]


def test_the_counts_of_the_words() -> None:
    watches = WatchManager(ids_of)
    watches.add_data(1, "/a")
    watches.add_data(1, "/b")
    watches.add_data(2, "/a")
    watches.add_child(3, "/a")
    assert watches.count == 4
    assert watches.summary() == WatchesSummary(connections=2, paths=2, watches=3)
    assert watches.by_connection() == {1: ("/a", "/b"), 2: ("/a",)}
    assert watches.by_path() == {"/a": (1, 2), "/b": (1,)}
    pipeline = Pipeline()
    watches.fire(pipeline.write(Create("/a", b"")).changes)
    # As in ZooKeeper, a connection that has had a watch is counted until it is gone.
    assert watches.summary() == WatchesSummary(connections=2, paths=1, watches=1)
    assert watches.by_connection() == {1: ("/b",), 2: ()}
    watches.drop(2)
    assert watches.summary().connections == 1
