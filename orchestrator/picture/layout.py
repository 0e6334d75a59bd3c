"""Where everything of a scene stands: lanes side by side, time downwards, labels apart. Pure.

Texts are placed in order of worth (marks, then kept messages, then arrows); what finds no room is
shortened, then left to the hover.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.picture.axis import Axis, make_axis
from orchestrator.picture.labels import SIZE, Box, Places, shorten, width_of, wrap
from orchestrator.picture.scene import (
    CLIENT,
    MEMBER,
    Arrow,
    At,
    Lane,
    Remark,
    Scene,
    show_ms,
)

WIDTH, GUTTER, BESIDE, HEADER = 1240.0, 82.0, 232.0, 58.0
LEAST_COLUMN = 150.0
TRACK = 15.0
LINE = 15.0
# Answers that are never left out, with their calls.
TELLING = frozenset({"answer stale", "answer told", "answer fresh"})
MOST_ARROWS, MOST_NOISE, MOST_MARKS = 600, 2000, 1200


@dataclass(slots=True)
class Layout:
    """Everything with its coordinates, ready to be written as SVG."""

    width: float
    height: float
    axis: Axis
    lanes: list[dict[str, Any]] = field(default_factory=list)
    ticks: list[dict[str, Any]] = field(default_factory=list)
    folds: list[dict[str, Any]] = field(default_factory=list)
    bands: list[dict[str, Any]] = field(default_factory=list)
    stretches: list[dict[str, Any]] = field(default_factory=list)
    downs: list[dict[str, Any]] = field(default_factory=list)
    arrows: list[dict[str, Any]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)
    right: float = WIDTH
    left_out: dict[str, int] = field(default_factory=dict)


def lay_out(scene: Scene) -> Layout:
    """Place a scene."""
    arrows, left_out = _within_bounds(scene)
    scene = _cut_off(scene, arrows)
    axis = make_axis(_points(scene, arrows), HEADER)
    beside = BESIDE if scene.remarks else 20.0
    count = max(len(scene.lanes), 1)
    column = max(LEAST_COLUMN, (WIDTH - GUTTER - beside) / count)
    width = GUTTER + column * count + beside
    right = GUTTER + column * count
    layout = Layout(width, axis.bottom, axis, right=right, left_out=left_out)
    xs = {lane.key: GUTTER + 26 + column * place for place, lane in enumerate(scene.lanes)}
    places = Places()
    for lane in scene.lanes:
        half = TRACK / 2 + 1 if lane.kind == MEMBER else 2
        places.take(Box(xs[lane.key] - half, 0, 2 * half, axis.bottom))
    _lay_ticks(layout, scene)
    _lay_bands(layout, scene, xs, column, places)
    _lay_stretches(layout, scene, xs)
    _lay_marks(layout, scene, xs, column, places)
    _lay_arrows(layout, arrows, xs, places)
    _lay_remarks(layout, scene, xs, right + 12, beside - 24)
    _lay_lanes(layout, scene, xs, column)
    return layout


def _within_bounds(scene: Scene) -> tuple[list[Arrow], dict[str, int]]:
    """The arrows to draw, and how many are too many."""
    lanes = {lane.key for lane in scene.lanes}
    known = [
        arrow
        for arrow in scene.arrows
        if {arrow.sender, arrow.receiver} <= lanes and (arrow.sent or arrow.received)
    ]
    known.sort(key=lambda arrow: arrow.sent or arrow.received or (0.0, 0.0))
    story = [arrow for arrow in known if not arrow.is_noise]
    noise = [arrow for arrow in known if arrow.is_noise]
    left_out = {
        "messages": max(0, len(story) - MOST_ARROWS),
        "hidden messages": max(0, len(noise) - MOST_NOISE),
    }
    told = {arrow.tip for arrow in story if arrow.look in TELLING}
    # A stable sort: of equal worth, the earlier ones.
    story.sort(key=lambda arrow: not (arrow.tip in told or _is_of_an_end(arrow)))
    drawn = story[:MOST_ARROWS] + noise[:MOST_NOISE]
    return drawn, {what: count for what, count in left_out.items() if count}


def _is_of_an_end(arrow: Arrow) -> bool:
    return arrow.is_kept or "closeSession" in arrow.label


def _cut_off(scene: Scene, arrows: list[Arrow]) -> Scene:
    """The scene without the marks and remarks behind what there is room for."""
    marks = sorted(scene.marks, key=lambda mark: mark.at)[:MOST_MARKS]
    last = marks[-1].at if len(marks) == MOST_MARKS else None
    seen = [arrow for arrow in arrows if not arrow.is_noise]
    if len(seen) == MOST_ARROWS:
        end = max(arrow.received or arrow.sent or (0.0, 0.0) for arrow in seen)
        last = end if last is None else min(last, end)
    if last is None:
        return scene
    return replace(
        scene,
        marks=[mark for mark in marks if mark.at <= last],
        remarks=[remark for remark in scene.remarks if remark.at <= last],
        bands=[band for band in scene.bands if band.begin <= last],
    )


def _points(scene: Scene, arrows: list[Arrow]) -> Iterator[tuple[At, str]]:
    """What rows are needed for: everything seen by default."""
    ends = [
        at
        for arrow in arrows
        if not arrow.is_noise
        for at in (arrow.sent, arrow.left if arrow.is_kept else None, arrow.received)
        if at is not None
    ]
    for at in ends:
        yield at, ""
    for mark in scene.marks:
        yield mark.at, mark.lane
    for remark in scene.remarks:
        yield remark.at, "" if remark.lane else "beside"


def _lay_ticks(layout: Layout, scene: Scene) -> None:
    free_from = 0.0
    for at, y in layout.axis.rows:
        if y >= free_from:
            shown = at[0] - scene.zero_ms
            # Never -0.00.
            text = f"{round(shown, 2) + 0.0:+.2f}" if abs(shown) < 1000 else f"{shown:+.0f}"
            layout.ticks.append({"y": y, "text": text})
            free_from = y + 14
    for fold in layout.axis.folds:
        text = f"{show_ms(fold.span_ms)} without anything to show"
        layout.folds.append({"y": fold.y, "text": text})


def _lay_bands(
    layout: Layout, scene: Scene, xs: dict[str, float], column: float, places: Places
) -> None:
    axis = layout.axis
    end_x = GUTTER + column * max(len(scene.lanes), 1)
    for band in scene.bands:
        top = axis.y(band.begin)
        bottom = axis.bottom if band.end is None else axis.y(band.end)
        if band.lane:
            x, width = xs[band.lane] - 16, column - 14
        else:
            x, width = GUTTER - 2, end_x - GUTTER + 2
        # At the right end of a column, out of the way of the labels of marks.
        heights = (top + 3, top + 1, (top + bottom) / 2 - 8, bottom - 19)
        box, text = None, ""
        for text in dict.fromkeys((band.text, band.short, band.window)):
            size = width_of(text, 12) + 14
            box = places.take_first_free(
                Box(x + width - size - 3 - shift, y, size, 16)
                for shift in ([0] if band.lane else [column * n for n in range(len(xs))])
                for y in heights
                if y + 16 <= max(bottom, top + 17)
            )
            if box is not None:
                break
        layout.bands.append(
            {
                **{"x": x, "y": top, "width": width, "height": max(bottom - top, 3)},
                **{"window": band.window, "tip": band.tip, "text": text, "box": box},
            }
        )


def _lay_stretches(layout: Layout, scene: Scene, xs: dict[str, float]) -> None:
    axis = layout.axis
    paths = list(dict.fromkeys(stretch.path for stretch in scene.stretches))
    each = TRACK / max(len(paths), 1)
    for stretch in scene.stretches:
        top = axis.top if stretch.begin is None else axis.y(stretch.begin)
        bottom = axis.bottom if stretch.end is None else axis.y(stretch.end)
        look = "overdue" if stretch.is_overdue else "there" if stretch.is_there else "gone"
        layout.stretches.append(
            {
                "x": xs[stretch.lane] - TRACK / 2 + paths.index(stretch.path) * each,
                **{"y": top, "width": each, "height": max(bottom - top, 1)},
                **{"look": look, "tip": stretch.tip},
            }
        )
    for down in scene.downs:
        if down.lane in xs:
            top = axis.top if down.begin is None else axis.y(down.begin)
            bottom = axis.bottom if down.end is None else axis.y(down.end)
            layout.downs.append(
                {
                    **{"x": xs[down.lane] - TRACK / 2 - 3, "width": TRACK + 6},
                    **{"y": top, "height": max(bottom - top, 4), "word": down.word},
                }
            )


def _lay_marks(
    layout: Layout, scene: Scene, xs: dict[str, float], column: float, places: Places
) -> None:
    worth = {"stale": 0, "told": 1, "fresh": 2, "step": 3}
    # An answer that comes from the right would run through a text beside its mark.
    crossed = {
        (arrow.receiver, arrow.received)
        for arrow in scene.arrows
        if arrow.look.startswith("answer")
        and xs.get(arrow.sender, 0.0) > xs.get(arrow.receiver, 0.0)
    }
    for mark in sorted(scene.marks, key=lambda mark: (worth.get(mark.look, 9), mark.at)):
        if mark.lane not in xs:
            continue
        x, y = xs[mark.lane], layout.axis.y(mark.at)
        is_bold = mark.look in ("stale", "told", "fresh")
        size = SIZE + (0.6 if is_bold else 0)
        room = column - 30
        text = mark.text if width_of(mark.text, size) <= room else mark.short or mark.text
        text = shorten(text, room, size)
        width = width_of(text, size) * (1.06 if is_bold else 1) + 5
        shifts = (11, 13, 9, 0) if (mark.lane, mark.at) in crossed else (0, 5, -5)
        box = _place_beside(places, x, y, width, shifts)
        layout.marks.append(
            {
                **{"x": x, "y": y, "look": mark.look, "tip": mark.tip, "session": mark.session},
                **{"text": text if box else "", "box": box, "full": mark.text},
                "lane": mark.lane,
            }
        )
    layout.marks.sort(key=lambda placed: float(placed["y"]))


def _place_beside(
    places: Places, x: float, y: float, width: float, shifts: tuple[int, ...]
) -> Box | None:
    """Right of the lane, else left of it; so much lower or higher."""
    return places.take_first_free(
        Box(x + 13 if is_right else x - 13 - width, y - LINE / 2 + shift, width, LINE)
        for shift in shifts
        for is_right in (True, False)
    )


def _lay_arrows(layout: Layout, arrows: list[Arrow], xs: dict[str, float], places: Places) -> None:
    placed = [(arrow, _line_of(layout, arrow, xs)) for arrow in arrows]
    for arrow, line in placed:
        if arrow.is_kept and not arrow.is_noise:
            _label_bar(line, arrow, places)
    for arrow, line in placed:
        if arrow.label and not arrow.is_noise:
            _label_line(line, arrow, places)
    layout.arrows = [line for _, line in placed]


def _line_of(layout: Layout, arrow: Arrow, xs: dict[str, float]) -> dict[str, Any]:
    """Its line, with a bar at the sender's end for the time in which it was kept back."""
    axis = layout.axis
    from_x, to_x = xs[arrow.sender], xs[arrow.receiver]
    way = 1 if to_x > from_x else -1
    is_call = "message" not in arrow.look
    from_x += way * (2 if is_call and arrow.look.startswith("call") else TRACK / 2 + 2)
    to_x -= way * (3 if arrow.look.startswith("answer") else TRACK / 2 + 3)
    line: dict[str, Any] = {
        **{"look": arrow.look, "group": arrow.group, "tip": arrow.tip},
        **{"session": arrow.session, "is_noise": arrow.is_noise, "is_kept": arrow.is_kept},
        **{"bar": None, "cross": None, "label": None, "text": "", "bar_label": None},
    }
    start = arrow.left if arrow.is_kept and arrow.left is not None else arrow.sent
    if arrow.sent is not None and arrow.is_kept:
        top = axis.y(arrow.sent)
        bottom = axis.bottom if arrow.left is None else axis.y(arrow.left)
        line["bar"] = {"x": from_x + way * 5 - 4, "y": top, "height": max(bottom - top, 4)}
        line["is_held_to_the_end"] = arrow.left is None
        from_x += way * 9
    middle = (from_x + to_x) / 2
    if start is None:
        y2 = axis.y(arrow.received or (0.0, 0.0))
        ends = (to_x - way * 46, y2 - 10, to_x, y2)
    elif arrow.received is None:
        y1 = axis.y(start)
        ends = (from_x, y1, from_x + way * min(60.0, abs(middle - from_x)), y1 + 12)
        is_still_held = bool(line["bar"]) and arrow.left is None
        line["cross"] = ends[2:] if arrow.is_lost and not is_still_held else None
        if is_still_held:
            ends = (from_x, y1, from_x, y1)
    else:
        ends = (from_x, axis.y(start), to_x, axis.y(arrow.received))
    line["ends"] = ends
    line["angle"] = math.degrees(math.atan2(ends[3] - ends[1], ends[2] - ends[0]))
    return line


def _label_bar(line: dict[str, Any], arrow: Arrow, places: Places) -> None:
    bar = line["bar"]
    if bar is None or arrow.sent is None:
        return
    lasted = "held back" if arrow.left is None else f"held {show_ms(arrow.left[0] - arrow.sent[0])}"
    places.take(Box(bar["x"] - 1, bar["y"], 10, bar["height"]))
    is_right = line["ends"][2] >= line["ends"][0]
    title = arrow.label.split(" ", maxsplit=1)[0]
    width = max(width_of(title), width_of(lasted)) * 1.06 + 4
    heights = [bar["y"] + step for step in range(0, int(max(bar["height"] - 24, 1)), 7)]
    middle = bar["y"] + bar["height"] / 2 - 16
    heights.sort(key=lambda y: abs(y - middle))
    box = places.take_first_free(
        Box(bar["x"] + 13 if is_right else bar["x"] - 5 - width, y, width, 2 * LINE)
        for y in heights or [bar["y"]]
    )
    line["bar_label"] = box
    line["bar_lines"] = [title, lasted]
    line["is_bar_label_right"] = is_right


def _label_line(line: dict[str, Any], arrow: Arrow, places: Places) -> None:
    if line["bar_label"] is not None:
        return
    x1, y1, x2, y2 = line["ends"]
    for text in dict.fromkeys((arrow.label, arrow.short)):
        width = width_of(text, 10.5)
        box = places.take_first_free(
            Box(
                x1 + (x2 - x1) * part - width / 2,
                y1 + (y2 - y1) * part + shift,
                width,
                12.5,
            )
            for part in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.12, 0.88)
            for shift in (-13.5, 2.0, -8.0)
        )
        if box is not None:
            line["label"], line["text"] = box, text
            return


def _lay_remarks(
    layout: Layout, scene: Scene, xs: dict[str, float], x: float, width: float
) -> None:
    free_from = HEADER + 4
    for remark in sorted(scene.remarks, key=lambda remark: remark.at):
        y = layout.axis.y(remark.at)
        lines = wrap(remark.text, width * (0.9 if remark.look == "stale" else 1), SIZE + 0.5)
        top = max(free_from, y - 8)
        placed = _remark(remark, lines, x, y, top, xs)
        for mark in layout.marks:
            if mark["lane"] == remark.lane and mark["y"] == y and mark["box"]:
                box = mark["box"]
                if abs(box.y + LINE / 2 - y) < LINE / 2:
                    placed["from_x"] = max(placed["from_x"], box.x + box.width - 4)
        layout.remarks.append(placed)
        free_from = top + len(lines) * LINE + 12
    layout.height = max(layout.height, free_from)


def _remark(
    remark: Remark, lines: list[str], x: float, y: float, top: float, xs: dict[str, float]
) -> dict[str, Any]:
    return {
        **{"look": remark.look, "lines": lines, "x": x, "y": y, "top": top},
        **{"height": len(lines) * LINE, "from_x": xs.get(remark.lane, GUTTER - 2)},
    }


def _lay_lanes(layout: Layout, scene: Scene, xs: dict[str, float], column: float) -> None:
    told: dict[str, float] = {}
    for mark in sorted(scene.marks, key=lambda mark: mark.at):
        if mark.look == "told":
            told.setdefault(mark.lane, layout.axis.y(mark.at))
    for lane in scene.lanes:
        placed = _lane(lane, xs[lane.key], layout.axis, told.get(lane.key))
        placed["title"] = shorten(lane.title, column - 8, 15)
        layout.lanes.append(placed)


def _lane(lane: Lane, x: float, axis: Axis, over_from: float | None) -> dict[str, Any]:
    return {
        **{"x": x, "top": axis.top, "bottom": axis.bottom, "kind": lane.kind, "key": lane.key},
        **{"title": lane.title, "subtitle": lane.subtitle},
        "over_from": over_from if lane.kind == CLIENT else None,
    }
