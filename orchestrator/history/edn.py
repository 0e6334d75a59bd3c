"""Values in EDN, the notation of Clojure programs. Owns the few kinds that a history needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any


@dataclass(frozen=True, slots=True)
class Keyword:
    """`:name`."""

    name: str


def edn(value: object) -> str:
    """One line of text. Keys of a dict become keywords."""
    return _FORMS[type(value)](value)


_FORMS: dict[type, Callable[[Any], str]] = {
    # JSON's escapes are EDN's, too; other characters stand for themselves.
    str: encode_basestring,
    int: str,
    type(None): lambda _: "nil",
    Keyword: lambda keyword: f":{keyword.name}",
    list: lambda parts: f"[{' '.join(map(edn, parts))}]",
    dict: lambda parts: "{" + ", ".join(f":{key} {edn(part)}" for key, part in parts.items()) + "}",
}
