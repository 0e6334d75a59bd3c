"""A member's history on disk: snapshots, and the log that goes on where they end.

Owns which of them belong together. All files of a history are in `history.<number>`; the state
that a leader sends replaces it as a whole, and so begins a history of its own in one rename. Keeps
three snapshots and the log from the oldest of them on, as ZooKeeper's autopurge does.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from nodes.core.effects import WriteSnapshotPart
from nodes.core.txns import Snapshot, Txn
from nodes.core.zxid import show_zxid
from nodes.logfile import StorageError, remove_file, sync_directory
from nodes.snapshotfile import SnapshotFile, SnapshotWriter, snapshot_files, write_snapshot_file
from nodes.txnlog import TxnLog

SNAP_RETAIN_COUNT = 3
_NAME = re.compile(r"history\.(\d+)")


class History:
    """Invariant: the log on disk reaches at least as far as every snapshot that counts."""

    def __init__(self, data_dir: Path) -> None:
        """Open the newest history in `data_dir`, or begin the first."""
        self._data_dir = data_dir
        self._number = 0
        self._directory = data_dir
        self._writer: SnapshotWriter | None = None
        self._open(max(self._numbers(), default=1))

    def _numbers(self) -> list[int]:
        matches = map(_NAME.fullmatch, (path.name for path in self._data_dir.iterdir()))
        return sorted(int(match[1]) for match in matches if match)

    def _open(self, number: int) -> None:
        self._number = number
        self._directory = self._data_dir / f"history.{number}"
        if not self._directory.exists():
            self._directory.mkdir()
            sync_directory(self._data_dir)
        self.log = TxnLog(self._directory)

    # Reading.

    def recover(self) -> tuple[Snapshot | None, list[Txn]]:
        """Return the newest sound snapshot and every transaction behind it; be ready to append.

        Raises StorageError, and changes nothing, if what is there is not all that once was.
        """
        snapshot, needed_zxid, damages = self._newest_snapshot()
        zxid = 0 if snapshot is None else snapshot.zxid
        try:
            txns = self.log.read(zxid)
        except StorageError as error:
            raise StorageError("; ".join([*damages, str(error)])) from None
        last_zxid = txns[-1].zxid if txns else zxid
        if last_zxid < needed_zxid:
            lost = f"{self._directory}: the log ends at {show_zxid(last_zxid)}, but a snapshot"
            lost += f" shows that it went on to {show_zxid(needed_zxid)}"
            raise StorageError("; ".join([*damages, lost]))
        self._clean_up()
        self.log.open_behind(zxid)
        return snapshot, txns

    def _newest_snapshot(self) -> tuple[Snapshot | None, int, list[str]]:
        """Return it, how far the log must reach, and what is wrong with the newer ones."""
        damages: list[str] = []
        needed_zxid = 0
        for file in snapshot_files(self._directory):
            needed_zxid = max(needed_zxid, file.zxid)
            try:
                snapshot, last_zxid = file.read()
            except StorageError as error:
                damages.append(str(error))
                continue
            return snapshot, max(needed_zxid, last_zxid), damages
        return None, needed_zxid, damages

    def _clean_up(self) -> None:
        """Remove what a crash left half made, or half removed."""
        for path in self._directory.glob("*.tmp"):
            path.unlink()
        for path in self._data_dir.glob("history.*"):
            if path != self._directory:
                shutil.rmtree(path)

    # Writing.

    def write_part(self, part: WriteSnapshotPart) -> None:
        """Add to the snapshot under way; the last part makes it count.

        The log must be synced before the last part, or the snapshot could outlive what it needs.
        """
        if self._writer is None:
            self._writer = SnapshotWriter(self._directory, part.zxid)
        if part.znodes or part.sessions:
            self._writer.write(part.znodes, part.sessions)
        if part.is_last:
            self._writer.finish(part.last_zxid)
            self._writer = None
            self.log.roll()
            self._purge()

    def _purge(self) -> None:
        files = snapshot_files(self._directory)
        for file in reversed(files[SNAP_RETAIN_COUNT:]):
            remove_file(file.path)
        if len(files) >= SNAP_RETAIN_COUNT:
            # Never for fewer: while they are few, the whole log stands in for a damaged one.
            self.log.remove_before(files[SNAP_RETAIN_COUNT - 1].zxid)

    def truncate(self, zxid: int) -> bool:
        """Forget what is behind `zxid`; False, and nothing is changed, if that cannot be.

        A fuzzy snapshot older than `zxid` may hold transactions that are newer: it goes as well.
        `recover` must follow.
        """
        self._discard_writer()
        files = snapshot_files(self._directory)
        newer = _newer_than(files, zxid)
        rest = files[len(newer) :]
        if not rest and files and not self.log.reaches_back_to(0):
            return False
        if rest and not self.log.is_empty and not self.log.reaches_back_to(rest[0].zxid):
            return False
        for file in newer:
            remove_file(file.path)
        self.log.cut_behind(zxid)
        return True

    def replace(self, snapshot: Snapshot) -> None:
        """Begin a history with this state and an empty log; `recover` must follow."""
        self._discard_writer()
        self.log.close()
        fresh = self._data_dir / f"history.{self._number + 1}.tmp"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        write_snapshot_file(fresh, snapshot)
        fresh.rename(self._data_dir / f"history.{self._number + 1}")
        sync_directory(self._data_dir)
        self._open(self._number + 1)
        self._clean_up()
        self.log.open_behind(snapshot.zxid)

    def _discard_writer(self) -> None:
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def close(self) -> None:
        """Release every file."""
        self.log.close()
        self._discard_writer()


def _newer_than(files: list[SnapshotFile], zxid: int) -> list[SnapshotFile]:
    """Return the snapshots, newest first, up to the first sound one that is not newer."""
    for index, file in enumerate(files):
        try:
            _, last_zxid = file.read()
        except StorageError:
            continue
        if last_zxid <= zxid:
            return files[:index]
    return files
