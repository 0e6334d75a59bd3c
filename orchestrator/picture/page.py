"""The picture as one HTML file that needs nothing else: style, script and SVG are in it.

Owns what stands on the page; the words round it are in `templates`. Everything from a record is
escaped. Without its script the page is a picture that shows all but hovers, filters and zoom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from client.history import Record
from orchestrator.picture.build import build
from orchestrator.picture.caption import caption, title
from orchestrator.picture.evidence import Evidence, gather
from orchestrator.picture.focus import Focus
from orchestrator.picture.layout import Layout, lay_out
from orchestrator.picture.scene import Scene, show_ms

_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page, and what it says in words. `stale_reads`: how many the whole history has."""

    page: str
    heading: str
    sentences: list[str]
    stale_reads: int


def picture(records: Iterable[Record], focus: Focus | None = None, about: str = "") -> str:
    """Draw a window of a history as an HTML page; as `draw`, which also tells what it shows."""
    return draw(records, focus, about).page


def draw(records: Iterable[Record], focus: Focus | None = None, about: str = "") -> Drawn:
    """Draw a window of a history as an HTML page; `about` is a line on where it comes from.

    Records are read several times: give a list, or something that begins anew with each iteration,
    as `HistoryFile` does. Raises InvalidInput if they have not what the focus asks for.
    """
    evidence = gather(records, focus or Focus())
    scene, names = build(evidence)
    layout = lay_out(scene)
    sentences, heading = caption(evidence, names), title(evidence, names)
    page = _render(
        layout=layout,
        heading=heading,
        sentences=sentences,
        summary=" ".join(sentences),
        groups=_groups(scene),
        sessions=_sessions(scene),
        legend=_legend(scene),
        left_out={**evidence.left_out, **layout.left_out},
        others=_others(evidence),
        span=show_ms(evidence.end_ms - evidence.begin_ms),
        about=about,
        has_messages=bool(evidence.messages),
    )
    return Drawn(page, heading, sentences, len(evidence.survey.stale))


def write_picture(
    path: Path, records: Iterable[Record], focus: Focus | None = None, about: str = ""
) -> None:
    """Draw it into a file."""
    path.write_text(picture(records, focus, about), encoding="utf-8")


def _render(layout: Layout, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["px"] = _px
    parts = {
        name: Markup((_TEMPLATES / file).read_text(encoding="utf-8"))
        for name, file in (("style", "picture.css"), ("script", "picture.js"))
    }
    return environment.get_template("picture.html").render(picture=layout, **parts, **values)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _groups(scene: Scene) -> list[dict[str, Any]]:
    """What can be switched off: kinds of messages, with how many of each are seen and hidden."""
    seen = Counter(arrow.group for arrow in scene.arrows if not arrow.is_noise and arrow.label)
    hidden = Counter(arrow.group for arrow in scene.arrows if arrow.is_noise)
    return [
        {"name": name, "seen": seen[name], "hidden": hidden[name]}
        for name in sorted({*seen, *hidden})
    ]


def _sessions(scene: Scene) -> list[dict[str, Any]]:
    return [{"id": f"{session:x}", "name": name} for session, name in scene.sessions.items()]


def _legend(scene: Scene) -> set[str]:
    """Which signs are in the picture."""
    signs = {band.window for band in scene.bands} | {mark.look for mark in scene.marks}
    if any(arrow.is_kept for arrow in scene.arrows if not arrow.is_noise):
        signs.add("kept")
    if any(arrow.look == "message" for arrow in scene.arrows):
        signs.add("message")
    if any(arrow.look == "call" for arrow in scene.arrows):
        signs.add("call")
    if scene.downs:
        signs.add("down")
    for stretch in scene.stretches:
        signs.add("overdue" if stretch.is_overdue else "there" if stretch.is_there else "gone")
    return signs


def _others(evidence: Evidence) -> int:
    """How many more stale reads the history has."""
    return max(0, len(evidence.survey.stale) - (evidence.stale is not None))
