"""Snapshots of one history: files `snapshot.<zxid>`, which count only when they are whole.

Owns their format: parts, each a record with a checksum, then a record that says how many there
are. A file gets its name only when all of it is on disk. Knows neither the log nor events.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from google.protobuf.message import DecodeError
from lagkeeper.v1 import peer_pb2

from nodes.codec import fill_snapshot, read_snapshot
from nodes.core.txns import Snapshot, ZnodeImage
from nodes.logfile import StorageError, pack_record, scan_records, sync_directory

SNAPSHOT_MAGIC = b"LKSNAP1\n"
_NAME = re.compile(r"snapshot\.([0-9a-f]{16})")
_FOOT = struct.Struct("<QQI")  # zxid, last zxid, parts
_PART_ZNODES = 1000
# Synced while it grows, so that the sync at its end does not keep the log waiting for long.
_SYNC_BYTES = 1 << 20


@dataclass(slots=True)
class SnapshotFile:
    """A file by its name; what is in it may yet be damaged."""

    path: Path
    zxid: int

    def read(self) -> tuple[Snapshot, int]:
        """Return the snapshot, and how far the log must reach to mend it.

        Raises StorageError if anything in the file is not as it was written.
        """
        content = self.path.read_bytes()
        records, sound = scan_records(self.path, content, SNAPSHOT_MAGIC)
        if sound != len(content) or not records:
            raise StorageError(f"{self.path}: damaged at offset {sound}: incomplete")
        *parts, (_, foot) = records
        if len(foot) != _FOOT.size:
            raise StorageError(f"{self.path}: damaged at offset {sound}: it has no end")
        zxid, last_zxid, count = _FOOT.unpack(foot)
        if (zxid, count) != (self.zxid, len(parts)):
            raise StorageError(f"{self.path}: damaged at offset {sound}: the end of another one")
        return self._join([payload for _, payload in parts]), last_zxid

    def _join(self, parts: list[bytes]) -> Snapshot:
        znodes: list[ZnodeImage] = []
        sessions: list[tuple[int, int]] = []
        try:
            for payload in parts:
                part = read_snapshot(peer_pb2.Snapshot.FromString(payload))
                znodes += part.znodes
                sessions += part.sessions
        except DecodeError as error:
            raise StorageError(f"{self.path}: damaged at offset 0: {error}") from None
        return Snapshot(self.zxid, tuple(znodes), tuple(sessions))


def snapshot_files(directory: Path) -> list[SnapshotFile]:
    """Return every snapshot in a directory, the newest first."""
    matches = ((path, _NAME.fullmatch(path.name)) for path in directory.iterdir())
    files = [SnapshotFile(path, int(match[1], 16)) for path, match in matches if match]
    return sorted(files, key=lambda file: file.zxid, reverse=True)


class SnapshotWriter:
    """A snapshot while it is being written, under a name that nobody reads."""

    def __init__(self, directory: Path, zxid: int) -> None:
        self._path = directory / f"snapshot.{zxid:016x}"
        self._fresh = self._path.with_name(self._path.name + ".tmp")
        self._file = self._fresh.open("wb")
        self._file.write(SNAPSHOT_MAGIC)
        self._unsynced = 0
        self._parts = 0
        self._zxid = zxid

    def write(
        self, znodes: tuple[ZnodeImage, ...], sessions: tuple[tuple[int, int], ...] = ()
    ) -> None:
        """Add a part."""
        out = peer_pb2.Snapshot()
        fill_snapshot(out, Snapshot(self._zxid, znodes, sessions))
        self._parts += 1
        self._unsynced += self._file.write(pack_record(out.SerializeToString()))
        if self._unsynced >= _SYNC_BYTES:
            self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self._unsynced = 0

    def finish(self, last_zxid: int) -> None:
        """Make it count, synced; it needs the log up to `last_zxid`."""
        with self._file:
            self._file.write(pack_record(_FOOT.pack(self._zxid, last_zxid, self._parts)))
            self._sync()
        self._fresh.replace(self._path)
        sync_directory(self._path.parent)

    def discard(self) -> None:
        """Forget it."""
        self._file.close()
        self._fresh.unlink()


def write_snapshot_file(directory: Path, snapshot: Snapshot) -> None:
    """Write a snapshot that is not fuzzy: it needs no log at all."""
    writer = SnapshotWriter(directory, snapshot.zxid)
    writer.write((), snapshot.sessions)
    for znodes in _in_parts(snapshot.znodes):
        writer.write(znodes)
    writer.finish(snapshot.zxid)


def _in_parts(znodes: tuple[ZnodeImage, ...]) -> Iterator[tuple[ZnodeImage, ...]]:
    rest = iter(znodes)
    while part := tuple(islice(rest, _PART_ZNODES)):
        yield part
