"""Owns virtual time: a heap of actions by (instant, order of scheduling).

It never looks at a real clock, and it never runs an action before its instant. Time stands
still while an action runs, and jumps to the next one when it has returned.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class VirtualTimeExceeded(AssertionError):
    """A run took more virtual time than it was given: what it waits for does not come."""


class Clock:
    """Invariants: `now_ms` never goes back; actions of one instant run as they were scheduled.

    A timer is an action that schedules itself again for ever (a deadline, a ping of a client);
    `pending_work` counts all others, so that 0 means: nothing is on its way.
    """

    def __init__(self, budget_ms: float) -> None:
        """`budget_ms` is the instant that no run may pass."""
        self.now_ms = 0.0
        self.pending_work = 0
        self._budget_ms = budget_ms
        self._order = 0
        self._heap: list[tuple[float, int, bool, Action]] = []

    def call_at(self, at_ms: float, action: Action, *, is_timer: bool = False) -> None:
        """Run `action` at `at_ms`, or now if that has passed."""
        self._order += 1
        self.pending_work += not is_timer
        heapq.heappush(self._heap, (max(at_ms, self.now_ms), self._order, is_timer, action))

    def next_ms(self) -> float | None:
        """Return the instant of the next action, None if there is none."""
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Jump to the next action and run it.

        Raises VirtualTimeExceeded if that lies behind the budget.
        """
        at_ms, _, is_timer, action = heapq.heappop(self._heap)
        if at_ms > self._budget_ms:
            raise VirtualTimeExceeded(f"the budget of {self._budget_ms:.0f} ms is used up")
        self.now_ms = at_ms
        self.pending_work -= not is_timer
        action()

    def run_for(self, span_ms: float) -> None:
        """Run everything of the next `span_ms`, and stand at its end."""
        end_ms = self.now_ms + span_ms
        while self._heap and self._heap[0][0] <= end_ms:
            self.run_next()
        self.now_ms = end_ms

    def run_until(self, is_true: Callable[[], bool], within_ms: float, what: str) -> None:
        """Run until `is_true()`, asked after each action.

        Raises VirtualTimeExceeded if that does not come to pass within `within_ms`.
        """
        end_ms = self.now_ms + within_ms
        while not is_true():
            if not self._heap or self._heap[0][0] > end_ms:
                raise VirtualTimeExceeded(f"not {what} within {within_ms:.0f} ms of virtual time")
            self.run_next()

    def run_until_idle(self, within_ms: float) -> None:
        """Run until nothing but timers is left.

        Raises VirtualTimeExceeded if that does not come to pass within `within_ms`.
        """
        self.run_until(lambda: self.pending_work == 0, within_ms, "idle")
