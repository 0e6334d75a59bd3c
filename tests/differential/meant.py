"""The differences that are meant, in one table, from which docs/fidelity.md has its section.

Owns the table and the judgement: two records agree if each pair of lines is the same, or is one
that the table knows. `python -m tests.differential.meant` writes the section.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

BEGIN = "<!-- from tests/differential/meant.py: `make fidelity` writes it -->"
MOST_LINES = 40
END = "<!-- end -->"


@dataclass(frozen=True)
class Meant:
    """A difference: patterns of the whole lines on both sides, and what it means in words."""

    name: str
    real_line: str
    our_line: str
    real: str
    ours: str
    why: str


MEANT: tuple[Meant, ...] = (
    Meant(
        "multiread_refused",
        r"\w+: multiRead -> -5 \(\) (@\S+)",
        r"\w+: multiRead -> -5 (@\S+)",
        "a multiRead of anything but reads is refused with -5 and an empty result behind it",
        "with -5 alone, as every other error",
        "no client reads a result behind an error",
    ),
)


def explained(real_line: str, our_line: str) -> Meant | None:
    """The entry of the table that covers a pair of lines."""
    for meant in MEANT:
        if re.fullmatch(meant.real_line, real_line) and re.fullmatch(meant.our_line, our_line):
            return meant
    return None


def unexplained(real: list[str], ours: list[str]) -> str:
    """The lines that differ and are not meant to, as a diff with some context; empty if none."""
    if all(
        one == other or explained(one or "", other or "") for one, other in zip_longest(real, ours)
    ):
        return ""
    diff = list(difflib.unified_diff(real, ours, "real", "ours", n=4, lineterm=""))
    more = [f"and {len(diff) - MOST_LINES} lines more"] if len(diff) > MOST_LINES else []
    return "\n".join(diff[:MOST_LINES] + more)


def section() -> str:
    """The table as it stands in docs/fidelity.md."""
    rows = [f"| {meant.real} | {meant.ours} | {meant.why} |" for meant in MEANT]
    head = ["| ZooKeeper 3.8.0 | here | why |", "|---|---|---|"]
    return "\n".join([BEGIN, *head, *rows, END])


def rewritten(document: str) -> str:
    """A document with the section between the marks replaced."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + section() + after


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "docs" / "fidelity.md"
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
