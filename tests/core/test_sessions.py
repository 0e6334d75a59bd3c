"""Ids, passwords and buckets."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.core.errors import ErrorCode
from nodes.core.sessions import (
    ExpiryQueue,
    SessionTracker,
    as_signed,
    first_session_id,
    password_of,
)

TICK_MS = 100


def java_random_ints(seed: int, count: int) -> list[int]:
    """`count` results of java.util.Random(seed).nextInt(), by the closed form of its generator.

    s_n = a^n s_0 + c (a^n - 1) / (a - 1) modulo 2^48; the division is done in the integers.
    """
    a, c, modulus = 25214903917, 11, 1 << 48
    start = (seed % modulus) ^ a
    states = ((start * a**n + c * (a**n - 1) // (a - 1)) % modulus for n in range(1, count + 1))
    return [ctypes.c_int32(state >> 16).value for state in states]


def test_generator_of_this_test_is_javas() -> None:
    """What every Java programmer has seen: new Random(42).nextInt() and new Random(0)."""
    assert java_random_ints(42, 2) == [-1170105035, 234785527]
    assert java_random_ints(0, 2) == [-1155484576, -723955400]


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_password_is_what_java_random_gives(session_id: int) -> None:
    """`checkPasswd`."""
    ints = java_random_ints(session_id ^ 0xB3415C00, 4)
    expected = b"".join(number.to_bytes(4, "little", signed=True) for number in ints)
    assert password_of(session_id) == expected


def test_session_id_has_server_clock_and_room_to_count() -> None:
    """`initializeNextSessionId`: top byte the server, 40 bits of clock, 16 low zero bits."""
    session_id = first_session_id(5, 1_234_567.9)
    assert session_id >> 56 == 5
    assert session_id >> 16 & ((1 << 40) - 1) == 1_234_567
    assert session_id & 0xFFFF == 0


def test_session_id_of_a_high_server_number_is_negative_as_javas_long() -> None:
    """`initializeNextSessionId`: the shift of the clock is unsigned (ZOOKEEPER-1622)."""
    assert first_session_id(255, 0) == -(1 << 56)
    assert as_signed(1 << 63) == -(1 << 63)


def test_session_id_is_never_the_container_marker() -> None:
    """`initializeNextSessionId`: Long.MIN_VALUE is bumped by one."""
    assert first_session_id(128, 0) == -(1 << 63) + 1


@given(st.floats(0, 1e9), st.integers(1, 40_000), st.integers(1, 5000))
def test_session_is_due_at_a_multiple_of_the_tick_after_timeout(
    now_ms: float, timeout_ms: int, tick_ms: int
) -> None:
    """`ExpiryQueue`: in (T, T + tick] after the touch."""
    queue = ExpiryQueue(tick_ms)
    queue.update(1, timeout_ms, now_ms)
    first = (now_ms + timeout_ms) // tick_ms * tick_ms
    assert queue.take_due(first) == []
    assert queue.take_due(first + tick_ms) == [1]


def test_a_touch_moves_the_session_to_a_later_bucket() -> None:
    """`ExpiryQueue`."""
    queue = ExpiryQueue(TICK_MS)
    queue.update(1, 250, 0)
    queue.update(1, 250, 90)
    assert queue.take_due(300) == []
    assert queue.take_due(400) == [1]


def test_late_loop_takes_the_missed_buckets_oldest_first() -> None:
    """`ExpiryQueue`: back to back."""
    queue = ExpiryQueue(TICK_MS)
    queue.update(2, 500, 0)
    queue.update(1, 200, 0)
    assert queue.take_due(10_000) == [1, 2]
    assert queue.next_ms is None


def test_touch_after_the_bucket_was_taken_does_not_save_the_session() -> None:
    """`ExpiryQueue`: the bucket is removed first, its sessions are marked one by one after."""
    tracker = SessionTracker(TICK_MS, [(1, 200)], 0)
    assert tracker.take_due(1000) == [1]
    assert tracker.touch(1, 200, 1000)
    assert tracker.mark_closing(1)
    assert tracker.check(1, "owner") == ErrorCode.SESSION_EXPIRED


def test_closing_session_cannot_be_touched() -> None:
    """`LearnerSessionTracker`: touching an unknown or closing session is ignored."""
    tracker = SessionTracker(TICK_MS, [(1, 200)], 0)
    tracker.mark_closing(1)
    assert not tracker.touch(1, 200, 0)
    assert not tracker.touch(2, 200, 0)
    assert tracker.take_due(10_000) == []


def test_unowned_session_belongs_to_the_first_who_uses_it() -> None:
    """`checkSession`."""
    tracker = SessionTracker(TICK_MS, [(1, 200)], 0)
    assert tracker.check(1, "first") == ErrorCode.OK
    assert tracker.check(1, "second") == ErrorCode.SESSION_MOVED
    tracker.set_owner(1, "second")
    assert tracker.check(1, "second") == ErrorCode.OK


@pytest.mark.parametrize("other", ["owner", "stranger"])
def test_closing_comes_before_moved(other: str) -> None:
    """`checkSession`."""
    tracker = SessionTracker(TICK_MS, [(1, 200)], 0)
    tracker.set_owner(1, "owner")
    tracker.mark_closing(1)
    assert tracker.check(1, other) == ErrorCode.SESSION_EXPIRED
