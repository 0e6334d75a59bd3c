"""Between clients and a member: core requests and answers to `client.proto` and back.

Results are `nodes.result_codec`'s. Refuses what is malformed with MalformedFrame; whether a
well-formed request may be done is the core's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from lagkeeper.v1 import client_pb2

from nodes.core import requests as core
from nodes.core.effects import CloseConnection, ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from nodes.result_codec import fill_acl, fill_result


class MalformedFrame(Exception):
    """A client sent what no client of this protocol sends; `error` is the code to answer."""

    def __init__(self, message: str, error: ErrorCode) -> None:
        super().__init__(message)
        self.error = error


ClientEffect = ConnectReply | Reply | Notify | CloseConnection

_HasAcl = client_pb2.Create | client_pb2.CreateContainer | client_pb2.CreateTtl
_HasData = _HasAcl | client_pb2.SetData


def decode_op(got: client_pb2.Request) -> core.Op:
    """Return the operation of a request.

    Raises MalformedFrame: UNIMPLEMENTED for an operation that is unknown or not set,
    MARSHALLING_ERROR for a multi with anything but writes in it, or a multi_read with anything
    but reads (ZooKeeper's codes).
    """
    reader = _OPS.get(got.WhichOneof("op") or "")
    if reader is None:
        raise MalformedFrame("a request without a known operation", ErrorCode.UNIMPLEMENTED)
    return reader(got)


def _read_data(got: _HasData) -> bytes | None:
    return got.data if got.HasField("data") else None


def _read_acl(entries: Iterable[client_pb2.Acl]) -> tuple[core.Acl, ...]:
    return tuple(core.Acl(entry.perms, core.Id(entry.id.scheme, entry.id.id)) for entry in entries)


def _read_acl_or_open(got: _HasAcl) -> tuple[core.Acl, ...]:
    return _read_acl(got.acl.entries) if got.HasField("acl") else core.OPEN_ACL


def _read_create(got: client_pb2.Create) -> core.Create:
    acl = _read_acl_or_open(got)
    return core.Create(got.path, _read_data(got), got.flags, acl, got.with_stat)


def _read_container(got: client_pb2.CreateContainer) -> core.CreateContainer:
    return core.CreateContainer(got.path, _read_data(got), _read_acl_or_open(got), got.flags)


def _read_ttl(got: client_pb2.CreateTtl) -> core.CreateTtl:
    acl = _read_acl_or_open(got)
    return core.CreateTtl(got.path, _read_data(got), got.ttl_ms, acl, got.flags)


def _read_reconfig(got: client_pb2.Reconfig) -> core.Reconfig:
    return core.Reconfig(
        got.joining if got.HasField("joining") else None,
        got.leaving if got.HasField("leaving") else None,
        got.new_members if got.HasField("new_members") else None,
        got.config_id,
    )


def _read_multi(got: client_pb2.Multi) -> core.Multi:
    ops = []
    for request in got.ops:
        op = decode_op(request) if request.WhichOneof("op") in _MULTI_OPS else None
        if not isinstance(op, core.MultiOp):
            raise MalformedFrame("a multi holds more than writes", ErrorCode.MARSHALLING_ERROR)
        ops.append(op)
    return core.Multi(tuple(ops))


def _read_multi_read(got: client_pb2.MultiRead) -> core.MultiRead:
    ops: list[core.GetData | core.GetChildren] = []
    for request in got.ops:
        # Without a watch, whatever the client says: multiRead sets none.
        match request.WhichOneof("op"):
            case "get_data":
                ops.append(core.GetData(request.get_data.path))
            case "get_children":
                ops.append(core.GetChildren(request.get_children.path))
            case _:
                raise MalformedFrame(
                    "a multi_read holds more than reads", ErrorCode.MARSHALLING_ERROR
                )
    return core.MultiRead(tuple(ops))


def _read_set_watches(got: client_pb2.SetWatches) -> core.SetWatches:
    return core.SetWatches(
        got.relative_zxid,
        tuple(got.data),
        tuple(got.exist),
        tuple(got.child),
        tuple(got.persistent),
        tuple(got.persistent_recursive),
    )


_MULTI_OPS = ("create", "create_container", "create_ttl", "delete", "set_data", "check")

_OPS: dict[str, Callable[[client_pb2.Request], core.Op]] = {
    "create": lambda r: _read_create(r.create),
    "delete": lambda r: core.Delete(r.delete.path, r.delete.version),
    "set_data": lambda r: core.SetData(r.set_data.path, _read_data(r.set_data), r.set_data.version),
    "get_data": lambda r: core.GetData(r.get_data.path, r.get_data.watch),
    "exists": lambda r: core.Exists(r.exists.path, r.exists.watch),
    "get_children": lambda r: core.GetChildren(r.get_children.path, r.get_children.watch),
    "sync": lambda r: core.Sync(r.sync.path),
    "check": lambda r: core.Check(r.check.path, r.check.version),
    "multi": lambda r: _read_multi(r.multi),
    "ping": lambda r: core.Ping(),
    "close_session": lambda r: core.CloseSession(),
    "set_watches": lambda r: _read_set_watches(r.set_watches),
    "create_container": lambda r: _read_container(r.create_container),
    "create_ttl": lambda r: _read_ttl(r.create_ttl),
    "set_acl": lambda r: core.SetAcl(r.set_acl.path, _read_acl(r.set_acl.acl), r.set_acl.version),
    "get_acl": lambda r: core.GetAcl(r.get_acl.path),
    "get_ephemerals": lambda r: core.GetEphemerals(r.get_ephemerals.prefix),
    "get_all_children_number": lambda r: core.GetAllChildrenNumber(r.get_all_children_number.path),
    "who_am_i": lambda r: core.WhoAmI(),
    "multi_read": lambda r: _read_multi_read(r.multi_read),
    "add_watch": lambda r: core.AddWatch(r.add_watch.path, r.add_watch.mode),
    "check_watches": lambda r: core.CheckWatches(r.check_watches.path, r.check_watches.type),
    "remove_watches": lambda r: core.RemoveWatches(r.remove_watches.path, r.remove_watches.type),
    "auth": lambda r: core.Auth(r.auth.scheme, r.auth.auth),
    "reconfig": lambda r: _read_reconfig(r.reconfig),
    "delete_container": lambda r: core.DeleteContainer(r.delete_container.path),
}


def encode_op(out: client_pb2.Request, xid: int, op: core.Op) -> None:
    """Write a request into `out`.

    CreateSession has no form here, since clients never send it, nor has Malformed, which was
    never an operation.
    """
    out.xid = xid
    match op:
        case core.SetData():
            out.set_data.path = op.path
            _fill_data(out.set_data, op.data)
            out.set_data.version = op.version
        case core.Create():
            out.create.path = op.path
            _fill_data(out.create, op.data)
            out.create.flags = op.flags
            out.create.with_stat = op.with_stat
            _fill_acl_unless_open(out.create, op.acl)
        case core.Delete():
            out.delete.path = op.path
            out.delete.version = op.version
        case core.Check():
            out.check.path = op.path
            out.check.version = op.version
        case core.Multi():
            out.multi.SetInParent()
            for part in op.ops:
                encode_op(out.multi.ops.add(), 0, part)
        case core.Sync():
            out.sync.SetInParent()
            out.sync.path = op.path
        case core.CloseSession():
            out.close_session.SetInParent()
        case core.Auth():
            out.auth.SetInParent()
            out.auth.scheme, out.auth.auth = op.scheme, op.auth
        case core.CreateSession() | core.Malformed() | core.MalformedWrite():
            raise ValueError(f"{type(op).__name__} is no client's request")
        case (
            core.CreateContainer()
            | core.CreateTtl()
            | core.SetAcl()
            | core.DeleteContainer()
            | core.Reconfig()
        ):
            _encode_rare_write(out, op)
        case core.AddWatch() | core.CheckWatches() | core.RemoveWatches() | core.SetWatches():
            _encode_watch_op(out, op)
        case _:
            _encode_read(out, op)


def _fill_data(out: _HasData, data: bytes | None) -> None:
    if data is not None:
        out.data = data


def _fill_acl_unless_open(out: _HasAcl, acl: tuple[core.Acl, ...]) -> None:
    """Nearly every znode is open; it costs no byte and no object."""
    if acl != core.OPEN_ACL:
        out.acl.SetInParent()
        fill_acl(out.acl.entries, acl)


def _encode_rare_write(
    out: client_pb2.Request,
    op: core.CreateContainer | core.CreateTtl | core.SetAcl | core.DeleteContainer | core.Reconfig,
) -> None:
    match op:
        case core.CreateContainer():
            out.create_container.path = op.path
            _fill_data(out.create_container, op.data)
            out.create_container.flags = op.flags
            _fill_acl_unless_open(out.create_container, op.acl)
        case core.CreateTtl():
            out.create_ttl.path = op.path
            _fill_data(out.create_ttl, op.data)
            out.create_ttl.flags = op.flags
            out.create_ttl.ttl_ms = op.ttl_ms
            _fill_acl_unless_open(out.create_ttl, op.acl)
        case core.SetAcl():
            out.set_acl.path = op.path
            fill_acl(out.set_acl.acl, op.acl)
            out.set_acl.version = op.version
        case core.DeleteContainer():
            out.delete_container.SetInParent()
            out.delete_container.path = op.path
        case core.Reconfig():
            out.reconfig.config_id = op.config_id
            if op.joining is not None:
                out.reconfig.joining = op.joining
            if op.leaving is not None:
                out.reconfig.leaving = op.leaving
            if op.new_members is not None:
                out.reconfig.new_members = op.new_members
        case _:
            assert_never(op)


def _encode_watch_op(
    out: client_pb2.Request,
    op: core.AddWatch | core.CheckWatches | core.RemoveWatches | core.SetWatches,
) -> None:
    match op:
        case core.AddWatch():
            out.add_watch.path, out.add_watch.mode = op.path, op.mode
        case core.CheckWatches():
            out.check_watches.path, out.check_watches.type = op.path, op.type
        case core.RemoveWatches():
            out.remove_watches.path, out.remove_watches.type = op.path, op.type
        case core.SetWatches():
            watches = out.set_watches
            watches.relative_zxid = op.relative_zxid
            watches.data.extend(op.data)
            watches.exist.extend(op.exist)
            watches.child.extend(op.child)
            watches.persistent.extend(op.persistent)
            watches.persistent_recursive.extend(op.persistent_recursive)
        case _:
            assert_never(op)


_PlainRead = (
    core.GetData
    | core.Exists
    | core.GetChildren
    | core.GetAcl
    | core.GetEphemerals
    | core.GetAllChildrenNumber
    | core.WhoAmI
    | core.MultiRead
    | core.Ping
)


def _encode_read(out: client_pb2.Request, op: _PlainRead) -> None:
    match op:
        case core.GetData():
            out.get_data.path, out.get_data.watch = op.path, op.watch
        case core.Exists():
            out.exists.path, out.exists.watch = op.path, op.watch
        case core.GetChildren():
            out.get_children.path, out.get_children.watch = op.path, op.watch
        case core.GetAcl():
            out.get_acl.path = op.path
        case core.GetEphemerals():
            out.get_ephemerals.prefix = op.prefix
        case core.GetAllChildrenNumber():
            out.get_all_children_number.path = op.path
        case core.WhoAmI():
            out.who_am_i.SetInParent()
        case core.MultiRead():
            out.multi_read.SetInParent()
            for part in op.ops:
                _encode_read(out.multi_read.ops.add(), part)
        case core.Ping():
            out.ping.SetInParent()
        case _:
            assert_never(op)


def decode_session(
    connection: int, got: client_pb2.SessionRequest, address: str
) -> ConnectRequested:
    """Return a connect as the core's event for `connection`; `address` is the client's host."""
    return ConnectRequested(
        connection,
        got.last_zxid_seen,
        got.timeout_ms,
        got.session_id,
        got.password,
        address,
        got.can_be_read_only,
    )


def fill_server_frame(out: client_pb2.ServerFrame, connection: int, effect: ClientEffect) -> None:
    """Write what the core tells a client into `out`; `connection` is the client's number."""
    out.connection = connection
    match effect:
        case Reply():
            reply = out.reply
            reply.xid = effect.xid
            reply.zxid = effect.zxid
            reply.error = effect.error
            if effect.result is not None:
                fill_result(reply.result, effect.result)
            else:
                reply.SetInParent()
        case Notify():
            out.event.type = effect.type
            out.event.path = effect.path
        case ConnectReply():
            out.session.SetInParent()
            out.session.timeout_ms = effect.timeout_ms
            out.session.session_id = effect.session_id
            out.session.password = effect.password
            out.session.is_read_only = effect.is_read_only
        case CloseConnection():
            out.disconnect.SetInParent()
        case _:
            assert_never(effect)
