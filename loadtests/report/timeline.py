"""Charts over the time of a run: ratios, sessions, and when faults acted.

Owns the binning of samples. A ratio is that of the reads within a bin, with the band of its 95 %
interval; a bin without reads is a gap, never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from markupsafe import Markup

from loadtests.report import svg
from loadtests.report.panels import Group, Panel, hues_of, place_of, ratio_words, title_of
from loadtests.report.schema import Reader, Record, Sample
from orchestrator.race.intervals import wilson

MOST_BINS, FEWEST_BINS = 40, 6
# Fewer reads than so many in a bin, and its interval is as wide as the chart.
_READS_A_BIN = 8
MOST_MARKS = 12
_BINS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Bin:
    """The reads of one stretch of time; `t` is its middle, in seconds."""

    t: float
    requests: int
    stale: int


def length_s(record: Record) -> float:
    """How much time there is to show."""
    ends = [record.duration_s, *(s.t for s in record.samples), *(e.t for e in record.events)]
    return max([1.0, *ends])


def bin_s(record: Record) -> int:
    """How long a bin of this run is: the same for all rows, so that their charts compare."""
    asked = [reader.requests for reader in record.readers if reader.requests]
    reads = median(asked) if asked else 0.0
    bins = min(MOST_BINS, max(FEWEST_BINS, reads / _READS_A_BIN))
    return next((b for b in _BINS_S if length_s(record) / b <= bins), _BINS_S[-1])


def bins_of(samples: Sequence[Sample], name: str, width: int) -> list[Bin]:
    """The reads of one row by time, in bins of so many seconds."""
    counted: dict[int, list[int]] = {}
    for before, after in pairwise([Sample(t=0.0), *samples]):
        requests, stale = after.readers.get(name, (0, 0))
        requests_before, stale_before = before.readers.get(name, (0, 0))
        # What a sample adds was seen since the one before: it belongs to the middle of the two.
        of_bin = counted.setdefault(int((before.t + after.t) / 2 // width), [0, 0])
        of_bin[0] += requests - requests_before
        of_bin[1] += stale - stale_before
    return [
        Bin((index + 0.5) * width, requests, stale)
        for index, (requests, stale) in sorted(counted.items())
        # A record from elsewhere may be nonsense; its report is still made.
        if requests > 0 and 0 <= stale <= requests
    ]


def ratio_groups(record: Record) -> list[Group]:
    """A panel for each row of the table, by place."""
    hues = hues_of(record.readers)
    groups: dict[str, Group] = {}
    for reader in record.readers:
        group = groups.setdefault(place_of(reader), Group(place_of(reader)))
        drawing = _ratio_chart(record, reader)
        group.panels.append(
            Panel(title_of(reader), drawing, ratio_words(reader), hues[reader.mitigation])
        )
    return list(groups.values())


def _ratio_chart(record: Record, reader: Reader) -> Markup:
    duration_s = length_s(record)
    p = svg.plot(0, duration_s, 0, 1)
    shapes = [
        svg.y_axis(p, (0, 0.5, 1), "stale ratio"),
        *_marks(record, p),
        _seconds_axis(p, duration_s),
    ]
    width = bin_s(record)
    for run in _unbroken(bins_of(record.samples, reader.name, width), width):
        edges = [(p.x(b.t), *wilson(b.stale, b.requests)) for b in run]
        upper = [(x, p.y(high)) for x, _, high in edges]
        lower = [(x, p.y(low)) for x, low, _ in edges]
        shapes.append(svg.band(upper, lower, "band"))
        shapes.append(svg.line([(p.x(b.t), p.y(b.stale / b.requests)) for b in run], "curve"))
        shapes += [
            svg.dot(
                (p.x(b.t), p.y(b.stale / b.requests)), "dot", f"{b.t:g} s: {b.stale}/{b.requests}"
            )
            for b in run
        ]
    return svg.chart(shapes, f"stale ratio over time, {reader.name}: {ratio_words(reader)}")


def _unbroken(bins: list[Bin], width: int) -> list[list[Bin]]:
    """Stretches without a gap, so that no line is drawn over time in which nobody read."""
    runs: list[list[Bin]] = []
    for each in bins:
        if runs and each.t - runs[-1][-1].t < 1.5 * width:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _seconds_axis(p: svg.Plot, duration_s: float) -> Markup:
    at = [(value, svg.show(value)) for value in svg.ticks(0, duration_s, 6)]
    return svg.x_axis(p, at, "seconds since the start")


def _marks(record: Record, p: svg.Plot) -> list[Markup]:
    """A dashed line for each event, with its number in the list of events.

    Beyond MOST_MARKS the numbers would cover each other: then only the lines.
    """
    shapes = []
    for number, event in enumerate(record.events, start=1):
        x = p.x(event.t)
        shapes.append(svg.rule((x, p.top), (x, p.bottom), "mark"))
        if len(record.events) <= MOST_MARKS:
            shapes.append(svg.text(x, p.top - 6, str(number), "mark-number"))
    return shapes


_SESSIONS = {
    "alive": "Sessions alive",
    "closing": "Sessions marked closing, znodes not yet gone",
    "expired": "Sessions expired so far",
}


def session_panels(record: Record) -> list[Panel]:
    """What became of the sessions: a panel for each count that the samples have."""
    present = {key for sample in record.samples for key in sample.sessions}
    keys = [key for key in _SESSIONS if key in present]
    keys += sorted(present - set(_SESSIONS))
    return [
        _gauge_panel(
            record,
            _SESSIONS.get(key, f"Sessions {key}"),
            "sessions",
            [(s.t, s.sessions[key]) for s in record.samples if key in s.sessions],
        )
        for key in keys
    ]


def users_panel(record: Record) -> Panel | None:
    """Locust's users, if the samples know them."""
    points = [(sample.t, sample.users) for sample in record.samples]
    if not any(users for _, users in points):
        return None
    return _gauge_panel(record, "Locust users", "users", points)


def _gauge_panel(
    record: Record, title: str, unit: str, points: Sequence[tuple[float, int]]
) -> Panel:
    duration_s = length_s(record)
    most = max((value for _, value in points), default=0)
    p = svg.plot(0, duration_s, 0, max(1, most) * 1.05)
    spots = [(p.x(t), p.y(value)) for t, value in _thinned(points)]
    whole = [tick for tick in svg.ticks(0, max(1, most)) if tick == int(tick)]
    shapes = [svg.y_axis(p, whole, unit), *_marks(record, p), _seconds_axis(p, duration_s)]
    if spots:
        base = [(x, p.bottom) for x, _ in spots]
        shapes += [svg.band(spots, base, "band"), svg.line(spots, "curve")]
    last = points[-1][1] if points else 0
    return Panel(title, svg.chart(shapes, title), f"at most {most:,}; {last:,} at the end", "c0")


def _thinned(points: Sequence[tuple[float, int]], most: int = 300) -> Sequence[tuple[float, int]]:
    """Every n-th point and the last: a drawing of an hour need not have 3,600."""
    step = max(1, len(points) // most)
    return [*points[:-1:step], *points[-1:]]
