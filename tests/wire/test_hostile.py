"""Hostile bytes: no member stops, no other client notices, memory stays bounded."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.wire import ops
from tests.wire.conftest import Lab
from tests.wire.hostile import Attack, attacks
from tests.wire.raw import Eof, Event, Raw, Reply

pytestmark = pytest.mark.processes

# `make test-clients` sends 10,000.
FRAMES = int(os.environ.get("HOSTILE_FRAMES", "1500"))
LORISES = 20
MOST_GROWTH_KIB = 64 * 1024
# A connection that has greeted takes this many attacks, unless one of them ends it.
PER_CONNECTION = 25


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_fuzzed_frames_and_slow_connections(lab: Lab) -> None:
    sid = lab.follower
    address = lab.address(sid)
    pids = {member.sid: member.pid for member in lab.ensemble.status().members}
    before = {number: resident_kib(pid) for number, pid in pids.items()}
    lorises = [loris(address, number) for number in range(LORISES)]
    with Raw.open(address, timeout_ms=4_000) as witness:
        witness.call(ops.create("/witnessed"))
        outcomes = attack(address, witness)
        assert outcomes["answered"] > 0
        assert outcomes["closed"] > 0
        assert_alive(witness)
        witness.call(ops.delete("/witnessed"))
    # How a connection that never completes its first frame is closed is test_connections' to show.
    for one in lorises:
        one.close()
    after = lab.ensemble.status().members
    assert {member.sid: member.pid for member in after} == pids
    assert all(member.status.is_serving for member in after)
    growth = {number: resident_kib(pid) - before[number] for number, pid in pids.items()}
    assert max(growth.values()) < MOST_GROWTH_KIB, growth


def attack(address: tuple[str, int], witness: Raw) -> Counter[str]:
    """Send every attack; the witness works on meanwhile, on the same member."""
    outcomes: Counter[str] = Counter()
    greeted: Raw | None = None
    for number, one in enumerate(itertools.islice(attacks(seed=20), FRAMES)):
        if one.is_greeted and not one.is_cut_off:
            if greeted is None or greeted.is_over or number % PER_CONNECTION == 0:
                greeted = renewed(address, greeted)
            outcomes[sent_to(greeted, one)] += 1
        else:
            outcomes[cut_off(address, one)] += 1
        if number % 100 == 0:
            assert_alive(witness)
    if greeted is not None:
        greeted.drop()
    return outcomes


def renewed(address: tuple[str, int], old: Raw | None) -> Raw:
    if old is not None:
        old.send(ops.CLOSE)
        old.receive_rest()
        old.drop()
    return Raw.open(address, timeout_ms=4_000)


def sent_to(raw: Raw, one: Attack) -> str:
    """Send an attack and a ping behind it; whatever comes, something does."""
    raw.send_bytes(one.data)
    raw.send_frame(ops.int_(-2) + ops.int_(ops.PING.type))
    while True:
        frame = raw.receive_frame()
        if frame is None:
            raw.is_over = True
            return "closed"
        if frame[:4] == ops.int_(-2):
            return "answered"


def cut_off(address: tuple[str, int], one: Attack) -> str:
    """Send an attack on a connection of its own, and end our side of it."""
    raw = Raw.open(address, timeout_ms=4_000) if one.is_greeted else Raw(address)
    raw.send_bytes(one.data)
    with contextlib.suppress(OSError):
        raw.socket.shutdown(socket.SHUT_WR)
    raw.receive_rest()
    raw.drop()
    return "closed"


def assert_alive(witness: Raw) -> None:
    reply = witness.call(ops.set_data("/witnessed", b"still here"))
    assert isinstance(reply, Reply)
    assert reply.error == 0
    assert not any(isinstance(got, Eof | Event) for got in witness.take())


def loris(address: tuple[str, int], number: int) -> socket.socket:
    """A connection that begins a frame and takes its time."""
    one = socket.create_connection(address)
    one.sendall(b"\0\0\0\x2d"[: 1 + number % 4])
    return one
