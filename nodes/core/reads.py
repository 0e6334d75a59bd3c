"""What a serving member answers from its own tree (`FinalRequestProcessor` for what changes
nothing), watches included.

Says what the answer is; whose turn it is and who is told is the server's. Checks no session.
"""

from __future__ import annotations

from typing import assert_never

from nodes.core import acl
from nodes.core.commit import ClientRequest, Connection
from nodes.core.context import Context
from nodes.core.effects import Notify
from nodes.core.errors import ErrorCode
from nodes.core.paths import ROOT
from nodes.core.replica import Replica
from nodes.core.requests import (
    OPEN_ACL,
    AclResult,
    AddWatch,
    CheckWatches,
    ChildrenResult,
    DataResult,
    ErrorResult,
    Exists,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    Id,
    IdsResult,
    Malformed,
    MultiRead,
    MultiResult,
    NumberResult,
    PathsResult,
    Ping,
    Read,
    RemoveWatches,
    Result,
    SetWatches,
    StatResult,
    WatcherType,
    WatchMode,
    WhoAmI,
)
from nodes.core.watches import WatchManager
from nodes.core.znode import Znode

Answer = tuple[ErrorCode, Result]

_WITH_STAT = DataResult | StatResult | ChildrenResult

_OK = ErrorCode.OK
_NO_NODE = ErrorCode.NO_NODE
_NO_AUTH = ErrorCode.NO_AUTH
# One request may ask for a large znode tens of thousands of times. No client takes such an
# answer, no frame could hold it, and the member's memory might not either.
_MAX_MULTI_READ_BYTES = 16 << 20
# Of a name in a list of children, beside its characters.
_NAME_BYTES = 4


class Reads:
    """Invariant: changes nothing but `_watches`; each answer is of one state of the tree."""

    def __init__(self, context: Context, replica: Replica, watches: WatchManager) -> None:
        self._context = context
        self._replica = replica
        self._watches = watches

    def answer(self, connection: Connection, op: Read) -> Answer:
        """Return error and result of a read; set the watch that it asks for."""
        match op:
            case GetData():
                return self._get_data(connection, op)
            case Exists():
                return self._exists(connection, op)
            case GetChildren():
                return self._get_children(connection, op)
            case Ping():
                return _OK, None
            case SetWatches() | AddWatch() | CheckWatches() | RemoveWatches():
                return self._watch(connection, op)
            case MultiRead():
                return self._multi_read(connection, op)
            case GetAcl():
                return self._get_acl(connection, op)
            case GetEphemerals():
                return _OK, self._get_ephemerals(connection, op)
            case GetAllChildrenNumber():
                return self._get_all_children_number(connection, op)
            case WhoAmI():
                ids = tuple(Id(who.scheme, acl.user_name(who)) for who in connection.ids)
                return _OK, IdsResult(ids)
            case Malformed():
                return op.error, None
            case _:
                assert_never(op)

    def trace(self, request: ClientRequest, result: Result) -> None:
        """Tell what a read of one znode showed: whether it was there, whose it was, as of when."""
        op = request.op
        if isinstance(op, GetData | Exists | GetChildren):
            stat = result.stat if isinstance(result, _WITH_STAT) else None
            self._context.trace(
                "read_served",
                session_id=request.session_id,
                xid=request.cxid,
                path=op.path,
                zxid=self._replica.last_zxid,
                is_there=stat is not None,
                ephemeral_owner=stat.ephemeral_owner if stat is not None else 0,
            )

    def _readable(self, connection: Connection, path: str, perm: int) -> Znode | ErrorCode:
        znode = self._replica.tree.find(path)
        if znode is None:
            return _NO_NODE
        if znode.acl is not OPEN_ACL and not acl.check(znode.acl, perm, connection.ids):
            return _NO_AUTH
        return znode

    def _get_data(self, connection: Connection, op: GetData) -> Answer:
        znode = self._readable(connection, op.path, acl.READ)
        if not isinstance(znode, Znode):
            return znode, None
        if op.watch:
            self._watches.add_data(connection.id, op.path)
        return _OK, DataResult(znode.data, znode.stat())

    def _exists(self, connection: Connection, op: Exists) -> Answer:
        """No access list guards it in ZooKeeper 3.8.0 (ZOOKEEPER-2590)."""
        znode = self._replica.tree.find(op.path)
        if "\0" in op.path:
            return ErrorCode.BAD_ARGUMENTS, None
        if op.watch:
            self._watches.add_data(connection.id, op.path)
        if znode is None:
            return _NO_NODE, None
        return _OK, StatResult(znode.stat())

    def _get_children(self, connection: Connection, op: GetChildren) -> Answer:
        znode = self._readable(connection, op.path, acl.READ)
        if not isinstance(znode, Znode):
            return znode, None
        if op.watch:
            self._watches.add_child(connection.id, op.path)
        return _OK, ChildrenResult(tuple(znode.children), znode.stat())

    def _multi_read(self, connection: Connection, op: MultiRead) -> Answer:
        """Each on its own; the watches they ask for are not set, as in ZooKeeper."""
        results: list[DataResult | ChildrenResult | ErrorResult] = []
        size = 0
        for part in op.ops:
            znode = self._readable(connection, part.path, acl.READ)
            if not isinstance(znode, Znode):
                results.append(ErrorResult(znode))
            elif type(part) is GetData:
                results.append(DataResult(znode.data, znode.stat()))
                size += len(znode.data or b"")
            else:
                results.append(ChildrenResult(tuple(znode.children), znode.stat()))
                size += sum(map(len, znode.children)) + _NAME_BYTES * len(znode.children)
            if size > _MAX_MULTI_READ_BYTES:
                return ErrorCode.MARSHALLING_ERROR, None
        return _OK, MultiResult(tuple(results))

    def _get_acl(self, connection: Connection, op: GetAcl) -> Answer:
        """Whoever may not administer the list sees no password digest in it."""
        znode = self._readable(connection, op.path, acl.READ | acl.ADMIN)
        if not isinstance(znode, Znode):
            return znode, None
        may_see_all = acl.check(znode.acl, acl.ADMIN, connection.ids)
        return _OK, AclResult(znode.acl if may_see_all else acl.masked(znode.acl), znode.stat())

    def _get_ephemerals(self, connection: Connection, op: GetEphemerals) -> PathsResult:
        owned = self._replica.tree.ephemerals.get(connection.session_id, {})
        if op.prefix.strip() in ("", ROOT):
            return PathsResult(tuple(owned))
        return PathsResult(tuple(path for path in owned if path.startswith(op.prefix)))

    def _get_all_children_number(self, connection: Connection, op: GetAllChildrenNumber) -> Answer:
        znode = self._readable(connection, op.path, acl.READ)
        if not isinstance(znode, Znode):
            return znode, None
        return _OK, NumberResult(self._replica.tree.count_descendants(op.path))

    def _watch(
        self, connection: Connection, op: SetWatches | AddWatch | CheckWatches | RemoveWatches
    ) -> Answer:
        """Set, check or remove watches; what a client missed is told before the reply."""
        try:
            is_there = self._watch_or_miss(connection, op)
        except ValueError:
            # No such mode or type: to ZooKeeper a request that cannot be read.
            return ErrorCode.MARSHALLING_ERROR, None
        return (_OK if is_there else ErrorCode.NO_WATCHER), None

    def _watch_or_miss(
        self, connection: Connection, op: SetWatches | AddWatch | CheckWatches | RemoveWatches
    ) -> bool:
        watches = self._watches
        match op:
            case SetWatches():
                for event_type, path in watches.reset(connection.id, op, self._replica.tree):
                    self._context.effects.append(Notify(connection.id, event_type, path))
                return True
            case AddWatch():
                watches.add(connection.id, op.path, WatchMode(op.mode))
                return True
            case CheckWatches():
                return watches.has(op.path, WatcherType(op.type))
            case RemoveWatches():
                return watches.remove(connection.id, op.path, WatcherType(op.type))
            case _:
                assert_never(op)
