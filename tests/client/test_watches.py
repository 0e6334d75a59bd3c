"""The client's own list of its watches: which event finds whom, and what is set again."""

from __future__ import annotations

import pytest

from client.ops import (
    AddWatch,
    CheckWatches,
    Exists,
    GetChildren,
    GetData,
    RemoveWatches,
    SetWatches,
    WatcherType,
    WatchEvent,
    WatchMode,
)
from client.watches import Watches

CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4
DATA_REMOVED, CHILD_REMOVED, PERSISTENT_REMOVED = 5, 6, 7
PERSISTENT, RECURSIVE = WatchMode.PERSISTENT, WatchMode.PERSISTENT_RECURSIVE


def full() -> Watches:
    """One watcher of each kind on /a."""
    watches = Watches()
    watches.register(GetData("/a", True), 0, "data")
    watches.register(Exists("/a", True), -101, "exist")
    watches.register(GetChildren("/a", True), 0, "child")
    watches.register(AddWatch("/a", PERSISTENT), 0, "persistent")
    watches.register(AddWatch("/a", RECURSIVE), 0, "recursive")
    return watches


@pytest.mark.parametrize(
    ("event_type", "path", "first", "second"),
    [
        (CREATED, "/a", "data exist persistent recursive", "persistent recursive"),
        (DATA_CHANGED, "/a", "data exist persistent recursive", "persistent recursive"),
        (DELETED, "/a", "data exist child persistent recursive", "persistent recursive"),
        (CHILDREN_CHANGED, "/a", "child persistent", "persistent"),
        (CREATED, "/a/b/c", "recursive", "recursive"),
        (DELETED, "/a/b", "recursive", "recursive"),
        (CHILDREN_CHANGED, "/a/b", "", ""),
        (CREATED, "/ab", "", ""),
        (CREATED, "/", "", ""),
    ],
)
def test_persistent_watchers_hear_again(
    event_type: int, path: str, first: str, second: str
) -> None:
    watches = full()
    assert watches.consume(event_type, path) == tuple(first.split())
    assert watches.consume(event_type, path) == tuple(second.split())


def test_a_watcher_of_everything_hears_everything_once() -> None:
    watches = Watches()
    for path in ("/", "/a", "/a/b"):
        watches.register(AddWatch(path, RECURSIVE), 0, "same")
    watches.register(AddWatch("/a/b", PERSISTENT), 0, "same")
    assert watches.consume(CREATED, "/a/b") == ("same",)


def test_a_watch_that_was_refused_is_not_kept() -> None:
    watches = Watches()
    watches.register(AddWatch("/a", PERSISTENT), -5, "w")
    assert len(watches) == 0


def test_persistent_watches_are_set_again_with_their_mode() -> None:
    watches = full()
    watches.consume(DELETED, "/a")
    watches.register(AddWatch("/b", PERSISTENT), 0, "w")
    assert list(watches.set_watches(5)) == [
        SetWatches(5, (), (), (), persistent=("/a", "/b"), persistent_recursive=("/a",))
    ]


def test_set_watches_is_split_by_size_whatever_the_kind() -> None:
    watches = Watches()
    for index in range(1000):
        watches.register(GetData(f"/{index:0200d}", True), 0, "w")
        watches.register(AddWatch(f"/{index:0200d}", RECURSIVE), 0, "w")
    batches = list(watches.set_watches(5))
    assert len(batches) == 4
    assert sum(len(batch.data) for batch in batches) == 1000
    recursive = [path for batch in batches for path in batch.persistent_recursive]
    assert recursive == [f"/{index:0200d}" for index in range(1000)]


@pytest.mark.parametrize(
    ("kind", "removed", "left"),
    [
        (WatcherType.DATA, [("data exist", DATA_REMOVED)], "child persistent recursive"),
        (WatcherType.CHILDREN, [("child", CHILD_REMOVED)], "data exist persistent recursive"),
        (
            WatcherType.ANY,
            [
                ("child", CHILD_REMOVED),
                ("data exist", DATA_REMOVED),
                ("persistent recursive", PERSISTENT_REMOVED),
            ],
            "",
        ),
    ],
)
def test_all_watchers_of_a_type_are_forgotten_and_told(
    kind: WatcherType, removed: list[tuple[str, int]], left: str
) -> None:
    watches = full()
    assert watches.forget(RemoveWatches("/a", kind), None) == [
        (tuple(names.split()), WatchEvent(event_type, "/a")) for names, event_type in removed
    ]
    assert watches.consume(DELETED, "/a") == tuple(left.split())


def test_one_watcher_is_forgotten_and_the_others_stay() -> None:
    watches = Watches()
    for watcher in ("one", "other"):
        watches.register(AddWatch("/a", PERSISTENT), 0, watcher)
        watches.register(GetData("/a", True), 0, watcher)
    assert watches.forget(CheckWatches("/a"), "one") == [
        (("one",), WatchEvent(DATA_REMOVED, "/a")),
        (("one",), WatchEvent(PERSISTENT_REMOVED, "/a")),
    ]
    assert watches.forget(CheckWatches("/a"), "one") == []
    assert watches.consume(DATA_CHANGED, "/a") == ("other",)


def test_nothing_is_left_of_a_path_without_watchers() -> None:
    watches = full()
    watches.forget(RemoveWatches("/a"), None)
    assert len(watches) == 0
    assert list(watches.set_watches(5)) == []
