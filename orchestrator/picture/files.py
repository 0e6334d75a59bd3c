"""A history's file, as something that can be read again and again without being kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from client.history import Header, HistoryError, Record, read_records
from orchestrator.errors import InvalidInput


class HistoryFile:
    """Each iteration reads the file anew. Raises InvalidInput, one line, for what is no history."""

    def __init__(self, path: Path) -> None:
        self.path = path
        first = next(iter(self), None)
        if not isinstance(first, Header):
            raise InvalidInput(
                f"{path}: no history: its first line is not"
                ' {"history": {"version": 1}}; record one with trace record'
            )

    def __iter__(self) -> Iterator[Record]:
        try:
            with self.path.open("rb") as lines:
                yield from read_records(lines)
        except HistoryError as error:
            raise InvalidInput(f"{self.path}, {error}") from None
        except OSError as error:
            raise InvalidInput(f"{self.path}: {error.strerror or error}") from None
