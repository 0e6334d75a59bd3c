"""What the marker says, read and checked: which ensemble a test gets, and with which link rules."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from nodes.rules import RuleError, parse_link_rule
from orchestrator.config import EnsembleConfig, complaint

# An application's own timeouts hold: nothing expires but what the test lets expire.
DEFAULTS = {"max_session_timeout_ms": 60_000}
OWN = ("link", "strict_rules")
# The plugin's own business, and what `link` says.
RESERVED = ("directory", "links")
KNOWN = (*OWN, *(name for name in EnsembleConfig.model_fields if name not in RESERVED))


class WrongMarker(ValueError):
    """What is wrong with a marker, in one line."""


@dataclass(frozen=True)
class Settings:
    """`key` is the same for tests that may share an ensemble, one after the other."""

    ensemble: Mapping[str, Any]
    rules: tuple[str, ...]
    has_strict_rules: bool
    key: str


def settings_of(node: pytest.Item) -> Settings:
    """The settings of a test: of several markers, the nearest one's word. Raises WrongMarker."""
    given: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("lagkeeper"))):
        if marker.args:
            raise WrongMarker(f"{marker.args[0]!r} without a name; write members=5, for example")
        given.update(marker.kwargs)
    return read_settings(given)


def complaints(items: Iterable[pytest.Item]) -> list[str]:
    """A line for each marker that cannot be, with file and line of its test."""
    found: dict[str, None] = {}
    for item in items:
        try:
            settings_of(item)
            _check_use(item)
        except WrongMarker as error:
            path, line, _ = item.location
            place = f"{path}:{(line or 0) + 1}"
            found[f"{place}: @pytest.mark.lagkeeper: {error}"] = None
    return list(found)


def _check_use(item: pytest.Item) -> None:
    """A marker on a test itself that does nothing would be taken for one that does."""
    is_own = any(marker.name == "lagkeeper" for marker in item.own_markers)
    if is_own and "ensemble" not in getattr(item, "fixturenames", ("ensemble",)):
        raise WrongMarker("the test uses no ensemble; ask for 'ensemble' or 'zookeeper_hosts'")


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Check a marker's keywords. Raises WrongMarker."""
    for name in given:
        if name not in KNOWN:
            raise WrongMarker(_unknown(name))
    values = {**DEFAULTS, **{name: it for name, it in given.items() if name not in OWN}}
    try:
        config = EnsembleConfig.model_validate(values)
    except ValidationError as error:
        raise WrongMarker(
            "; ".join(
                ": ".join((*map(str, one["loc"][:1]), complaint(one)))
                for one in error.errors(include_url=False)
            )
        ) from None
    strict = given.get("strict_rules", False)
    if not isinstance(strict, bool):
        raise WrongMarker(f"strict_rules: True or False, not {strict!r}")
    return Settings(
        ensemble=values,
        rules=_read_rules(given.get("link", ()), config),
        has_strict_rules=strict,
        key=config.model_dump_json(exclude=set(RESERVED)),
    )


def _read_rules(said: object, config: EnsembleConfig) -> tuple[str, ...]:
    texts = (said,) if isinstance(said, str) else said
    if not isinstance(texts, list | tuple) or not all(isinstance(it, str) for it in texts):
        raise WrongMarker(f"link: a text such as '3->1 delay=50ms', or a list, not {said!r}")
    for text in texts:
        try:
            parse_link_rule(text, config.sids)
        except RuleError as error:
            raise WrongMarker(f"link: {error}") from None
    return tuple(texts)


def _unknown(name: str) -> str:
    if name in RESERVED:
        instead = "say link=" if name == "links" else "the plugin chooses it"
        return f"{name}: not here; {instead}"
    close = difflib.get_close_matches(name, KNOWN, n=1)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(KNOWN)}"
    return f"{name}: unknown; {meant}"
