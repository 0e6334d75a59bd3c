"""Bins, ticks and panels: what charts show is what was counted."""

from __future__ import annotations

import re

import pytest

from loadtests.report import svg
from loadtests.report.curves import curve_groups
from loadtests.report.histograms import quantile_words, window_panels
from loadtests.report.panels import place_of
from loadtests.report.schema import Histogram, Reader, Record, Sample, Sweep, Windows
from loadtests.report.timeline import bin_s, bins_of, ratio_groups, session_panels
from tests.loadtests.report.records import poor, reader, record, sweep

ROW = "read: open session, slow member"


def sample(t: float, requests: int, stale: int) -> Sample:
    return Sample(t=t, readers={ROW: (requests, stale)})


def test_bins_hold_what_was_added_in_them() -> None:
    samples = [sample(1, 4, 0), sample(2, 10, 6), sample(3, 10, 6), sample(4, 12, 8)]
    found = bins_of(samples, ROW, 2)
    assert [(b.t, b.requests, b.stale) for b in found] == [(1.0, 10, 6), (3.0, 2, 2)]


def test_bin_without_reads_is_no_bin() -> None:
    found = bins_of([sample(1, 4, 0), sample(2, 4, 0), sample(3, 5, 1)], ROW, 1)
    assert [b.t for b in found] == [0.5, 2.5]


def test_all_reads_are_in_some_bin() -> None:
    run = Record.model_validate(record())
    for row in run.readers:
        bins = bins_of(run.samples, row.name, bin_s(run))
        last = run.samples[-1].readers[row.name]
        assert (sum(b.requests for b in bins), sum(b.stale for b in bins)) == last


def test_few_reads_make_wide_bins() -> None:
    many = Record.model_validate(record())
    few = [{**row, "requests": 10} for row in record()["readers"]]
    assert bin_s(Record.model_validate(record(readers=few))) > bin_s(many)
    assert bin_s(Record.model_validate(poor())) >= 1


def test_rows_of_different_places_are_in_different_groups() -> None:
    groups = ratio_groups(Record.model_validate(record()))
    assert [(g.heading, len(g.panels)) for g in groups] == [
        ("On the slow member", 7),
        ("On the leader", 2),
    ]


@pytest.mark.parametrize(
    ("place", "heading"),
    [("leader", "On the leader"), ("another follower", "On another follower")],
)
def test_heading_is_a_sentence(place: str, heading: str) -> None:
    assert place_of(Reader.model_validate(reader("s", place, "none", 0))) == heading


def test_gap_breaks_the_line() -> None:
    run = Record.model_validate(record())
    drawing = str(ratio_groups(run)[0].panels[1].drawing)
    assert drawing.count("<polyline") == 2, "before and after the time without reads"


def test_each_event_is_marked_with_its_number() -> None:
    drawing = str(session_panels(Record.model_validate(record()))[0].drawing)
    assert drawing.count('class="mark"') == 2
    assert ">2</text>" in drawing


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 40, [0, 10, 20, 30, 40]),
        (0, 1, [0, 0.5, 1]),
        (0, 0.9, [0, 0.5]),
        (0, 1050, [0, 500, 1000]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert svg.ticks(low, high, 4 if high > 2 else 2) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.05, "0.05"), (12.34, "12.3"), (1234.5, "1,234"), (0.0001, "0.0001")],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert svg.show(value) == text


def test_scale_keeps_values_inside() -> None:
    scale = svg.Scale(0, 10, 100, 0)
    assert [scale(value) for value in (-5, 0, 2.5, 10, 99)] == [100, 100, 75, 0, 0]
    assert svg.Scale(1, 1, 0, 100)(1) == 0


def test_windows_that_were_not_seen_have_no_panel() -> None:
    assert window_panels(Windows()) == []
    seen = Windows(W1=Histogram(bounds_ms=[1, 2], counts=[0, 3, 1]))
    (panel,) = window_panels(seen)
    assert panel.title == "W1"
    assert str(panel.drawing).count("<rect") == 3, "the filled buckets and an empty one before"


def test_members_are_in_the_order_of_their_numbers() -> None:
    seen = Histogram(bounds_ms=[1], counts=[1, 0])
    panels = window_panels(Windows(W2={"10": seen, "9": seen, "1": seen}))
    assert [panel.title[-2:].strip() for panel in panels] == ["1", "9", "10"]


def test_quantile_is_that_of_the_bucket() -> None:
    histogram = Histogram(bounds_ms=[1, 2, 5], counts=[50, 40, 9, 1])
    assert quantile_words(histogram, 0.5) == "at most 1 ms"
    assert quantile_words(histogram, 0.99) == "at most 5 ms"
    assert quantile_words(histogram, 1.0) == "above 5 ms"


def test_sweep_has_a_curve_for_each_reader_and_a_window_where_it_was_stale() -> None:
    groups = curve_groups(Sweep.model_validate(sweep()))
    found = {group.heading: [panel.title for panel in group.panels] for group in groups}
    assert len(found["On the slow member: stale ratio"]) == 7
    assert "open session: no mitigation" in found["On the slow member: window, ms"]
    assert "open session: sync first" not in found["On the slow member: window, ms"]
    drawing = str(groups[0].panels[0].drawing)
    assert drawing.count("<circle") == 4, "a dot for each point that came about"


def test_line_of_a_sweep_goes_forward_whatever_the_order_of_its_points() -> None:
    drawing = str(curve_groups(Sweep.model_validate(sweep(("50", "0", "20", "5"))))[0].panels[0])
    (path,) = re.findall(r'<polyline points="([^"]+)" class="curve"', drawing)
    xs = [float(point.partition(",")[0]) for point in path.split()]
    assert len(xs) == 3
    assert xs == sorted(xs)


def test_sweep_of_words_stands_side_by_side() -> None:
    groups = curve_groups(Sweep.model_validate(_words()))
    assert ">mark<" in str(groups[0].panels[0].drawing)


def _words() -> dict[str, object]:
    whole = sweep()
    points = [{"value": word, "record": record()} for word in ("mark", "poll")]
    return {**whole, "swept": {"knob": "told-by"}, "points": points}
