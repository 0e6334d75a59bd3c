"""A Mermaid sequence diagram of a scene: text that Markdown renderers draw.

A message stands where it arrives; one that was kept back says for how long, one that never arrived
ends in a cross. Times between rows are not shown, as Mermaid knows none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from orchestrator.picture.exports.moments import Moment, moments_of
from orchestrator.picture.scene import MEMBER, Arrow, Scene, show_ms

# Renderers refuse longer texts (maxTextSize), or take minutes.
MOST = 400


def write_mermaid(scene: Scene, out: TextIO) -> int:
    """Write a scene; return how many lines of it are messages and notes."""
    out.write("sequenceDiagram\n")
    names = {lane.key: f"L{place}" for place, lane in enumerate(scene.lanes)}
    for lane in scene.lanes:
        kind = "participant" if lane.kind == MEMBER else "actor"
        title = f"{lane.title}, {lane.subtitle}" if lane.subtitle else lane.title
        out.write(f"    {kind} {names[lane.key]} as {_escape(title)}\n")
    written = 0
    for line in _lines(scene, names):
        out.write(f"    {line}\n")
        written += 1
        if written == MOST:
            first = next(iter(names.values()))
            out.write(f"    Note over {first}: more follows that is not drawn\n")
            break
    return written


def _lines(scene: Scene, names: dict[str, str]) -> Iterator[str]:
    for moment in moments_of(scene):
        if moment.mark is not None and moment.lane in names:
            yield f"Note over {names[moment.lane]}: {_escape(moment.mark.text)}"
        elif moment.arrow is not None and {moment.arrow.sender, moment.arrow.receiver} <= set(
            names
        ):
            line = _arrow(moment, moment.arrow, names)
            if line:
                yield line


def _arrow(moment: Moment, arrow: Arrow, names: dict[str, str]) -> str:
    sender, receiver = names[arrow.sender], names[arrow.receiver]
    text = _escape(arrow.label or arrow.says or "answer")
    if moment.is_arrival:
        if arrow.is_kept and arrow.sent is not None and arrow.left is not None:
            text += f", held {show_ms(arrow.left[0] - arrow.sent[0])}"
        line = "-->>" if arrow.look.startswith("answer") else "->>"
        return f"{sender}{line}{receiver}: {text}"
    if arrow.is_kept:
        return f"Note over {sender}: holds back {text}"
    if arrow.received is None:
        return f"{sender}-x{receiver}: {text}"
    return ""


def _escape(text: str) -> str:
    """Text without what Mermaid would read as its own; it ends a statement at a semicolon."""
    plain = " ".join(text.translate({ord("#"): "#35;", ord(";"): "#59;"}).split())
    return "(end)" if plain == "end" else plain
