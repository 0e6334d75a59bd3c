"""A scene as one sequence: what happened on which lane, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.picture.scene import Arrow, At, Mark, Scene


@dataclass(slots=True)
class Moment:
    """A mark, or an end of an arrow: its arrival, or its departure."""

    at: At
    lane: str
    mark: Mark | None = None
    arrow: Arrow | None = None
    is_arrival: bool = False


def moments_of(scene: Scene, *, with_noise: bool = False) -> list[Moment]:
    """Every moment of a scene in the order of time; an arrow's end never before its beginning."""
    return sorted(_moments(scene, with_noise), key=lambda moment: (moment.at, _rank(moment)))


def _rank(moment: Moment) -> int:
    """Of one instant: what arrives, what comes of it, what leaves, and what that causes at once."""
    if moment.arrow is None:
        return 1
    if not moment.is_arrival:
        return 2
    return 3 if moment.arrow.sent == moment.at else 0


def _moments(scene: Scene, with_noise: bool) -> Iterator[Moment]:
    said = {(arrow.receiver, arrow.received, arrow.says) for arrow in scene.arrows if arrow.says}
    for mark in scene.marks:
        if (mark.lane, mark.at, mark.text) not in said:
            yield Moment(mark.at, mark.lane, mark=mark)
    for arrow in scene.arrows:
        if arrow.is_noise and not with_noise:
            continue
        if arrow.sent is not None:
            yield Moment(arrow.sent, arrow.sender, arrow=arrow)
        if arrow.received is not None:
            at = arrow.received if arrow.sent is None else max(arrow.sent, arrow.received)
            yield Moment(at, arrow.receiver, arrow=arrow, is_arrival=True)
