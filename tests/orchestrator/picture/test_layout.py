"""Where things stand: order of time, folds, labels that never overlap, whatever the input."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest

from client.history import Record
from orchestrator.picture.axis import LEAST, make_axis
from orchestrator.picture.build import build
from orchestrator.picture.evidence import gather
from orchestrator.picture.focus import Focus
from orchestrator.picture.labels import Box, shorten, width_of, wrap
from orchestrator.picture.layout import MOST_ARROWS, Layout, lay_out
from orchestrator.picture.scene import Scene
from tests.orchestrator.picture.stories import READER, VICTIM, Story, w2_story


def scene_of(records: list[Record], focus: Focus | None = None) -> Scene:
    """What stands in the picture of records."""
    return build(gather(records, focus or Focus()))[0]


def laid(records: list[Record], focus: Focus | None = None) -> Layout:
    """The picture of records."""
    return lay_out(scene_of(records, focus))


def boxes(layout: Layout) -> list[Box]:
    """Every text's place."""
    texts: list[dict[str, Any]] = [*layout.marks, *layout.bands]
    found = [each["box"] for each in texts]
    found += [line[name] for line in layout.arrows for name in ("label", "bar_label")]
    return [box for box in found if box is not None]


def test_a_long_silence_is_folded_and_leaves_the_race_its_room() -> None:
    axis = make_axis([((at, 0.0), "m1") for at in (0.0, 0.4, 0.9, 300.0, 300.5)], 0.0)
    assert [fold.span_ms for fold in axis.folds] == [pytest.approx(299.1)]
    ys = [y for _, y in axis.rows]
    assert all(later - earlier >= LEAST for earlier, later in pairwise(ys))
    assert axis.y((300.0, 0.0)) - axis.y((0.9, 0.0)) < 3 * LEAST


def test_time_never_runs_backwards() -> None:
    points = [((at / 7, float(at % 3)), f"m{at % 2}") for at in range(200)]
    axis = make_axis(points, 10.0)
    ys = [axis.y((at / 13, 0.5)) for at in range(400)]
    assert ys == sorted(ys)
    assert all(axis.top <= y <= axis.bottom for y in ys)


def test_what_happens_on_a_lane_at_one_instant_stands_in_rows_of_its_own() -> None:
    axis = make_axis([((5.0, 1.0), "m3"), ((5.0, 2.0), "m3"), ((5.0, 3.0), "m1")], 0.0)
    assert axis.y((5.0, 1.0)) < axis.y((5.0, 2.0)) == axis.y((5.0, 3.0))


def test_the_stale_story_is_drawn() -> None:
    layout = laid(w2_story().records)
    assert [lane["title"] for lane in layout.lanes] == [
        *("victim", "member 3", "member 2", "member 1", "reader"),
    ]
    (stale,) = [mark for mark in layout.marks if mark["look"] == "stale"]
    (fresh,) = [mark for mark in layout.marks if mark["look"] == "fresh"]
    (told,) = [mark for mark in layout.marks if mark["look"] == "told"]
    assert told["y"] < stale["y"] < fresh["y"]
    bands = {(band["window"], band["tip"].partition("member ")[2][:1]) for band in layout.bands}
    assert bands == {("W0", ""), ("W1", ""), ("W2", "1"), ("W2", "2")}


def test_the_znode_is_overdue_only_where_and_while_it_is() -> None:
    layout = laid(w2_story().records)
    xs = {lane["x"]: lane["title"] for lane in layout.lanes}
    looks: dict[str, list[str]] = {}
    for stretch in layout.stretches:
        looks.setdefault(xs[stretch["x"] + stretch["width"] / 2], []).append(stretch["look"])
    assert looks["member 3"][-2:] == ["there", "gone"]
    assert looks["member 2"][-2:] == ["there", "gone"]
    assert looks["member 1"][-3:] == ["there", "overdue", "gone"]


def test_pings_are_there_but_hidden() -> None:
    layout = laid(w2_story().records)
    assert {line["group"] for line in layout.arrows if line["is_noise"]} == {"PING"}


def test_a_held_message_is_a_bar_as_long_as_it_was_held() -> None:
    layout = laid(w2_story().records)
    (held,) = [line for line in layout.arrows if line["is_kept"]]
    axis = layout.axis
    top, height = held["bar"]["y"], held["bar"]["height"]
    assert held["bar_lines"] == ["COMMIT[closeSession]", "held 63.8 ms"]
    assert top < axis.y((103.0, -1.0)) < top + height < held["ends"][3]


def test_one_still_held_at_the_end_reaches_the_bottom_and_has_no_head() -> None:
    story = w2_story()
    story.message(102.5, None, 3, 2, "COMMIT", is_kept=True, zxid="1:8")
    layout = laid(story.records)
    (held,) = [line for line in layout.arrows if line.get("is_held_to_the_end")]
    assert held["bar"]["y"] + held["bar"]["height"] == pytest.approx(layout.axis.bottom)
    assert held["cross"] is None
    assert held["ends"][0] == held["ends"][2]


def test_what_crosses_a_crash_is_lost_and_the_member_hatched_until_it_starts() -> None:
    story = w2_story()
    story.message(103.5, None, 3, 2, "COMMIT", zxid="1:8")
    story.trace(103.6, 0, "crashed", member=2)
    story.trace(150.0, 0, "started", member=2)
    layout = laid(story.records)
    (lost,) = [line for line in layout.arrows if line["cross"]]
    assert "never received" in lost["tip"]
    (down,) = layout.downs
    assert down["y"] == layout.axis.y((103.6, 0.0)) or down["height"] > 0
    words = [mark["full"] for mark in layout.marks if mark["full"] in ("crashed", "started")]
    assert words == ["crashed", "started"]


def test_an_arrow_without_a_beginning_ends_where_it_arrived() -> None:
    story = w2_story()
    story.message(None, 104.0, 3, 1, "SYNC")
    layout = laid(story.records)
    (line,) = [line for line in layout.arrows if line["group"] == "SYNC"]
    assert "unknown" in line["tip"]
    assert line["ends"][1] < line["ends"][3]


def test_three_sessions_that_end_at_once_each_have_their_windows() -> None:
    story = Story()
    for place in range(3):
        session, path = VICTIM + place, f"/lock{place}"
        story.session(session, place + 1, 3)
        story.create(10.0 + place, session, place + 1, 3, path)
        steps = {"marked": 100.0, "submitted": 100.0, "proposed": 100.1, "committed": 101.0}
        story.closing(session, steps, {3: 101.0, 1: 140.0, 2: 101.2}, zxid=f"1:{8 + place}")
        story.told(101.5, session, place + 1, 3)
        story.exists(102.0 + place, READER, 9, 1, path, session)
    for number in (1, 2, 3):
        layout = laid(story.records, Focus(stale=number))
        assert len([mark for mark in layout.marks if mark["look"] == "stale"]) == 3
        assert len([band for band in layout.bands if band["window"] == "W1"]) == 1
        assert {stretch["tip"].split()[0] for stretch in layout.stretches} == {f"/lock{number - 1}"}
    whole = laid(story.records, Focus(is_whole=True))
    assert len([mark for mark in whole.marks if mark["look"] == "stale"]) == 3
    assert len([band for band in whole.bands if band["window"] == "W1"]) == 3
    assert no_overlap(whole)


@pytest.mark.parametrize("records", [[], Story().records], ids=["nothing", "a header"])
def test_an_empty_history_has_an_empty_picture(records: list[Record]) -> None:
    layout = laid(records)
    assert (layout.arrows, layout.marks) == ([], [])


def test_an_empty_window_is_a_picture_of_lanes() -> None:
    story = w2_story()
    story.trace(5000.0, 3, "close_marked", session_id=9)
    layout = laid(story.records, Focus(at_ms=2500.0))
    assert [lane["kind"] for lane in layout.lanes] == ["member"] * 3
    assert layout.arrows == []


def test_ten_thousand_messages_are_cut_down_and_said_to_be() -> None:
    story = Story()
    for step in range(10_000):
        at_ms = step / 10
        story.message(at_ms, at_ms + 0.25, 3, 1 + step % 2, "PROPOSAL", zxid=f"1:{step}")
    layout = laid(story.records, Focus(is_whole=True))
    assert len(layout.arrows) == MOST_ARROWS
    assert layout.left_out["messages"] == 10_000 - MOST_ARROWS
    assert no_overlap(layout)


def test_labels_never_overlap_in_a_crowd() -> None:
    story = w2_story()
    for step in range(60):
        at_ms = 101.0 + step / 20
        close: dict[str, Any] = {"txn_type": "closeSession", "zxid": "1:8"}
        story.message(at_ms, at_ms + 0.5, 1 + step % 3, 1 + (step + 1) % 3, "COMMIT", **close)
        story.exists(at_ms, READER, 2, 1, "/lock", VICTIM)
        story.trace(at_ms, 3, "close_applied", session_id=VICTIM, zxid="1:8")
    layout = laid(story.records)
    assert len(boxes(layout)) > 60
    assert no_overlap(layout)


def no_overlap(layout: Layout) -> bool:
    """Whether all texts stand apart."""
    return not any(one.meets(other) for one, other in combinations(boxes(layout), 2))


def test_text_is_cut_and_broken_to_fit() -> None:
    assert shorten("closeSession", 1000) == "closeSession"
    cut = shorten("a very long label that fits nowhere", 80)
    assert cut.endswith("…")
    assert width_of(cut) <= 80
    lines = wrap("told from here on that its session is over", 90)
    assert len(lines) > 1
    assert all(width_of(line) <= 90 for line in lines)
    assert " ".join(lines) == "told from here on that its session is over"


def test_ten_thousand_operations_are_cut_down_too() -> None:
    story = Story()
    for step in range(10_000):
        story.exists(1.0 + step / 10, READER + step % 3, 1 + step % 3, 1 + step % 3, "/a", 0)
    layout = laid(story.records, Focus(is_whole=True))
    assert len(layout.arrows) == MOST_ARROWS
    assert len(layout.marks) <= MOST_ARROWS
    assert layout.height < 20_000


def test_the_stale_read_is_drawn_in_any_crowd() -> None:
    story = w2_story()
    for step in range(2_000):
        at_ms = 101.5 + step / 2_000
        story.message(
            at_ms, at_ms + 0.1, 3, 2, "PROPOSAL", session_id=READER, zxid=f"1:{90 + step}"
        )
    layout = laid(story.records)
    assert layout.left_out["messages"] > 1_000
    assert [mark["look"] for mark in layout.marks if mark["look"] in ("stale", "fresh")] == [
        *("stale", "fresh"),
    ]
    assert [line["is_kept"] for line in layout.arrows if line["bar"]] == [True]
