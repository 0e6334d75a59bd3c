"""The page: nothing of a record is taken for markup, nothing is fetched, everything is on it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from markupsafe import escape

from loadtests.report.comparison import compare
from loadtests.report.page import comparison_html, html_of
from loadtests.report.schema import parse
from tests.loadtests.report.records import poor, record, sweep

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"
# Elements without an end tag.
VOID = {"meta", "br"}


class Balance(HTMLParser):
    """Finds tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


def page(values: dict[str, Any]) -> str:
    return html_of(parse(values, "here"))


def side_by_side(a: dict[str, Any], b: dict[str, Any]) -> str:
    return comparison_html(compare("a", parse(a, "a"), "b", parse(b, "b")))


def hostile(values: Any) -> Any:
    """The same record with markup in every text and every key that may be one."""
    if isinstance(values, dict):
        fixed = {"schema", "readers", "W0", "W1", "W2"}
        return {k: v if k in ("schema", "value") else hostile(v) for k, v in values.items()} | {
            f"{HOSTILE}{k}": v for k, v in values.items() if isinstance(v, int) and k not in fixed
        }
    if isinstance(values, list):
        return [hostile(each) for each in values]
    return f"{values}{HOSTILE}" if isinstance(values, str) else values


PAGES = {
    "run": page(record()),
    "poor": page(poor()),
    "sweep": page(sweep()),
    "hostile run": page(hostile(record())),
    "hostile sweep": page(hostile(sweep())),
    "compare": side_by_side(record(), record(100)),
    "hostile compare": side_by_side(hostile(record()), hostile(record(100))),
}


@pytest.mark.parametrize("name", PAGES)
def test_markup_is_balanced_and_nothing_is_fetched(name: str) -> None:
    balance = Balance()
    balance.feed(PAGES[name])
    balance.close()
    assert balance.open == []
    assert "script" not in balance.seen
    assert not {"link", "img", "iframe"} & set(balance.seen)
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", PAGES[name])


@pytest.mark.parametrize("name", PAGES)
def test_drawings_are_well_formed(name: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", PAGES[name], re.DOTALL):
        shapes = ElementTree.fromstring(drawing)
        assert shapes.get("aria-label")
        assert "nan" not in drawing.split("aria-label")[0]


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("hostile")])
def test_texts_of_a_record_are_no_markup(name: str) -> None:
    assert "<script" not in PAGES[name]
    assert "&lt;script&gt;" in PAGES[name]
    assert "{{ 7*7 }}" in PAGES[name], "nor are they templates"


def test_everything_of_the_run_is_on_the_page() -> None:
    values = record(missing=["traces of member 2"], failures=_failures())
    shown = page(values)
    for text in (
        values["verdict"],
        "traces of member 2",
        "Connection refused",
        "17",
        "127.0.0.1:7003",
        "link set",
        "500 services crashed",
        "812 ms",
        "no mark seen",
        "933 served, 932 seen",
        "99.4% of 930 within 5 ms",
        "delete and re-create",
        "0.653 to 0.743",
        "3 / 5 / 9 txns",
        "4,800",
        "session_timeout_ms",
        "prefers-color-scheme: dark",
    ):
        assert escape(text) in shown, text


def test_poor_run_says_what_it_lacks() -> None:
    shown = page(poor())
    assert "Locust was killed" in shown
    assert "the run did not get that far" in shown
    assert "No reader left a figure" in shown


def test_sweep_names_the_point_that_did_not_come_about() -> None:
    shown = page(sweep())
    assert "did not come about" in shown
    assert "delay=100: the ensemble went away" in shown


def test_page_of_a_long_run_stays_small() -> None:
    first = record()["samples"][0]
    samples = [{**first, "t": float(t)} for t in range(1, 7200)]
    assert len(page(record(samples=samples, duration_s=7200.0))) < 400_000
    assert len(json.dumps(samples)) > 1_000_000


def _failures() -> list[dict[str, Any]]:
    return [{"request_type": "read", "name": "x", "error": "Connection refused", "count": 2}]
