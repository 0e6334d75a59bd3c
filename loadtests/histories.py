"""The history of a load test: one file for each Locust process, one in all at its end.

Owns the files' names and their merging. What a history holds is `client.recording`'s.
"""

from __future__ import annotations

from pathlib import Path

from client.history import History, HistoryError
from client.merging import merge
from client.recording import HistoryWriter
from loadtests.knobs import SetupError

SOURCE = "load test"


def begin_history(path: Path | None, worker: int | None) -> HistoryWriter | None:
    """The history of this process, if one is asked for. Raises SetupError.

    `worker`: its index among several; then `merge_histories` makes the file that was asked for.
    """
    if path is None:
        return None
    part = path if worker is None else _part(path, str(worker))
    try:
        return HistoryWriter(part, source=SOURCE)
    except OSError as error:
        raise SetupError(f"--history: cannot write {part}: {error.strerror}") from None


def forget_parts(path: Path | None) -> None:
    """Remove what a test that was killed has left there."""
    for part in _parts(path):
        part.unlink(missing_ok=True)


def merge_histories(path: Path | None) -> str | None:
    """Make one file of the workers' files. Returns what went wrong, if anything did."""
    parts = _parts(path)
    if path is None or not parts:
        return None
    try:
        merge([History.load(part) for part in parts]).save(path)
    except (HistoryError, OSError) as error:
        return f"the history: {error}; {len(parts)} parts stay beside {path}"
    forget_parts(path)
    return None


def _parts(path: Path | None) -> list[Path]:
    return [] if path is None else sorted(path.parent.glob(_part(path, "*").name))


def _part(path: Path, worker: str) -> Path:
    return path.with_name(f"{path.name}.worker-{worker}")
