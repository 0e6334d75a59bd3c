"""When a member takes a snapshot of what it has applied, and in which pieces.

Owns the walk over the tree. Knows no file: the disk joins the pieces and tells of each. A snapshot
is fuzzy, as ZooKeeper's: its zxid is the one at its start, while transactions go on changing what
the walk has yet to see; replaying the log from that zxid on mends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from nodes.core.config import MemberConfig
from nodes.core.context import Context
from nodes.core.effects import WriteSnapshotPart
from nodes.core.requests import OPEN_ACL
from nodes.core.tree import DataTree
from nodes.core.txns import ZnodeImage
from nodes.core.zxid import show_zxid

# A part takes about half a millisecond, in which nobody is served.
PART_ZNODES = 500
PART_BYTES = 256 << 10


class Snapshots:
    """Invariant: at most one part is on its way to the disk, also of a snapshot given up."""

    __slots__ = ("_context", "_interval", "_is_part_on_its_way", "_txns_since", "_walk", "_zxid")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._interval = _interval(context.config)
        self._txns_since = 0
        self._zxid = 0
        self._walk: Iterator[ZnodeImage] | None = None
        self._is_part_on_its_way = False

    def on_replaced(self, txns_since: int) -> None:
        """The tree is another one now, and the disk has it but for the last `txns_since`."""
        self._txns_since = txns_since
        self.give_up()

    def give_up(self) -> None:
        """The disk is about to forget the snapshot under way, if there is one."""
        self._walk = None

    def on_applied(self, zxid: int, tree: DataTree, sessions: dict[int, int]) -> None:
        """Begin a snapshot once enough transactions were applied since the one before."""
        self._txns_since += 1
        if self._txns_since < self._interval:
            return
        if self._walk is not None or self._is_part_on_its_way:
            return
        self._txns_since = 0
        self._zxid = zxid
        self._walk = tree.walk()
        self._context.trace("snapshot_started", zxid=show_zxid(zxid))
        self._write_part(zxid, tuple(sessions.items()))

    def on_part_written(self, zxid: int) -> None:
        """The disk takes the next part; `zxid` is the last transaction applied by now."""
        self._is_part_on_its_way = False
        if self._walk is not None:
            self._write_part(zxid, ())

    def _write_part(self, last_zxid: int, sessions: tuple[tuple[int, int], ...]) -> None:
        assert self._walk is not None
        znodes = _take(self._walk)
        # The walk may end exactly here; then a part without znodes says so.
        is_last = not znodes
        self._is_part_on_its_way = True
        self._context.effects.append(
            WriteSnapshotPart(self._zxid, last_zxid, znodes, sessions, is_last)
        )
        if is_last:
            self._walk = None
            self._context.trace("snapshot_ended", zxid=show_zxid(self._zxid))


def _interval(config: MemberConfig) -> int:
    """How many transactions lie between two snapshots of this member.

    Between half of snapCount and all of it, as in ZooKeeper, where chance keeps members from
    stalling together; here it is their place among the others.
    """
    sids = sorted(config.voters + config.observers)
    return config.snap_count - config.snap_count // 2 * sids.index(config.sid) // len(sids)


def _take(walk: Iterator[ZnodeImage]) -> tuple[ZnodeImage, ...]:
    """Return the next part; nothing at the walk's end."""
    znodes: list[ZnodeImage] = []
    size = 0
    for znode in islice(walk, PART_ZNODES):
        znodes.append(znode)
        size += len(znode.data or b"") + len(znode.path)
        if znode.acl is not OPEN_ACL:
            size += sum(len(entry.id.id) for entry in znode.acl)
        if size >= PART_BYTES:
            break
    return tuple(znodes)
