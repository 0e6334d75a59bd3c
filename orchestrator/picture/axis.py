"""Time from top to bottom, not to scale: a row for what happens, and quiet stretches folded. Pure.

Every thing that is to be read gets room, however short the time between two of them, and a long
silence costs no more than a fold. Order is kept exactly; lengths are written, not measured.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from orchestrator.picture.scene import At

# Instants closer than this are one, as far as a clock can tell.
SAME_MS = 0.0005
STACKED, LEAST, MOST, FOLDED = 18.0, 21.0, 52.0, 58.0
LEAST_CROWDED, CROWD = 13.0, 150
# A gap is folded if it is long in itself, and among the others.
FOLD_MS, FOLD_RATIO = 4.0, 12.0


@dataclass(slots=True)
class Fold:
    """A quiet stretch, drawn shorter than it was."""

    y: float
    span_ms: float


@dataclass(slots=True)
class Axis:
    """`rows` rise in time and in y; `top` and `bottom` are the picture's edges."""

    top: float
    bottom: float
    rows: list[tuple[At, float]] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    _exact: dict[At, float] = field(default_factory=dict)

    def y(self, at: At) -> float:
        """Where an instant is: at its row, or between the rows round it."""
        known = self._exact.get(at)
        if known is not None:
            return known
        if not self.rows:
            return self.top
        index = bisect.bisect_left(self.rows, (at, -math.inf))
        if index == 0:
            return self.top + (self.rows[0][1] - self.top) / 2
        if index == len(self.rows):
            return self.bottom - (self.bottom - self.rows[-1][1]) / 2
        (earlier, above), (later, below) = self.rows[index - 1], self.rows[index]
        span_ms = later[0] - earlier[0]
        part = 0.5 if span_ms <= 0 else (at[0] - earlier[0]) / span_ms
        return above + (below - above) * part


def make_axis(points: Iterable[tuple[At, str]], top: float, margin: float = 26.0) -> Axis:
    """Lay rows for points: instants, each with the lane on which it has a label, or ``."""
    rows = _group(sorted(set(points)))
    gaps = [later[0][0][0] - earlier[0][0][0] for earlier, later in pairwise(rows)]
    moving = [gap for gap in gaps if gap > SAME_MS]
    usual_ms = median(moving) if moving else 0.0
    least = LEAST if len(rows) <= CROWD else LEAST_CROWDED
    axis = Axis(top, top)
    y = top + margin
    for index, row in enumerate(rows):
        if index:
            gap_ms = gaps[index - 1]
            if gap_ms > FOLD_MS and gap_ms > FOLD_RATIO * usual_ms:
                axis.folds.append(Fold(y + FOLDED / 2, gap_ms))
                y += FOLDED
            else:
                y += _height(gap_ms, usual_ms, least)
        axis.rows.append((row[0][0], y))
        for at, _ in row:
            axis._exact.setdefault(at, y)
    axis.bottom = y + margin
    return axis


def _group(points: list[tuple[At, str]]) -> list[list[tuple[At, str]]]:
    """Points of one instant share a row, unless both have a label on the same lane."""
    rows: list[list[tuple[At, str]]] = []
    labelled: set[str] = set()
    for at, lane in points:
        is_same = bool(rows) and at[0] - rows[-1][0][0][0] <= SAME_MS
        if is_same and (at == rows[-1][-1][0] or not (lane and lane in labelled)):
            rows[-1].append((at, lane))
        else:
            rows.append([(at, lane)])
            labelled = set()
        if lane:
            labelled.add(lane)
    return rows


def _height(gap_ms: float, usual_ms: float, least: float) -> float:
    if gap_ms <= SAME_MS:
        return min(STACKED, least)
    ratio = gap_ms / usual_ms if usual_ms else 1.0
    return min(MOST, least + 7.0 * max(0.0, math.log2(max(ratio, 1.0))))
