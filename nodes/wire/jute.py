"""Jute, ZooKeeper's serialization: numbers, strings, lists, access lists, stats.

Big-endian; strings, buffers and lists have their length before them, -1 for null. Knows no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import TypeVar

from nodes.core.acl import share
from nodes.core.requests import Acl, Id, Stat

Item = TypeVar("Item")

INT = Struct(">i")
LONG = Struct(">q")
_STAT = Struct(">qqqqiiiqiiq")
_NULL = b"\xff\xff\xff\xff"
# Bytes of an access list that are worth remembering: most clients send the same few.
_SMALL = 256


class Undecodable(ValueError):
    """Bytes that are no such record."""


class Reader:
    """Takes values off a frame, from `at` on. Raises Undecodable where it ends too early."""

    __slots__ = ("at", "frame")

    def __init__(self, frame: bytes, at: int) -> None:
        self.frame = frame
        self.at = at

    def int32(self) -> int:
        """An int."""
        return self._number(INT)

    def int64(self) -> int:
        """A long."""
        return self._number(LONG)

    def _number(self, kind: Struct) -> int:
        try:
            value: int = kind.unpack_from(self.frame, self.at)[0]
        except StructError:
            raise Undecodable("the frame ends in a number") from None
        self.at += kind.size
        return value

    def boolean(self) -> bool:
        """A boolean: any byte but 0 is true."""
        if self.at >= len(self.frame):
            raise Undecodable("the frame ends before a boolean")
        self.at += 1
        return self.frame[self.at - 1] != 0

    def buffer(self) -> bytes | None:
        """A buffer, perhaps null."""
        size = self.int32()
        if size == -1:
            return None
        begin, end = self.at, self.at + size
        if size < 0 or end > len(self.frame):
            raise Undecodable(f"a length of {size}")
        self.at = end
        return self.frame[begin:end]

    def text(self) -> str | None:
        """A ustring, perhaps null. What is not UTF-8 becomes U+FFFD, as in Java."""
        data = self.buffer()
        return None if data is None else data.decode("utf-8", "replace")

    def path(self) -> str:
        """A ustring that may not be null: the server fails on a null path as on bad bytes."""
        text = self.text()
        if text is None:
            raise Undecodable("null, where a path is needed")
        return text

    def vector(self, item: Callable[[], Item]) -> tuple[Item, ...]:
        """A list that may not be null; any other negative size is none at all, as in Java's."""
        size = self.int32()
        if size < -1:
            return ()
        # Each item takes a byte at least: a size in the billions must not be believed.
        if not 0 <= size <= len(self.frame) - self.at:
            raise Undecodable(f"a list of {size}")
        return tuple([item() for _ in range(size)])

    def acl(self) -> tuple[Acl, ...]:
        """An access list; null is empty, which is refused alike."""
        if self.frame[self.at : self.at + 4] == _NULL:
            self.at += 4
            return ()
        return self.vector(self._acl_entry)

    def _acl_entry(self) -> Acl:
        perms = self.int32()
        scheme = self.text()
        who = self.path()
        return Acl(perms, Id(scheme or "", who))


@lru_cache(maxsize=1024)
def _remembered_acl_and_flags(rest: bytes) -> tuple[tuple[Acl, ...], int]:
    # The open list as the very object that everything else recognizes by identity.
    reader = Reader(rest, 0)
    return share(reader.acl()), reader.int32()


def acl_and_flags(rest: bytes) -> tuple[tuple[Acl, ...], int]:
    """What create ends with."""
    if len(rest) <= _SMALL:
        return _remembered_acl_and_flags(rest)
    reader = Reader(rest, 0)
    return reader.acl(), reader.int32()


def write_buffer(data: bytes | None) -> bytes:
    """A buffer, perhaps null."""
    return _NULL if data is None else INT.pack(len(data)) + data


def write_text(text: str) -> bytes:
    """A ustring."""
    data = text.encode("utf-8", "replace")
    return INT.pack(len(data)) + data


def write_texts(texts: tuple[str, ...]) -> bytes:
    """A list of ustrings."""
    return INT.pack(len(texts)) + b"".join([write_text(text) for text in texts])


def write_stat(stat: Stat) -> bytes:
    """A Stat: 68 bytes."""
    return _STAT.pack(
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


def write_acl(entries: tuple[Acl, ...]) -> bytes:
    """An access list."""
    parts = [INT.pack(len(entries))]
    for entry in entries:
        parts += (INT.pack(entry.perms), write_ids_entry(entry.id))
    return b"".join(parts)


def write_ids_entry(who: Id) -> bytes:
    """A scheme and an id in it."""
    return write_text(who.scheme) + write_text(who.id)


def write_ids(ids: Iterable[Id]) -> bytes:
    """A list of identities."""
    parts = [write_ids_entry(who) for who in ids]
    return INT.pack(len(parts)) + b"".join(parts)
