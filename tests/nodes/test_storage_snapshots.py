"""Snapshots while writes go on: which count, what the log keeps for them, how far back to go."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.core import txns
from nodes.core.effects import PersistSnapshot, TruncateLog
from nodes.core.events import LogTruncated, Persisted, SnapshotPartWritten
from nodes.logfile import StorageError
from tests.nodes.storing import ROOT, persist, recover, run, snapshot, txn, whole


def names(data_dir: Path, pattern: str) -> list[int]:
    """The zxids in the names of files of the newest history."""
    history = max(data_dir.glob("history.*"))
    return sorted(int(path.suffix[1:], 16) for path in history.glob(pattern))


def numbered(*zxids: int) -> tuple[txns.Txn, ...]:
    return tuple(map(txn, zxids))


def test_every_part_is_answered_in_order(tmp_path: Path) -> None:
    first, *rest = snapshot(2)
    assert run(tmp_path, *persist(1, 2), first, *persist(3), *rest, *persist(4)) == [
        Persisted(1),
        Persisted(2),
        SnapshotPartWritten(2),
        Persisted(3),
        SnapshotPartWritten(2),
        SnapshotPartWritten(2),
        Persisted(4),
    ]
    assert recover(tmp_path) == txns.Recovered(0, 0, whole(2), numbered(3, 4))


def test_a_snapshot_begins_a_file_of_the_log(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2), *snapshot(2), *persist(3), *snapshot(3), *persist(4, 5))
    assert names(tmp_path, "log.*") == [1, 3, 4]


def test_a_snapshot_without_its_end_does_not_count(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2), *snapshot(2)[:2])
    assert recover(tmp_path) == txns.Recovered(0, 0, None, numbered(1, 2))
    assert not list(tmp_path.rglob("*.tmp"))


def test_three_snapshots_are_kept_and_the_log_from_the_oldest_on(tmp_path: Path) -> None:
    for zxid in range(1, 8):
        run(tmp_path, *persist(zxid), *snapshot(zxid))
    assert names(tmp_path, "snapshot.*") == [5, 6, 7]
    # The transactions behind 5 begin in the file of 6.
    assert names(tmp_path, "log.*") == [6, 7]


def test_a_damaged_snapshot_is_stood_in_for_by_the_one_before(tmp_path: Path) -> None:
    for zxid in range(1, 8):
        run(tmp_path, *persist(zxid), *snapshot(zxid))
    run(tmp_path, *persist(8))
    for expected, damaged in ((6, 7), (5, 6)):
        path = tmp_path / "history.1" / f"snapshot.{damaged:016x}"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        found = recover(tmp_path)
        assert found.snapshot == whole(expected)
        assert found.txns == numbered(*range(expected + 1, 9))
    path = tmp_path / "history.1" / "snapshot.0000000000000005"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError) as caught:
        recover(tmp_path)
    for zxid in (5, 6, 7):
        assert f"snapshot.{zxid:016x}: damaged at offset" in str(caught.value)
    assert "log behind 0:0 is needed and not there" in str(caught.value)


def test_without_any_sound_snapshot_the_whole_log_will_do(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2), *snapshot(2), *persist(3))
    (tmp_path / "history.1" / "snapshot.0000000000000002").write_bytes(b"")
    assert recover(tmp_path) == txns.Recovered(0, 0, None, numbered(1, 2, 3))


def test_a_damaged_snapshot_without_a_log_is_refused(tmp_path: Path) -> None:
    run(tmp_path, PersistSnapshot(txns.Snapshot(5, (ROOT,), ((1, 2),))))
    (path,) = tmp_path.rglob("snapshot.*")
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="snapshot"):
        recover(tmp_path)


def test_a_log_that_ends_before_what_a_snapshot_needs_is_refused(tmp_path: Path) -> None:
    """Its parts hold what was applied while it was taken; without the log they are no state."""
    run(tmp_path, *persist(1, 2, 3), *snapshot(1, 3))
    (log,) = tmp_path.rglob("log.*")
    log.write_bytes(log.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"ends at 0:2, but a snapshot shows that .* to 0:3"):
        recover(tmp_path)


# TRUNC.


def cut(data_dir: Path, zxid: int) -> txns.Recovered | None:
    (event,) = run(data_dir, TruncateLog(zxid))
    assert isinstance(event, LogTruncated)
    assert event.recovered is None or event.recovered == recover(data_dir)
    return event.recovered


def test_the_log_is_cut_across_files(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2), *snapshot(1, 1), *persist(3, 4), *snapshot(1, 1), *persist(5))
    assert names(tmp_path, "log.*") == [1, 3, 5]
    assert cut(tmp_path, 3) == txns.Recovered(0, 0, whole(1), numbered(2, 3))
    assert names(tmp_path, "log.*") == [1, 3]
    assert cut(tmp_path, 2) == txns.Recovered(0, 0, whole(1), numbered(2))
    run(tmp_path, *persist(9))
    assert recover(tmp_path).txns == numbered(2, 9)


def test_a_cut_behind_a_snapshot_goes_back_to_an_older_one(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2), *snapshot(2), *persist(3, 4), *snapshot(4), *persist(5))
    assert cut(tmp_path, 3) == txns.Recovered(0, 0, whole(2), numbered(3))
    assert cut(tmp_path, 1) == txns.Recovered(0, 0, None, numbered(1))
    assert cut(tmp_path, 0) == txns.Recovered()


def test_a_fuzzy_snapshot_goes_with_the_transactions_that_are_in_it(tmp_path: Path) -> None:
    """It began before the cut, but what is cut may be in it already."""
    run(tmp_path, *persist(1, 2, 3, 4), *snapshot(2, 4))
    assert cut(tmp_path, 4) == txns.Recovered(0, 0, whole(2), numbered(3, 4))
    assert cut(tmp_path, 3) == txns.Recovered(0, 0, None, numbered(1, 2, 3))


def test_a_cut_that_would_need_a_state_not_kept_changes_nothing(tmp_path: Path) -> None:
    base = txns.Snapshot(5, (ROOT,), ())
    run(tmp_path, PersistSnapshot(base), *persist(6, 7), *snapshot(7))
    before = recover(tmp_path)
    assert cut(tmp_path, 4) is None
    assert recover(tmp_path) == before
    assert cut(tmp_path, 6) == txns.Recovered(0, 0, base, numbered(6))
    assert cut(tmp_path, 5) == txns.Recovered(0, 0, base)
    assert cut(tmp_path, 4) is None


def test_a_cut_ends_the_snapshot_under_way(tmp_path: Path) -> None:
    first, second, _ = snapshot(1)
    run(tmp_path, *persist(1, 2), first, second, TruncateLog(1), *persist(3), *snapshot(3))
    assert recover(tmp_path) == txns.Recovered(0, 0, whole(3))
