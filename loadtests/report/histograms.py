"""Charts of how long the windows W0, W1 and W2 were, by the members' own traces."""

from __future__ import annotations

from loadtests.report import svg
from loadtests.report.panels import Panel
from loadtests.report.schema import Histogram, Windows

_MEANING = {
    "W0": "marked closing, closeSession not yet submitted",
    "W1": "closeSession proposed, not yet committed",
    "W2": "committed, not yet applied on member {}",
}


def window_panels(windows: Windows) -> list[Panel]:
    """A panel for each window that was seen at all."""
    found = [("W0", _MEANING["W0"], windows.W0, "c0"), ("W1", _MEANING["W1"], windows.W1, "c1")]
    # By number: the keys of JSON are texts, of which "10" comes before "2".
    for sid, histogram in sorted(windows.W2.items(), key=lambda each: (len(each[0]), each[0])):
        found.append((f"W2, member {sid}", _MEANING["W2"].format(sid), histogram, "c2"))
    return [
        _panel(title, meaning, histogram, hue)
        for title, meaning, histogram, hue in found
        if histogram.counts and sum(histogram.counts)
    ]


def quantile_words(histogram: Histogram, part: float) -> str:
    """The bucket that holds the quantile, as 'at most 5 ms' or 'above 500 ms'."""
    wanted, seen = part * sum(histogram.counts), 0
    for bound, count in zip(histogram.bounds_ms, histogram.counts, strict=False):
        seen += count
        if seen >= wanted:
            return f"at most {svg.show(bound)} ms"
    return f"above {svg.show(histogram.bounds_ms[-1])} ms" if histogram.bounds_ms else "unknown"


def _panel(title: str, meaning: str, histogram: Histogram, hue: str) -> Panel:
    counts = _trimmed(histogram)
    n = sum(histogram.counts)
    p = svg.plot(0, len(counts), 0, max(count for _, count in counts) / n * 1.05)
    width = (p.x.end - p.x.start) / len(counts)
    shapes = [svg.y_axis(p, svg.ticks(0, p.y.high, 3), "share", lambda v: f"{v:.0%}")]
    step = 1 + len(counts) // 9
    for index, (words, count) in enumerate(counts):
        x, y = p.x(index), p.y(count / n)
        tip = f"{words} ms: {count:,} of {n:,}"
        shapes.append(svg.rectangle(x + 1, y, max(1.0, width - 2), p.bottom - y, "bar", tip))
        if index % step == 0:
            shapes.append(svg.text(x + width / 2, p.bottom + 12, words, "tick"))
    shapes.append(svg.x_axis(p, (), "milliseconds, upper end of each bar"))
    note = (
        f"{meaning}; n = {n:,}, median {quantile_words(histogram, 0.5)},"
        f" p99 {quantile_words(histogram, 0.99)}"
    )
    return Panel(title, svg.chart(shapes, f"{title}: {note}"), note, hue)


def _trimmed(histogram: Histogram) -> list[tuple[str, int]]:
    """Label and count of each bucket, without the empty ones at both ends."""
    bounds = [svg.show(bound) for bound in histogram.bounds_ms]
    labels = [*bounds, f">{bounds[-1]}" if bounds else "all"]
    buckets = list(zip(labels, histogram.counts, strict=False))
    filled = [index for index, (_, count) in enumerate(buckets) if count]
    return buckets[max(0, filled[0] - 1) : filled[-1] + 2]
