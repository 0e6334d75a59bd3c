"""What a caller may pass in: refused here if it could never be sent, before anything is sent.

The finer rules (paths, access lists, flags) are the members'.
"""

from __future__ import annotations

from client.acl import OPEN_ACL, Acl, Id
from client.errors import BadArgumentsError
from client.ops import (
    AddWatch,
    Auth,
    Check,
    CheckWatches,
    Create,
    CreateContainer,
    CreateTtl,
    Delete,
    GetChildren,
    GetData,
    GetEphemerals,
    Multi,
    MultiRead,
    Reconfig,
    RemoveWatches,
    SetAcl,
    SetData,
    UserOp,
    WatcherType,
    WatchMode,
    WhoAmI,
    WriteOp,
)

# ZooKeeper's default jute.maxbuffer: a larger request costs its sender the connection.
MAX_REQUEST_BYTES = 1_048_575
# Allowed for the numbers and lengths round the paths and data of an operation.
_OVERHEAD_BYTES = 32


def validate(op: UserOp) -> None:
    """Raise BadArgumentsError for what cannot be sent; the finer path rules are the member's."""
    size = _validated_size(op) + _OVERHEAD_BYTES
    if size > MAX_REQUEST_BYTES:
        raise BadArgumentsError(
            op.name,
            op.path,
            f"{size} bytes are more than the {MAX_REQUEST_BYTES} a request may have",
        )


def _validated_size(op: UserOp) -> int:
    match op:
        case Multi():
            return sum(_validated_part_size(op, part, WriteOp) for part in op.ops)
        case MultiRead():
            return sum(_validated_part_size(op, part, GetData | GetChildren) for part in op.ops)
        case Auth():
            return _text_size(op, op.scheme, "a scheme") + _bytes_size(op, op.auth)
        case Reconfig():
            _check_number(op, op.config_id, 64)
            texts = (op.joining, op.leaving, op.new_members)
            return sum(_text_size(op, text, "a list of servers") for text in texts if text)
        case WhoAmI():
            return 0
        case GetEphemerals():
            return _text_size(op, op.prefix, "a prefix")
        case _:
            return _path_size(op, op.path) + _rest_size(op)


def _rest_size(op: UserOp) -> int:
    """Return the size of what an operation has beside its path."""
    match op:
        case Create() | CreateContainer() | CreateTtl():
            _check_number(op, op.flags, 32)
            if isinstance(op, CreateTtl):
                _check_number(op, op.ttl_ms, 64)
            return _data_size(op, op.data) + _acl_size(op, op.acl)
        case SetData():
            _check_number(op, op.version, 32)
            return _data_size(op, op.data)
        case SetAcl():
            _check_number(op, op.version, 32)
            return _acl_size(op, op.acl)
        case Delete() | Check():
            _check_number(op, op.version, 32)
        case AddWatch():
            _check_member(op, op.mode, WatchMode)
        case CheckWatches() | RemoveWatches():
            _check_member(op, op.type, WatcherType)
        case _:
            pass
    return 0


def _validated_part_size(op: Multi | MultiRead, part: UserOp, kinds: object) -> int:
    if not isinstance(part, kinds):  # type: ignore[arg-type]  # a union of classes
        kind = type(part).__name__
        name = "multi" if isinstance(op, Multi) else "multiRead"
        raise BadArgumentsError(name, "", f"{kind} cannot be part of a {name}")
    return _validated_size(part) + _OVERHEAD_BYTES


def _path_size(op: UserOp, path: str) -> int:
    if not isinstance(path, str) or not path.startswith("/"):
        raise BadArgumentsError(op.name, repr(path), "a path is a string that begins with '/'")
    return len(path) if path.isascii() else _utf8_size(op, path)


def _text_size(op: UserOp, text: str, what: str) -> int:
    if not isinstance(text, str):
        raise BadArgumentsError(op.name, "", f"{what} is a string, not {type(text).__name__}")
    return len(text) if text.isascii() else _utf8_size(op, text)


def _utf8_size(op: UserOp, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        what = "the path" if text == op.path else "it"
        raise BadArgumentsError(op.name, ascii(text), f"{what} cannot be UTF-8") from None


def _data_size(op: UserOp, data: bytes | None) -> int:
    return 0 if data is None else _bytes_size(op, data)


def _bytes_size(op: UserOp, data: bytes) -> int:
    if not isinstance(data, bytes):
        kind = type(data).__name__
        allowed = "auth is bytes" if isinstance(op, Auth) else "data is bytes or None"
        raise BadArgumentsError(op.name, op.path, f"{allowed}, not {kind}")
    return len(data)


def _acl_size(op: UserOp, acl: tuple[Acl, ...]) -> int:
    if acl is OPEN_ACL:
        return 0
    if not isinstance(acl, tuple):
        raise BadArgumentsError(op.name, op.path, f"acl is a tuple, not {type(acl).__name__}")
    size = 0
    for entry in acl:
        if not isinstance(entry, Acl) or not isinstance(entry.id, Id):
            raise BadArgumentsError(op.name, op.path, f"{entry!r} is not an Acl(perms, Id(...))")
        _check_number(op, entry.perms, 32)
        size += _text_size(op, entry.id.scheme, "a scheme") + _text_size(op, entry.id.id, "an id")
        size += _OVERHEAD_BYTES
    return size


def _check_number(op: UserOp, number: int, bits: int) -> None:
    if not isinstance(number, int) or not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise BadArgumentsError(op.name, op.path, f"{number!r} is not a {bits}-bit number")


def _check_member(op: UserOp, value: int, kind: type[WatchMode] | type[WatcherType]) -> None:
    if not isinstance(value, kind):
        raise BadArgumentsError(op.name, op.path, f"{value!r} is not a {kind.__name__}")
