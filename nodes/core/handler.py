"""The leader's end of a learner's connection (`LearnerHandler`): stage, and signs of life.

The object itself is the identity that a session's owner is compared by: a learner that
reconnects gets a new handler, and sessions it served must be revalidated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Stage(IntEnum):
    """How far a learner has come."""

    GREETED = 0
    EPOCH_ACKED = 1
    SYNCHRONIZING = 2
    SYNCHRONIZED = 3


@dataclass(slots=True, eq=False)
class LearnerHandler:
    """Invariant: `_watched` is the oldest proposal not acknowledged that the limit watches.

    `heard_at` counts the leader's half ticks, not time: a leader that was paused must not find
    everybody silent before it has read what they sent meanwhile.
    """

    sid: int
    connection: int
    is_voter: bool
    heard_at: int
    stage: Stage = Stage.GREETED
    last_zxid: int = 0
    _watched: int = 0
    _watched_since: float = 0.0
    _newest: int = 0

    @property
    def is_forwarding(self) -> bool:
        """Whether proposals and commits are sent to it as they come."""
        return self.stage >= Stage.SYNCHRONIZING

    def note_proposal(self, zxid: int, now_ms: float) -> None:
        """A proposal was sent to it."""
        self._newest = zxid
        if self._watched == 0:
            self._watched, self._watched_since = zxid, now_ms

    def note_ack(self, zxid: int, now_ms: float) -> None:
        """It has acknowledged; watch the newest proposal sent so far (`SyncLimitCheck`)."""
        if zxid < self._watched:
            return
        if self._newest > zxid:
            self._watched, self._watched_since = self._newest, now_ms
        else:
            self._watched = 0

    def is_overdue(self, now_ms: float, limit_ms: float) -> bool:
        """Whether an acknowledgement is missing for `limit_ms`."""
        return self._watched != 0 and now_ms - self._watched_since >= limit_ms
