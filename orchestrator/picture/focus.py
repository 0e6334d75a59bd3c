"""What a picture is drawn round: a stale read, a session's end, an instant, or the whole."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import InvalidInput

WAYS = "'stale', 'stale:2', 'whole', an instant in milliseconds, or a session id like 0x1f"


@dataclass(frozen=True, slots=True)
class Focus:
    """Nothing set: round the first stale read, else the first session that ended, else the whole.

    `stale` counts from 1. `at_ms` is on the history's clock, `span_ms` what is drawn round it.
    """

    stale: int = 0
    session_id: int = 0
    at_ms: float | None = None
    span_ms: float = 50.0
    is_whole: bool = False


def parse_focus(text: str) -> Focus:
    """Read a focus as the command line takes it. Raises InvalidInput."""
    word, _, number = text.strip().partition(":")
    if word == "whole" and not number:
        return Focus(is_whole=True)
    if word == "stale":
        if not number:
            return Focus(stale=1)
        if number.isdigit() and int(number):
            return Focus(stale=int(number))
    try:
        if text.lower().startswith("0x"):
            return Focus(session_id=int(text, 16))
        return Focus(at_ms=float(text))
    except ValueError:
        raise InvalidInput(f"around {text!r}: unknown; one of {WAYS}") from None
