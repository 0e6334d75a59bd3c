"""Text in a picture: how wide it is, where it fits, how it is broken into lines. Pure.

Widths are estimated from the letters, a little on the wide side, since no font is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[] →"), frozenset("mwMWOQGCDHNU@%…—")
SIZE = 11.5


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        """Whether they overlap."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def width_of(text: str, size: float = SIZE) -> float:
    """How wide a text is."""
    return size * sum(map(_units, text))


def _units(letter: str) -> float:
    if letter in _NARROW:
        return 0.36
    if letter in _WIDE:
        return 0.88
    return 0.7 if letter.isupper() else 0.6


def shorten(text: str, width: float, size: float = SIZE) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def wrap(text: str, width: float, size: float = SIZE) -> list[str]:
    """The text in lines that are no wider; a longer word has a line of its own, shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, width, size))
    return lines


@dataclass(slots=True)
class Places:
    """Boxes that are taken; those of a strip of height are looked up together."""

    STRIP: ClassVar[float] = 64.0
    _strips: dict[int, list[Box]] = field(default_factory=dict)

    def take(self, box: Box) -> None:
        """From now on nothing else goes there."""
        for strip in self._strips_of(box):
            self._strips.setdefault(strip, []).append(box)

    def is_free(self, box: Box) -> bool:
        """Whether nothing is there."""
        return not any(
            box.meets(other)
            for strip in self._strips_of(box)
            for other in self._strips.get(strip, ())
        )

    def take_first_free(self, candidates: Iterable[Box]) -> Box | None:
        """Take the first place that is free; None if none is."""
        for box in candidates:
            if self.is_free(box):
                self.take(box)
                return box
        return None

    def _strips_of(self, box: Box) -> range:
        return range(int(box.y // self.STRIP), int((box.y + box.height) // self.STRIP) + 1)
