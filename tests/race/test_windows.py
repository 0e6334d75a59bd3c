"""When a W2 trial asks about the window at all: judged by clock and traces, never by the read."""

from __future__ import annotations

import pytest

from orchestrator.race.windows import is_void


@pytest.mark.parametrize(
    ("delay_ms", "invoked_ms", "applied_ms", "void"),
    [
        # Without a delay the member must have applied before it is asked.
        (0, 3.0, 2.0, False),
        (0, 3.0, 3.5, True),
        # In a long window the read needs ten milliseconds to arrive.
        (100, 89.0, 100.0, False),
        (100, 91.0, 100.0, True),
        (20, 120.0, 100.0, True),
        # In a short one, half of it.
        (5, 2.4, 5.0, False),
        (5, 2.6, 5.0, True),
    ],
)
def test_trial_asks_only_at_the_right_moment(
    delay_ms: float, invoked_ms: float, applied_ms: float, void: bool
) -> None:
    assert is_void(delay_ms, invoked_ms, applied_ms) is void
