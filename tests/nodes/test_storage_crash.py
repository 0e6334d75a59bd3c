"""A crash between any two steps of the disk: what was answered is there, and nothing else came.

The crash is an exception in place of a sync, a rename or a removal; the process ends with it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nodes.codec import encode_txn
from nodes.core import txns
from nodes.core.effects import Persist, PersistSnapshot, TruncateLog, WriteSnapshotPart
from nodes.core.events import Event
from nodes.storage import DiskEffect, Storage
from tests.nodes.storing import persist, recover, snapshot, whole

STEPS: list[tuple[Any, str]] = [
    (os, "fsync"),
    (os, "fdatasync"),
    (Path, "replace"),
    (Path, "rename"),
    (Path, "unlink"),
    (shutil, "rmtree"),
]
WORK: list[DiskEffect] = [
    *persist(1, 2),
    *snapshot(1, 2),
    *persist(3, 4),
    *snapshot(3, 4),
    *persist(5, 6),
    *snapshot(5, 6),
    *persist(7),
    *snapshot(7),
    *persist(8, 9),
    TruncateLog(6),
    *persist(10, 11),
    *snapshot(10, 11),
    PersistSnapshot(whole(4)),
    *persist(20, 21),
    *snapshot(20, 21),
    TruncateLog(20),
    *persist(22),
]


class Crash(BaseException):
    """The end of the process."""


@contextmanager
def crashing(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[str]]:
    """Let the step behind the first `after` be the end; give the names of the steps taken."""
    taken: list[str] = []

    def patched(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def crash_or_go_on(*args: Any, **kwargs: Any) -> Any:
            if len(taken) == after:
                raise Crash(name)
            taken.append(name)
            return step(*args, **kwargs)

        return crash_or_go_on

    with monkeypatch.context() as context:
        for owner, name in STEPS:
            context.setattr(owner, name, patched(name, getattr(owner, name)))
        yield taken


def let_go(storage: Storage) -> None:
    """Close its files as the system does: nothing is finished, nothing is put in order."""
    history = storage._history
    writer = history._writer if history else None
    files = (storage._lock, history and history.log._file, writer and writer._file)
    for file in files:
        if file:
            file.close()


def answered(data_dir: Path) -> int:
    """Work until the crash; return how many effects were answered before it."""
    storage = Storage(data_dir)
    events: list[Event] = []
    try:
        storage.open()
        for effect in WORK:
            encoded = encode_txn(effect.txn) if isinstance(effect, Persist) else b""
            # In this thread, one by one, so that the place of the crash is always the same.
            storage._carry_out([(effect, encoded)], events.extend)
    except Crash:
        pass
    finally:
        let_go(storage)
    return len(events)


def histories() -> list[tuple[int, list[int]]]:
    """Before and after each effect: the zxid at which the history begins, and those in it."""
    begin, zxids = 0, list[int]()
    found = [(begin, zxids)]
    for effect in WORK:
        match effect:
            case Persist():
                zxids = [*zxids, effect.txn.zxid]
            case TruncateLog():
                zxids = [zxid for zxid in zxids if zxid <= effect.zxid]
            case PersistSnapshot():
                begin, zxids = effect.snapshot.zxid, []
            case _:
                assert isinstance(effect, WriteSnapshotPart)
        found.append((begin, zxids))
    return found


def is_state_of(found: txns.Recovered, begin: int, zxids: list[int]) -> bool:
    """Whether a restart found exactly this history, from whatever snapshot of it."""
    start = found.snapshot.zxid if found.snapshot else 0
    if start not in (begin, *zxids):
        return False
    return [txn.zxid for txn in found.txns] == [zxid for zxid in zxids if zxid > start]


def test_after_a_crash_at_any_step_what_was_answered_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = histories()
    after = 0
    while True:
        data_dir = tmp_path / str(after)
        with crashing(monkeypatch, after) as taken:
            count = answered(data_dir)
        if len(taken) < after:
            break
        found = recover(data_dir)
        # The effect under way may have happened; a cut may have come half its way.
        (begin, before), (next_begin, behind) = states[count], states[min(count + 1, len(WORK))]
        between = [before[:length] for length in range(len(behind), len(before) + 1)]
        possible = [(begin, before), (next_begin, behind), *((begin, zxids) for zxids in between)]
        assert any(is_state_of(found, *state) for state in possible), (after, taken[-3:], found)
        assert recover(data_dir) == found
        after += 1
    assert count == len(WORK)
    assert after > 70
