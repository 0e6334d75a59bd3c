"""What charts are made of on the page: titled panels in groups, and the colour of a mitigation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from markupsafe import Markup

from loadtests.report.schema import Reader

HUES = 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. `hue` is the class that colours it, `note` its figures in words."""

    title: str
    drawing: Markup
    note: str = ""
    hue: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Charts that may be compared with each other: they share their axes."""

    heading: str
    panels: list[Panel] = field(default_factory=list)


def hues_of(readers: Iterable[Reader]) -> dict[str, str]:
    """A colour class for each mitigation, the same wherever it appears."""
    found = dict.fromkeys(reader.mitigation for reader in readers)
    return {mitigation: f"c{index % HUES}" for index, mitigation in enumerate(found)}


def title_of(reader: Reader) -> str:
    """What tells a reader from the others at the same place."""
    mitigation = "no mitigation" if reader.mitigation == "none" else reader.mitigation
    operation = "" if reader.operation == "read" else f", {reader.operation}"
    return f"{reader.session}{operation}: {mitigation}"


def place_of(reader: Reader) -> str:
    """Where it is; readers at different places are never compared."""
    is_one_of_several = reader.place.startswith(("a ", "an ", "another "))
    return f"On {reader.place}" if is_one_of_several else f"On the {reader.place}"


def by_place(readers: Iterable[Reader]) -> list[tuple[str, list[Reader]]]:
    """The rows under the place where they read."""
    found: dict[str, list[Reader]] = {}
    for reader in readers:
        found.setdefault(place_of(reader), []).append(reader)
    return list(found.items())


def ratio_words(reader: Reader) -> str:
    """The ratio with n and its interval."""
    if reader.ratio is None or reader.interval is None:
        return "no verdict: nothing was asked"
    low, high = reader.interval
    return f"{reader.ratio:.3f} ({low:.3f} to {high:.3f}), n = {reader.requests:,}"
