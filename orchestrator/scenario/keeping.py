"""What is kept of runs: histories and pictures, each in a file of its own.

Owns the names of the files. Draws nothing itself: `orchestrator.picture` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from client.history import Header, Operation, Record, Session
from orchestrator.errors import InvalidInput
from orchestrator.scenario.run import RunResult
from orchestrator.scenario.verdicts import VariantResult


class Keeping:
    """Where the history and the pictures of each run go; None: nowhere."""

    def __init__(self, history: Path | None, picture: Path | None, *, runs: int) -> None:
        """`runs`: how many there will be; of several, each has files of its own."""
        self._history = history
        self._picture = picture
        self._runs = runs
        self._kept = 0
        for path in (history, picture):
            if path is not None and not path.absolute().parent.is_dir():
                raise InvalidInput(f"{path}: no folder {path.absolute().parent}")
            if path is not None and path.is_dir():
                raise InvalidInput(f"{path}: a folder; name a file in it")

    @property
    def wants_messages(self) -> bool:
        """Whether messages between members and reads are to be traced, too."""
        return self._history is not None or self._picture is not None

    def keep(self, result: RunResult) -> None:
        """Write what is wanted of a run, and note the files in it."""
        self._kept += 1
        try:
            if self._history is not None:
                result.history_file = str(self._of_run(self._history, result))
                result.history.save(result.history_file)
            if self._picture is not None:
                for variant in result.variants:
                    path = self._of_run(self._picture, result)
                    if len(result.variants) > 1:
                        path = path.with_stem(f"{path.stem}-{variant.variant}")
                    draw_variant(result, variant, path)
                    variant.picture_file = str(path)
        except OSError as error:
            # A full disk has no name, unlike a file that cannot be opened.
            named = error.filename or " or ".join(
                str(path) for path in (self._history, self._picture) if path is not None
            )
            raise InvalidInput(f"cannot write {named}: {error.strerror}") from None

    def _of_run(self, path: Path, result: RunResult) -> Path:
        if self._runs == 1:
            return path
        return path.with_stem(f"{path.stem}-{result.scenario}-{result.on}-{self._kept}")


def draw_variant(result: RunResult, variant: VariantResult, path: Path) -> None:
    """Draw a variant into an HTML page."""
    from orchestrator.picture import Focus, write_picture

    records = list(_records_of(result, variant))
    about = f"{result.scenario}, {variant.variant}: {variant.verdict}, played on {result.on}"
    write_picture(path, records, Focus(), about)


def _records_of(result: RunResult, variant: VariantResult) -> Iterator[Record]:
    """The records of the time of a variant, and the sessions that were opened in it."""
    for record in result.history.records():
        at_ms = _at_ms(record)
        if at_ms is None or variant.began_ms <= at_ms <= variant.ended_ms:
            yield record


def _at_ms(record: Record) -> float | None:
    match record:
        case Header():
            return None
        case Operation():
            return record.called_ms
        case Session():
            return record.opened_ms
        case _:
            return getattr(record, "at_ms", None)
