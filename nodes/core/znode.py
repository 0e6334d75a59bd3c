"""One znode: what it holds, how clients see it, and its form in a snapshot. Knows no tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.core.acl import AclList
from nodes.core.requests import OPEN_ACL, Stat
from nodes.core.txns import ZnodeImage

_MAX_INT32 = 0x7FFFFFFF


def to_int32(number: int) -> int:
    """Return `number` as a Java int holds it: versions and counters wrap into the negative."""
    return number if -_MAX_INT32 <= number <= _MAX_INT32 else (number + 2**31) % 2**32 - 2**31


NO_CHILDREN: dict[str, None] = {}


@dataclass(slots=True, eq=False)
class Znode:
    """One znode. `cversion` is the stored value: how many children were ever created.

    Invariant: `children` is NO_CHILDREN, which nobody changes, until there is one.
    """

    data: bytes | None
    czxid: int
    mzxid: int
    pzxid: int
    ctime: int
    mtime: int
    version: int = 0
    cversion: int = 0
    aversion: int = 0
    ephemeral_owner: int = 0
    acl: AclList = OPEN_ACL
    # Names, in the order of their creation; a dict because a set has no order.
    children: dict[str, None] = field(default_factory=lambda: NO_CHILDREN)

    def adopt(self, name: str) -> None:
        """Have one child more."""
        if self.children is NO_CHILDREN:
            self.children = {name: None}
        else:
            self.children[name] = None

    def stat(self) -> Stat:
        """Return what clients see; there cversion counts creates and deletes of children."""
        data = self.data
        num_children = len(self.children)
        return Stat(
            self.czxid,
            self.mzxid,
            self.ctime,
            self.mtime,
            self.version,
            to_int32(2 * self.cversion - num_children),
            self.aversion,
            self.ephemeral_owner,
            0 if data is None else len(data),
            num_children,
            self.pzxid,
        )


def at_rest() -> Znode:
    """A znode of the fresh tree: no transaction made it, all its numbers are 0."""
    return Znode(b"", 0, 0, 0, 0, 0)


def from_image(image: ZnodeImage) -> Znode:
    """Return the znode of a snapshot, still without its children."""
    return Znode(
        image.data,
        image.czxid,
        image.mzxid,
        image.pzxid,
        image.ctime,
        image.mtime,
        image.version,
        image.cversion,
        image.aversion,
        image.ephemeral_owner,
        image.acl,
    )


def as_row(image: ZnodeImage) -> tuple[str | int | bytes | AclList | None, ...]:
    """The image as a tuple, whose repr is several times cheaper than a dataclass's."""
    return (
        image.path,
        image.data,
        image.czxid,
        image.mzxid,
        image.pzxid,
        image.ctime,
        image.mtime,
        image.version,
        image.cversion,
        image.aversion,
        image.ephemeral_owner,
        None if image.acl is OPEN_ACL else image.acl,
        image.ttl_ms,
    )


def to_image(path: str, znode: Znode, ttl_ms: int) -> ZnodeImage:
    """Return the znode as a snapshot holds it."""
    return ZnodeImage(
        path,
        znode.data,
        znode.czxid,
        znode.mzxid,
        znode.pzxid,
        znode.ctime,
        znode.mtime,
        znode.version,
        znode.cversion,
        znode.aversion,
        znode.ephemeral_owner,
        znode.acl,
        ttl_ms,
    )
