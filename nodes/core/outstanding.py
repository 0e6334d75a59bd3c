"""The changes that are proposed but not applied (ZooKeeper's `outstandingChanges`).

What a znode will be once everything outstanding is applied, and which ephemerals are on their way.
Validates nothing, and never changes the tree.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nodes.core.acl import AclList
from nodes.core.requests import OPEN_ACL
from nodes.core.tree import DataTree

_DELETED = -1


@dataclass(slots=True, eq=False)
class ChangeRecord:
    """What a znode will be once the transaction `zxid` is applied. 0: what it is in the tree.

    `child_count` is _DELETED when there will be none, and then the other fields say nothing
    except `ephemeral_owner`, which is 0.
    """

    zxid: int
    path: str
    version: int
    cversion: int
    child_count: int
    ephemeral_owner: int
    acl: AclList = OPEN_ACL
    aversion: int = 0
    ttl_ms: int = 0


class OutstandingChanges:
    """Invariants: zxids in `_outstanding` never fall; `_by_path` holds the newest record of each
    path; a path is in `_pending_ephemerals[session]` while its newest record is alive and was
    made by an outstanding create of that session (and possibly a little longer).
    """

    __slots__ = ("_by_path", "_outstanding", "_pending_ephemerals", "_tree", "_undo")

    def __init__(self, tree: DataTree) -> None:
        self._tree = tree
        self._outstanding: deque[ChangeRecord] = deque()
        self._by_path: dict[str, ChangeRecord] = {}
        self._pending_ephemerals: dict[int, dict[str, None]] = {}
        # While a multi is prepared: what each of its records replaced.
        self._undo: list[tuple[str, ChangeRecord | None]] | None = None

    def applied(self, zxid: int) -> None:
        """Drop the records that the tree has caught up with: those of `zxid` and before."""
        outstanding = self._outstanding
        by_path = self._by_path
        while outstanding and outstanding[0].zxid <= zxid:
            record = outstanding.popleft()
            path = record.path
            if by_path[path] is record:
                del by_path[path]
            if record.ephemeral_owner:
                self._forget_pending(record)

    def find(self, path: str) -> ChangeRecord | None:
        """Return what is at `path` behind all outstanding changes (`getRecordForPath`)."""
        record = self._by_path.get(path)
        if record is not None:
            return None if record.child_count == _DELETED else record
        node = self._tree.find(path)
        if node is None:
            return None
        return ChangeRecord(
            0,
            path,
            node.version,
            node.cversion,
            len(node.children),
            node.ephemeral_owner,
            node.acl,
            node.aversion,
            self._tree.containers.get(path, 0),
        )

    def exists(self, path: str) -> bool:
        """Whether there is something at `path` behind all outstanding changes."""
        record = self._by_path.get(path)
        if record is not None:
            return record.child_count != _DELETED
        return self._tree.find(path) is not None

    def changed(self, record: ChangeRecord, zxid: int) -> ChangeRecord:
        """Return the record to be changed by `zxid`: a copy, unless it was just read off the tree.

        Older records stay as they are: a multi that fails brings them back.
        """
        if record.zxid:
            record = ChangeRecord(
                zxid,
                record.path,
                record.version,
                record.cversion,
                record.child_count,
                record.ephemeral_owner,
                record.acl,
                record.aversion,
                record.ttl_ms,
            )
        else:
            record.zxid = zxid
        self._append(record)
        return record

    def deleted(self, path: str, zxid: int) -> None:
        """`zxid` deletes `path`; its parent is another record's matter."""
        self._append(ChangeRecord(zxid, path, 0, 0, _DELETED, 0))

    def created(self, record: ChangeRecord) -> None:
        """`record.zxid` creates a znode."""
        owner = record.ephemeral_owner
        if owner:
            self._pending_ephemerals.setdefault(owner, {})[record.path] = None
        self._append(record)

    def ephemerals_of(self, session_id: int) -> list[str]:
        """Return the paths that the session will own behind all outstanding changes."""
        owned = self._tree.ephemerals.get(session_id, {})
        pending = self._pending_ephemerals.get(session_id)
        candidates = {**owned, **pending} if pending else owned
        paths: list[str] = []
        for path in candidates:
            record = self._by_path.get(path)
            # A pending delete, or a new znode of another owner behind it: not this session's.
            if record is None or record.ephemeral_owner == session_id:
                paths.append(path)
        return paths

    # A multi is all or nothing.

    def begin_multi(self) -> None:
        """Remember what the changes from here on replace."""
        self._undo = []

    def end_multi(self) -> None:
        """They stay."""
        self._undo = None

    def _append(self, record: ChangeRecord) -> None:
        path = record.path
        if self._undo is not None:
            self._undo.append((path, self._by_path.get(path)))
        self._by_path[path] = record
        self._outstanding.append(record)

    def roll_back_multi(self) -> None:
        """Take back the records of a multi that failed, parents included (ZOOKEEPER-1624)."""
        undo, self._undo = self._undo or [], None
        taken_back: list[ChangeRecord] = []
        for path, replaced in reversed(undo):
            taken_back.append(self._outstanding.pop())
            if replaced is None:
                del self._by_path[path]
            else:
                self._by_path[path] = replaced
        # Only now: halfway, the multi's own delete would hide the create that it took back to.
        for record in taken_back:
            if record.ephemeral_owner:
                self._forget_pending(record)

    def _forget_pending(self, record: ChangeRecord) -> None:
        """Forget a pending ephemeral once no newer record says that its session owns the path."""
        owner = record.ephemeral_owner
        path = record.path
        newest = self._by_path.get(path)
        if newest is not None and newest.ephemeral_owner == owner:
            return
        paths = self._pending_ephemerals.get(owner)
        if paths is not None:
            paths.pop(path, None)
            if not paths:
                del self._pending_ephemerals[owner]
