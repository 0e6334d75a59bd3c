"""Operations of a file as those of a client, and answers as the fields of a result.

Pure: makes and reads, sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from client.errors import error_for
from client.events import Fail
from client.ops import (
    EPHEMERAL,
    SEQUENTIAL,
    AddWatch,
    Check,
    ChildrenResult,
    Create,
    CreateContainer,
    CreateResult,
    DataResult,
    Delete,
    ErrorResult,
    Exists,
    GetChildren,
    GetData,
    Multi,
    MultiResult,
    PathResult,
    Reply,
    SetData,
    Stat,
    StatResult,
    Sync,
    UserOp,
    WatchMode,
    WriteOp,
)
from orchestrator.scenario import steps
from orchestrator.scenario.results import Values
from orchestrator.scenario.values import snake

_RUNTIME_INCONSISTENCY = -2
OwnerName = Callable[[int], str]


def make_op(action: steps.Operation, values: Values) -> UserOp:
    """The operation that a step asks for."""
    match action:
        case steps.Create(container=True):
            return CreateContainer(values.path(action.path), values.text(action.data).encode())
        case steps.Create() | steps.Delete() | steps.Set():
            return _make_write(action, values)
        case steps.Get():
            return GetData(values.path(action.path), action.watch is not None)
        case steps.Exists():
            return Exists(values.path(action.path), action.watch is not None)
        case steps.Children():
            return GetChildren(values.path(action.path), action.watch is not None)
        case steps.Sync():
            return Sync(values.path(action.path))
        case steps.Watch():
            is_recursive = action.mode == "recursive"
            mode = WatchMode.PERSISTENT_RECURSIVE if is_recursive else WatchMode.PERSISTENT
            return AddWatch(values.path(action.path), mode)
        case steps.Multi():
            return Multi(tuple(_make_write(part.op, values) for part in action.ops))
        case _:
            raise AssertionError(f"{action.word} is no operation")


def _make_write(action: steps.Particulars, values: Values) -> WriteOp:
    match action:
        case steps.Create() | steps.PartCreate():
            flags = EPHEMERAL * action.ephemeral | SEQUENTIAL * action.sequential
            return Create(values.path(action.path), values.text(action.data).encode(), flags)
        case steps.Delete() | steps.PartDelete():
            return Delete(values.path(action.path), values.number(action.version))
        case steps.Set() | steps.PartSet():
            data = values.text(action.data).encode()
            return SetData(values.path(action.path), data, values.number(action.version))
        case steps.PartCheck():
            return Check(values.path(action.path), values.number(action.version))
        case _:
            raise AssertionError(f"{action.word} writes nothing")


def error_of(reply: Reply) -> int:
    """The code of what went wrong; of a multi, of the part that made it fail. 0: nothing."""
    if reply.error or not isinstance(reply.result, MultiResult):
        return reply.error
    errors = [part.error for part in reply.result.results if isinstance(part, ErrorResult)]
    return next((code for code in errors if code not in (0, _RUNTIME_INCONSISTENCY)), 0)


def fields_of(op: UserOp, outcome: Reply | Fail, owner_name: OwnerName) -> dict[str, Any]:
    """What an answer says, by the names of result fields."""
    if isinstance(outcome, Fail):
        return {"error": snake(error_for(outcome.code).word)}
    code = error_of(outcome)
    fields: dict[str, Any] = {
        "error": snake(error_for(code).word) if code else "ok",
        "zxid": outcome.zxid,
    }
    if isinstance(op, Exists | GetData):
        fields |= {"exists": code == 0, "owner": "nobody"} if code in (0, -101) else {}
    if code == 0:
        fields |= _told(op, outcome, owner_name)
    return fields


def _told(op: UserOp, reply: Reply, owner_name: OwnerName) -> dict[str, Any]:
    match reply.result:
        case DataResult(data=data, stat=stat):
            text = "" if data is None else data.decode(errors="replace")
            return {"data": text, **_stat(stat, owner_name)}
        case StatResult(stat=stat):
            return _stat(stat, owner_name)
        case ChildrenResult(names=names):
            return {"children": sorted(names)}
        case CreateResult(path=path) | PathResult(path=path) if not isinstance(op, Sync):
            name = path.rpartition("/")[2]
            made = {"czxid": reply.zxid, "mzxid": reply.zxid, "version": 0}
            return {"path": path, "name": name, **made}
        case _:
            return {}


def _stat(stat: Stat, owner_name: OwnerName) -> dict[str, Any]:
    return {
        "owner": owner_name(stat.ephemeral_owner),
        "version": stat.version,
        "czxid": stat.czxid,
        "mzxid": stat.mzxid,
    }
