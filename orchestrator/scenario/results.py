"""Results by name: what operations were answered, and whether that is as a file says.

Owns comparisons and references such as `{lock.path}`. Waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.scenario.values import REFERENCE
from orchestrator.scenario.verdicts import StepFailed

Expected = Mapping[str, Any]


@dataclass(slots=True)
class Result:
    """Of one operation. `fields` has only what its answer says.

    `visited`: the member to which a session was presented; 0: asked on the session's own.
    """

    line: int
    session: str
    visited: int = 0
    fields: dict[str, Any] = field(default_factory=lambda: {"answered": False})

    @property
    def is_answered(self) -> bool:
        """Whether there is an outcome."""
        return bool(self.fields["answered"])

    def answer(self, **fields: Any) -> None:
        """Take the outcome."""
        self.fields = {"answered": True, **fields}


class Values:
    """The results of a variant, and the root before its paths."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.results: dict[str, Result] = {}

    def path(self, text: str) -> str:
        """A path as members know it."""
        filled = self.text(text)
        if text.startswith("{"):
            return filled
        return self.root if filled == "/" else self.root + filled

    def text(self, text: str) -> str:
        """A text with every reference filled in."""
        filled = self.value(text)
        if filled is None:
            raise StepFailed(f"'{text}' refers to what no answer tells")
        return _plain(filled)

    def number(self, number: int | str) -> int:
        """A version or a zxid, looked up if it is a reference."""
        value = self.value(number)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise StepFailed(f"{number} is {show(value)}, and no number") from None

    def value(self, value: Any) -> Any:
        """A value with references filled in; one that is nothing else keeps its type.

        None if it refers to what no answer tells.
        """
        if isinstance(value, str):
            if found := REFERENCE.fullmatch(value):
                return self._referred(found[1], found[2])
            told = [self._referred(found[1], found[2]) for found in REFERENCE.finditer(value)]
            parts = iter(told)
            return None if None in told else REFERENCE.sub(lambda _: _plain(next(parts)), value)
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if isinstance(value, dict):
            return {key: self.value(part) for key, part in value.items()}
        return value

    def _referred(self, name: str, field_name: str) -> Any:
        result = self.results.get(name)
        return None if result is None else result.fields.get(field_name)

    def result(self, name: str) -> Result:
        """A result by its name. Raises StepFailed if its step was left out."""
        if name not in self.results:
            raise StepFailed(f"no result '{name}': its step was left out")
        return self.results[name]

    def expected(self, expected: Expected) -> dict[str, Any]:
        """Expectations with references filled in, and the root before paths."""
        return {
            name: self.path(wanted)
            if name == "path" and isinstance(wanted, str) and self.value(wanted) is not None
            else self.value(wanted)
            for name, wanted in expected.items()
        }


def differences(expected: Expected, fields: Mapping[str, Any]) -> list[str]:
    """What is not as expected, each as a clause; none: all is."""
    return [
        f"{name} is {show(fields.get(name))}, expected {show_expected(wanted)}"
        for name, wanted in expected.items()
        if not _is_so(wanted, fields.get(name))
    ]


def _is_so(wanted: Any, value: Any) -> bool:
    if wanted is None or value is None:
        # Not told: else `{not: x}` would hold of an operation that failed, or has no answer yet.
        return False
    if isinstance(wanted, dict):
        return all(_COMPARED[word](bound, value) for word, bound in wanted.items())
    if isinstance(value, list):
        return bool(wanted == value)
    if isinstance(wanted, list):
        return value in wanted
    return bool(wanted == value and isinstance(wanted, bool) == isinstance(value, bool))


def _contains(part: Any, value: Any) -> bool:
    return isinstance(value, list | str) and part in value


def _is_less(bound: Any, value: Any) -> bool:
    return isinstance(value, int) and isinstance(bound, int) and value < bound


def _is_at_least(bound: Any, value: Any) -> bool:
    return isinstance(value, int) and isinstance(bound, int) and value >= bound


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "not": lambda wanted, value: wanted is not None and not _is_so(wanted, value),
    "contains": _contains,
    "less_than": _is_less,
    "at_least": _is_at_least,
}


def show(value: Any) -> str:
    """A value as files write it."""
    if value is None:
        return "not told"
    return _plain(value)


def show_expected(wanted: Any) -> str:
    """What was expected, in words."""
    if isinstance(wanted, dict):
        return " and ".join(f"{word.replace('_', ' ')} {show(w)}" for word, w in wanted.items())
    if isinstance(wanted, list):
        return f"one of {', '.join(map(_plain, wanted))}"
    return show(wanted)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value)
