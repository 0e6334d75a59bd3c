"""The report as one HTML file that needs nothing else: style and charts are in it.

Owns what stands on the page and in which order; the words round it are in `templates`. Everything
from a record is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loadtests.report import svg
from loadtests.report.comparison import Comparison
from loadtests.report.curves import curve_groups, reader_at, readers_of
from loadtests.report.histograms import window_panels
from loadtests.report.panels import by_place, hues_of, title_of
from loadtests.report.schema import Latency, LinkRule, Reader, Record, Spread, Sweep
from loadtests.report.timeline import ratio_groups, session_panels, users_panel

_TEMPLATES = Path(__file__).with_name("templates")


def html_of(found: Record | Sweep) -> str:
    """The report of a run or of a sweep."""
    if isinstance(found, Sweep):
        return _render("sweep.html", sweep=found, **_sweep_parts(found))
    return _render("run.html", record=found, **_run_parts(found))


def comparison_html(comparison: Comparison) -> str:
    """Two runs side by side."""
    return _render("compare.html", comparison=comparison)


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure,
        "spread": spread_words,
        "latency": latency_words,
        "moment": moment,
        "said": said,
        "forest": forest,
        "difference_line": difference,
    }
    style = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(style=style, **values)


def _run_parts(record: Record) -> dict[str, Any]:
    users = users_panel(record)
    return {
        "places": by_place(record.readers),
        "hues": hues_of(record.readers),
        "title_of": title_of,
        "tiles": tiles(record),
        "ratios": ratio_groups(record) if record.samples else [],
        "windows": window_panels(record.windows),
        "gauges": [*session_panels(record), *([users] if users else [])],
        "links": last_links(record),
    }


def _sweep_parts(sweep: Sweep) -> dict[str, Any]:
    readers = readers_of(sweep)
    cells = {
        reader.name: [reader_at(sweep, index, reader.name) for index in range(len(sweep.points))]
        for reader in readers
    }
    setups = [point.record for point in sweep.points if point.record]
    return {
        "places": by_place(readers),
        "hues": hues_of(readers),
        "title_of": title_of,
        "cells": cells,
        "curves": curve_groups(sweep),
        "first": setups[0] if setups else None,
    }


def tiles(record: Record) -> list[tuple[str, str, str]]:
    """Figures that may be added up over all rows: (figure, what of, class)."""
    void = sum(record.void_rounds.values())
    harmful = sum(reader.harmful for reader in record.readers)
    failures = sum(failure.count for failure in record.failures)
    alive = max((sample.sessions.get("alive", 0) for sample in record.samples), default=0)
    return [
        (f"{sum(reader.requests for reader in record.readers):,}", "rounds with a verdict", ""),
        (f"{void:,}", "void rounds, not counted", ""),
        (f"{harmful:,}", "harmful deletions", "bad" if harmful else ""),
        (f"{failures:,}", "failures", "bad" if failures else ""),
        (f"{alive:,}" if alive else "?", "sessions at a time, at most", ""),
        (f"{record.duration_s:.0f} s", "of load", ""),
    ]


def last_links(record: Record) -> list[LinkRule]:
    """Every rule that was ever in force, with the most that it was seen to have touched."""
    found: dict[tuple[str, str], LinkRule] = {}
    for sample in record.samples:
        for each in sample.links:
            known = found.get((each.link, each.rule))
            if known is None or each.touched >= known.touched:
                found[(each.link, each.rule)] = each
    return list(found.values())


# Filters


def figure(value: float | None, digits: int = 3) -> str:
    """A ratio, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def moment(seconds: float) -> str:
    """An instant of the run."""
    return f"{seconds:.1f} s"


def spread_words(spread: Spread | None, digits: int = 1) -> str:
    """median / p95 / max."""
    if spread is None:
        return "-"
    parts = (spread.median, spread.p95, spread.max)
    return " / ".join("-" if part is None else f"{part:.{digits}f}" for part in parts)


def latency_words(latency: Latency | None) -> str:
    """p50 / p95 / p99."""
    if latency is None:
        return "-"
    return f"{latency.p50:.1f} / {latency.p95:.1f} / {latency.p99:.1f}"


def said(value: Any) -> str:
    """The value of a knob, for people."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, list):
        return ", ".join(said(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={said(each)}" for key, each in value.items())
    return str(value)


def forest(reader: Reader) -> Markup:
    """The ratio and its interval on a line from 0 to 1."""
    if reader.ratio is None or reader.interval is None:
        return Markup()
    low, high = reader.interval
    return _interval(svg.Scale(0, 1, 4, 116), reader.ratio, low, high, (0, 1))


def difference(value: float, interval: tuple[float, float]) -> Markup:
    """A difference of ratios and its interval on a line from -1 to 1."""
    return _interval(svg.Scale(-1, 1, 4, 116), value, *interval, (-1, 0, 1))


def _interval(
    scale: svg.Scale, value: float, low: float, high: float, at: Iterable[float]
) -> Markup:
    shapes = [svg.rule((4, 9), (116, 9), "grid")]
    shapes += [svg.rule((scale(tick), 5), (scale(tick), 13), "grid") for tick in at]
    tip = f"{value:.4f}, 95 % interval {low:.4f} to {high:.4f}"
    width = max(2.0, scale(high) - scale(low))
    shapes.append(svg.rectangle(scale(low), 6, width, 6, "span", tip))
    shapes.append(svg.dot((scale(value), 9), "dot", tip))
    return Markup(
        '<svg class="forest" viewBox="0 0 120 18" role="img" aria-label="{}">{}</svg>'
    ).format(tip, Markup().join(shapes))
