"""The table of a record or a sweep as CSV: a line for each reader and point, with all figures."""

from __future__ import annotations

import csv
import io

from loadtests.report.schema import Reader, Record, Spread, Sweep

_PLAIN = ("name", "operation", "session", "place", "mitigation", "requests", "stale", "ratio")
_COUNTS = ("acted_upon", "harmful", "endless")
_LATENCY = ("p50", "p95", "p99", "max")
_SPREAD = ("median", "p95", "p99", "max")


def csv_of(found: Record | Sweep) -> str:
    """The CSV. A figure that is not known is an empty field; a sweep's first column is its knob."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if isinstance(found, Sweep):
        unit = f"_{found.swept.unit}" if found.swept.unit else ""
        writer.writerow([_harmless(f"{found.swept.knob}{unit}"), *_header()])
        for point in found.points:
            for reader in point.record.readers if point.record else ():
                writer.writerow([_harmless(point.value), *_line(reader)])
    else:
        writer.writerow(_header())
        writer.writerows(_line(reader) for reader in found.readers)
    return text.getvalue()


def _header() -> list[str]:
    return [
        *_PLAIN,
        "interval_low",
        "interval_high",
        *_COUNTS,
        *(f"latency_ms_{name}" for name in _LATENCY),
        *(f"window_ms_{name}" for name in _SPREAD),
        *(f"lag_txns_{name}" for name in _SPREAD),
    ]


def _line(reader: Reader) -> list[object]:
    latency = reader.latency_ms
    return [
        *(_harmless(getattr(reader, name)) for name in _PLAIN),
        *(reader.interval or ("", "")),
        *(getattr(reader, name) for name in _COUNTS),
        *((getattr(latency, name) for name in _LATENCY) if latency else [""] * len(_LATENCY)),
        *_spread(reader.window_ms),
        *_spread(reader.lag_txns),
    ]


def _spread(spread: Spread | None) -> list[object]:
    if spread is None:
        return [""] * len(_SPREAD)
    return ["" if value is None else value for value in (getattr(spread, n) for n in _SPREAD)]


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
