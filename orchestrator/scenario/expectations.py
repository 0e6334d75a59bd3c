"""Expectations as a file writes them: which fields a step's answer has, and what they may say."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, cast

from orchestrator.config import duration_ms
from orchestrator.scenario import steps
from orchestrator.scenario.values import (
    COMPARISONS,
    ERRORS,
    FIELDS,
    REFERENCE,
    VERDICTS,
    show_length,
)

_ALWAYS = ("error", "answered", "zxid")
_STAT = ("owner", "version", "czxid", "mzxid")
_VERDICT = ("error", "answered", "verdict", "timeout")
_FIELDS_OF: dict[str, tuple[str, ...]] = {
    "open": _VERDICT,
    "resume": _VERDICT,
    "present": _VERDICT,
    "close": ("error", "answered"),
    "create": (*_ALWAYS, "path", "name", "version", "czxid", "mzxid"),
    "set": (*_ALWAYS, *_STAT),
    "get": (*_ALWAYS, "exists", "data", *_STAT),
    "exists": (*_ALWAYS, "exists", *_STAT),
    "children": (*_ALWAYS, "children"),
}
_WORDS = {"error": ERRORS, "verdict": VERDICTS}


def check_fields(word: str, expected: Any) -> list[str]:
    """What is wrong with expectations of the answer to a step with this word."""
    if not isinstance(expected, dict):
        return [f"'{expected}': fields and values expected, such as {{error: ok}}"]
    fields = _FIELDS_OF.get(word, _ALWAYS)
    found = []
    for name, wanted in expected.items():
        if name not in fields:
            found.append(f"{word} tells no '{name}'; it tells {', '.join(fields)}")
        else:
            found += _check_wanted(name, wanted)
    return found


def _check_wanted(name: str, wanted: Any) -> Iterator[str]:
    if wanted in ({}, []) and FIELDS[name] is not list:
        yield f"{name}: nothing expected; a value, [one, of, several] or {{not: value}}"
    elif isinstance(wanted, dict):
        for comparison, bound in wanted.items():
            if comparison not in COMPARISONS:
                yield f"{name}: no comparison '{comparison}'; one of {', '.join(COMPARISONS)}"
            elif comparison == "not":
                yield from _check_wanted(name, bound)
            elif comparison != "contains" and not _is_of(int, bound):
                yield f"{name}: {comparison}: a number or a reference expected, not '{bound}'"
    elif isinstance(wanted, list) and FIELDS[name] is not list:
        for one in wanted:
            yield from _check_wanted(name, one)
    elif wanted != "" and not _is_of(FIELDS[name], wanted):
        yield f"{name}: {_KINDS[FIELDS[name]]} expected, not '{wanted}'"
    elif name in _WORDS and wanted not in ("", *_WORDS[name]) and not _is_reference(wanted):
        yield f"{name}: no {name} '{wanted}'{_meant(wanted, _WORDS[name])}"
    elif name == "timeout" and wanted != "" and not _is_reference(wanted):
        yield from _check_length(wanted)


def _check_length(wanted: str) -> Iterator[str]:
    """Compared as a text, so it has to be written as answers are shown."""
    try:
        shown = show_length(cast("int", duration_ms(wanted)))
    except ValueError as error:
        yield f"timeout: {error}"
        return
    if shown != wanted:
        yield f"timeout: answers say '{shown}', not '{wanted}'"


def words_of(wanted: Any) -> Iterator[str]:
    """The words that an expectation of a field names, whatever it says of them."""
    if isinstance(wanted, dict):
        for bound in wanted.values():
            yield from words_of(bound)
    elif isinstance(wanted, list):
        for one in wanted:
            yield from words_of(one)
    elif isinstance(wanted, str) and wanted and not _is_reference(wanted):
        yield wanted


_KINDS = {int: "a number", str: "a text", bool: "true or false", list: "a list of names"}


def _is_of(kind: type, value: Any) -> bool:
    return _is_reference(value) or (
        isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    )


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and REFERENCE.search(value) is not None


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean '{close[0]}'?" if close else f"; one of {', '.join(known)}"


def references_of(action: steps.Particulars) -> Iterator[tuple[str, str]]:
    """(result, field) of every reference in a step."""
    yield from _references(action.model_dump(exclude={"because", "text", "do"}))
    if isinstance(action, steps.Until) and isinstance(action.do, steps.Particulars):
        yield from references_of(action.do)


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        for found in REFERENCE.finditer(value):
            yield found[1], found[2]
    elif isinstance(value, dict):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _references(part)
