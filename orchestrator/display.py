"""Shows an ensemble that `orchestrator up` keeps: a live table, plain lines, or JSON lines.

A terminal gets the table; anything else gets text without control characters.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse
    from rich.console import Group
    from rich.live import Live

WIDE = 100


def aligned(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Plain text: columns as wide as their widest cell."""
    table = [columns, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def plain_text(view: GetEnsembleResponse) -> str:
    """The whole view as text."""
    from orchestrator.views import (
        LINK_COLUMNS,
        MEMBER_COLUMNS,
        connect_lines,
        link_rows,
        member_rows,
    )

    parts = [aligned(MEMBER_COLUMNS, member_rows(view))]
    if rows := link_rows(view):
        parts.append(aligned(LINK_COLUMNS, rows))
    parts += [f"member {m.sid}: {m.last_error}" for m in view.members if m.last_error]
    parts += connect_lines(view)
    return "\n".join(parts)


class Lines:
    """The table once, then a line for each change."""

    is_curious = True

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._before: GetEnsembleResponse | None = None

    def waiting(self, text: str) -> None:
        """To the error stream: it is no result."""
        sys.stderr.write(f"orchestrator: {text}\n")

    def serving(self, view: GetEnsembleResponse, address: str) -> None:
        """The table, once."""
        self._before = view
        self._say(plain_text(view))

    def seen(self, view: GetEnsembleResponse) -> None:
        """What changed."""
        from orchestrator.views import describe_changes

        assert self._before is not None
        for line in describe_changes(self._before, view):
            self._say(line)
        self._before = view

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class JsonLines(Lines):
    """One object when serving, then one for each change."""

    def serving(self, view: GetEnsembleResponse, address: str) -> None:
        """The whole view, once."""
        from orchestrator.views import as_json

        self._before = view
        self._out.write(json.dumps({**as_json(view), "address": address}) + "\n")
        self._out.flush()

    def _say(self, text: str) -> None:
        self._out.write(json.dumps({"change": text}) + "\n")
        self._out.flush()


class LiveTable:
    """The table, redrawn in place, on a terminal."""

    is_curious = True

    def __init__(self) -> None:
        self._live: Live | None = None

    def waiting(self, text: str) -> None:
        """Above the table to come."""
        sys.stderr.write(f"orchestrator: {text}\n")

    def serving(self, view: GetEnsembleResponse, address: str) -> None:
        """Draw it for the first time."""
        from rich.live import Live

        self._live = Live(_tables(view), auto_refresh=False)
        self._live.start()

    def seen(self, view: GetEnsembleResponse) -> None:
        """Draw it again."""
        if self._live is not None:
            self._live.update(_tables(view), refresh=True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._live is not None:
            self._live.stop()


def _tables(view: GetEnsembleResponse) -> Group:
    from rich import get_console
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from orchestrator.views import (
        LINK_COLUMNS,
        MEMBER_COLUMNS,
        connect_lines,
        link_rows,
        member_rows,
    )

    # On a narrow terminal the addresses are left to the connect string, in the same order.
    shown = len(MEMBER_COLUMNS) - (get_console().width < WIDE)
    members = Table(
        *MEMBER_COLUMNS[:shown],
        title=f"ensemble in {view.directory}",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for member, row in zip(view.members, member_rows(view), strict=True):
        is_bad = member.process != "running" or not member.status.is_serving
        is_leader = member.status.state == "LEADING"
        members.add_row(*row[:shown], style="red" if is_bad else "bold green" if is_leader else "")
    parts: list[Table | Text] = [members]
    if rows := link_rows(view):
        links = Table(*LINK_COLUMNS, box=SIMPLE_HEAD)
        for row in rows:
            links.add_row(*(Text(cell) for cell in row))
        parts.append(links)
    parts += [Text(f"member {m.sid}: {m.last_error}") for m in view.members if m.last_error]
    parts += [Text(line, no_wrap=True, overflow="fold") for line in connect_lines(view)]
    parts.append(Text("Ctrl-C stops everything", style="dim"))
    return Group(*parts)
