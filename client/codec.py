"""Between `client.ops` and the messages of `client.proto`.

Owns the translation, nothing else. A frame is encoded as a ConnectRequest of its own: the bytes
of several ConnectRequests, joined, are one ConnectRequest with all their frames, so a line
batches by joining bytes and never copies a message.
"""

from __future__ import annotations

from typing import assert_never

from lagkeeper.v1 import client_pb2 as pb

from client.acl import OPEN_ACL, Acl, Id
from client.ops import (
    AclResult,
    AddWatch,
    Auth,
    Check,
    CheckWatches,
    ChildrenResult,
    ClientFrame,
    CloseSession,
    Create,
    CreateContainer,
    CreateResult,
    CreateTtl,
    DataResult,
    Delete,
    Disconnect,
    ErrorResult,
    Exists,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    IdsResult,
    Multi,
    MultiRead,
    MultiResult,
    NumberResult,
    Op,
    PartResult,
    PathResult,
    PathsResult,
    Ping,
    Reconfig,
    RemoveWatches,
    Reply,
    Request,
    Result,
    ServerFrame,
    SessionRequest,
    SessionResponse,
    SetAcl,
    SetData,
    SetWatches,
    Stat,
    StatResult,
    Sync,
    WatchEvent,
    WhoAmI,
)


class MalformedFrame(Exception):
    """A member said what no member says: nothing else on its line can be believed."""


def encode(connection: int, frame: ClientFrame) -> bytes:
    """Return a serialized ConnectRequest that holds just this frame."""
    message = pb.ConnectRequest()
    out = message.frames.add()
    out.connection = connection
    match frame:
        case Request():
            request = out.request
            request.xid = frame.xid
            _fill_op(request, frame.op)
        case SessionRequest():
            session = out.session
            session.last_zxid_seen = frame.last_zxid_seen
            session.timeout_ms = frame.timeout_ms
            session.session_id = frame.session_id
            session.password = frame.password
            session.can_be_read_only = frame.can_be_read_only
        case Disconnect():
            out.disconnect.SetInParent()
        case _:
            assert_never(frame)
    return message.SerializeToString()


def _fill_op(request: pb.Request, op: Op) -> None:
    match op:
        case GetData():
            request.get_data.path = op.path
            request.get_data.watch = op.watch
        case Create():
            create = request.create
            create.path = op.path
            create.flags = op.flags
            create.with_stat = op.with_stat
            _fill_data(create, op.data)
            _fill_acl_unless_open(create, op.acl)
        case SetData():
            request.set_data.path = op.path
            request.set_data.version = op.version
            _fill_data(request.set_data, op.data)
        case Exists():
            request.exists.path = op.path
            request.exists.watch = op.watch
        case GetChildren():
            request.get_children.path = op.path
            request.get_children.watch = op.watch
        case Delete():
            request.delete.path = op.path
            request.delete.version = op.version
        case Ping():
            request.ping.SetInParent()
        case Sync():
            request.sync.path = op.path
        case Check():
            request.check.path = op.path
            request.check.version = op.version
        case Multi():
            request.multi.SetInParent()
            for part in op.ops:
                _fill_op(request.multi.ops.add(), part)
        case CloseSession():
            request.close_session.SetInParent()
        case AddWatch() | CheckWatches() | RemoveWatches() | SetWatches():
            _fill_watch_op(request, op)
        case CreateContainer() | CreateTtl() | SetAcl() | Reconfig():
            _fill_rare_write(request, op)
        case _:
            _fill_rare_read(request, op)


def _fill_data(
    out: pb.Create | pb.CreateContainer | pb.CreateTtl | pb.SetData, data: bytes | None
) -> None:
    if data is not None:
        out.data = data


def _fill_acl_unless_open(
    out: pb.Create | pb.CreateContainer | pb.CreateTtl, acl: tuple[Acl, ...]
) -> None:
    """The open list is what members take for granted; an empty one must be seen to be empty."""
    if acl != OPEN_ACL:
        out.acl.SetInParent()
        out.acl.entries.extend(map(_acl_entry, acl))


def _acl_entry(entry: Acl) -> pb.Acl:
    return pb.Acl(perms=entry.perms, id=pb.Id(scheme=entry.id.scheme, id=entry.id.id))


def _fill_watch_op(
    request: pb.Request, op: AddWatch | CheckWatches | RemoveWatches | SetWatches
) -> None:
    match op:
        case AddWatch():
            request.add_watch.path, request.add_watch.mode = op.path, op.mode
        case CheckWatches():
            request.check_watches.path, request.check_watches.type = op.path, op.type
        case RemoveWatches():
            request.remove_watches.path, request.remove_watches.type = op.path, op.type
        case SetWatches():
            watches = request.set_watches
            watches.relative_zxid = op.relative_zxid
            watches.data.extend(op.data)
            watches.exist.extend(op.exist)
            watches.child.extend(op.child)
            watches.persistent.extend(op.persistent)
            watches.persistent_recursive.extend(op.persistent_recursive)
        case _:
            assert_never(op)


def _fill_rare_write(
    request: pb.Request, op: CreateContainer | CreateTtl | SetAcl | Reconfig
) -> None:
    match op:
        case CreateContainer():
            request.create_container.path = op.path
            request.create_container.flags = op.flags
            _fill_data(request.create_container, op.data)
            _fill_acl_unless_open(request.create_container, op.acl)
        case CreateTtl():
            request.create_ttl.path = op.path
            request.create_ttl.flags = op.flags
            request.create_ttl.ttl_ms = op.ttl_ms
            _fill_data(request.create_ttl, op.data)
            _fill_acl_unless_open(request.create_ttl, op.acl)
        case SetAcl():
            request.set_acl.path = op.path
            request.set_acl.version = op.version
            request.set_acl.acl.extend(map(_acl_entry, op.acl))
        case Reconfig():
            reconfig = request.reconfig
            reconfig.config_id = op.config_id
            if op.joining is not None:
                reconfig.joining = op.joining
            if op.leaving is not None:
                reconfig.leaving = op.leaving
            if op.new_members is not None:
                reconfig.new_members = op.new_members
        case _:
            assert_never(op)


def _fill_rare_read(
    request: pb.Request,
    op: GetAcl | GetEphemerals | GetAllChildrenNumber | WhoAmI | MultiRead | Auth,
) -> None:
    match op:
        case GetAcl():
            request.get_acl.path = op.path
        case GetEphemerals():
            request.get_ephemerals.prefix = op.prefix
        case GetAllChildrenNumber():
            request.get_all_children_number.path = op.path
        case WhoAmI():
            request.who_am_i.SetInParent()
        case MultiRead():
            request.multi_read.SetInParent()
            for part in op.ops:
                _fill_op(request.multi_read.ops.add(), part)
        case Auth():
            request.auth.scheme, request.auth.auth = op.scheme, op.auth
        case _:
            assert_never(op)


def decode(frame: pb.ServerFrame) -> ServerFrame | None:
    """Return the frame as plain data; None for a kind that this client does not know.

    Raises MalformedFrame.
    """
    match frame.WhichOneof("frame"):
        case "reply":
            reply = frame.reply
            result = _result(reply.result) if reply.HasField("result") else None
            return Reply(reply.xid, reply.zxid, reply.error, result)
        case "event":
            return WatchEvent(frame.event.type, frame.event.path)
        case "session":
            session = frame.session
            return SessionResponse(
                session.timeout_ms, session.session_id, session.password, session.is_read_only
            )
        case "disconnect":
            return Disconnect()
        case None:
            return None


def _result(result: pb.Result) -> Result:
    kind = result.WhichOneof("result")
    match kind:
        case "multi":
            parts = result.multi.results
            return MultiResult(tuple(_part(part, part.WhichOneof("result")) for part in parts))
        case "acl":
            return AclResult(tuple(map(_acl, result.acl.acl)), _stat(result.acl.stat))
        case "paths":
            return PathsResult(tuple(result.paths.paths))
        case "number":
            return NumberResult(result.number)
        case "ids":
            return IdsResult(tuple(Id(who.scheme, who.id) for who in result.ids.ids))
        case _:
            return _part(result, kind)


def _part(result: pb.Result, kind: str | None) -> PartResult | None:
    """Return a result of those that a multi may have, too."""
    match kind:
        case "data":
            data = result.data
            return DataResult(data.data if data.HasField("data") else None, _stat(data.stat))
        case "stat":
            return StatResult(_stat(result.stat))
        case "path":
            return PathResult(result.path)
        case "children":
            return ChildrenResult(tuple(result.children.names), _stat(result.children.stat))
        case "create":
            return CreateResult(result.create.path, _stat(result.create.stat))
        case "error":
            return ErrorResult(result.error)
        case None:
            return None
        case _:
            raise MalformedFrame(f"a multi's answer with {kind} in it")


def _acl(entry: pb.Acl) -> Acl:
    return Acl(entry.perms, Id(entry.id.scheme, entry.id.id))


def _stat(stat: pb.Stat) -> Stat:
    return Stat(
        stat.czxid,
        stat.mzxid,
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
        stat.pzxid,
    )
