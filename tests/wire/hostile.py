"""Bytes that no client of good will sends: what to send, and nothing about what should come."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.wire import ops

GREETING = ops.int_(0) + ops.long_(0) + ops.int_(30_000) + ops.long_(0) + ops.buffer(bytes(16))
# What a real server does not survive stays out: check outside a multi and reconfig without a
# body break its leader, and createSession is its own.
OPCODES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19, 20, 21, 22)
OTHER_OPCODES = (100, 101, 103, 104, 105, 106, 107, 0, -1, 99, 999, 2**31 - 1, -(2**31))
NUMBERS = (-1, -2, 0, 1, 7, 255, 65_536, 2**31 - 1, -(2**31))


@dataclass(frozen=True)
class Attack:
    """Bytes for one connection, before or behind a good greeting."""

    kind: str
    is_greeted: bool
    data: bytes
    is_cut_off: bool = False


def attacks(seed: int) -> Iterator[Attack]:
    """Yield attacks without end, the same for the same seed."""
    rng = random.Random(seed)
    kinds = (_lengths, _greetings, _noise, _garbage_bodies, _garbage_bodies, _bent_requests)
    while True:
        yield rng.choice(kinds)(rng)


def _framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _noise_of(rng: random.Random, most: int = 60) -> bytes:
    return rng.randbytes(rng.randrange(most))


def _lengths(rng: random.Random) -> Attack:
    length = rng.choice((-1, -(2**31), 2**31 - 1, 1_048_576, 1_048_575, 50_000_000, 0, 5))
    return Attack(
        f"length {length}",
        rng.random() < 0.5,
        struct.pack(">i", length) + _noise_of(rng),
        is_cut_off=True,
    )


def _greetings(rng: random.Random) -> Attack:
    bent = bytearray(GREETING)
    if rng.random() < 0.5:
        bent = bent[: rng.randrange(len(bent))]
    else:
        bent[rng.randrange(24, len(bent))] = rng.randrange(256)
    return Attack("greeting", False, _framed(bytes(bent)), is_cut_off=True)


def _noise(rng: random.Random) -> Attack:
    return Attack("noise", False, rng.randbytes(rng.randrange(1, 200)), is_cut_off=True)


def _header(rng: random.Random) -> bytes:
    xid = rng.choice((1, 2, 77, 0, -1, -2, -4, -8, 2**31 - 1))
    return ops.int_(xid) + ops.int_(rng.choice(OPCODES + OTHER_OPCODES))


def _garbage_bodies(rng: random.Random) -> Attack:
    body = b"".join(
        rng.choice((_noise_of(rng, 12), ops.int_(rng.choice(NUMBERS)), ops.text("/a"), b"\0\1"))
        for _ in range(rng.randrange(6))
    )
    return Attack("garbage", True, _framed(_header(rng) + body))


def _bent_requests(rng: random.Random) -> Attack:
    op = rng.choice(
        (
            ops.create("/hostile", b"data"),
            ops.multi(ops.create("/hostile/x"), ops.delete("/hostile/x")),
            ops.set_data("/hostile", b"data"),
            ops.get_children2("/", True),
            ops.set_watches2(0, ["/a"], ["/b"], ["/c"], ["/d"], ["/e"]),
            ops.multi_read(ops.get_data("/")),
            ops.add_watch("/hostile", 1),
        )
    )
    body = bytearray(op.body)
    for _ in range(rng.randrange(1, 4)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return Attack("bent", True, _framed(ops.int_(5) + ops.int_(op.type) + bytes(body)))
