"""Damage at every place: the log cut at each offset, each byte changed, files taken away.

What a member then finds is a beginning of what was written, or it refuses and names the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.core import txns
from nodes.core.effects import PersistSnapshot
from nodes.logfile import LOG_MAGIC, StorageError, scan_records
from tests.nodes.storing import ROOT, persist, recover, run, snapshot, txn

WRITTEN = tuple(map(txn, range(1, 9)))


@pytest.fixture
def in_files(tmp_path: Path) -> Path:
    """Eight transactions in three files, without a snapshot (two were taken and are gone)."""
    run(tmp_path, *persist(1, 2, 3), *snapshot(3), *persist(4, 5), *snapshot(5), *persist(6, 7, 8))
    for path in tmp_path.rglob("snapshot.*"):
        path.unlink()
    assert recover(tmp_path).txns == WRITTEN
    return tmp_path


def logs(data_dir: Path) -> list[Path]:
    return sorted(data_dir.rglob("log.*"))


def borders(log: Path) -> list[int]:
    """Where its records begin, and its end."""
    records, _ = scan_records(log, log.read_bytes(), LOG_MAGIC)
    return [0, len(LOG_MAGIC), *(end for end, _ in records)]


def damages(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Every byte changed, in one bit, in all of them, and to nothing."""
    for place in range(len(content)):
        for other in (content[place] ^ 1, content[place] ^ 0xFF, 0):
            if other != content[place]:
                yield place, content[:place] + bytes([other]) + content[place + 1 :]


def complaint(data_dir: Path) -> str:
    with pytest.raises(StorageError) as caught:
        recover(data_dir)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_tail_torn_at_any_offset_is_the_end_of_the_log(in_files: Path) -> None:
    log = logs(in_files)[-1]
    content, (_, _, head, *ends) = log.read_bytes(), borders(log)
    for length in range(head, len(content)):
        log.write_bytes(content[:length])
        found = recover(in_files).txns
        assert found == WRITTEN[: 5 + sum(end <= length for end in ends)]
        if log.exists():
            assert log.stat().st_size == max(end for end in ends if end <= length)
    log.write_bytes(content[:-1])
    run(in_files, *persist(20))
    assert recover(in_files).txns == (*WRITTEN[:7], txn(20))


def test_a_log_without_its_head_is_refused(in_files: Path) -> None:
    """A file gets its name only after its head is synced: no crash leaves it without."""
    log = logs(in_files)[-1]
    content, head = log.read_bytes(), borders(log)[2]
    for length in range(head):
        log.write_bytes(content[:length])
        assert f"{log}: damaged at offset" in complaint(in_files)


def test_a_tail_of_zeros_is_the_end_of_the_log(in_files: Path) -> None:
    log = logs(in_files)[-1]
    log.write_bytes(log.read_bytes() + bytes(100))
    assert recover(in_files).txns == WRITTEN


def test_an_earlier_file_cut_at_any_offset_is_refused(in_files: Path) -> None:
    for log in logs(in_files)[:-1]:
        content = log.read_bytes()
        for length in range(len(content)):
            log.write_bytes(content[:length])
            assert str(in_files / "history.1" / "log.") in complaint(in_files)
        log.write_bytes(content)


def test_a_byte_changed_before_the_last_record_is_refused(in_files: Path) -> None:
    for log in logs(in_files):
        content, starts = log.read_bytes(), borders(log)
        is_newest = log == logs(in_files)[-1]
        for place, damaged in damages(content):
            if is_newest and place >= starts[-2]:
                break
            log.write_bytes(damaged)
            offset = max(start for start in starts if start <= place)
            assert f"{log}: damaged at offset {offset}:" in complaint(in_files)
        log.write_bytes(content)


def test_a_byte_changed_in_the_last_record_never_gives_what_was_not_written(
    in_files: Path,
) -> None:
    """A record half written looks the same: it is the end of the log, or it is refused."""
    log = logs(in_files)[-1]
    content, start = log.read_bytes(), borders(log)[-2]
    outcomes = set()
    for place, damaged in damages(content):
        if place < start:
            continue
        log.write_bytes(damaged)
        try:
            assert recover(in_files).txns == WRITTEN[:7]
            outcomes.add("torn")
        except StorageError as error:
            assert f"{log}: damaged at offset {start}:" in str(error)
            outcomes.add("refused")
    assert outcomes == {"torn", "refused"}


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_file_of_the_log_is_refused(in_files: Path, missing: int) -> None:
    logs(in_files)[missing].unlink()
    assert str(in_files / "history.1" / "log.") in complaint(in_files)


def test_a_log_under_another_name_is_refused(in_files: Path) -> None:
    log = logs(in_files)[-1]
    other = log.with_name("log.0000000000000007")
    log.rename(other)
    assert f"{other}: damaged at offset" in complaint(in_files)


def test_a_log_whose_zxids_do_not_grow_is_refused(tmp_path: Path) -> None:
    run(tmp_path, *persist(2, 2))
    assert "0:2 cannot be here" in complaint(tmp_path)


def test_a_snapshot_damaged_at_any_byte_is_refused_without_another(tmp_path: Path) -> None:
    run(tmp_path, PersistSnapshot(txns.Snapshot(5, (ROOT,), ((1, 2),))), *persist(6))
    (path,) = tmp_path.rglob("snapshot.*")
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert f"{path}: damaged at offset" in complaint(tmp_path)
    for _, damaged in damages(content):
        path.write_bytes(damaged)
        assert f"{path}: damaged at offset" in complaint(tmp_path)


def test_a_snapshot_cut_or_changed_anywhere_does_not_matter_while_the_log_is_whole(
    tmp_path: Path,
) -> None:
    run(tmp_path, *persist(1, 2), *snapshot(2), *persist(3))
    (path,) = tmp_path.rglob("snapshot.*")
    content = path.read_bytes()
    cuts = [content[:length] for length in range(len(content))]
    for damaged in cuts + [damaged for _, damaged in damages(content)]:
        path.write_bytes(damaged)
        found = recover(tmp_path)
        assert (found.snapshot, found.txns) == (None, WRITTEN[:3])
