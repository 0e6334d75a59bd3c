"""A member's storage, driven effect by effect: what a test writes, and what a restart finds."""

from __future__ import annotations

from pathlib import Path

from nodes.codec import encode_txn
from nodes.core import txns
from nodes.core.effects import Persist, WriteSnapshotPart
from nodes.core.events import Event
from nodes.storage import DiskEffect, Storage


def txn(zxid: int) -> txns.Txn:
    return txns.Txn(1, 0, zxid, 0, txns.CreateTxn(f"/{zxid}", b"x" * 5, False, 1))


ROOT = txns.ZnodeImage("/", None, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def run(data_dir: Path, *effects: DiskEffect) -> list[Event]:
    """Have a storage carry out effects; return its events in order."""
    storage = Storage(data_dir)
    storage.open()
    events: list[Event] = []
    failures: list[Exception] = []
    storage.start(events.extend, failures.append)
    for effect in effects:
        storage.submit([(effect, encode_txn(effect.txn) if isinstance(effect, Persist) else b"")])
    storage.close()
    assert failures == []
    return events


def recover(data_dir: Path) -> txns.Recovered:
    storage = Storage(data_dir)
    try:
        return storage.open()
    finally:
        storage.close()


def persist(*zxids: int) -> list[DiskEffect]:
    return [Persist(txn(zxid)) for zxid in zxids]


def snapshot(zxid: int, last_zxid: int = 0) -> list[DiskEffect]:
    """A snapshot in three parts that began after `zxid` and needs the log up to `last_zxid`."""
    last_zxid = last_zxid or zxid
    return [
        WriteSnapshotPart(zxid, zxid, (ROOT,), ((zxid, 4000),), False),
        WriteSnapshotPart(zxid, last_zxid, (image(zxid),), (), False),
        WriteSnapshotPart(zxid, last_zxid, (), (), True),
    ]


def image(zxid: int) -> txns.ZnodeImage:
    """What stands in the snapshot that began after `zxid`."""
    return txns.ZnodeImage(f"/s{zxid}", b"", zxid, zxid, zxid, 0, 0, 0, 0, 0, 0)


def whole(zxid: int) -> txns.Snapshot:
    """What a member finds of `snapshot(zxid)`."""
    return txns.Snapshot(zxid, (ROOT, image(zxid)), ((zxid, 4000),))
