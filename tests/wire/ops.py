"""ZooKeeper's client protocol as bytes, read off its specification alone.

Owns encoding of requests and decoding of results. Shares no code with the members or with
the project's client, so that a mistake there is not made here as well.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

EPHEMERAL, SEQUENTIAL, CONTAINER, TTL, TTL_SEQUENTIAL = 1, 2, 4, 5, 6
READ, WRITE, CREATE, DELETE, ADMIN, ALL = 1, 2, 4, 8, 16, 31
CHILDREN_WATCH, DATA_WATCH, ANY_WATCH = 1, 2, 3
PERSISTENT, RECURSIVE = 0, 1

AclEntry = tuple[int, str, str]
OPEN: tuple[AclEntry, ...] = ((ALL, "world", "anyone"),)


class Stat(NamedTuple):
    """A znode's metadata, in the order of the wire."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    num_children: int
    pzxid: int


class Failure(NamedTuple):
    """Inside a multi: the code of one operation."""

    error: int


class Reader:
    """Reads values off a frame, one after the other. Raises struct.error beyond its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def _take(self, layout: str) -> int:
        value = struct.unpack_from(layout, self.data, self.at)[0]
        self.at += struct.calcsize(layout)
        return int(value)

    def i32(self) -> int:
        """Read a signed 32-bit number."""
        return self._take(">i")

    def i64(self) -> int:
        """Read a signed 64-bit number."""
        return self._take(">q")

    def flag(self) -> bool:
        """Read a byte that says yes or no."""
        return bool(self._take(">b"))

    def buffer(self) -> bytes | None:
        """Read bytes with their length before them; None for length -1."""
        length = self.i32()
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length : self.at]

    def text(self) -> str:
        """Read a string."""
        return (self.buffer() or b"").decode()

    def texts(self) -> tuple[str, ...]:
        """Read a vector of strings."""
        return tuple(self.text() for _ in range(self.i32()))

    def stat(self) -> Stat:
        """Read a Stat."""
        layout = ">qqqqiiiqiiq"
        fields = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return Stat(*fields)

    def is_at_end(self) -> bool:
        """Whether everything has been read."""
        return self.at == len(self.data)


def int_(number: int) -> bytes:
    """Encode a 32-bit number."""
    return struct.pack(">i", number)


def long_(number: int) -> bytes:
    """Encode a 64-bit number."""
    return struct.pack(">q", number)


def bool_(value: bool) -> bytes:
    """Encode a yes or no."""
    return b"\x01" if value else b"\x00"


def buffer(data: bytes | None) -> bytes:
    """Encode bytes with their length before them."""
    return int_(-1) if data is None else int_(len(data)) + data


def text(value: str | None) -> bytes:
    """Encode a string."""
    return buffer(None if value is None else value.encode())


def texts(values: Sequence[str]) -> bytes:
    """Encode a vector of strings."""
    return int_(len(values)) + b"".join(map(text, values))


def acl_list(acl: Sequence[AclEntry] | None) -> bytes:
    """Encode an access list."""
    if acl is None:
        return int_(-1)
    entries = (int_(perms) + text(scheme) + text(id_) for perms, scheme, id_ in acl)
    return int_(len(acl)) + b"".join(entries)


@dataclass(frozen=True)
class Op:
    """A request: its type, its body and how its result reads. `name` is for people."""

    name: str
    type: int
    body: bytes = b""
    decode: Callable[[Reader], object] | None = field(default=None, repr=False)
    path: str = ""


def create(
    path: str,
    data: bytes | None = b"",
    flags: int = 0,
    acl: Sequence[AclEntry] | None = OPEN,
    type: int = 1,
    ttl: int | None = None,
) -> Op:
    """Encode create (1), create2 (15), createContainer (19) or createTTL (21)."""
    body = text(path) + buffer(data) + acl_list(acl) + int_(flags)
    if ttl is not None:
        body += long_(ttl)
    names = {1: "create", 15: "create2", 19: "createContainer", 21: "createTTL"}
    return Op(names[type], type, body, Reader.text if type == 1 else path_and_stat, path)


def create2(path: str, data: bytes | None = b"", flags: int = 0) -> Op:
    """Encode create2, which answers with the Stat too."""
    return create(path, data, flags, type=15)


def container(path: str) -> Op:
    """Encode createContainer."""
    return create(path, b"", CONTAINER, type=19)


def create_ttl(path: str, ttl: int, flags: int = TTL) -> Op:
    """Encode createTTL."""
    return create(path, b"", flags, type=21, ttl=ttl)


def delete(path: str, version: int = -1) -> Op:
    """Encode delete."""
    return Op("delete", 2, text(path) + int_(version), None, path)


def exists(path: str, watch: bool = False) -> Op:
    """Encode exists."""
    return Op("exists", 3, text(path) + bool_(watch), Reader.stat, path)


def get_data(path: str, watch: bool = False) -> Op:
    """Encode getData."""
    return Op("getData", 4, text(path) + bool_(watch), data_and_stat, path)


def set_data(path: str, data: bytes | None, version: int = -1) -> Op:
    """Encode setData."""
    return Op("setData", 5, text(path) + buffer(data) + int_(version), Reader.stat, path)


def get_acl(path: str) -> Op:
    """Encode getACL."""
    return Op("getACL", 6, text(path), acl_and_stat, path)


def set_acl(path: str, acl: Sequence[AclEntry] | None, version: int = -1) -> Op:
    """Encode setACL."""
    return Op("setACL", 7, text(path) + acl_list(acl) + int_(version), Reader.stat, path)


def get_children(path: str, watch: bool = False) -> Op:
    """Encode getChildren, the one without a Stat."""
    return Op("getChildren", 8, text(path) + bool_(watch), Reader.texts, path)


def get_children2(path: str, watch: bool = False) -> Op:
    """Encode getChildren2."""
    return Op("getChildren2", 12, text(path) + bool_(watch), children_and_stat, path)


def sync(path: str = "/") -> Op:
    """Encode sync."""
    return Op("sync", 9, text(path), Reader.text, path)


PING = Op("ping", 11)
CLOSE = Op("closeSession", -11)


def check(path: str, version: int) -> Op:
    """Encode check, for use in a multi only."""
    return Op("check", 13, text(path) + int_(version), None, path)


def check_watches(path: str, type: int) -> Op:
    """Encode checkWatches."""
    return Op("checkWatches", 17, text(path) + int_(type), None, path)


def remove_watches(path: str, type: int) -> Op:
    """Encode removeWatches."""
    return Op("removeWatches", 18, text(path) + int_(type), None, path)


def add_watch(path: str, mode: int) -> Op:
    """Encode addWatch, whose result is an error number."""
    return Op("addWatch", 106, text(path) + int_(mode), Reader.i32, path)


def get_ephemerals(prefix: str = "/") -> Op:
    """Encode getEphemerals."""
    return Op("getEphemerals", 103, text(prefix), Reader.texts, prefix)


def get_all_children_number(path: str) -> Op:
    """Encode getAllChildrenNumber."""
    return Op("getAllChildrenNumber", 104, text(path), Reader.i32, path)


def auth(scheme: str, credentials: bytes) -> Op:
    """Encode auth; goes under xid -4."""
    return Op("auth", 100, int_(0) + text(scheme) + buffer(credentials))


def set_watches(
    relative_zxid: int,
    data: Sequence[str] = (),
    exist: Sequence[str] = (),
    child: Sequence[str] = (),
) -> Op:
    """Encode setWatches; goes under xid -8."""
    return Op("setWatches", 101, long_(relative_zxid) + texts(data) + texts(exist) + texts(child))


def set_watches2(
    relative_zxid: int,
    data: Sequence[str] = (),
    exist: Sequence[str] = (),
    child: Sequence[str] = (),
    persistent: Sequence[str] = (),
    recursive: Sequence[str] = (),
) -> Op:
    """Encode setWatches2; goes under xid -8."""
    lists = b"".join(map(texts, (data, exist, child, persistent, recursive)))
    return Op("setWatches2", 105, long_(relative_zxid) + lists)


def reconfig(joining: str | None = None, leaving: str | None = None) -> Op:
    """Encode reconfig."""
    body = text(joining) + text(leaving) + text(None) + long_(-1)
    return Op("reconfig", 16, body, data_and_stat)


def multi(*ops: Op) -> Op:
    """Encode several writes as one transaction."""
    return Op("multi", 14, _parts(ops), multi_results)


def multi_read(*ops: Op) -> Op:
    """Encode several reads."""
    return Op("multiRead", 22, _parts(ops), multi_results)


def _parts(ops: Sequence[Op]) -> bytes:
    parts = [int_(op.type) + bool_(False) + int_(-1) + op.body for op in ops]
    return b"".join(parts) + int_(-1) + bool_(True) + int_(-1)


def path_and_stat(reader: Reader) -> tuple[str, Stat]:
    """Decode the result of create2 and its like."""
    return reader.text(), reader.stat()


def data_and_stat(reader: Reader) -> tuple[bytes | None, Stat]:
    """Decode the result of getData."""
    return reader.buffer(), reader.stat()


def children_and_stat(reader: Reader) -> tuple[tuple[str, ...], Stat]:
    """Decode the result of getChildren2."""
    return reader.texts(), reader.stat()


def acl_and_stat(reader: Reader) -> tuple[tuple[AclEntry, ...], Stat]:
    """Decode the result of getACL."""
    acl = tuple((reader.i32(), reader.text(), reader.text()) for _ in range(reader.i32()))
    return acl, reader.stat()


def id_list(reader: Reader) -> tuple[tuple[str, str], ...]:
    """Decode the result of whoAmI."""
    return tuple((reader.text(), reader.text()) for _ in range(reader.i32()))


WHO_AM_I = Op("whoAmI", 107, b"", id_list)


_PART_RESULTS: dict[int, Callable[[Reader], object]] = {
    1: Reader.text,
    2: lambda _: None,
    4: data_and_stat,
    5: Reader.stat,
    8: Reader.texts,
    13: lambda _: None,
    15: path_and_stat,
    -1: lambda reader: Failure(reader.i32()),
}


def multi_results(reader: Reader) -> tuple[object, ...]:
    """Decode the results of multi and multiRead: (type, result) of each operation."""
    results: list[object] = []
    while True:
        type_, is_last, _error = reader.i32(), reader.flag(), reader.i32()
        if is_last:
            return tuple(results)
        results.append((type_, _PART_RESULTS[type_](reader)))
