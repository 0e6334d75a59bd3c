"""What an operation and its reply look like in a history.

Owns the translation into the records of `client.history`. Keeps nothing and writes nothing; an
identity's secret and an access list never reach a record.
"""

from __future__ import annotations

from hashlib import sha256
from typing import assert_never

from client.errors import error_for
from client.history import FAILED, OK, Operation, Seen, Write
from client.ops import (
    EPHEMERAL,
    SEQUENTIAL,
    TTL_SEQUENTIAL_FLAGS,
    AclResult,
    AddWatch,
    Auth,
    Check,
    CheckWatches,
    ChildrenResult,
    Create,
    CreateContainer,
    CreateResult,
    CreateTtl,
    DataResult,
    Delete,
    ErrorResult,
    Exists,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    Multi,
    MultiRead,
    MultiResult,
    PathResult,
    PathsResult,
    Reconfig,
    RemoveWatches,
    Reply,
    Result,
    SetAcl,
    SetData,
    StatResult,
    Sync,
    UserOp,
    WatchMode,
    WhoAmI,
    WriteOp,
)

LONGEST_VALUE = 64
_STATS = (StatResult, ChildrenResult, CreateResult, AclResult)
_NO_NODE = -101
_RUNTIME_INCONSISTENCY = -2

# In the words of the client's methods.
KINDS: dict[type, str] = {
    Create: "create",
    SetData: "set",
    Delete: "delete",
    Multi: "multi",
    GetData: "get",
    Exists: "exists",
    GetChildren: "children",
    Sync: "sync",
    CreateContainer: "create_container",
    CreateTtl: "create_ttl",
    SetAcl: "set_acl",
    Reconfig: "reconfig",
    GetAcl: "get_acl",
    GetEphemerals: "get_ephemerals",
    GetAllChildrenNumber: "get_all_children_number",
    WhoAmI: "who_am_i",
    MultiRead: "multi_read",
    AddWatch: "add_watch",
    CheckWatches: "check_watches",
    RemoveWatches: "remove_watches",
    Auth: "add_auth",
    Check: "check",
}


def value_of(data: bytes | None) -> str:
    """Data as a history shows it: as text, or by its hash if that is long or unreadable.

    Null and empty data look alike. Two values that differ still do.
    """
    if not data:
        return ""
    if len(data) <= LONGEST_VALUE * 4:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            pass
        else:
            if len(text) <= LONGEST_VALUE and text.isprintable():
                return text
    return f"sha256:{sha256(data).hexdigest()[:16]}"


def writes_of(op: UserOp) -> tuple[Write, ...]:
    """The changes that an operation asks for; none of a read, or of an access list."""
    if isinstance(op, Multi):
        return tuple(map(_write_of, op.ops))
    return (_write_of(op),) if isinstance(op, WriteOp) else ()


def _write_of(op: WriteOp) -> Write:
    match op:
        case Create():
            ephemeral, sequential = bool(op.flags & EPHEMERAL), bool(op.flags & SEQUENTIAL)
            value = value_of(op.data)
            return Write("create", op.path, value, is_ephemeral=ephemeral, is_sequential=sequential)
        case SetData():
            return Write("set", op.path, value_of(op.data), op.version)
        case Delete():
            return Write("delete", op.path, "", op.version)
        case Check():
            return Write("check", op.path, "", op.version)
        case CreateContainer():
            return Write("create", op.path, value_of(op.data), may_vanish=True)
        case CreateTtl():
            value, sequential = value_of(op.data), op.flags == TTL_SEQUENTIAL_FLAGS
            return Write("create", op.path, value, is_sequential=sequential, may_vanish=True)
        case _:
            assert_never(op)


def reads_of(op: UserOp) -> tuple[str, ...]:
    """The paths that a multi_read asks for."""
    return tuple(part.path for part in op.ops) if isinstance(op, MultiRead) else ()


def take_reply(operation: Operation, op: UserOp, reply: Reply) -> None:
    """Note what the reply says: the outcome, and what it shows."""
    operation.zxid = reply.zxid
    code = error_code(op, reply)
    operation.outcome = FAILED if code else OK
    operation.error = error_for(code).word if code else ""
    operation.watch = _watch_left(op, code)
    if not code:
        _take_result(operation, reply.result)


def error_code(op: UserOp, reply: Reply) -> int:
    """The error of a reply, or of the part that made a multi fail; 0 if it was carried out."""
    result = reply.result
    if reply.error or not (isinstance(op, Multi) and isinstance(result, MultiResult)):
        return reply.error
    errors = [part.error for part in result.results if isinstance(part, ErrorResult)]
    return next((code for code in errors if code not in (0, _RUNTIME_INCONSISTENCY)), 0)


def _take_result(operation: Operation, result: Result) -> None:
    parts: tuple[Result, ...] = (result,)
    if isinstance(result, MultiResult):
        parts = result.results
        operation.seen = tuple(map(_seen, parts))
    elif (seen := _seen(result)) is not None:
        operation.seen = (seen,)
        if isinstance(result, ChildrenResult):
            operation.names = tuple(sorted(result.names))
    elif isinstance(result, PathsResult):
        operation.names = tuple(sorted(result.paths))
    for write, part in zip(operation.writes, parts, strict=False):
        # The counter of a sequential znode is known only now.
        if write.is_sequential and isinstance(part, PathResult | CreateResult):
            write.path = part.path


def _seen(result: Result) -> Seen | None:
    if isinstance(result, DataResult):
        stat, value = result.stat, value_of(result.data)
    elif isinstance(result, _STATS):
        stat, value = result.stat, None
    else:
        return None
    return Seen(stat.czxid, stat.mzxid, stat.version, stat.ephemeral_owner, value)


def _watch_left(op: UserOp, code: int) -> str:
    """The table of ZooKeeper's in which a reply puts the watch that was asked for."""
    match op:
        case GetData(watch=True) if not code:
            return "data"
        case Exists(watch=True) if not code:
            return "data"
        case Exists(watch=True) if code == _NO_NODE:
            return "exist"
        case GetChildren(watch=True) if not code:
            return "child"
        case AddWatch() if not code:
            return "persistent" if op.mode is WatchMode.PERSISTENT else "recursive"
        case _:
            return ""
