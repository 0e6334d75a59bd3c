"""From ZooKeeper's protocol to the core: frames of requests become operations.

Refuses nothing itself: an operation that is unknown, or whose record cannot be read, becomes a
`Malformed`, which the core answers in its turn as ZooKeeper does.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from struct import error as StructError

from nodes.core import requests as core
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from nodes.wire.jute import INT, Reader, Undecodable, acl_and_flags


class OpCode(IntEnum):
    """ZooKeeper's `ZooDefs.OpCode`."""

    CREATE = 1
    DELETE = 2
    EXISTS = 3
    GET_DATA = 4
    SET_DATA = 5
    GET_ACL = 6
    SET_ACL = 7
    GET_CHILDREN = 8
    SYNC = 9
    PING = 11
    GET_CHILDREN2 = 12
    CHECK = 13
    MULTI = 14
    CREATE2 = 15
    RECONFIG = 16
    CHECK_WATCHES = 17
    REMOVE_WATCHES = 18
    CREATE_CONTAINER = 19
    DELETE_CONTAINER = 20
    CREATE_TTL = 21
    MULTI_READ = 22
    AUTH = 100
    SET_WATCHES = 101
    SASL = 102
    GET_EPHEMERALS = 103
    GET_ALL_CHILDREN_NUMBER = 104
    SET_WATCHES2 = 105
    ADD_WATCH = 106
    WHO_AM_I = 107
    CREATE_SESSION = -10
    CLOSE_SESSION = -11


# What the leader decides, so that even a refusal takes a zxid.
_WRITES = frozenset(
    {
        OpCode.CREATE,
        OpCode.DELETE,
        OpCode.SET_DATA,
        OpCode.SET_ACL,
        OpCode.CHECK,
        OpCode.MULTI,
        OpCode.CREATE2,
        OpCode.RECONFIG,
        OpCode.CREATE_CONTAINER,
        OpCode.DELETE_CONTAINER,
        OpCode.CREATE_TTL,
    }
)

HEADER = Struct(">ii")
# Where the record behind the header begins.
BODY = HEADER.size
_CONNECT = Struct(">iqiq")

_UNDECODABLE = (Undecodable, StructError, IndexError)


def decode_op(opcode: int, frame: bytes) -> core.Op:
    """Return the operation of a request: a frame without its length, header included.

    Raises Undecodable for an unreadable auth only, which has no turn to be answered in.
    """
    reader = _READERS.get(opcode)
    if reader is None:
        return core.Malformed(ErrorCode.UNIMPLEMENTED, closes=True)
    try:
        return reader(frame)
    except _UNDECODABLE:
        if opcode == OpCode.AUTH:
            raise Undecodable("an auth packet that cannot be read") from None
        if opcode in _WRITES:
            return core.MalformedWrite()
        return core.Malformed(ErrorCode.MARSHALLING_ERROR)


def decode_connect(connection: int, address: str, frame: bytes) -> tuple[ConnectRequested, bool]:
    """Return the event of a ConnectRequest, and whether it has the readOnly byte.

    Raises Undecodable. Clients before 3.4 send no such byte, and are sent none.
    """
    try:
        _, last_zxid_seen, timeout_ms, session_id = _CONNECT.unpack_from(frame)
    except StructError:
        raise Undecodable("a connect request that cannot be read") from None
    reader = Reader(frame, _CONNECT.size)
    password = reader.buffer() or b""
    has_read_only = reader.at < len(frame)
    can_be_read_only = has_read_only and reader.boolean()
    event = ConnectRequested(
        connection, last_zxid_seen, timeout_ms, session_id, password, address, can_be_read_only
    )
    return event, has_read_only


def _path_end(frame: bytes) -> int:
    """Where the path ends with which the body begins. Raises Undecodable if it is null."""
    size = INT.unpack_from(frame, BODY)[0]
    if size < 0:
        raise Undecodable(f"a path of {size} bytes")
    end: int = BODY + 4 + size
    if end > len(frame):
        raise Undecodable("the frame ends in a path")
    return end


def _path(frame: bytes, end: int) -> str:
    return frame[BODY + 4 : end].decode("utf-8", "replace")


def _get_data(frame: bytes) -> core.GetData:
    end = _path_end(frame)
    return core.GetData(_path(frame, end), frame[end] != 0)


def _exists(frame: bytes) -> core.Exists:
    end = _path_end(frame)
    return core.Exists(_path(frame, end), frame[end] != 0)


def _get_children(frame: bytes) -> core.GetChildren:
    end = _path_end(frame)
    return core.GetChildren(_path(frame, end), frame[end] != 0)


def _path_and_data(frame: bytes) -> tuple[str, bytes | None, int]:
    """Return path, data, and where the data ends."""
    end = _path_end(frame)
    path = _path(frame, end)
    size = INT.unpack_from(frame, end)[0]
    begin = end + 4
    if size == -1:
        return path, None, begin
    if size < 0 or begin + size > len(frame):
        raise Undecodable(f"data of {size} bytes")
    return path, frame[begin : begin + size], begin + size


def _create(frame: bytes) -> core.Create:
    path, data, end = _path_and_data(frame)
    acl, flags = acl_and_flags(frame[end:])
    return core.Create(path, data, flags, acl)


def _create2(frame: bytes) -> core.Create:
    op = _create(frame)
    op.with_stat = True
    return op


def _set_data(frame: bytes) -> core.SetData:
    path, data, end = _path_and_data(frame)
    return core.SetData(path, data, INT.unpack_from(frame, end)[0])


def _delete(frame: bytes) -> core.Delete:
    end = _path_end(frame)
    return core.Delete(_path(frame, end), INT.unpack_from(frame, end)[0])


def _read_create(reader: Reader) -> core.Create:
    path, data = reader.path(), reader.buffer()
    acl = reader.acl()
    return core.Create(path, data, reader.int32(), acl)


def _read_create2(reader: Reader) -> core.Create:
    op = _read_create(reader)
    op.with_stat = True
    return op


def _read_create_container(reader: Reader) -> core.CreateContainer:
    path, data = reader.path(), reader.buffer()
    acl = reader.acl()
    return core.CreateContainer(path, data, acl, reader.int32())


def _read_create_ttl(reader: Reader) -> core.CreateTtl:
    path, data = reader.path(), reader.buffer()
    acl, flags = reader.acl(), reader.int32()
    return core.CreateTtl(path, data, reader.int64(), acl, flags)


def _read_delete(reader: Reader) -> core.Delete:
    return core.Delete(reader.path(), reader.int32())


def _read_set_data(reader: Reader) -> core.SetData:
    path, data = reader.path(), reader.buffer()
    return core.SetData(path, data, reader.int32())


def _read_check(reader: Reader) -> core.Check:
    return core.Check(reader.path(), reader.int32())


def _read_get_data(reader: Reader) -> core.GetData:
    return core.GetData(reader.path(), reader.boolean())


def _read_get_children(reader: Reader) -> core.GetChildren:
    return core.GetChildren(reader.path(), reader.boolean())


_WRITES_OF_A_MULTI: dict[int, Callable[[Reader], core.MultiOp]] = {
    OpCode.CREATE: _read_create,
    OpCode.CREATE2: _read_create2,
    OpCode.CREATE_CONTAINER: _read_create_container,
    OpCode.CREATE_TTL: _read_create_ttl,
    OpCode.DELETE: _read_delete,
    OpCode.SET_DATA: _read_set_data,
    OpCode.CHECK: _read_check,
}
_READS_OF_A_MULTI: dict[int, Callable[[Reader], core.GetData | core.GetChildren]] = {
    OpCode.GET_DATA: _read_get_data,
    OpCode.GET_CHILDREN: _read_get_children,
}


def _read_multi(reader: Reader) -> core.Multi:
    ops: list[core.MultiOp] = []
    while (kind := _next_of_multi(reader)) is not None:
        if kind not in _WRITES_OF_A_MULTI:
            raise Undecodable(f"operation {kind} in a multi")
        ops.append(_WRITES_OF_A_MULTI[kind](reader))
    return core.Multi(tuple(ops))


def _read_multi_read(reader: Reader) -> core.MultiRead:
    ops: list[core.GetData | core.GetChildren] = []
    while (kind := _next_of_multi(reader)) is not None:
        if kind not in _READS_OF_A_MULTI:
            raise Undecodable(f"operation {kind} in a multiRead")
        ops.append(_READS_OF_A_MULTI[kind](reader))
    return core.MultiRead(tuple(ops))


def _next_of_multi(reader: Reader) -> int | None:
    """Read a MultiHeader; None at the end."""
    kind, is_done, _ = reader.int32(), reader.boolean(), reader.int32()
    return None if is_done else kind


def _read_set_acl(reader: Reader) -> core.SetAcl:
    path, acl = reader.path(), reader.acl()
    return core.SetAcl(path, acl, reader.int32())


def _read_reconfig(reader: Reader) -> core.Reconfig:
    return core.Reconfig(reader.text(), reader.text(), reader.text(), reader.int64())


def _read_add_watch(reader: Reader) -> core.AddWatch:
    return core.AddWatch(reader.text() or "", reader.int32())


def _read_check_watches(reader: Reader) -> core.CheckWatches:
    return core.CheckWatches(reader.text() or "", reader.int32())


def _read_remove_watches(reader: Reader) -> core.RemoveWatches:
    return core.RemoveWatches(reader.text() or "", reader.int32())


def _read_auth(reader: Reader) -> core.Auth:
    reader.int32()
    scheme, auth = reader.text(), reader.buffer()
    # Null credentials fail as an unknown scheme does.
    return core.Auth("", b"") if scheme is None or auth is None else core.Auth(scheme, auth)


def _read_set_watches(reader: Reader) -> core.SetWatches:
    zxid, path = reader.int64(), reader.path
    return core.SetWatches(zxid, reader.vector(path), reader.vector(path), reader.vector(path))


def _read_set_watches2(reader: Reader) -> core.SetWatches:
    op, path = _read_set_watches(reader), reader.path
    op.persistent = reader.vector(path)
    op.persistent_recursive = reader.vector(path)
    return op


def _whole(read: Callable[[Reader], core.Op]) -> Callable[[bytes], core.Op]:
    return lambda frame: read(Reader(frame, BODY))


def _malformed(frame: bytes) -> core.Malformed:
    """createSession is the members' own: a client's has no body that could be read."""
    return core.Malformed(ErrorCode.MARSHALLING_ERROR)


_READERS: dict[int, Callable[[bytes], core.Op]] = {
    OpCode.CREATE: _create,
    OpCode.CREATE2: _create2,
    OpCode.CREATE_CONTAINER: _whole(_read_create_container),
    OpCode.CREATE_TTL: _whole(_read_create_ttl),
    OpCode.CREATE_SESSION: _malformed,
    OpCode.DELETE: _delete,
    OpCode.DELETE_CONTAINER: lambda frame: core.DeleteContainer(""),
    OpCode.EXISTS: _exists,
    OpCode.GET_DATA: _get_data,
    OpCode.SET_DATA: _set_data,
    OpCode.GET_ACL: _whole(lambda reader: core.GetAcl(reader.path())),
    OpCode.SET_ACL: _whole(_read_set_acl),
    OpCode.GET_CHILDREN: _get_children,
    OpCode.GET_CHILDREN2: _get_children,
    OpCode.SYNC: _whole(lambda reader: core.Sync(reader.text() or "")),
    OpCode.PING: lambda frame: core.Ping(),
    OpCode.CHECK: _whole(_read_check),
    OpCode.MULTI: _whole(_read_multi),
    OpCode.MULTI_READ: _whole(_read_multi_read),
    OpCode.RECONFIG: _whole(_read_reconfig),
    OpCode.CHECK_WATCHES: _whole(_read_check_watches),
    OpCode.REMOVE_WATCHES: _whole(_read_remove_watches),
    OpCode.AUTH: _whole(_read_auth),
    OpCode.SET_WATCHES: _whole(_read_set_watches),
    OpCode.SET_WATCHES2: _whole(_read_set_watches2),
    OpCode.GET_EPHEMERALS: _whole(lambda reader: core.GetEphemerals(reader.text() or "")),
    OpCode.GET_ALL_CHILDREN_NUMBER: _whole(lambda reader: core.GetAllChildrenNumber(reader.path())),
    OpCode.ADD_WATCH: _whole(_read_add_watch),
    OpCode.WHO_AM_I: lambda frame: core.WhoAmI(),
    OpCode.CLOSE_SESSION: lambda frame: core.CloseSession(),
}
