"""Draws the small space-time diagrams of docs/concepts.md: `make diagrams`.

Owns their look; what each shows stands in `concept_pictures`. Time runs to the right, each member
or client is a line, a message an arrow; a thick line means that the znode is in that member's tree.
Colours are those of `orchestrator trace show`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

WIDTH = 800
LEFT = 132
RIGHT = 24
TOP = 34
ROW = 64

STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1b1f24; }
.card { fill: #ffffff; stroke: #d5dae1; }
.line { stroke: #97a1ad; stroke-width: 1.2; }
.znode { stroke: #0b7f5b; stroke-width: 7; } .znode.stale { stroke: #d95a1e; }
.arrow { stroke: #35618e; stroke-width: 1.6; fill: none; }
.good { stroke: #1a7f4b; } .bad { stroke: #c62f3a; } .late { stroke-dasharray: 5 4; }
.head { fill: #35618e; } .head.good { fill: #1a7f4b; } .head.bad { fill: #c62f3a; }
.label { stroke: #ffffff; stroke-width: 4; paint-order: stroke; stroke-linejoin: round; }
.small { font-size: 12px; fill: #4c5661; }
.who { font-weight: 600; }
text.bad { fill: #b3202c; stroke: #ffffff; } text.good { fill: #13693c; stroke: #ffffff; }
.W0 { fill: #c2569b; } .W1 { fill: #2f7fd6; } .W2 { fill: #e0a800; } .other { fill: #97a1ad; }
.span { fill-opacity: 0.16; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e8ed; } .card { fill: #171b21; stroke: #333b45; } .line { stroke: #6b7683; }
  .arrow { stroke: #7fb4ea; } .head { fill: #7fb4ea; }
  .good { stroke: #5bd08f; } .bad { stroke: #ff7b84; }
  .head.good { fill: #5bd08f; } .head.bad { fill: #ff7b84; }
  .label { stroke: #171b21; } .small { fill: #a9b3be; }
  text.bad { fill: #ff939b; stroke: #171b21; } text.good { fill: #6fdca0; stroke: #171b21; }
  .span { fill-opacity: 0.28; }
}
"""


@dataclass
class Diagram:
    """One picture. Times are 0 to 100, lines are named in the order from top to bottom."""

    title: str
    lines: list[str]
    rows: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)

    def message(
        self,
        sender: str,
        sent: float,
        receiver: str,
        arrives: float,
        label: str,
        kind: str = "",
        along: float = 0.5,
    ) -> None:
        """An arrow; `kind`: good, bad, late, left (its label). `along`: where the label sits."""
        x1, y1, x2, y2 = self._x(sent), self._y(sender), self._x(arrives), self._y(receiver)
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        tip_x, tip_y = x2 - 5 * ux, y2 - 5 * uy
        self.rows.append(
            f'<path class="arrow {kind}" d="M{x1:.1f} {y1:.1f} L{tip_x:.1f} {tip_y:.1f}"/>'
            f'<path class="head {kind}" d="M{tip_x:.1f} {tip_y:.1f}'
            f" L{tip_x - 9 * ux + 4 * uy:.1f} {tip_y - 9 * uy - 4 * ux:.1f}"
            f' L{tip_x - 9 * ux - 4 * uy:.1f} {tip_y - 9 * uy + 4 * ux:.1f} Z"/>'
        )
        if label:
            at_x, at_y = x1 + (x2 - x1) * along, y1 + (y2 - y1) * along
            words = kind.split()
            tone = next((word for word in ("good", "bad") if word in words), "")
            anchor, shift = ("end", -8) if "left" in words else ("start", 8)
            self._text(at_x + shift, at_y + 4, label, f"label {tone}", anchor)

    def znode(self, line: str, begin: float, end: float, told: float = 100) -> None:
        """The znode is in this member's tree from begin to end; its owner is told at `told`."""
        y = self._y(line)
        turn = min(max(told, begin), end)
        for kind, first, last in (("", begin, turn), (" stale", turn, end)):
            if first < last:
                self.rows.insert(
                    0,
                    f'<line class="znode{kind}" x1="{self._x(first):.1f}" y1="{y}"'
                    f' x2="{self._x(last):.1f}" y2="{y}"/>',
                )

    def window(self, name: str, begin: float, end: float, first: str, last: str) -> None:
        """A shaded span of time over some lines, with its name on top."""
        kind = name[:2] if name[:2] in ("W0", "W1", "W2") else "other"
        top, bottom = self._y(first) - 24, self._y(last) + 24
        x1, x2 = self._x(begin), self._x(end)
        self.spans.append(
            f'<rect class="span {kind}" x="{x1:.1f}" y="{top}" width="{x2 - x1:.1f}"'
            f' height="{bottom - top}" rx="4"/>'
            f'<text class="who" x="{x1 + 7:.1f}" y="{top + 14}">'
            f"{escape(name)}</text>"
        )

    def note(self, line: str, at: float, text: str, tone: str = "", below: bool = False) -> None:
        """Words beside a line, and a dot on it."""
        x, y = self._x(at), self._y(line)
        self.rows.append(f'<circle class="head {tone}" cx="{x:.1f}" cy="{y}" r="4"/>')
        anchor, shift = ("end", -2) if at > 76 else ("start", 4)
        self._text(x + shift, y + (20 if below else -9), text, f"label {tone}", anchor)

    def words(self, line: str, at: float, text: str) -> None:
        """Small words under a line."""
        self._text(self._x(at), self._y(line) + 20, text, "label small", "middle")

    def svg(self) -> str:
        """The picture as a file of its own."""
        height = TOP + ROW * len(self.lines) + 4
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(self.title)}</title><style>{STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}"'
            ' rx="8"/>',
            *self.spans,
        ]
        for line in self.lines:
            y = self._y(line)
            parts.append(
                f'<text class="who" x="{LEFT - 14}" y="{y + 4}" text-anchor="end">'
                f"{escape(line)}</text>"
                f'<line class="line" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
            )
        return "\n".join([*parts, *self.rows, "</svg>"]) + "\n"

    def _text(self, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
        self.rows.append(
            f'<text class="{kind.strip()}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def _x(self, time: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * time / 100

    def _y(self, line: str) -> float:
        return TOP + 20 + ROW * self.lines.index(line)
