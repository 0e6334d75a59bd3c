"""When the leader deletes containers and TTL znodes (ZooKeeper's `ContainerManager`).

Names those whose time has come, from time to time and not too many at once. Deleting one is a
transaction like any other, and may be refused: a child may be on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nodes.core.context import Context
from nodes.core.tree import DataTree
from nodes.core.txns import CONTAINER_TTL


class ContainerManager:
    """Invariant: a check looks at all only when nobody of the one before is left in `_due`."""

    def __init__(self, context: Context, tree: DataTree, submit: Callable[[str], None]) -> None:
        """The first check comes an interval from now; `submit` asks for the end of a path."""
        self._context = context
        self._tree = tree
        self._submit = submit
        self._due: deque[str] = deque()
        self._interval_ms = context.config.container_check_interval_ms
        self._next_check = context.now_ms + self._interval_ms
        self._next_submit = 0.0

    def deadline(self) -> float:
        """The instant of the next check, or of the next candidate of the last one."""
        return self._next_submit if self._due else self._next_check

    def run(self) -> None:
        """Look for candidates if it is time; submit one, and leave a while before the next."""
        now_ms = self._context.now_ms
        if not self._due:
            if self._next_check > now_ms:
                return
            self._next_check = now_ms + self._interval_ms
            self._due.extend(filter(self._is_due, self._tree.containers))
        elif self._next_submit > now_ms:
            return
        if self._due:
            path = self._due.popleft()
            self._next_submit = now_ms + 60_000 / self._context.config.container_max_per_minute
            self._context.trace("container_due", path=path)
            self._submit(path)

    def _is_due(self, path: str) -> bool:
        znode, ttl_ms = self._tree.find(path), self._tree.containers[path]
        if znode is None or znode.children:
            return False
        idle_ms = self._context.wall_ms - znode.mtime
        if ttl_ms != CONTAINER_TTL:
            return idle_ms > ttl_ms
        return znode.cversion > 0 or self._was_never_used(idle_ms)

    def _was_never_used(self, idle_ms: int) -> bool:
        """A container that never had a child stays, or whoever made it could not put one in."""
        limit_ms = self._context.config.container_max_never_used_interval_ms
        return 0 < limit_ms < idle_ms
