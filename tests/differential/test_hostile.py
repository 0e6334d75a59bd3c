"""A sample of hostile bytes, answered or cut off by both sides alike."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from functools import partial

import pytest

from tests.differential.conftest import Sides
from tests.differential.sides import MAX_TIMEOUT_MS, Side, wait_until
from tests.wire import ops
from tests.wire.hostile import Attack, attacks
from tests.wire.raw import Raw

SAMPLE = 400
TIMEOUT_MS = 2000
# Some attacks are good greetings that ask for the longest timeout.
ALL_GONE_S = MAX_TIMEOUT_MS / 1000 + 10
UNIMPLEMENTED = (-6).to_bytes(4, "big", signed=True).hex()


def outcome(side: Side, attack: Attack) -> str:
    """What comes back for an attack on a connection of its own: xids and errors, then the end."""
    address = side.address(side.sids[0])
    raw = Raw.open(address, TIMEOUT_MS) if attack.is_greeted else Raw(address)
    try:
        raw.send_bytes(attack.data)
        if attack.is_cut_off:
            with contextlib.suppress(OSError):
                raw.socket.shutdown(socket.SHUT_WR)
            # Whether the answer came before the end of our side was noticed is a race.
            raw.receive_rest()
            return f"{attack.kind}: closed"
        raw.send_frame(ops.int_(-2) + ops.int_(ops.PING.type))
        seen = []
        while (frame := raw.receive_frame()) is not None and frame[:4] != ops.int_(-2):
            seen.append(f"{struct.unpack_from('>i', frame)[0]} {frame[12:16].hex()}")
        # Behind an unknown opcode the connection closes, but a ping on its way may be answered.
        end = "closed" if frame is None or UNIMPLEMENTED in str(seen) else "open"
        return f"{attack.kind}: {seen}, then {end}"
    except TimeoutError:
        return f"{attack.kind}: no answer"
    finally:
        raw.drop()


@pytest.mark.timeout(300)
def test_a_sample_is_answered_alike(sides: Sides) -> None:
    before = {side: side.sessions() for side in sides}
    sample = list(itertools.islice(attacks(seed=4), SAMPLE))
    seen: dict[str, list[str]] = {}

    def run(side: Side) -> None:
        seen[side.name] = [outcome(side, attack) for attack in sample]

    threads = [threading.Thread(target=run, args=(side,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    differing = [
        f"{attack.data.hex()}\n  real {real}\n  ours {ours}"
        for attack, real, ours in zip(sample, seen["real"], seen["ours"], strict=True)
        if real != ours
    ]
    assert not differing, "\n".join(differing[:10])
    # The end of each takes a zxid, which other scripts would see.
    for side in sides:
        wait_until(partial(_has_at_most, side, before[side]), "the sessions expire", ALL_GONE_S)


def _has_at_most(side: Side, sessions: int) -> bool:
    return side.sessions() <= sessions
