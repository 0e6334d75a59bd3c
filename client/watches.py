"""A client's own list of the watches it has set, so that events find their watchers.

Owns the tables of ZooKeeper's `ZKWatchManager` (data, exist, child, persistent, persistent
recursive) and what each event consumes. Calls nobody: it hands watchers back to whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from client.ops import (
    AddWatch,
    CheckWatches,
    Exists,
    GetChildren,
    GetData,
    Op,
    RemoveWatches,
    SetWatches,
    WatcherType,
    WatchEvent,
    WatchMode,
)

_OK = 0
_NO_NODE = -101
# ClientCnxn splits its SetWatches at this size, lest it outgrow what a member accepts.
_SET_WATCHES_BYTES = 128 * 1024

# Dicts serve as ordered sets: watchers fire in the order in which they were set.
_Table = dict[str, dict[Any, None]]


class EventType(IntEnum):
    """ZooKeeper's types of a znode's event; the last three are told by the client itself."""

    NODE_CREATED = 1
    NODE_DELETED = 2
    NODE_DATA_CHANGED = 3
    NODE_CHILDREN_CHANGED = 4
    DATA_WATCH_REMOVED = 5
    CHILD_WATCH_REMOVED = 6
    PERSISTENT_WATCH_REMOVED = 7


class Watches:
    """Watchers by table and path. A watcher stands in a table at most once per path."""

    def __init__(self) -> None:
        self._data: _Table = {}
        self._exist: _Table = {}
        self._child: _Table = {}
        self._persistent: _Table = {}
        self._recursive: _Table = {}
        # In the order of the fields of SetWatches.
        self._tables = (self._data, self._exist, self._child, self._persistent, self._recursive)

    def __len__(self) -> int:
        """Return how many paths are watched, once per table."""
        return sum(map(len, self._tables))

    def register(self, op: Op, error: int, watcher: Any) -> None:
        """Remember the watch that `op` has set, given the error code of its reply."""
        match op:
            case GetData() if error == _OK:
                table = self._data
            case Exists() if error == _OK:
                # The znode is there, so what the member armed is a data watch.
                table = self._data
            case Exists() if error == _NO_NODE:
                table = self._exist
            case GetChildren() if error == _OK:
                table = self._child
            case AddWatch() if error == _OK:
                is_recursive = op.mode is WatchMode.PERSISTENT_RECURSIVE
                table = self._recursive if is_recursive else self._persistent
            case _:
                return
        table.setdefault(op.path, {})[watcher] = None

    def consume(self, event_type: int, path: str) -> tuple[Any, ...]:
        """Return the watchers of an event, each once, and forget those that fire but once."""
        tables: tuple[_Table, ...]
        match event_type:
            case EventType.NODE_CREATED | EventType.NODE_DATA_CHANGED:
                tables = (self._data, self._exist)
            case EventType.NODE_CHILDREN_CHANGED:
                tables = (self._child,)
            case EventType.NODE_DELETED:
                tables = (self._data, self._exist, self._child)
            case _:
                return ()
        watchers: dict[Any, None] = {}
        for table in tables:
            watchers |= table.pop(path, {})
        if self._persistent:
            watchers |= self._persistent.get(path, {})
        if self._recursive and event_type != EventType.NODE_CHILDREN_CHANGED:
            for watched in _path_and_ancestors(path):
                watchers |= self._recursive.get(watched, {})
        return tuple(watchers)

    def forget(self, op: CheckWatches | RemoveWatches, watcher: Any) -> list[_Removed]:
        """Forget the watchers that `op` names, all of its path's if `watcher` is None.

        Returns who is to be told that they watch no more, and with which event.
        """
        removed: list[_Removed] = []
        for event_type, tables in self._named_by(op.type):
            gone: dict[Any, None] = {}
            for table in tables:
                gone |= _take(table, op.path, watcher)
            if gone:
                removed.append((tuple(gone), WatchEvent(event_type, op.path)))
        return removed

    def _named_by(self, kind: WatcherType) -> Iterator[tuple[EventType, tuple[_Table, ...]]]:
        if kind in (WatcherType.CHILDREN, WatcherType.ANY):
            yield EventType.CHILD_WATCH_REMOVED, (self._child,)
        if kind in (WatcherType.DATA, WatcherType.ANY):
            yield EventType.DATA_WATCH_REMOVED, (self._data, self._exist)
        if kind is WatcherType.ANY:
            yield EventType.PERSISTENT_WATCH_REMOVED, (self._persistent, self._recursive)

    def clear(self) -> None:
        """Forget everything: the session is over."""
        for table in self._tables:
            table.clear()

    def set_watches(self, relative_zxid: int) -> Iterator[SetWatches]:
        """Yield the requests that set every watch again after a reconnect."""
        batch: tuple[list[str], ...] = tuple([] for _ in self._tables)
        size = 0
        for paths, table in zip(batch, self._tables, strict=True):
            for path in table:
                paths.append(path)
                size += len(path)
                if size >= _SET_WATCHES_BYTES:
                    yield SetWatches(relative_zxid, *map(tuple, batch))
                    for sent in batch:
                        sent.clear()
                    size = 0
        if size:
            yield SetWatches(relative_zxid, *map(tuple, batch))


_Removed = tuple[tuple[Any, ...], WatchEvent]


def _take(table: _Table, path: str, watcher: Any) -> dict[Any, None]:
    watchers = table.get(path, {})
    if watcher is None:
        return table.pop(path, {})
    if watcher not in watchers:
        return {}
    del watchers[watcher]
    if not watchers:
        del table[path]
    return {watcher: None}


def _path_and_ancestors(path: str) -> Iterator[str]:
    yield path
    while path != "/":
        path = path[: path.rfind("/")] or "/"
        yield path
