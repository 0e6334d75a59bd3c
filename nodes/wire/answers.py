"""From the core to ZooKeeper's protocol: whole frames of replies, events and connects.

Decides nothing; what an answer looks like depends on its request as well as on its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import assert_never

from nodes.core import requests as core
from nodes.core.effects import ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.wire.jute import (
    INT,
    write_acl,
    write_buffer,
    write_ids,
    write_stat,
    write_text,
    write_texts,
)
from nodes.wire.requests import OpCode

# The frame's length, then the ReplyHeader: xid, zxid, error.
_REPLY = Struct(">iiqi")
_REPLY_BYTES = _REPLY.size - 4
# Length, header, then the WatcherEvent's type, its state and the path's length.
_EVENT = Struct(">iiqiiii")
_EVENT_BYTES = _EVENT.size - 4
# Length, then protocol version, timeout, session, and the password's length.
_CONNECT = Struct(">iiiqi")
_CONNECT_BYTES = _CONNECT.size - 4
_MULTI = Struct(">i?i")
_MULTI_END = _MULTI.pack(-1, True, -1)
_NOTIFICATION_XID = -1
_SYNC_CONNECTED = 3
_NO_ERROR = INT.pack(0)

_OK = ErrorCode.OK
_NO_TOKEN = write_buffer(None)


def encode_reply(reply: Reply, opcode: int, op: core.Op) -> bytes:
    """Return the frame of a reply to the request `op`, which came with `opcode`."""
    if reply.error != _OK:
        is_unknown = type(op) is core.Malformed and op.closes
        return _REPLY.pack(_REPLY_BYTES, reply.xid, -1 if is_unknown else reply.zxid, reply.error)
    body = _encode_result(reply.result, opcode, op)
    return _REPLY.pack(_REPLY_BYTES + len(body), reply.xid, reply.zxid, 0) + body


def encode_sasl_refusal(xid: int) -> bytes:
    """Return what a server without a SASL login configured answers to a token."""
    return _REPLY.pack(_REPLY_BYTES + len(_NO_TOKEN), xid, 0, 0) + _NO_TOKEN


def encode_event(event: Notify) -> bytes:
    """Return the frame of a notification."""
    path = event.path.encode("utf-8", "replace")
    size = len(path)
    head = _EVENT.pack(
        _EVENT_BYTES + size, _NOTIFICATION_XID, -1, 0, event.type, _SYNC_CONNECTED, size
    )
    return head + path


def encode_connect(reply: ConnectReply, *, has_read_only: bool) -> bytes:
    """Return the frame of a ConnectResponse; with the readOnly byte if the request had it."""
    password = reply.password
    size = _CONNECT_BYTES + len(password) + has_read_only
    head = _CONNECT.pack(size, 0, reply.timeout_ms, reply.session_id, len(password)) + password
    return head + (b"\1" if reply.is_read_only else b"\0") if has_read_only else head


def _encode_result(result: core.Result, opcode: int, op: core.Op) -> bytes:
    match result:
        case core.DataResult():
            return write_buffer(result.data) + write_stat(result.stat)
        case core.PathResult():
            return write_text(result.path)
        case core.StatResult():
            return write_stat(result.stat)
        case None:
            # addWatch's reply has an empty ErrorResponse for a body.
            return _NO_ERROR if opcode == OpCode.ADD_WATCH else b""
        case core.ChildrenResult():
            names = write_texts(result.names)
            return names if opcode == OpCode.GET_CHILDREN else names + write_stat(result.stat)
        case core.MultiResult():
            assert isinstance(op, core.Multi | core.MultiRead)
            return _encode_multi(op.ops, result.results)
        case core.CreateResult():
            return write_text(result.path) + write_stat(result.stat)
        case core.AclResult():
            return write_acl(result.acl) + write_stat(result.stat)
        case core.PathsResult():
            return write_texts(result.paths)
        case core.NumberResult():
            return INT.pack(result.number)
        case core.IdsResult():
            return write_ids(result.ids)
        case _:
            assert_never(result)


_Part = (
    core.PathResult
    | core.CreateResult
    | core.StatResult
    | core.DataResult
    | core.ChildrenResult
    | core.ErrorResult
    | None
)


def _encode_multi(
    ops: Sequence[core.MultiOp | core.GetData | core.GetChildren], results: Sequence[_Part]
) -> bytes:
    parts = [_encode_part(op, result) for op, result in zip(ops, results, strict=True)]
    return b"".join(parts) + _MULTI_END


def _encode_part(op: core.MultiOp | core.GetData | core.GetChildren, result: _Part) -> bytes:
    match result:
        case core.PathResult():
            return _part(OpCode.CREATE, write_text(result.path))
        case core.CreateResult() if type(op) is core.Create:
            # ZooKeeper 3.8.0 answers create2 inside a multi as create (ZOOKEEPER-4026).
            return _part(OpCode.CREATE, write_text(result.path))
        case core.CreateResult():
            return _part(OpCode.CREATE2, write_text(result.path) + write_stat(result.stat))
        case core.StatResult():
            return _part(OpCode.SET_DATA, write_stat(result.stat))
        case core.DataResult():
            return _part(OpCode.GET_DATA, write_buffer(result.data) + write_stat(result.stat))
        case core.ChildrenResult():
            return _part(OpCode.GET_CHILDREN, write_texts(result.names))
        case core.ErrorResult():
            return _MULTI.pack(-1, False, result.error) + INT.pack(result.error)
        case None:
            return _part(OpCode.CHECK if type(op) is core.Check else OpCode.DELETE, b"")
        case _:
            assert_never(result)


def _part(kind: OpCode, body: bytes) -> bytes:
    return _MULTI.pack(kind, False, 0) + body
