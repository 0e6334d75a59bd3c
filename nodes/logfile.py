"""The format of a member's files: records with checksums, files replaced as a whole.

Owns bytes and offsets. Knows neither threads nor events; `nodes.storage` uses it.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

LOG_MAGIC = b"LKLOG02\n"
_HEADER = struct.Struct("<III")  # length, CRC-32 of the length, CRC-32 of the payload
_LENGTH = struct.Struct("<I")


class StorageError(Exception):
    """A member's files cannot be used; says which file, where, and why, in one line."""


def pack_record(payload: bytes) -> bytes:
    """Return `payload` as a record.

    The length has a checksum of its own: otherwise a flipped bit in it would look like a record
    that was cut short, and everything behind it would be lost without a word.
    """
    length = _LENGTH.pack(len(payload))
    return _HEADER.pack(len(payload), zlib.crc32(length), zlib.crc32(payload)) + payload


def scan_records(path: Path, content: bytes, magic: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Return ([(offset of the record's end, payload)], length of the sound part).

    What a crash can leave behind the last synced record is a torn tail: a record cut short, a
    last record whose payload is not all there, or zeros. Anything else raises StorageError.
    """
    if not magic.startswith(content[: len(magic)]):
        raise StorageError(f"{path}: damaged at offset 0: not a file of this version")
    records: list[tuple[int, bytes]] = []
    offset = len(magic)
    if len(content) < offset:
        return [], 0
    while offset < len(content):
        payload = _read_record(path, content, offset)
        if payload is None:
            break
        offset += _HEADER.size + len(payload)
        records.append((offset, payload))
    return records, offset


def _read_record(path: Path, content: bytes, offset: int) -> bytes | None:
    """Return the payload at `offset`, None for a torn tail."""
    if len(content) - offset < _HEADER.size:
        return None
    length, length_crc, payload_crc = _HEADER.unpack_from(content, offset)
    if zlib.crc32(content[offset : offset + _LENGTH.size]) != length_crc:
        # A file system may have grown the file without writing what belongs there.
        if not content[offset:].strip(b"\0"):
            return None
        raise StorageError(f"{path}: damaged at offset {offset}: bad record header")
    end = offset + _HEADER.size + length
    payload = content[offset + _HEADER.size : end]
    if len(payload) < length:
        return None
    if zlib.crc32(payload) != payload_crc:
        if not content[end:].strip(b"\0"):
            return None
        raise StorageError(f"{path}: damaged at offset {offset}: bad checksum")
    return payload


def replace_file(path: Path, content: bytes) -> None:
    """Write `path` as a whole, synced: after a crash it holds the old or the new content."""
    fresh = path.with_name(path.name + ".tmp")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Remove `path` for good: a crash does not bring it back."""
    path.unlink()
    sync_directory(path.parent)


def truncate_file(path: Path, length: int) -> None:
    """Have `path` end at `length`, synced."""
    if path.stat().st_size != length:
        with path.open("ab") as file:
            file.truncate(length)
            os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make the names in a directory as durable as the files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_epoch(path: Path) -> int:
    """Return the epoch in `path`; 0 if there is no such file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    number = content.partition(b" ")[0]
    if not number.isdigit() or content != _epoch_line(int(number)):
        raise StorageError(f"{path}: damaged at offset 0: not an epoch: {content[:40]!r}")
    return int(number)


def write_epoch(path: Path, epoch: int) -> None:
    """Replace the epoch in `path`, synced."""
    replace_file(path, _epoch_line(epoch))


def _epoch_line(epoch: int) -> bytes:
    """The epoch, for people too, and its CRC-32: a changed digit would be a promise never made."""
    number = b"%d" % epoch
    return b"%s %08x\n" % (number, zlib.crc32(number))
