"""Charts of a sweep: ratio and window against the knob that was varied, a panel for each reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from loadtests.report import svg
from loadtests.report.panels import Group, Panel, hues_of, place_of, title_of
from loadtests.report.schema import Reader, Sweep


@dataclass(frozen=True, slots=True)
class Spot:
    """A value with what surrounds it: an interval, or median to p95."""

    at: int
    value: float
    low: float
    high: float
    words: str


def curve_groups(sweep: Sweep) -> list[Group]:
    """By place, the ratio of each reader, then the window of each that was ever stale."""
    readers = readers_of(sweep)
    hues = hues_of(readers)
    most_ms = max((w.high for r in readers for w in _windows(sweep, r.name)), default=1.0)
    groups: dict[str, Group] = {}
    for what, spots_of, most in (("stale ratio", _ratios, 1.0), ("window, ms", _windows, most_ms)):
        for reader in readers:
            spots = spots_of(sweep, reader.name)
            if what != "stale ratio" and not spots:
                continue
            heading = f"{place_of(reader)}: {what}"
            drawing = _chart(sweep, spots, most, what, title_of(reader))
            panel = Panel(title_of(reader), drawing, _note(spots), hues[reader.mitigation])
            groups.setdefault(heading, Group(heading)).panels.append(panel)
    return list(groups.values())


def readers_of(sweep: Sweep) -> list[Reader]:
    """Each reader of any point once, as it was first met."""
    found: dict[str, Reader] = {}
    for point in sweep.points:
        for reader in point.record.readers if point.record else ():
            found.setdefault(reader.name, reader)
    return list(found.values())


def reader_at(sweep: Sweep, index: int, name: str) -> Reader | None:
    """A reader's row at one point."""
    record = sweep.points[index].record
    rows = record.readers if record else []
    return next((row for row in rows if row.name == name), None)


def _rows(sweep: Sweep, name: str) -> Iterable[tuple[int, Reader]]:
    for index in range(len(sweep.points)):
        row = reader_at(sweep, index, name)
        if row is not None:
            yield index, row


def _ratios(sweep: Sweep, name: str) -> list[Spot]:
    return [
        Spot(at, row.ratio, *row.interval, f"{row.stale}/{row.requests}")
        for at, row in _rows(sweep, name)
        if row.ratio is not None and row.interval is not None
    ]


def _windows(sweep: Sweep, name: str) -> list[Spot]:
    spots = []
    for at, row in _rows(sweep, name):
        window = row.window_ms
        if window is not None:
            high = window.p95 if window.p95 is not None else window.max
            words = f"{window.median:.1f} ms"
            spots.append(Spot(at, window.median, window.median, high, words))
    return spots


def _note(spots: Sequence[Spot]) -> str:
    return ", ".join(spot.words for spot in spots) or "no verdict at any point"


def _chart(sweep: Sweep, spots: Sequence[Spot], most: float, label: str, title: str) -> Markup:
    places = _places(sweep)
    # A sweep may go through its values in any order; its line does not go back.
    spots = sorted(spots, key=lambda spot: places[spot.at])
    margin = (max(places) - min(places)) * 0.04 or 1.0
    p = svg.plot(min(places) - margin, max(places) + margin, 0, most * 1.03)
    unit = f", {sweep.swept.unit}" if sweep.swept.unit else ""
    at = [(place, point.value) for place, point in zip(places, sweep.points, strict=True)]
    shapes = [
        svg.y_axis(p, svg.ticks(0, most), label),
        svg.x_axis(p, _apart(p, at), f"{sweep.swept.knob}{unit}"),
        svg.line([(p.x(places[s.at]), p.y(s.value)) for s in spots], "curve"),
    ]
    for spot in spots:
        shapes += _whisker(p, places[spot.at], spot, f"{sweep.points[spot.at].value}: {spot.words}")
    return svg.chart(shapes, f"{label} against {sweep.swept.knob}, {title}: {_note(spots)}")


def _whisker(p: svg.Plot, place: float, spot: Spot, tip: str) -> list[Markup]:
    x, low, high = p.x(place), p.y(spot.low), p.y(spot.high)
    ends = [svg.rule((x - 3, y), (x + 3, y), "whisker") for y in (low, high)]
    return [
        svg.rule((x, low), (x, high), "whisker"),
        *ends,
        svg.dot((x, p.y(spot.value)), "dot", tip),
    ]


def _places(sweep: Sweep) -> list[float]:
    """Where each point is on the axis: at its value if all are numbers, else side by side."""
    try:
        return [float(point.value) for point in sweep.points]
    except ValueError:
        return [float(index) for index in range(len(sweep.points))]


def _apart(p: svg.Plot, at: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The labels that do not run into the one before."""
    kept: list[tuple[float, str]] = []
    for place, words in sorted(at):
        if not kept or p.x(place) - p.x(kept[-1][0]) >= 3.2 * (len(words) + len(kept[-1][1])):
            kept.append((place, words))
    return kept
