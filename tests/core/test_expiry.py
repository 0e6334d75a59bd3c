"""Mark closing, then submit closeSession: two steps of one thread (`setSessionClosing`)."""

from __future__ import annotations

from nodes.core.config import MemberConfig
from nodes.core.context import Context
from nodes.core.expiry import ExpiryThread
from nodes.core.sessions import SessionTracker

TICK_MS = 100


class Stand:
    """An expiry thread with what it needs, and what it has submitted."""

    def __init__(self, *sessions: int) -> None:
        self.context = Context(MemberConfig(1, (1,)))
        self.tracker = SessionTracker(TICK_MS, [(s, 200) for s in sessions], 0)
        self.submitted: list[int] = []
        self.thread = ExpiryThread(self.context, self.tracker, self.submitted.append)

    def run_at(self, now_ms: float) -> None:
        self.context.now_ms = now_ms
        self.thread.run()

    def is_closing(self, session_id: int) -> bool:
        return self.tracker.sessions[session_id].is_closing


def test_each_session_is_marked_then_submitted_before_the_next() -> None:
    """One thread does both, one session after the other."""
    stand = Stand(1, 2)
    stand.run_at(300)
    told = [effect.kind for effect in stand.context.effects if hasattr(effect, "kind")]
    assert told == ["close_marked", "close_submitted"] * 2
    assert stand.submitted == [1, 2]


def test_held_thread_marks_one_session_and_submits_none() -> None:
    """Window W0."""
    stand = Stand(1, 2)
    stand.thread.hold()
    stand.run_at(300)
    assert stand.is_closing(1)
    assert not stand.is_closing(2)
    assert stand.submitted == []


def test_held_thread_asks_for_no_wake_up() -> None:
    """A due bucket that it cannot take would wake the member for ever."""
    stand = Stand(1, 2)
    assert stand.thread.next_ms == TICK_MS
    stand.thread.hold()
    stand.run_at(300)
    stand.tracker.track(3, 200, 300)
    assert stand.thread.next_ms is None


def test_release_submits_and_catches_up() -> None:
    """What came due while it was held follows at once."""
    stand = Stand(1, 2)
    stand.thread.hold()
    stand.run_at(300)
    stand.tracker.track(3, 200, 300)
    stand.context.now_ms = 2000
    stand.thread.release()
    assert stand.submitted == [1, 2, 3]


def test_touch_after_the_bucket_was_taken_does_not_save_the_session() -> None:
    """`ExpiryQueue`, by the thread that marks."""
    stand = Stand(1, 2)
    stand.thread.hold()
    stand.run_at(300)
    assert stand.tracker.touch(2, 200, 300)
    stand.thread.release()
    assert stand.submitted == [1, 2]


def test_session_closed_meanwhile_is_not_submitted_again() -> None:
    """Its closing was applied between taking and marking."""
    stand = Stand(1, 2)
    stand.thread.hold()
    stand.run_at(300)
    stand.tracker.remove(2)
    stand.thread.release()
    assert stand.submitted == [1]


def test_operator_expires_a_session_before_its_time() -> None:
    """As if its bucket had come due."""
    stand = Stand(1)
    stand.thread.expire(1)
    stand.thread.expire(99)
    assert stand.submitted == [1]
