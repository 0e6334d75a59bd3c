"""Where writes are validated: a request becomes a transaction (`PrepRequestProcessor`).

Only a leader has one. It sees the tree plus the changes still outstanding, so that a write may
build on an earlier one that is proposed but not applied. It changes no tree, takes no zxid and
does not judge sessions: zxid and verdict are given.
"""

from __future__ import annotations

from typing import assert_never

from nodes.core import acl
from nodes.core.errors import ErrorCode
from nodes.core.outstanding import ChangeRecord, OutstandingChanges
from nodes.core.paths import validate_path
from nodes.core.requests import (
    EPHEMERAL,
    OPEN_ACL,
    SEQUENTIAL,
    Check,
    CloseSession,
    Create,
    CreateContainer,
    CreateSession,
    CreateTtl,
    Delete,
    DeleteContainer,
    Id,
    MalformedWrite,
    Multi,
    MultiOp,
    Reconfig,
    SetAcl,
    SetData,
    Write,
)
from nodes.core.tree import CONFIG_ZOOKEEPER, SPECIAL_PATHS, DataTree
from nodes.core.txns import (
    CONTAINER_TTL,
    CheckTxn,
    CloseSessionTxn,
    CreateSessionTxn,
    CreateTxn,
    DeleteTxn,
    ErrorTxn,
    MultiTxn,
    SetAclTxn,
    SetDataTxn,
    TxnBody,
)
from nodes.core.znode import to_int32

# ZooKeeper's create flags beyond the two bits: 4 is a container's, and gives an ordinary
# persistent znode when plain create is asked with it; 5 and 6 are those of TTL znodes.
_CONTAINER = 4
_TTL_FLAGS = (5, 6)
_MAX_TTL_MS = (1 << 40) - 1
_ANY_VERSION = -1

_CREATES = (Create, CreateContainer, CreateTtl)
_PartTxn = CreateTxn | DeleteTxn | SetDataTxn | CheckTxn | ErrorTxn


class Prep:
    """What it has prepared and is not applied yet is in `_changes`."""

    __slots__ = ("_changes", "_enforce_quota", "_extended_types_enabled", "_tree")

    def __init__(
        self, tree: DataTree, *, extended_types_enabled: bool = False, enforce_quota: bool = False
    ) -> None:
        self._tree = tree
        self._extended_types_enabled = extended_types_enabled
        self._enforce_quota = enforce_quota
        self._changes = OutstandingChanges(tree)

    def applied(self, zxid: int) -> None:
        """The tree has caught up with what was prepared as `zxid` and before."""
        self._changes.applied(zxid)

    def prepare(
        self,
        session_id: int,
        op: Write,
        zxid: int,
        session_error: ErrorCode,
        ids: tuple[Id, ...],
    ) -> TxnBody:
        """Return the transaction for `op`; an ErrorTxn where ZooKeeper would refuse it.

        `session_error` is checkSession's verdict; it takes its turn in ZooKeeper's order of
        checks. `ids` are who asks. No check depends on the time.
        """
        match op:
            case Create() | SetData() | Delete() | Check() | CreateContainer() | CreateTtl():
                return self._one(session_id, op, zxid, session_error, ids)
            case Multi():
                return self._multi(session_id, op, zxid, session_error, ids)
            case CreateSession():
                return CreateSessionTxn(op.timeout_ms)
            case CloseSession():
                return self._close_session(session_id, zxid)
            case SetAcl():
                return ErrorTxn(session_error) if session_error else self._set_acl(op, zxid, ids)
            case DeleteContainer():
                return self._delete_container(session_id, op, zxid)
            case MalformedWrite():
                return ErrorTxn(session_error or ErrorCode.MARSHALLING_ERROR)
            case Reconfig():
                return ErrorTxn(ErrorCode.RECONFIG_DISABLED)
            case _:
                assert_never(op)

    def _one(
        self,
        session_id: int,
        op: MultiOp,
        zxid: int,
        session_error: ErrorCode,
        ids: tuple[Id, ...],
    ) -> _PartTxn:
        if isinstance(op, _CREATES):
            error = self._check_mode(op) or session_error
            return ErrorTxn(error) if error else self._create(session_id, op, zxid, ids)
        if session_error:
            return ErrorTxn(session_error)
        match op:
            case SetData():
                return self._set_data(op, zxid, ids)
            case Delete():
                return self._delete(op, zxid, ids)
            case Check():
                return self._check(op, ids)
            case _:
                assert_never(op)

    def _check_mode(self, op: Create | CreateContainer | CreateTtl) -> ErrorCode:
        """Flags that exist, and a time to live exactly where it belongs (`validateTTL`)."""
        flags = op.flags
        if type(op) is Create and 0 <= flags <= _CONTAINER:
            return ErrorCode.OK
        is_ttl = flags in _TTL_FLAGS
        if is_ttl and not self._extended_types_enabled:
            return ErrorCode.UNIMPLEMENTED
        if type(op) is CreateTtl:
            is_legal = is_ttl and 0 < op.ttl_ms <= _MAX_TTL_MS
        else:
            is_legal = 0 <= flags <= _CONTAINER
        return ErrorCode.OK if is_legal else ErrorCode.BAD_ARGUMENTS

    def _create(
        self,
        session_id: int,
        op: Create | CreateContainer | CreateTtl,
        zxid: int,
        ids: tuple[Id, ...],
    ) -> CreateTxn | ErrorTxn:
        changes = self._changes
        path = op.path
        cut = path.rfind("/")
        if cut < 0 or "\0" in path:
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        access = op.acl if op.acl is OPEN_ACL else acl.fix_up(op.acl, ids)
        if access is None:
            return ErrorTxn(ErrorCode.INVALID_ACL)
        parent = changes.find(path[:cut])
        if parent is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if parent.acl is not OPEN_ACL and not acl.check(parent.acl, acl.CREATE, ids):
            return ErrorTxn(ErrorCode.NO_AUTH)
        if op.flags & SEQUENTIAL:
            path = f"{path}{parent.cversion:010d}"
        if not validate_path(path):
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        if changes.exists(path):
            return ErrorTxn(ErrorCode.NODE_EXISTS)
        if parent.ephemeral_owner:
            return ErrorTxn(ErrorCode.NO_CHILDREN_FOR_EPHEMERALS)
        if self._enforce_quota and self._tree.quotas.exceeds(path, op.data, is_new=True):
            return ErrorTxn(ErrorCode.QUOTA_EXCEEDED)
        parent = changes.changed(parent, zxid)
        parent.child_count += 1
        parent.cversion = cversion = to_int32(parent.cversion + 1)
        owner = ttl_ms = 0
        if type(op) is CreateContainer:
            ttl_ms = CONTAINER_TTL
        elif type(op) is CreateTtl:
            ttl_ms = op.ttl_ms
        elif op.flags & EPHEMERAL:
            owner = session_id
        changes.created(ChangeRecord(zxid, path, 0, 0, 0, owner, access, 0, ttl_ms))
        return CreateTxn(path, op.data, bool(owner), cversion, access, ttl_ms)

    def _set_data(self, op: SetData, zxid: int, ids: tuple[Id, ...]) -> SetDataTxn | ErrorTxn:
        path = op.path
        if not validate_path(path):
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        record = self._changes.find(path)
        if record is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if record.acl is not OPEN_ACL and not _may(record, acl.WRITE, ids):
            return ErrorTxn(ErrorCode.NO_AUTH)
        if self._enforce_quota and self._tree.quotas.exceeds(path, op.data, is_new=False):
            return ErrorTxn(ErrorCode.QUOTA_EXCEEDED)
        if op.version not in (_ANY_VERSION, record.version):
            return ErrorTxn(ErrorCode.BAD_VERSION)
        record = self._changes.changed(record, zxid)
        record.version = version = to_int32(record.version + 1)
        return SetDataTxn(path, op.data, version)

    def _set_acl(self, op: SetAcl, zxid: int, ids: tuple[Id, ...]) -> SetAclTxn | ErrorTxn:
        path = op.path
        if not validate_path(path):
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        access = acl.fix_up(op.acl, ids)
        if access is None:
            return ErrorTxn(ErrorCode.INVALID_ACL)
        record = self._changes.find(path)
        if record is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if not _may(record, acl.ADMIN, ids):
            return ErrorTxn(ErrorCode.NO_AUTH)
        if op.version not in (_ANY_VERSION, record.aversion):
            return ErrorTxn(ErrorCode.BAD_VERSION)
        record = self._changes.changed(record, zxid)
        record.acl = access
        record.aversion = aversion = to_int32(record.aversion + 1)
        return SetAclTxn(path, access, aversion)

    def _delete(self, op: Delete, zxid: int, ids: tuple[Id, ...]) -> DeleteTxn | ErrorTxn:
        path = op.path
        cut = path.rfind("/")
        if cut < 0 or "\0" in path or path in SPECIAL_PATHS:
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        parent = self._changes.find(path[:cut])
        if parent is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if parent.acl is not OPEN_ACL and not acl.check(parent.acl, acl.DELETE, ids):
            return ErrorTxn(ErrorCode.NO_AUTH)
        record = self._changes.find(path)
        if record is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if op.version not in (_ANY_VERSION, record.version):
            return ErrorTxn(ErrorCode.BAD_VERSION)
        if record.child_count:
            return ErrorTxn(ErrorCode.NOT_EMPTY)
        return self._deleted(path, parent, zxid)

    def _delete_container(
        self, session_id: int, op: DeleteContainer, zxid: int
    ) -> DeleteTxn | ErrorTxn:
        """The leader's own request, which no session makes; from a client ZooKeeper cannot read it.

        Behind outstanding changes the path may hold something else by now, or a child.
        """
        path = op.path
        parent, record = self._changes.find(path[: path.rfind("/")]), self._changes.find(path)
        if session_id or path in SPECIAL_PATHS:
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        if parent is None or record is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if record.child_count:
            return ErrorTxn(ErrorCode.NOT_EMPTY)
        if not record.ttl_ms:
            return ErrorTxn(ErrorCode.BAD_VERSION)
        return self._deleted(path, parent, zxid)

    def _deleted(self, path: str, parent: ChangeRecord, zxid: int) -> DeleteTxn:
        parent = self._changes.changed(parent, zxid)
        parent.child_count -= 1
        self._changes.deleted(path, zxid)
        return DeleteTxn(path)

    def _check(self, op: Check, ids: tuple[Id, ...]) -> CheckTxn | ErrorTxn:
        if not validate_path(op.path):
            return ErrorTxn(ErrorCode.BAD_ARGUMENTS)
        record = self._changes.find(op.path)
        if record is None:
            return ErrorTxn(ErrorCode.NO_NODE)
        if not acl.check(record.acl, acl.READ, ids):
            return ErrorTxn(ErrorCode.NO_AUTH)
        if op.version not in (_ANY_VERSION, record.version):
            return ErrorTxn(ErrorCode.BAD_VERSION)
        return CheckTxn(op.path)

    def _multi(
        self,
        session_id: int,
        op: Multi,
        zxid: int,
        session_error: ErrorCode,
        ids: tuple[Id, ...],
    ) -> MultiTxn:
        """All or nothing. Failed: OK up to the failing part, its code, and -2 behind it."""
        bodies: list[_PartTxn] = []
        self._changes.begin_multi()
        for index, part in enumerate(op.ops):
            body = self._one(session_id, part, zxid, session_error, ids)
            if isinstance(body, ErrorTxn):
                self._changes.roll_back_multi()
                before = [ErrorTxn(ErrorCode.OK)] * index
                behind = [ErrorTxn(ErrorCode.RUNTIME_INCONSISTENCY)] * (len(op.ops) - index - 1)
                return MultiTxn((*before, body, *behind))
            bodies.append(body)
        self._changes.end_multi()
        return MultiTxn(tuple(bodies))

    def _close_session(self, session_id: int, zxid: int) -> CloseSessionTxn:
        """As in ZooKeeper the parents keep counting these children until this is applied: until
        then delete of such a parent is refused as not empty.
        """
        paths = self._changes.ephemerals_of(session_id)
        for path in paths:
            self._changes.deleted(path, zxid)
        return CloseSessionTxn(tuple(paths))


def _may(record: ChangeRecord, perm: int, ids: tuple[Id, ...]) -> bool:
    """The membership alone decides what /zookeeper/config says, not even the super user."""
    return record.path != CONFIG_ZOOKEEPER and acl.check(record.acl, perm, ids)
