"""The file in an ensemble's directory that says who keeps it, and where its service listens.

A lock, not the file, decides whether somebody does: the kernel lets go of it however its holder
ends, so a file left behind by a killed orchestrator deceives nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import NotAnswering, NotPossible


@dataclass(frozen=True)
class Keeper:
    """The orchestrator of a directory."""

    pid: int
    address: str


class Claim:
    """The right to keep the ensemble of a directory, held by one process at a time.

    Raises NotPossible if another process has it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(_lock_file(directory), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise NotPossible(f"cannot write in directory {directory}: {error.strerror}") from None
        if not _try_lock(self._lock):
            os.close(self._lock)
            keeper = _read(directory)
            who = f" (pid {keeper.pid})" if keeper else ""
            raise NotPossible(
                f"an ensemble runs in {directory} already{who};"
                f" end it with 'orchestrator down --dir {directory}' or choose another --dir"
            )
        _file(directory).unlink(missing_ok=True)

    def publish(self, address: str) -> None:
        """Tell others where the service listens. They see the whole file or none."""
        text = json.dumps({"pid": os.getpid(), "address": address}) + "\n"
        unfinished = _file(self.directory).with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(_file(self.directory))

    def release(self) -> None:
        """Give the directory back."""
        _file(self.directory).unlink(missing_ok=True)
        os.close(self._lock)


def _try_lock(descriptor: int) -> bool:
    """Lock it alone. Tries for a moment: who only looks, in `_is_locked`, locks it briefly too."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01)
        else:
            return True
    return False


def find_keeper(directory: Path) -> Keeper:
    """Who keeps the ensemble of `directory`. Raises NotPossible if nobody does, or not yet."""
    hint = f"start one with 'orchestrator up --dir {directory}'"
    if not _is_locked(directory):
        raise NotPossible(f"no ensemble runs in {directory}; {hint}")
    keeper = _read(directory)
    if keeper is None:
        raise NotPossible(f"the ensemble in {directory} is still starting, or ending; try again")
    return keeper


def wait_until_free(directory: Path, timeout_s: float = 10) -> None:
    """Return when nobody keeps the directory any more. Raises NotAnswering if that takes long."""
    deadline = time.monotonic() + timeout_s
    while _is_locked(directory):
        if time.monotonic() > deadline:
            raise NotAnswering(f"the orchestrator of {directory} has not ended; see its terminal")
        time.sleep(0.01)


def _is_locked(directory: Path) -> bool:
    try:
        descriptor = os.open(_lock_file(directory), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(directory: Path) -> Keeper | None:
    try:
        values = json.loads(_file(directory).read_text(encoding="utf-8"))
        return Keeper(pid=int(values["pid"]), address=str(values["address"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(directory: Path) -> Path:
    return directory / "orchestrator.json"


def _lock_file(directory: Path) -> Path:
    return directory / "orchestrator.lock"
