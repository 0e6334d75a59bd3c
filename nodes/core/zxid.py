"""The zxid: epoch in the high 32 bits, counter in the low 32. Made and taken apart only here."""

from __future__ import annotations

MAX_COUNTER = 0xFFFFFFFF


def make_zxid(epoch: int, counter: int) -> int:
    """Return the zxid of `counter` in `epoch` (ZooKeeper's `ZxidUtils.makeZxid`)."""
    return epoch << 32 | counter


def epoch_of(zxid: int) -> int:
    """Return the epoch of `zxid`."""
    return zxid >> 32


def counter_of(zxid: int) -> int:
    """Return the counter of `zxid` within its epoch."""
    return zxid & MAX_COUNTER


def show_zxid(zxid: int) -> str:
    """Return `zxid` as people read it: `epoch:counter`, both decimal."""
    return f"{zxid >> 32}:{zxid & MAX_COUNTER}"
