"""Small charts as SVG: scales, axes, lines, bands, bars, marks.

Owns geometry and escaping. Knows nothing of runs, and no colours: every shape has a class, which
the page's style sheet colours for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 340, 178
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 22, 34

XY = tuple[float, float]
Form = Callable[[float], str]


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from low to high, roughly so many: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def show(value: float) -> str:
    """A figure as short as it may be: 0.05, 12.3, 1,234."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.4f}".rstrip("0")


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps low..high of the data to the ends of an axis, in the drawing's units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where the value is; values outside end up at the nearer end."""
        span = self.high - self.low
        part = (value - self.low) / span if span else 0.0
        return round(self.start + min(1.0, max(0.0, part)) * (self.end - self.start), 2)


@dataclass(frozen=True, slots=True)
class Plot:
    """The inner rectangle of a chart with its two scales."""

    x: Scale
    y: Scale

    @property
    def bottom(self) -> float:
        return self.y.start

    @property
    def top(self) -> float:
        return self.y.end


def plot(x_low: float, x_high: float, y_low: float, y_high: float) -> Plot:
    """A plot of the usual size for these ranges of data."""
    return Plot(
        Scale(x_low, x_high, LEFT, WIDTH - RIGHT), Scale(y_low, y_high, HEIGHT - BOTTOM, TOP)
    )


def text(x: float, y: float, words: str, classes: str = "", anchor: str = "middle") -> Markup:
    """Words at a place."""
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        round(x, 2), round(y, 2), classes, anchor, words
    )


def rule(a: XY, b: XY, classes: str) -> Markup:
    """A straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(*a, *b, classes)


def rectangle(x: float, y: float, width: float, height: float, classes: str, tip: str) -> Markup:
    """A filled rectangle; `tip` shows when it is pointed at."""
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" class="{}"><title>{}</title></rect>'
    ).format(*(round(value, 2) for value in (x, y, width, height)), classes, tip)


def dot(at: XY, classes: str, tip: str) -> Markup:
    """A point of data; `tip` shows when it is pointed at."""
    return Markup('<circle cx="{}" cy="{}" r="2.6" class="{}"><title>{}</title></circle>').format(
        *at, classes, tip
    )


def line(points: Iterable[XY], classes: str) -> Markup:
    """A line through the points."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return Markup('<polyline points="{}" class="{}"/>').format(path, classes)


def band(upper: Sequence[XY], lower: Sequence[XY], classes: str) -> Markup:
    """The area between two lines over the same x."""
    path = " ".join(f"{x:g},{y:g}" for x, y in (*upper, *reversed(lower)))
    return Markup('<polygon points="{}" class="{}"/>').format(path, classes)


def x_axis(p: Plot, at: Sequence[tuple[float, str]], label: str) -> Markup:
    """The base line with a label under each place."""
    shapes = [rule((p.x.start, p.bottom), (p.x.end, p.bottom), "axis")]
    shapes += [text(p.x(value), p.bottom + 12, words, "tick") for value, words in at]
    shapes.append(text((p.x.start + p.x.end) / 2, p.bottom + 27, label, "label"))
    return Markup().join(shapes)


def y_axis(p: Plot, at: Sequence[float], label: str, form: Form = show) -> Markup:
    """A grid line and a figure at each place; the label stands above."""
    shapes = []
    for value in at:
        y = p.y(value)
        shapes.append(rule((p.x.start, y), (p.x.end, y), "grid"))
        shapes.append(text(p.x.start - 5, y + 3.5, form(value), "tick", "end"))
    shapes.append(text(2, 8, label, "label", "start"))
    return Markup().join(shapes)


def chart(shapes: Iterable[Markup], spoken: str, height: float = HEIGHT) -> Markup:
    """The drawing; `spoken` says what it shows to those who do not see it."""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, spoken, Markup().join(shapes)
    )
