"""Holds what an answer shows against what is known of the znode at the answer's zxid.

Owns the comparisons alone; the replay knows the order, and what may explain a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from client.history import Operation, Seen, show_zxid
from orchestrator.checker.znodes import Znode

if TYPE_CHECKING:
    from orchestrator.checker.replay import Replay


class Sight:
    """The ways in which an answer tells of a znode. Each leaves what is known now behind."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def stat(self, znode: Znode, operation: Operation, seen: Seen) -> None:
        """An answer shows a znode, and which write left it so."""
        text = self._contradiction(znode, operation, seen)
        if text:
            self._replay.report_sight(znode, operation, text)
            return
        znode.appear()
        znode.zxid = operation.zxid
        znode.czxid, znode.mzxid = seen.czxid, seen.mzxid
        znode.version, znode.silent = seen.version, 0
        if seen.value is not None:
            znode.value = seen.value
        znode.witness = operation
        if znode.owner != seen.ephemeral_owner:
            self._replay.owns(znode, seen.ephemeral_owner)

    def _contradiction(self, znode: Znode, operation: Operation, seen: Seen) -> str:
        """Why a stat cannot be the znode's at this zxid; empty if it can."""
        path, mzxid = znode.path, znode.mzxid
        if seen.mzxid > operation.zxid or seen.czxid > seen.mzxid:
            return f"{path} shows a write later than the answer's own zxid"
        if znode.is_there and mzxid is not None:
            if seen.mzxid == mzxid:
                return self._same_write(znode, operation, seen)
            if seen.mzxid < mzxid:
                shown, hidden = show_zxid(seen.mzxid), show_zxid(mzxid)
                return f"{path} shows the write at {shown}, not the later one at {hidden}"
            if seen.mzxid <= znode.zxid:
                return f"{path} shows a write at {show_zxid(seen.mzxid)} that was not there before"
        elif znode.is_there is False and seen.czxid <= znode.zxid:
            gone = show_zxid(znode.zxid)
            return (
                f"{path} is there with the czxid {show_zxid(seen.czxid)}, but it was gone at {gone}"
            )
        return self._unheard(znode, operation, seen)

    def _same_write(self, znode: Znode, operation: Operation, seen: Seen) -> str:
        """The last known write is the one shown; its particulars must be, too."""
        path = znode.path
        if seen.value is not None and znode.value is not None and seen.value != znode.value:
            return f"{path} shows another value than its last write's"
        if znode.czxid is not None and seen.czxid != znode.czxid:
            # A set of unknown outcome may stand behind a birth that nobody heard of.
            if znode.silent and self._replay.begins_again(znode, operation, operation.zxid):
                return ""
            return f"{path} has the czxid {show_zxid(seen.czxid)}, not {show_zxid(znode.czxid)}"
        if znode.version is not None:
            missing = seen.version - znode.version - znode.silent
            if missing and not (
                znode.silent and missing > 0 and self._replay.take(znode, "set", operation, missing)
            ):
                made = znode.version + znode.silent
                return f"{path} has version {seen.version}, its last write made {made}"
        if znode.owner is not None and seen.ephemeral_owner != znode.owner:
            return f"{path} has the owner {seen.ephemeral_owner:#x}, not {znode.owner:#x}"
        return ""

    def _unheard(self, znode: Znode, operation: Operation, seen: Seen) -> str:
        """A write is shown of which nobody was told; somebody must have tried it."""
        replay, path = self._replay, znode.path
        nobody = f"{path} shows a write at {show_zxid(seen.mzxid)} that nobody made"
        is_same = znode.is_there and znode.czxid in (None, seen.czxid)
        if not is_same:
            if text := replay.begin_anew(znode, operation, seen.czxid):
                return text
            before = 0
        elif znode.version is None:
            return ""
        else:
            before = znode.version
        missing = seen.version - before - znode.silent
        if is_same and missing < 1 and not znode.silent:
            return nobody
        return "" if replay.take(znode, "set", operation, missing) else nobody

    def name(self, znode: Znode, operation: Operation) -> None:
        """An answer shows that a znode is there, and no more."""
        if znode.is_there:
            znode.show_in_lists()
            self._replay.shows(znode, operation)
            return
        if znode.is_there is None and not znode.is_ours:
            self._replay.take_create(znode, operation)
        elif not self._replay.take_create(znode, operation):
            text = f"{znode.path} is there, though nobody has created it"
            self._replay.report_sight(znode, operation, text)
            return
        znode.begin(None, None)
        znode.zxid, znode.witness = operation.zxid, operation

    def absent(self, znode: Znode, operation: Operation) -> None:
        """An answer shows that a znode is not there."""
        if znode.is_there and not self._replay.may_be_gone(znode, operation, operation.zxid):
            last = show_zxid(znode.mzxid or znode.zxid)
            text = f"{znode.path} is missing, last written at {last}"
            self._replay.report_sight(znode, operation, text)
            znode.leave_lists()
            return
        if znode.is_there and znode.owner:
            self._replay.gone[znode.path, znode.owner] = operation.until_ms
        znode.vanish(operation.zxid)
        znode.witness = operation

    def children(self, operation: Operation) -> None:
        """A list of children shows who is there, and who is not."""
        znodes = self._replay.znodes
        above = znodes[operation.path]
        if operation.seen and operation.seen[0] is not None:
            self.stat(above, operation, operation.seen[0])
        else:
            self.name(above, operation)
        listed = set(operation.names)
        believed = above.children.keys() if above.children is not None else set()
        if told := above.told:
            for name in listed & told.keys():
                (path,) = znodes.names_below(operation.path, [name])
                self._replay.shows(znodes[path], operation)
        if listed == believed:
            return
        for path in znodes.names_below(operation.path, sorted(believed - listed)):
            self.absent(znodes[path], operation)
        for path in znodes.names_below(operation.path, sorted(listed - believed)):
            self.name(znodes[path], operation)

    def other_version(self, znode: Znode, operation: Operation, version: int) -> None:
        """A write was refused for its version, so the znode has another one."""
        if znode.is_there is False:
            if self._replay.take_create(znode, operation):
                znode.begin(None, None)
                znode.zxid, znode.witness = operation.zxid, operation
                return
            text = f"{znode.path} was refused for its version, though it is not there"
        elif znode.version != version or znode.silent or self._may_have_changed(znode, operation):
            return
        else:
            text = f"{znode.path} was refused for its version, though it has version {version}"
        self._replay.report_sight(znode, operation, text)

    def _may_have_changed(self, znode: Znode, operation: Operation) -> bool:
        """Whether anything unknown may have come between: then the refusal says nothing."""
        if not znode.is_there or not self._replay.is_complete:
            return True
        unplaced = znode.unplaced
        return unplaced is not None and any(
            unplaced.left(kind, operation.until_ms) > 0 for kind in ("set", "create")
        )

    def not_empty(self, znode: Znode, operation: Operation) -> None:
        """A delete was refused for children, so there are some."""
        znodes = self._replay.znodes
        if (
            znode.children
            or not znode.is_made
            or znodes.may_have_been_created_below(znode.path)
            or not self._replay.is_complete
        ):
            return
        text = f"{znode.path} was refused as not empty, though nobody has created a child"
        self._replay.report_sight(znode, operation, text)
