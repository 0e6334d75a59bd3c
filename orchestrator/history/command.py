"""`orchestrator history …`: what is in a history, several as one, and as other checkers want it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from client.history import History, HistoryError
from client.merging import merge
from orchestrator.errors import InvalidInput
from orchestrator.history import jepsen, porcupine
from orchestrator.history.registers import Registers
from orchestrator.history.summary import summary, summary_text

File = Annotated[Path, typer.Argument(help="A history, JSON lines.", metavar="FILE")]
_MOST_NAMED = 3
_LARGE_BYTES = 50_000_000


class Form(StrEnum):
    """What to export to."""

    ELLE = "elle"
    JEPSEN = "jepsen"
    PORCUPINE = "porcupine"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    histories = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Show, merge and export histories: what clients asked for, and what they saw.",
    )
    for command in (show, export):
        histories.command()(command)
    histories.command("merge")(merge_files)
    app.add_typer(histories, name="history")


def show(
    file: File,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs.")
    ] = False,
) -> None:
    """Sum a history up: operations by kind and outcome, sessions, members, time.

    \b
    Examples:
      orchestrator chaos --for 10s --history run.jsonl
      orchestrator history show run.jsonl
    """
    found = summary(load(file))
    typer.echo(json.dumps(found, indent=2) if as_json else summary_text(found))


def export(
    file: File,
    to: Annotated[Form, typer.Option(help="The checker that is to read it.")],
    path: Annotated[
        str | None,
        typer.Option(help="Only this znode, as one register.", metavar="PATH"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write there.  [default: standard output]", metavar="F")
    ] = None,
) -> None:
    """Write a history in the form of another checker; what had to be left out, on standard error.

    jepsen: read, write and cas of registers, EDN, for Knossos. elle: transactions of Elle's
    rw-register, EDN. porcupine: a JSON array of operations.

    \b
    Examples:
      orchestrator history export run.jsonl --to elle --out run.edn
      orchestrator history export run.jsonl --to jepsen --path /chaos/keys/3
      orchestrator history export run.jsonl --to porcupine --out run.json
    """
    history = load(file)
    lines: Iterable[str]
    if to is Form.ELLE:
        if path is not None:
            raise InvalidInput("--path: transactions span paths; export to jepsen or porcupine")
        transactions = jepsen.transactions_of(history)
        lines = jepsen.transaction_lines(transactions)
        left_out = len(history.operations) - len(transactions)
        told = f"left out: {left_out} operations that read and write no value" if left_out else ""
    else:
        found = jepsen.registers_of(history, path)
        told = _left_out(found)
        is_jepsen = to is Form.JEPSEN
        lines = jepsen.register_lines(found, path) if is_jepsen else _array(found, path)
    _write(lines, out)
    if told:
        sys.stderr.write(f"{told}\n")


def merge_files(
    files: Annotated[
        list[Path], typer.Argument(help="Histories of one time and one host.", metavar="FILE...")
    ],
    out: Annotated[Path, typer.Option(help="Write the one history there.", metavar="F")],
) -> None:
    """Make one history of several that were recorded at the same time on the same host.

    \b
    Example:
      orchestrator history merge one.jsonl two.jsonl --out both.jsonl
    """
    try:
        merged = merge([load(file) for file in files])
    except HistoryError as error:
        raise InvalidInput(str(error)) from None
    try:
        merged.save(out)
    except OSError as error:
        raise InvalidInput(f"--out: cannot write {out}: {error.strerror}") from None
    typer.echo(f"{len(merged.operations)} operations of {len(files)} histories in {out}")


def load(file: Path) -> History:
    """A history from a file. Raises InvalidInput that names file and line."""
    try:
        size = file.stat().st_size
        if size > _LARGE_BYTES:
            sys.stderr.write(f"reading {size / 1e6:,.0f} MB from {file}\n")
        return History.load(file)
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from None
    except HistoryError as error:
        raise InvalidInput(str(error)) from None


def _left_out(found: Registers) -> str:
    told = []
    if found.other:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.other.items())
        told.append(f"left out, as no reads or writes of data: {kinds}")
    if found.foreign:
        named = ", ".join(found.foreign[:_MOST_NAMED])
        more = len(found.foreign) - _MOST_NAMED
        named += f" and {more} more" if more > 0 else ""
        told.append(f"left out, as they show values that nobody in the history wrote: {named}")
    return "\n".join(told)


def _array(found: Registers, path: str | None) -> Iterable[str]:
    before = "["
    for operation in porcupine.operations(found, path):
        yield before + json.dumps(operation)
        before = ","
    yield "[]" if before == "[" else "]"


def _write(lines: Iterable[str], out: Path | None) -> None:
    if out is None:
        for line in lines:
            typer.echo(line)
        return
    try:
        with out.open("w", encoding="utf-8") as sink:
            sink.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise InvalidInput(f"--out: cannot write {out}: {error.strerror}") from None
