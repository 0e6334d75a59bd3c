"""Sessions: their ids and passwords, who is alive, who is due, whose connection owns them.

Pure bookkeeping of ZooKeeper's `SessionTrackerImpl` and `ExpiryQueue`. It names the sessions
that are due and never closes one: closing is a transaction, and the leader's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nodes.core.errors import ErrorCode

PASSWORD_LENGTH = 16
NO_PASSWORD = bytes(PASSWORD_LENGTH)
_PASSWORD_SALT = 0xB3415C00
_MASK_48 = (1 << 48) - 1
_MASK_64 = (1 << 64) - 1
_LONG_MIN = -(1 << 63)


def as_signed(value: int) -> int:
    """Return the low 64 bits of `value` as Java's long."""
    value &= _MASK_64
    return value - (1 << 64) if value >> 63 else value


def first_session_id(sid: int, now_ms: float) -> int:
    """Return where a member starts counting its session ids (`initializeNextSessionId`).

    The top byte is the low byte of `sid`, then 40 bits of the clock, then 16 bits to count in.
    """
    stamp = ((int(now_ms) << 24) & _MASK_64) >> 8
    session_id = as_signed(stamp | (sid & 0xFF) << 56)
    return session_id + 1 if session_id == _LONG_MIN else session_id


def password_of(session_id: int) -> bytes:
    """Return the 16 bytes that prove a session id: `java.util.Random(id ^ salt).nextBytes`."""
    seed = ((session_id ^ _PASSWORD_SALT) ^ 0x5DEECE66D) & _MASK_48
    password = bytearray()
    while len(password) < PASSWORD_LENGTH:
        seed = (seed * 0x5DEECE66D + 0xB) & _MASK_48
        password += (seed >> 16 & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(password)


class ExpiryQueue:
    """Sessions in buckets of one tick; a bucket is due as a whole (`ExpiryQueue`).

    Invariant: every bucket lies at a multiple of the tick, after the instant it was made.
    """

    __slots__ = ("_bucket_of", "_buckets", "_tick_ms", "next_ms")

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms
        self._buckets: dict[int, dict[int, None]] = {}
        self._bucket_of: dict[int, int] = {}
        self.next_ms: int | None = None

    def update(self, session_id: int, timeout_ms: int, now_ms: float) -> None:
        """Move a session to the bucket of a touch at `now_ms`."""
        tick = self._tick_ms
        bucket = (math.floor((now_ms + timeout_ms) / tick) + 1) * tick
        previous = self._bucket_of.get(session_id)
        if previous == bucket:
            return
        if previous is not None:
            self._buckets[previous].pop(session_id, None)
        elif self.next_ms is None:
            self.next_ms = (math.floor(now_ms / tick) + 1) * tick
        self._bucket_of[session_id] = bucket
        self._buckets.setdefault(bucket, {})[session_id] = None

    def remove(self, session_id: int) -> None:
        """Forget a session."""
        bucket = self._bucket_of.pop(session_id, None)
        if bucket is not None:
            self._buckets[bucket].pop(session_id, None)

    def take_due(self, now_ms: float) -> list[int]:
        """Take out every session whose bucket has come, oldest bucket first."""
        due: list[int] = []
        while self.next_ms is not None and self.next_ms <= now_ms:
            for session_id in self._buckets.pop(self.next_ms, ()):
                due.append(session_id)
                del self._bucket_of[session_id]
            self.next_ms = self.next_ms + self._tick_ms if self._buckets else None
        return due

    def buckets(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Return when which sessions are due, the next ones first."""
        return tuple((at_ms, tuple(self._buckets[at_ms])) for at_ms in sorted(self._buckets))


@dataclass(slots=True)
class TrackedSession:
    """A session as its tracker sees it. `owner` is whatever its last valid request came through."""

    timeout_ms: int
    owner: object | None = None
    is_closing: bool = False


class SessionTracker:
    """The expiry clock of a set of sessions: all global ones on the leader, or local ones."""

    __slots__ = ("_queue", "sessions")

    def __init__(self, tick_ms: int, sessions: Iterable[tuple[int, int]], now_ms: float) -> None:
        """Track `sessions` (id, timeout), each with a full timeout from now, unowned."""
        self._queue = ExpiryQueue(tick_ms)
        self.sessions: dict[int, TrackedSession] = {}
        for session_id, timeout_ms in sessions:
            self.track(session_id, timeout_ms, now_ms)

    @property
    def next_ms(self) -> int | None:
        """The next instant at which sessions may be due."""
        return self._queue.next_ms

    def track(self, session_id: int, timeout_ms: int, now_ms: float) -> None:
        """Begin to track a session; one already tracked is only touched."""
        if session_id not in self.sessions:
            self.sessions[session_id] = TrackedSession(timeout_ms)
        self.touch(session_id, timeout_ms, now_ms)

    def touch(self, session_id: int, timeout_ms: int, now_ms: float) -> bool:
        """Give a session another `timeout_ms`; False if it is unknown or closing."""
        session = self.sessions.get(session_id)
        if session is None or session.is_closing:
            return False
        self._queue.update(session_id, timeout_ms, now_ms)
        return True

    def buckets(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Return when which sessions are due, the next ones first."""
        return self._queue.buckets()

    def take_due(self, now_ms: float) -> list[int]:
        """Take the sessions whose time has come. A touch that comes later saves none of them."""
        return self._queue.take_due(now_ms)

    def mark_closing(self, session_id: int) -> bool:
        """From here on the session is expired to everybody who asks; False if unknown."""
        session = self.sessions.get(session_id)
        if session is None:
            return False
        session.is_closing = True
        self._queue.remove(session_id)
        return True

    def remove(self, session_id: int) -> None:
        """Forget a session: its closing is applied."""
        self.sessions.pop(session_id, None)
        self._queue.remove(session_id)

    def set_owner(self, session_id: int, owner: object) -> None:
        """The session is now served through `owner`."""
        session = self.sessions.get(session_id)
        if session is not None:
            session.owner = owner

    def check(self, session_id: int, owner: object) -> ErrorCode:
        """Return OK, SESSION_EXPIRED or SESSION_MOVED (`SessionTrackerImpl.checkSession`)."""
        session = self.sessions.get(session_id)
        if session is None or session.is_closing:
            return ErrorCode.SESSION_EXPIRED
        if session.owner is None:
            session.owner = owner
        elif session.owner is not owner:
            return ErrorCode.SESSION_MOVED
        return ErrorCode.OK

    @property
    def closing_count(self) -> int:
        """Sessions marked closing whose closing is not applied yet."""
        return sum(1 for session in self.sessions.values() if session.is_closing)
