"""The transaction log of one history: files `log.<first zxid>`, each going on where one ended.

Owns their names, order and ends. Each file's first record names the zxid before it, so that a
file that is missing shows. Refuses everything but a torn tail of the newest file. Knows neither
snapshots nor events.
"""

from __future__ import annotations

import os
import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import IO

from nodes.codec import MalformedPacket, decode_txn
from nodes.core.txns import Txn
from nodes.core.zxid import show_zxid
from nodes.logfile import (
    LOG_MAGIC,
    StorageError,
    pack_record,
    remove_file,
    replace_file,
    scan_records,
    truncate_file,
)

_NAME = re.compile(r"log\.([0-9a-f]{16})")
_HEAD = struct.Struct("<Q")  # the zxid before the file's first
_FIRST_ZXID = attrgetter("first_zxid")


@dataclass(slots=True)
class _LogFile:
    path: Path
    first_zxid: int


@dataclass(slots=True)
class _Content:
    """`ends[i]` is the offset at which `txns[i]` ends; what is behind the last is a torn tail."""

    previous_zxid: int
    begin: int
    txns: list[Txn]
    ends: list[int]
    size: int

    @property
    def end(self) -> int:
        return self.ends[-1] if self.ends else self.begin

    @property
    def last_zxid(self) -> int:
        return self.txns[-1].zxid if self.txns else self.previous_zxid


class TxnLog:
    """Invariants: only the newest file is written; every other one is whole.

    `last_zxid` is where the log ends, which is where a new file goes on.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self.last_zxid = 0

    # Reading.

    def read(self, after_zxid: int) -> list[Txn]:
        """Return every transaction behind `after_zxid`.

        Raises StorageError if the log is damaged, or begins later than that.
        """
        txns: list[Txn] = []
        for content in self._contents(after_zxid):
            txns += content.txns
        return [txn for txn in txns if txn.zxid > after_zxid]

    def _contents(self, after_zxid: int) -> Iterator[_Content]:
        files = self._files()
        start = max(bisect_right(files, after_zxid, key=_FIRST_ZXID) - 1, 0)
        last_zxid: int | None = None
        for file in files[start:]:
            content = _read_file(file)
            previous = show_zxid(content.previous_zxid)
            if last_zxid is None and content.previous_zxid > after_zxid:
                raise StorageError(
                    f"{file.path}: goes on behind {previous}, but the log behind"
                    f" {show_zxid(after_zxid)} is needed and not there"
                )
            if last_zxid is not None and content.previous_zxid != last_zxid:
                raise StorageError(
                    f"{file.path}: goes on behind {previous}, but the log before it ends"
                    f" at {show_zxid(last_zxid)}"
                )
            if file is not files[-1] and content.size != content.end:
                raise StorageError(f"{file.path}: damaged at offset {content.end}: incomplete")
            last_zxid = content.last_zxid
            yield content

    def reaches_back_to(self, zxid: int) -> bool:
        """Whether every transaction behind `zxid` that ever was in this log still is."""
        files = self._files()
        return bool(files) and (
            files[0].first_zxid <= zxid or _read_file(files[0]).previous_zxid <= zxid
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is no file."""
        return not self._files()

    def _files(self) -> list[_LogFile]:
        matches = ((path, _NAME.fullmatch(path.name)) for path in self._directory.iterdir())
        files = [_LogFile(path, int(match[1], 16)) for path, match in matches if match]
        return sorted(files, key=_FIRST_ZXID)

    # Writing.

    def open_behind(self, zxid: int) -> None:
        """Make ready to append behind the end, or behind `zxid` if that is later.

        The log must have been read: here a torn tail goes. What follows is a file of its own.
        """
        self.close()
        self.last_zxid = zxid
        files = self._files()
        if not files:
            return
        path = files[-1].path
        (_, *records), end = scan_records(path, path.read_bytes(), LOG_MAGIC)
        if not records:
            # Its first transaction was torn; the next one need not have the zxid of its name.
            remove_file(path)
            self.open_behind(zxid)
            return
        truncate_file(path, end)
        self.last_zxid = max(zxid, _decode(path, end, records[-1][1]).zxid)

    def append(self, zxids: Sequence[int], payloads: Sequence[bytes]) -> None:
        """Add transactions; they are on disk only after `sync`."""
        if self._file is None:
            path = self._directory / f"log.{zxids[0]:016x}"
            replace_file(path, LOG_MAGIC + pack_record(_HEAD.pack(self.last_zxid)))
            self._file = path.open("ab")
        self._file.write(b"".join(map(pack_record, payloads)))
        self._file.flush()
        self.last_zxid = zxids[-1]

    def sync(self) -> None:
        """Have everything appended on disk."""
        if self._file is not None:
            os.fdatasync(self._file.fileno())

    def roll(self) -> None:
        """Let the next transaction begin a new file; all before it are synced."""
        self.close()

    def close(self) -> None:
        """Release the newest file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def cut_behind(self, zxid: int) -> None:
        """Forget what is behind `zxid`, the newest first, so that a crash leaves a whole log."""
        self.close()
        for file in reversed(self._files()):
            if file.first_zxid > zxid:
                remove_file(file.path)
                continue
            content = _read_file(file)
            keep = bisect_right(content.txns, zxid, key=lambda txn: txn.zxid)
            truncate_file(file.path, content.ends[keep - 1])
            return

    def remove_before(self, zxid: int) -> None:
        """Remove every file that holds nothing behind `zxid`."""
        files = self._files()
        for file, follower in pairwise(files):
            if follower.first_zxid > zxid + 1:
                return
            remove_file(file.path)


def _read_file(file: _LogFile) -> _Content:
    """Raise StorageError unless it is sound up to a torn tail."""
    bytes_ = file.path.read_bytes()
    records, _ = scan_records(file.path, bytes_, LOG_MAGIC)
    if not records or len(records[0][1]) != _HEAD.size:
        raise StorageError(f"{file.path}: damaged at offset 0: not a whole head")
    (begin, head), *records = records
    content = _Content(_HEAD.unpack(head)[0], begin, [], [], len(bytes_))
    offset, last_zxid = begin, content.previous_zxid
    for end, payload in records:
        txn = _decode(file.path, offset, payload)
        if txn.zxid <= last_zxid or (not content.txns and txn.zxid != file.first_zxid):
            what = f"{show_zxid(txn.zxid)} cannot be here"
            raise StorageError(f"{file.path}: damaged at offset {offset}: {what}")
        content.txns.append(txn)
        content.ends.append(end)
        offset, last_zxid = end, txn.zxid
    return content


def _decode(path: Path, offset: int, payload: bytes) -> Txn:
    try:
        return decode_txn(payload)
    except MalformedPacket as error:
        raise StorageError(f"{path}: damaged at offset {offset}: {error}") from None
