"""`orchestrator trace`: records what members trace, draws it, and exports it for other tools."""

from __future__ import annotations

import signal
import sys
import threading
import time
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, BinaryIO, TextIO

import typer

from orchestrator.commands.options import DEFAULT_DIRECTORY, AsJson, Directory, answer
from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from orchestrator.picture.files import HistoryFile
    from orchestrator.picture.focus import Focus
    from orchestrator.picture.recording import MemberTraces


class Form(StrEnum):
    """What a trace can be exported to."""

    PERFETTO = "perfetto"
    SHIVIZ = "shiviz"
    MERMAID = "mermaid"


SUFFIXES = {Form.PERFETTO: ".perfetto.json", Form.SHIVIZ: ".shiviz.log", Form.MERMAID: ".mmd"}
History = Annotated[
    Path, typer.Argument(help="A history, or what 'trace record' wrote.", metavar="FILE")
]
Around = Annotated[
    str,
    typer.Option(
        help="What to draw: stale, stale:2, whole, an instant in ms, or a session id (0x…)."
        "  [default: the first stale read, else the first session that ended]",
        metavar="WHAT",
    ),
]
OfSession = Annotated[str, typer.Option(help="Draw the end of this session (0x…).", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    trace = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Record what members trace, draw a space-time diagram of it, export it.",
    )
    trace.command("record")(record)
    trace.command("show")(show)
    trace.command("export")(export)
    app.add_typer(trace, name="trace")


def record(
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
    directory: Directory = DEFAULT_DIRECTORY,
    span: Annotated[
        str,
        typer.Option("--for", help="How long, e.g. 5s; until Ctrl-C otherwise.", metavar="SPAN"),
    ] = "",
    messages: Annotated[
        bool,
        typer.Option(
            "--messages", help="Also each message between members and each read: for a picture."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write all that the members of a running ensemble trace from now on.

    \b
    Examples:
      orchestrator trace record --out run.jsonl --for 5s --messages
      orchestrator trace record --dir /tmp/lab --out run.jsonl
    """
    from client.history import End, Header, write_record
    from orchestrator.ensemble import Ensemble
    from orchestrator.picture.recording import MemberTraces

    span_s = _seconds(span) if span else None
    with Ensemble.attach(directory) as ensemble:
        addresses = ensemble.members
    try:
        file = out.open("wb")
    except OSError as error:
        raise InvalidInput(f"{out}: {error.strerror}") from None
    with file:
        write_record(Header(source="trace record"), file)
        traces = MemberTraces(
            addresses, lambda trace: write_record(trace, file), with_messages=messages
        )
        try:
            _wait(span_s, traces, file)
        finally:
            traces.close()
        write_record(End(0), file)
    lost = f", {traces.lost} lost: this program was too slow" if traces.lost else ""
    answer(
        as_json,
        f"{traces.count} traces in {out}{lost}\ndraw them: orchestrator trace show {out}",
        {"file": str(out), "traces": traces.count, "lost": traces.lost},
    )


def show(
    history: History,
    around: Around = "",
    session: OfSession = "",
    out: Annotated[
        Path | None,
        typer.Option(help="The page.  [default: FILE with .html]", metavar="PAGE"),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a space-time diagram as one HTML page: members, clients, messages, windows.

    \b
    Examples:
      orchestrator trace show history.jsonl --open
      orchestrator trace show history.jsonl --around stale:2 --out page.html
      orchestrator trace show run.jsonl --session 0x100000000000002
    """
    focus = _focus(around, session)
    from orchestrator.picture.files import HistoryFile
    from orchestrator.picture.page import draw

    drawn = draw(HistoryFile(history), focus, about=history.name)
    page = out or history.with_suffix(".html")
    try:
        page.write_text(drawn.page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{page}: {error.strerror}") from None
    if is_opened:
        typer.launch(page.resolve().as_uri())
    text = "\n".join([drawn.heading, *drawn.sentences, f"page: {page}"])
    values = {
        "page": str(page),
        "heading": drawn.heading,
        "caption": drawn.sentences,
        "stale_reads": drawn.stale_reads,
    }
    answer(as_json, text, values)


def export(
    history: History,
    to: Annotated[Form, typer.Option(help="The form.")],
    around: Around = "",
    session: OfSession = "",
    out: Annotated[
        Path | None, typer.Option(help="The file.  [default: FILE with a suffix]", metavar="OUT")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write it for another tool: Perfetto takes all of it, ShiViz and Mermaid what a page shows.

    \b
    Examples:
      orchestrator trace export history.jsonl --to perfetto    # open in ui.perfetto.dev
      orchestrator trace export history.jsonl --to shiviz --around whole
      orchestrator trace export history.jsonl --to mermaid --out race.mmd
    """
    focus = _focus(around, session)
    from orchestrator.picture.files import HistoryFile

    target = out or history.with_suffix(SUFFIXES[to])
    records = HistoryFile(history)
    try:
        with target.open("w", encoding="utf-8") as file:
            written = _write(to, records, focus, bool(around or session), file)
    except OSError as error:
        raise InvalidInput(f"{target}: {error.strerror}") from None
    answer(
        as_json,
        f"{written} events in {target}",
        {"file": str(target), "to": to.value, "events": written},
    )


def _write(to: Form, records: HistoryFile, focus: Focus, is_focused: bool, file: TextIO) -> int:
    from orchestrator.picture.build import build
    from orchestrator.picture.evidence import gather

    if to is Form.PERFETTO:
        from orchestrator.picture.exports.perfetto import write_perfetto

        if not is_focused:
            return write_perfetto(records, file)
        evidence = gather(records, focus)
        return write_perfetto(records, file, evidence.begin_ms, evidence.end_ms)
    scene, _ = build(gather(records, focus))
    if to is Form.SHIVIZ:
        from orchestrator.picture.exports.shiviz import write_shiviz

        return write_shiviz(scene, file)
    from orchestrator.picture.exports.mermaid import write_mermaid

    return write_mermaid(scene, file)


def _focus(around: str, session: str) -> Focus:
    from orchestrator.picture.focus import Focus, parse_focus

    if around and session:
        raise InvalidInput("--around and --session both say what to draw: give one")
    if session and not session.lower().startswith("0x"):
        raise InvalidInput(f"session {session!r}: an id in hexadecimal is expected, like 0x1f")
    text = around or session
    return parse_focus(text) if text else Focus()


def _seconds(text: str) -> float:
    for suffix, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0)):
        number = text.removesuffix(suffix)
        if number != text:
            try:
                if (seconds := float(number) * factor) > 0:
                    return seconds
            except ValueError:
                break
    raise InvalidInput(f"--for {text!r}: a length of time is expected, like 500ms, 5s or 2m")


def _wait(span_s: float | None, traces: MemberTraces, file: BinaryIO) -> None:
    """Until the time is up or Ctrl-C; says on a terminal how far it is.

    Now and then writes out what there is: a recording that is killed is worth something, too.
    """
    is_over = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        is_over.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    deadline = time.monotonic() + span_s if span_s is not None else float("inf")
    while (left_s := deadline - time.monotonic()) > 0 and not is_over.wait(min(left_s, 0.2)):
        file.flush()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{traces.count} traces; Ctrl-C ends ")
            sys.stderr.flush()
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
