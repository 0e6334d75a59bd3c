"""Quotas: how many znodes and bytes there are below a path, and how many there may be
(ZooKeeper's `Quotas`, `StatsTrack` and `PathTrie`).

A path has a quota while its znode of limits is there. What is used is told by the data of the
znode of stats beside it, which is kept true whatever anybody writes there: two members that
applied the same hold the same. Nothing is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nodes.core.znode import Znode

QUOTA_ZOOKEEPER = "/zookeeper/quota"
_LIMITS = "zookeeper_limits"
_STATS = "zookeeper_stats"
QUOTA_NODES = frozenset((_LIMITS, _STATS))
_UNKNOWN = -1
# Four longs with their names are shorter. Anybody may write limits, and they are read for each
# write: a megabyte of one word, or of one number, would stop the leader.
_MAX_LIMITS_BYTES = 256


@dataclass(slots=True)
class Usage:
    """Znodes and bytes of data at a path and below it."""

    count: int = _UNKNOWN
    size: int = _UNKNOWN

    def show(self) -> bytes:
        return f"count={self.count},bytes={self.size}".encode()


class Quotas:
    """Invariant, between transactions: `usage` has an entry for each path with limits, what is
    used there, and so has the data of its stats.
    """

    __slots__ = ("_znodes", "usage")

    def __init__(self, znodes: dict[str, Znode]) -> None:
        """`znodes` is the tree's, and changes with it."""
        self._znodes = znodes
        self.usage: dict[str, Usage] = {}

    def load(self) -> int:
        """Find every quota of a tree that is new here; return by how much stats grew."""
        grown = 0
        for path, _ in _subtree(self._znodes, QUOTA_ZOOKEEPER):
            owner, _, name = path.rpartition("/")
            if name == _LIMITS:
                grown += self._begin(owner)
        return grown

    # Each returns by how much the data of stats grew.

    def on_created(self, path: str, znode: Znode) -> int:
        """A znode came; it may be one that makes a quota."""
        grown = self._add(path, 1, len(znode.data or b""))
        owner, _, name = path.rpartition("/")
        if name == _LIMITS:
            grown += self._begin(owner)
        return grown + self._keep_true(owner, name)

    def on_deleted(self, path: str, znode: Znode) -> int:
        """A znode went; it may be the one that made a quota."""
        grown = self._add(path, -1, -len(znode.data or b""))
        owner, _, name = path.rpartition("/")
        quoted = owner[len(QUOTA_ZOOKEEPER) :]
        if name == _LIMITS and _is_quota(owner) and self.usage.pop(quoted, None) is not None:
            # What was used once would depend on when: a fuzzy snapshot could not tell.
            grown += self._show(owner, Usage())
        return grown

    def on_data_set(self, path: str, added: int) -> int:
        """A znode has other data now, longer by `added` bytes."""
        owner, _, name = path.rpartition("/")
        return self._add(path, 0, added) + self._keep_true(owner, name)

    def exceeds(self, path: str, data: bytes | None, *, is_new: bool) -> bool:
        """Whether a hard limit forbids `path` this data (`ZooKeeperServer.checkQuota`)."""
        quoted = next(self._covering(path), None)
        if quoted is None:
            return False
        usage = self.usage[quoted]
        limits = _parse(self._znodes[f"{QUOTA_ZOOKEEPER}{quoted}/{_LIMITS}"].data)
        znode = self._znodes.get(path)
        added = len(data or b"") - (len(znode.data or b"") if znode is not None else 0)
        most = limits.get("countHardLimit", _UNKNOWN)
        if is_new and most != _UNKNOWN and usage.count + 1 > most:
            return True
        most = limits.get("byteHardLimit", _UNKNOWN)
        return added != 0 and most != _UNKNOWN and usage.size + added > most

    def _covering(self, path: str) -> Iterator[str]:
        """Give every path with a quota that counts what is at `path`, the nearest first."""
        while path:
            if path in self.usage:
                yield path
            path = path[: path.rfind("/")]

    def _add(self, path: str, count: int, size: int) -> int:
        grown = 0
        for quoted in self._covering(path):
            usage = self.usage[quoted]
            usage.count += count
            usage.size += size
            grown += self._show(QUOTA_ZOOKEEPER + quoted, usage)
        return grown

    def _begin(self, owner: str) -> int:
        """There are limits at `owner` now: count what is there."""
        if not _is_quota(owner):
            return 0
        quoted = owner[len(QUOTA_ZOOKEEPER) :]
        usage = self.usage[quoted] = Usage(0, 0)
        for _, znode in _subtree(self._znodes, quoted):
            usage.count += 1
            usage.size += len(znode.data or b"")
        return self._show(owner, usage)

    def _keep_true(self, owner: str, name: str) -> int:
        usage = self.usage.get(owner[len(QUOTA_ZOOKEEPER) :])
        if name != _STATS or usage is None or not _is_quota(owner):
            return 0
        return self._show(owner, usage)

    def _show(self, owner: str, usage: Usage) -> int:
        stats = self._znodes.get(f"{owner}/{_STATS}")
        if stats is None:
            return 0
        before = len(stats.data or b"")
        stats.data = usage.show()
        return len(stats.data) - before


def _is_quota(owner: str) -> bool:
    """Whether limits at `owner` make a quota: on ZooKeeper's own znodes, stats among them, none."""
    quoted = owner.removeprefix(QUOTA_ZOOKEEPER)
    is_own = quoted == "/zookeeper" or quoted.startswith("/zookeeper/")
    return owner.startswith(f"{QUOTA_ZOOKEEPER}/") and not is_own


def _subtree(znodes: dict[str, Znode], path: str) -> Iterator[tuple[str, Znode]]:
    waiting = [path]
    while waiting:
        path = waiting.pop()
        znode = znodes.get(path)
        if znode is not None:
            yield path, znode
            waiting += [f"{path}/{name}" for name in znode.children]


def _parse(data: bytes | None) -> dict[str, int]:
    """Return the numbers of `count=..,bytes=..=;byteHardLimit=..;countHardLimit=..`."""
    text = (data or b"")[:_MAX_LIMITS_BYTES].decode("utf-8", "replace")
    found = re.findall(r"(\w+)=(-?\d+)", text)
    return {name: int(number) for name, number in found}
