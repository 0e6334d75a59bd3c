"""The reference of the command line, as the program itself tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from orchestrator import cli


def as_markdown() -> str:
    """A section for each command, with its help as `--help` prints it."""
    program = typer.main.get_command(cli.build(None))
    return "\n".join(_sections(program, "orchestrator", None))


def _sections(command: Any, path: str, parent: Any) -> Iterator[str]:
    name = path.rpartition(" ")[2]
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    # The width that `--help` has on a terminal of the usual width.
    context.terminal_width = 80
    depth = len(path.split())
    if parent is not None:
        yield f"{'#' * depth} {path}\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    for child, below in getattr(command, "commands", {}).items():
        yield from _sections(below, f"{path} {child}", context)
