"""What was persisted is there after any crash; what is damaged is refused by file and offset."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nodes.codec import encode_txn
from nodes.core import txns
from nodes.core.effects import Persist, PersistEpochs, PersistSnapshot, TruncateLog
from nodes.core.events import (
    EpochsPersisted,
    Event,
    LogTruncated,
    Persisted,
    SnapshotPersisted,
)
from nodes.core.zxid import make_zxid
from nodes.logfile import StorageError, write_epoch
from nodes.storage import Storage
from tests.nodes.storing import ROOT, persist, recover, run, txn


def test_a_fresh_directory_is_empty(tmp_path: Path) -> None:
    assert recover(tmp_path / "new" / "member") == txns.Recovered()


def test_every_effect_ends_in_its_event_in_order(tmp_path: Path) -> None:
    snapshot = txns.Snapshot(9, (ROOT,), ((7, 4000),))
    events = run(
        tmp_path,
        PersistEpochs(1, 0),
        *persist(1, 2, 3),
        TruncateLog(2),
        PersistEpochs(1, 1),
        PersistSnapshot(snapshot),
        *persist(10),
    )
    assert events == [
        EpochsPersisted(1, 0),
        *(Persisted(zxid) for zxid in (1, 2, 3)),
        LogTruncated(txns.Recovered(1, 0, None, (txn(1), txn(2)))),
        EpochsPersisted(1, 1),
        SnapshotPersisted(9),
        Persisted(10),
    ]
    assert recover(tmp_path) == txns.Recovered(1, 1, snapshot, (txn(10),))


def test_appending_goes_on_after_a_restart_and_a_truncation(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2, 3))
    run(tmp_path, TruncateLog(1), *persist(5))
    assert recover(tmp_path).txns == (txn(1), txn(5))


def test_a_leaders_snapshot_forgets_a_longer_log(tmp_path: Path) -> None:
    run(tmp_path, *persist(1, 2, 30), PersistSnapshot(txns.Snapshot(5, (ROOT,), ())), *persist(6))
    found = recover(tmp_path)
    assert found.snapshot == txns.Snapshot(5, (ROOT,), ())
    assert found.txns == (txn(6),)
    assert [path.name for path in tmp_path.glob("history.*")] == ["history.2"]


def test_a_replaced_history_that_a_crash_left_is_not_looked_at(tmp_path: Path) -> None:
    """The rename of the new one is the moment that counts; what is half made or half gone, not."""
    run(tmp_path, *persist(1, 2, 30))
    old = tmp_path / "history.1"
    kept = {path.name: path.read_bytes() for path in old.iterdir()}
    (tmp_path / "history.2.tmp").mkdir()
    (tmp_path / "history.2.tmp" / "snapshot.0000000000000005").write_bytes(b"half")
    assert recover(tmp_path).txns == (txn(1), txn(2), txn(30))
    run(tmp_path, PersistSnapshot(txns.Snapshot(5, (ROOT,), ())))
    old.mkdir()
    for name, content in kept.items():
        (old / name).write_bytes(content)
    assert recover(tmp_path) == txns.Recovered(0, 0, txns.Snapshot(5, (ROOT,), ()))
    assert not old.exists()


@pytest.mark.parametrize("content", [b"", b"x\n", b"1\n", b"-1\n", b"1 \n", b"1 00000000\n"])
def test_what_is_no_epoch_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "current_epoch").write_bytes(content)
    with pytest.raises(StorageError, match="current_epoch: damaged at offset 0"):
        recover(tmp_path)


def test_an_epoch_damaged_at_any_byte_is_refused(tmp_path: Path) -> None:
    run(tmp_path, PersistEpochs(23, 12))
    path = tmp_path / "accepted_epoch"
    content = path.read_bytes()
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for damaged in (content[:place], changed):
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match="accepted_epoch: damaged"):
                recover(tmp_path)


def test_an_accepted_epoch_below_the_current_one_is_refused(tmp_path: Path) -> None:
    write_epoch(tmp_path / "current_epoch", 2)
    with pytest.raises(StorageError, match="below current_epoch"):
        recover(tmp_path)


def test_a_log_of_an_epoch_never_accepted_is_refused(tmp_path: Path) -> None:
    run(tmp_path, PersistEpochs(2, 1), *persist(make_zxid(2, 1)))
    assert recover(tmp_path).current_epoch == 1
    write_epoch(tmp_path / "accepted_epoch", 1)
    with pytest.raises(StorageError, match="1 is below the log's 2:1"):
        recover(tmp_path)


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    first = Storage(tmp_path)
    first.open()
    with pytest.raises(StorageError, match="in use by process"):
        recover(tmp_path)
    first.close()
    recover(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        recover(tmp_path / "file")


def test_what_gathers_during_a_sync_shares_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    syncs: list[int] = []

    def slow_sync(descriptor: int) -> None:
        syncs.append(descriptor)
        entered.set()
        assert go_on.wait(10)

    storage = Storage(tmp_path)
    storage.open()
    monkeypatch.setattr("nodes.storage.os.fdatasync", slow_sync)
    delivered: list[list[Event]] = []
    storage.start(delivered.append, lambda error: None)
    storage.submit([(Persist(txn(1)), encode_txn(txn(1)))])
    assert entered.wait(10)
    assert delivered == []
    for zxid in range(2, 10):
        storage.submit([(Persist(txn(zxid)), encode_txn(txn(zxid)))])
    go_on.set()
    storage.close()
    assert len(syncs) == 2
    assert delivered == [[Persisted(1)], [Persisted(zxid) for zxid in range(2, 10)]]


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    storage = Storage(tmp_path)
    storage.open()
    monkeypatch.setattr("nodes.storage.os.fdatasync", full)
    delivered: list[list[Event]] = []
    failures: list[Exception] = []
    storage.start(delivered.append, failures.append)
    storage.submit([(Persist(txn(1)), encode_txn(txn(1)))])
    storage.close()
    assert delivered == []
    assert "No space left on device" in str(failures[0])
