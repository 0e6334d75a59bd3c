"""The CSV: every figure of every row, and no formula."""

from __future__ import annotations

import csv
import io

from loadtests.report.schema import parse
from loadtests.report.table import csv_of
from tests.loadtests.report.records import poor, reader, record, sweep


def rows(values: dict[str, object]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_of(parse(values, "here")))))


def test_rows_have_all_figures() -> None:
    first = rows(record())[0]
    assert first["mitigation"] == "none"
    assert (first["requests"], first["stale"], first["ratio"]) == ("400", "280", "0.7")
    assert (first["latency_ms_p99"], first["window_ms_p95"]) == ("11.0", "55.0")
    assert (first["lag_txns_max"], first["acted_upon"]) == ("9.0", "280")


def test_what_is_not_known_is_empty() -> None:
    last = rows(record())[-1]
    assert last["requests"] == "0"
    assert last["ratio"] == last["interval_low"] == last["window_ms_median"] == ""
    assert rows(poor()) == []


def test_sweep_begins_with_its_knob() -> None:
    found = rows(sweep())
    assert next(iter(found[0])) == "delay_ms"
    assert [row["delay_ms"] for row in found][::9] == ["0", "5", "20", "50"]


def test_formula_is_a_text() -> None:
    formula = reader("=1+1", "@here", "+x", 0)
    (row,) = rows(record(readers=[{**formula, "name": "-2"}]))
    assert (row["session"], row["place"], row["mitigation"]) == ("'=1+1", "'@here", "'+x")
    assert row["name"] == "'-2"
