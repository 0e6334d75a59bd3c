"""The watches of a member's connections (ZooKeeper's `WatchManager` and `WatcherModeManager`).

A watch belongs to a connection and dies with it. This module says who is to be told what, and
in which order; it sends nothing, and it never looks at the tree but to set watches again.
Its oddities are those of ZooKeeper 3.8.0, as Debian builds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from nodes.core.acl import READ, check
from nodes.core.paths import ROOT
from nodes.core.requests import OPEN_ACL, Id, SetWatches, WatcherType, WatchMode
from nodes.core.tree import Change, DataTree, EventType

_CHILDREN_CHANGED = EventType.NODE_CHILDREN_CHANGED
_RECURSIVE = WatchMode.PERSISTENT_RECURSIVE


@dataclass(slots=True, frozen=True)
class WatchesSummary:
    """What ZooKeeper's word wchs counts: connections, paths, and pairs of them."""

    connections: int
    paths: int
    watches: int


class _WatchTable:
    """Who watches which path, and how: None is a watch that fires once.

    Invariants: both maps hold the same pairs; no path has an empty value. A connection that once
    watched keeps its place until it is dropped: ZooKeeper's words count it.
    """

    __slots__ = ("_modes_by_path", "_paths_by_connection", "_persistent", "_recursive", "count")

    def __init__(self) -> None:
        self._modes_by_path: dict[str, dict[int, WatchMode | None]] = {}
        self._paths_by_connection: dict[int, dict[str, None]] = {}
        self._persistent = 0
        self._recursive = 0
        self.count = 0

    def add(self, connection: int, path: str, mode: WatchMode | None = None) -> None:
        """Watch; a connection watches a path in one mode, the last one it asked for."""
        modes = self._modes_by_path.setdefault(path, {})
        if connection in modes:
            self._note(modes[connection], -1)
        else:
            self._paths_by_connection.setdefault(connection, {})[path] = None
            self.count += 1
        modes[connection] = mode
        self._note(mode, 1)

    def _note(self, mode: WatchMode | None, by: int) -> None:
        if mode is not None:
            self._persistent += by
            if mode is _RECURSIVE:
                self._recursive += by

    def take(self, event_type: EventType, path: str) -> Iterable[int]:
        """Consume what watches `path` once; the connections, in the order in which they came."""
        if self._persistent:
            return self._take_among_persistent(event_type, path)
        modes = self._modes_by_path.pop(path, None)
        if modes is None:
            return ()
        self.count -= len(modes)
        for connection in modes:
            del self._paths_by_connection[connection][path]
        return modes

    def _take_among_persistent(self, event_type: EventType, path: str) -> Iterable[int]:
        told: dict[int, None] = {}
        for connection, mode in tuple(self._modes_by_path.get(path, {}).items()):
            if mode is _RECURSIVE and event_type is _CHILDREN_CHANGED:
                continue
            told[connection] = None
            if mode is None:
                self.remove(connection, path)
        if self._recursive and event_type is not _CHILDREN_CHANGED:
            for ancestor in _ancestors(path):
                for connection, mode in self._modes_by_path.get(ancestor, {}).items():
                    if mode is _RECURSIVE:
                        told[connection] = None
        return told

    def has(self, path: str) -> bool:
        """Return whether anybody watches `path`, whoever asks: `WatchManager.containsWatcher`."""
        return path in self._modes_by_path

    def remove(self, connection: int, path: str) -> bool:
        """Forget one watch; False if there is none."""
        paths = self._paths_by_connection.get(connection)
        if paths is None or path not in paths:
            return False
        del paths[path]
        self._forget(connection, path)
        return True

    def drop(self, connection: int) -> None:
        for path in self._paths_by_connection.pop(connection, ()):
            self._forget(connection, path)

    def _forget(self, connection: int, path: str) -> None:
        modes = self._modes_by_path[path]
        self._note(modes.pop(connection), -1)
        self.count -= 1
        if not modes:
            del self._modes_by_path[path]

    def summary(self) -> WatchesSummary:
        return WatchesSummary(len(self._paths_by_connection), len(self._modes_by_path), self.count)

    def by_connection(self) -> dict[int, tuple[str, ...]]:
        return {number: tuple(paths) for number, paths in self._paths_by_connection.items()}

    def by_path(self) -> dict[str, tuple[int, ...]]:
        return {path: tuple(modes) for path, modes in self._modes_by_path.items()}


class WatchManager:
    """Invariant: a (connection, path) is at most once in each of the two tables.

    A persistent watch stands in both, each with its mode, so that a standard watch on the same
    path can make one half of it one-shot (ZOOKEEPER-4466). `ids_of` tells who a connection is:
    it hears nothing of a znode that it may not read (CVE-2024-23944).
    """

    __slots__ = ("_child", "_data", "_ids_of")

    def __init__(self, ids_of: Callable[[int], Sequence[Id]]) -> None:
        # Data watches and exist watches, which getData and exists set, fire alike.
        self._data = _WatchTable()
        self._child = _WatchTable()
        self._ids_of = ids_of

    @property
    def count(self) -> int:
        """Watches set, of all kinds; a persistent one counts twice."""
        return self._data.count + self._child.count

    def summary(self) -> WatchesSummary:
        """Count data watches, and those connections that have had one (wchs)."""
        return self._data.summary()

    def by_connection(self) -> dict[int, tuple[str, ...]]:
        """Return the paths of each connection's data watches, of those it had, too (wchc)."""
        return self._data.by_connection()

    def by_path(self) -> dict[str, tuple[int, ...]]:
        """Return who has a data watch on each path (wchp)."""
        return self._data.by_path()

    def add_data(self, connection: int, path: str) -> None:
        """Set a data watch or, on a missing znode, an exist watch."""
        self._data.add(connection, path)

    def add_child(self, connection: int, path: str) -> None:
        """Set a child watch."""
        self._child.add(connection, path)

    def add(self, connection: int, path: str, mode: WatchMode) -> None:
        """Set a watch that stays (addWatch)."""
        self._data.add(connection, path, mode)
        self._child.add(connection, path, mode)

    def has(self, path: str, kind: WatcherType) -> bool:
        """Return whether any connection watches `path` (checkWatches, ZOOKEEPER-4471).

        ValueError for a path without a slash: ZooKeeper stumbles over it while it looks for the
        parents, and finds nothing at all for an empty one.
        """
        if path and "/" not in path:
            raise ValueError(f"{path} has no parent")
        return path != "" and any(table.has(path) for table in self._tables(kind))

    def remove(self, connection: int, path: str, kind: WatcherType) -> bool:
        """Forget a connection's watches on `path`; False if it has none (removeWatches)."""
        removed = [table.remove(connection, path) for table in self._tables(kind)]
        return any(removed)

    def _tables(self, kind: WatcherType) -> tuple[_WatchTable, ...]:
        match kind:
            case WatcherType.CHILDREN:
                return (self._child,)
            case WatcherType.DATA:
                return (self._data,)
            case WatcherType.ANY:
                return (self._child, self._data)
            case _:
                assert_never(kind)

    def drop(self, connection: int) -> None:
        """Forget every watch of a connection that is gone."""
        self._data.drop(connection)
        self._child.drop(connection)

    def fire(self, changes: Iterable[Change]) -> list[tuple[int, EventType, str]]:
        """Consume the watches that `changes` trigger; (connection, type, path) in firing order.

        A watch of a connection that may not read the znode is consumed in silence.
        """
        fired: list[tuple[int, EventType, str]] = []
        if not self.count:
            return fired
        for event_type, path, acl in changes:
            match event_type:
                case EventType.NODE_CREATED | EventType.NODE_DATA_CHANGED:
                    told = self._data.take(event_type, path)
                case EventType.NODE_CHILDREN_CHANGED:
                    told = self._child.take(event_type, path)
                case EventType.NODE_DELETED:
                    # A connection with both watches is told once; a dict, to keep the order.
                    told = dict.fromkeys(self._data.take(event_type, path))
                    told |= dict.fromkeys(self._child.take(event_type, path))
                case _:
                    assert_never(event_type)
            for connection in told:
                if acl is OPEN_ACL or check(acl, READ, self._ids_of(connection)):
                    fired.append((connection, event_type, path))
        return fired

    def reset(self, connection: int, op: SetWatches, tree: DataTree) -> list[tuple[EventType, str]]:
        """Set watches again after a reconnect (`DataTree.setWatches`).

        Returns what the connection missed since `op.relative_zxid`, to be told before the reply,
        whether it may read the znode or not; a watch that missed nothing is armed. Persistent
        ones are armed and tell nothing of the past.
        """
        missed: list[tuple[EventType, str]] = []
        since = op.relative_zxid
        for path in op.data:
            znode = tree.find(path)
            if znode is None:
                missed.append((EventType.NODE_DELETED, path))
            elif znode.mzxid > since:
                missed.append((EventType.NODE_DATA_CHANGED, path))
            else:
                self._data.add(connection, path)
        for path in op.exist:
            if tree.find(path) is not None:
                missed.append((EventType.NODE_CREATED, path))
            else:
                self._data.add(connection, path)
        for path in op.child:
            znode = tree.find(path)
            if znode is None:
                missed.append((EventType.NODE_DELETED, path))
            elif znode.pzxid > since:
                missed.append((EventType.NODE_CHILDREN_CHANGED, path))
            else:
                self._child.add(connection, path)
        for path in op.persistent:
            self.add(connection, path, WatchMode.PERSISTENT)
        for path in op.persistent_recursive:
            self.add(connection, path, WatchMode.PERSISTENT_RECURSIVE)
        return missed


def _ancestors(path: str) -> Iterator[str]:
    while path != ROOT:
        path = path[: path.rfind("/")] or ROOT
        yield path
