"""Between the methods of a client and its operations: making them, and reading their replies.

Owns what both clients do alike with arguments and results. Sends nothing, waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from client.acl import OPEN_ACL, Acl
from client.errors import LagkeeperError, error_for
from client.ops import (
    EPHEMERAL,
    SEQUENTIAL,
    TTL_FLAGS,
    TTL_SEQUENTIAL_FLAGS,
    CheckWatches,
    ChildrenResult,
    Create,
    CreateResult,
    CreateTtl,
    DataResult,
    ErrorResult,
    GetChildren,
    GetData,
    Multi,
    MultiRead,
    PathResult,
    RemoveWatches,
    Reply,
    Result,
    Stat,
    StatResult,
    UserOp,
    WatcherType,
    WatchEvent,
    WriteOp,
)

Watcher = Callable[[WatchEvent], object]
Created = tuple[str, Stat]
MultiValue = str | Stat | Created | None
Read = tuple[bytes | None, Stat] | list[str] | LagkeeperError
_NO_NODE = -101
_RUNTIME_INCONSISTENCY = -2
R = TypeVar("R", bound=Result)


def make_create(
    path: str,
    data: bytes | None,
    ephemeral: bool,
    sequential: bool,
    acl: Iterable[Acl] = OPEN_ACL,
    with_stat: bool = False,
) -> Create:
    """Return the operation behind `create` and `create2`."""
    flags = EPHEMERAL * ephemeral | SEQUENTIAL * sequential
    return Create(path, data, flags, as_acl(acl), with_stat)


def make_create_ttl(
    path: str, ttl_ms: int, data: bytes | None, sequential: bool, acl: Iterable[Acl]
) -> CreateTtl:
    """Return the operation behind `create_ttl`."""
    flags = TTL_SEQUENTIAL_FLAGS if sequential else TTL_FLAGS
    return CreateTtl(path, data, ttl_ms, as_acl(acl), flags)


def as_acl(acl: Iterable[Acl]) -> tuple[Acl, ...]:
    """Return the list as an operation has it; what is in it, `validate` checks."""
    if isinstance(acl, tuple) or not isinstance(acl, Iterable):
        return acl
    return tuple(acl)


def make_remove_watches(
    path: str, watcher: Watcher | None, kind: WatcherType
) -> RemoveWatches | CheckWatches:
    """Return the operation behind `remove_watches`.

    To forget one watcher of several, the member's watch must stay: as ZooKeeper's client does,
    only look whether it is there.
    """
    return RemoveWatches(path, kind) if watcher is None else CheckWatches(path, kind)


def make_multi_read(
    ops: tuple[GetData | GetChildren | Iterable[GetData | GetChildren], ...],
) -> MultiRead:
    """Return the operation behind `multi_read(op, op, ...)` and `multi_read([op, op, ...])`."""
    if len(ops) == 1 and isinstance(ops[0], Iterable):
        return MultiRead(tuple(ops[0]))
    return MultiRead(ops)  # type: ignore[arg-type]  # validate() refuses what is not a read


def make_multi(ops: tuple[WriteOp | Iterable[WriteOp], ...]) -> Multi:
    """Return the operation behind `multi(op, op, ...)` and `multi([op, op, ...])`."""
    if len(ops) == 1 and isinstance(ops[0], Iterable):
        return Multi(tuple(ops[0]))
    return Multi(ops)  # type: ignore[arg-type]  # validate() refuses what is not an operation


def check_reply(op: UserOp, reply: Reply) -> None:
    """Raise the typed error of a reply that carries one."""
    if reply.error:
        raise error_for(reply.error, op.name, op.path)


def result_of(op: UserOp, reply: Reply, kind: type[R]) -> R:
    """Return the result of a reply, or raise its error."""
    check_reply(op, reply)
    if not isinstance(reply.result, kind):
        got = type(reply.result).__name__
        raise LagkeeperError(op.name, op.path, f"the member answered with {got}")
    return reply.result


def stat_or_none(op: UserOp, reply: Reply) -> Stat | None:
    """Return what `exists` says: a stat, or None for a znode that is not there."""
    if reply.error == _NO_NODE:
        return None
    return result_of(op, reply, StatResult).stat


def multi_values(multi: Multi, results: tuple[Result, ...]) -> list[MultiValue]:
    """Return a path, a stat or None per operation, or raise the error of the one that failed."""
    for index, (op, result) in enumerate(zip(multi.ops, results, strict=False)):
        if isinstance(result, ErrorResult) and result.error not in (0, _RUNTIME_INCONSISTENCY):
            error = error_for(result.error, f"multi[{index}] {op.name}", op.path)
            error.results = results
            raise error
    return [_plain(result) for result in results]


def _plain(result: Result) -> MultiValue:
    match result:
        case PathResult():
            return result.path
        case StatResult():
            return result.stat
        case CreateResult():
            return result.path, result.stat
        case _:
            return None


def read_values(multi: MultiRead, results: tuple[Result, ...]) -> list[Read]:
    """Return data and stat, names, or the error for each read."""
    return [
        _read_value(index, op, result)
        for index, (op, result) in enumerate(zip(multi.ops, results, strict=False))
    ]


def _read_value(index: int, op: GetData | GetChildren, result: Result) -> Read:
    name = f"multiRead[{index}] {op.name}"
    match result:
        case DataResult():
            return result.data, result.stat
        case ChildrenResult():
            return list(result.names)
        case ErrorResult():
            return error_for(result.error, name, op.path)
        case _:
            return LagkeeperError(name, op.path, f"answered with {type(result).__name__}")
