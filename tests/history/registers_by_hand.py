"""What the exports are read with here: EDN, and a search for a linear order of one register.

Independent of the code that writes them; small, for histories of a few operations.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_TOKEN = re.compile(r'[\s,]*(?:(\{|\}|\[|\])|("(?:\\.|[^"\\])*")|:([\w-]+)|(-?\d+)|(nil))')


def read_edn(text: str) -> Any:
    """One value; keywords become plain strings behind a colon, maps have keyword keys."""
    value, end = _read(text, 0)
    assert text[end:].strip() == ""
    return value


def _read(text: str, at: int) -> tuple[Any, int]:
    token = _TOKEN.match(text, at)
    assert token is not None, text[at:]
    bracket, string, keyword, number, _ = token.groups()
    at = token.end()
    if bracket in ("{", "["):
        parts: list[Any] = []
        while not text[at:].lstrip(" ,").startswith(("}", "]")):
            part, at = _read(text, at)
            parts.append(part)
        at = text.index("}" if bracket == "{" else "]", at) + 1
        if bracket == "[":
            return parts, at
        return dict(zip(parts[::2], parts[1::2], strict=True)), at
    if string is not None:
        return json.loads(string), at
    if keyword is not None:
        return f":{keyword}", at
    return (int(number) if number is not None else None), at


class Step(NamedTuple):
    """What was done to a register. `is_known` False: it may have had no effect at all."""

    called: int
    returned: float
    kind: str
    value: str | None
    expected: str | None = None
    is_known: bool = True


def is_linearizable(steps: list[Step]) -> bool:
    """Whether an order that respects the times explains what was seen; all begin with nil."""
    seen: set[tuple[frozenset[int], str | None]] = set()

    def search(left: frozenset[int], state: str | None) -> bool:
        if not any(steps[index].is_known for index in left):
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        # Nothing may come before what had returned when it was called.
        first_return = min(steps[index].returned for index in left)
        for index in left:
            step = steps[index]
            if step.called > first_return:
                continue
            rest = left - {index}
            if step.kind == "read":
                if step.value == state and search(rest, state):
                    return True
                continue
            is_possible = step.kind == "write" or state == step.expected
            if is_possible and search(rest, step.value):
                return True
        return False

    return search(frozenset(range(len(steps))), None)
