"""The replicated tree of znodes (ZooKeeper's `DataTree`): applies transactions, answers lookups.

It validates nothing: what reaches it was decided before, and a transaction that fails here is one
that is being replayed. It knows no connection and fires no watch; it tells what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import assert_never

from nodes.core.acl import READ_ACL_UNSAFE, AclList
from nodes.core.errors import ErrorCode, InvariantBroken
from nodes.core.paths import ROOT
from nodes.core.quotas import QUOTA_NODES, QUOTA_ZOOKEEPER, Quotas
from nodes.core.requests import (
    CreateResult,
    ErrorResult,
    MultiResult,
    PathResult,
    Result,
    StatResult,
)
from nodes.core.txns import (
    CheckTxn,
    CloseSessionTxn,
    CreateSessionTxn,
    CreateTxn,
    DeleteTxn,
    ErrorTxn,
    MultiTxn,
    SetAclTxn,
    SetDataTxn,
    Txn,
    TxnBody,
    ZnodeImage,
)
from nodes.core.znode import Znode, as_row, at_rest, from_image, to_image

PROC_ZOOKEEPER = "/zookeeper"
CONFIG_ZOOKEEPER = "/zookeeper/config"
SPECIAL_PATHS = frozenset((ROOT, PROC_ZOOKEEPER, QUOTA_ZOOKEEPER, CONFIG_ZOOKEEPER))


class EventType(IntEnum):
    """What a watch tells; the values are ZooKeeper's `Watcher.Event.EventType`."""

    NODE_CREATED = 1
    NODE_DELETED = 2
    NODE_DATA_CHANGED = 3
    NODE_CHILDREN_CHANGED = 4


# In the order in which watches fire: event, path, and the access list that guards the news of it
# (the znode's own, or the one it had; of children, their parent's).
Change = tuple[EventType, str, AclList]

# Bound once: the members of an enum are looked up slowly, and these lookups are per operation.
_OK = ErrorCode.OK
_CREATED = EventType.NODE_CREATED
_DELETED = EventType.NODE_DELETED
_DATA_CHANGED = EventType.NODE_DATA_CHANGED
_CHILDREN_CHANGED = EventType.NODE_CHILDREN_CHANGED


@dataclass(slots=True)
class Applied:
    """What a transaction came to. A multi is always OK; its errors are in its result."""

    error: ErrorCode
    result: Result
    changes: list[Change]


class DataTree:
    """Invariants, between transactions: every znode but the root is a child of its parent;
    `ephemerals` holds exactly the paths whose znode has an owner; no session in it is empty;
    `containers` holds exactly the paths that do not stay for ever, with the `ttl_ms` of their
    CreateTxn. Clients do not see it: ZooKeeper keeps it in the owner, and reports that as 0.
    """

    # `data_size`: the length of all paths and data.
    __slots__ = ("_znodes", "containers", "data_size", "ephemerals", "quotas")

    def __init__(self) -> None:
        # The root has two keys, as in ZooKeeper, so that "/a" cut at its slash finds its parent.
        root = at_rest()
        self._znodes: dict[str, Znode] = {"": root, ROOT: root}
        self.data_size = len(ROOT)
        self.ephemerals: dict[int, dict[str, None]] = {}
        self.containers: dict[str, int] = {}
        self.quotas = Quotas(self._znodes)
        for path in (PROC_ZOOKEEPER, QUOTA_ZOOKEEPER, CONFIG_ZOOKEEPER):
            self._link(path, at_rest())

    @classmethod
    def from_images(cls, images: Iterable[ZnodeImage]) -> DataTree:
        """Build the tree that `images()` described; parents come first.

        Raises InvariantBroken when there is no root or a znode comes without its parent.
        """
        tree = cls.__new__(cls)
        tree._znodes = {}
        tree.data_size = 0
        tree.ephemerals = {}
        tree.containers = {}
        tree.quotas = Quotas(tree._znodes)
        for image in images:
            tree._link(image.path, from_image(image))
            if image.ttl_ms:
                tree.containers[image.path] = image.ttl_ms
        if ROOT not in tree._znodes:
            raise InvariantBroken("the snapshot has no root znode")
        tree.data_size += tree.quotas.load()
        return tree

    def set_config(self, config: bytes) -> None:
        """Show the membership at /zookeeper/config: every member's own, and in no transaction."""
        znode = self._znodes[CONFIG_ZOOKEEPER]
        self.data_size += len(config) - len(znode.data or b"")
        znode.data = config
        znode.version = znode.aversion = -1
        znode.acl = READ_ACL_UNSAFE

    def _link(self, path: str, znode: Znode) -> None:
        if path == ROOT:
            self._znodes[""] = self._znodes[ROOT] = znode
            self.data_size += len(path) + len(znode.data or b"")
            return
        cut = path.rfind("/")
        parent = self._znodes.get(path[:cut])
        if parent is None:
            raise InvariantBroken(f"the snapshot has {path} without its parent")
        parent.adopt(path[cut + 1 :])
        self._znodes[path] = znode
        self.data_size += len(path) + len(znode.data or b"")
        if znode.ephemeral_owner:
            self.ephemerals.setdefault(znode.ephemeral_owner, {})[path] = None

    def find(self, path: str) -> Znode | None:
        """Return the znode at `path`, malformed paths included: they have none."""
        return self._znodes.get(path)

    @property
    def node_count(self) -> int:
        """ZooKeeper's node count, in which the root counts twice: 5 for a fresh tree."""
        return len(self._znodes)

    @property
    def ephemeral_count(self) -> int:
        """Ephemeral znodes of all sessions."""
        return sum(map(len, self.ephemerals.values()))

    def count_descendants(self, path: str) -> int:
        """Return how many znodes are below `path`."""
        if path == ROOT:
            return len(self._znodes) - 2
        prefix = f"{path}/"
        return sum(1 for other in self._znodes if other.startswith(prefix))

    def images(self) -> tuple[ZnodeImage, ...]:
        """Return every znode, sorted by path, so parents first; equal trees give equal images."""
        ttl_of = self.containers.get
        return tuple(
            to_image(path, self._znodes[path], ttl_of(path, 0))
            for path in sorted(self._znodes)
            if path
        )

    def walk(self) -> Iterator[ZnodeImage]:
        """Give every znode, parents first, while the tree may change between two of them.

        A child is given only after its parent was, so that what was seen is always a tree.
        """
        root = self._znodes[ROOT]
        yield to_image(ROOT, root, 0)
        branches = [("", iter(tuple(root.children)))]
        while branches:
            parent_path, names = branches[-1]
            name = next(names, None)
            if name is None:
                branches.pop()
                continue
            path = f"{parent_path}/{name}"
            znode = self._znodes.get(path)
            if znode is not None:
                yield to_image(path, znode, self.containers.get(path, 0))
                if znode.children:
                    branches.append((path, iter(tuple(znode.children))))

    def digest(self) -> str:
        """Return the SHA-256 of the whole content, in hex; equal trees have equal digests."""
        digest = sha256()
        for image in self.images():
            digest.update(repr(as_row(image)).encode())
        return digest.hexdigest()

    def apply(self, txn: Txn) -> Applied:
        """Apply a transaction, whole (`DataTree.processTxn`).

        Idempotent in this sense: applying a run of transactions again, in order and to its end,
        changes nothing. A part that fails is left out; the error tells, nothing is raised.
        """
        return self._apply(txn, txn.body)

    def _apply(self, txn: Txn, body: TxnBody) -> Applied:
        match body:
            case SetDataTxn():
                return self._set_data(txn, body)
            case CreateTxn():
                return self._create(txn, body)
            case DeleteTxn():
                changes: list[Change] = []
                error = self._delete(body.path, txn.zxid, changes)
                return Applied(error, None, changes)
            case MultiTxn():
                return self._multi(txn, body)
            case ErrorTxn():
                return Applied(body.error, None, [])
            case CloseSessionTxn():
                return self._kill_session(txn, body)
            case SetAclTxn():
                return self._set_acl(body)
            case CheckTxn() | CreateSessionTxn():
                return Applied(_OK, None, [])
            case _:
                assert_never(body)

    def _set_data(self, txn: Txn, body: SetDataTxn) -> Applied:
        path = body.path
        znode = self._znodes.get(path)
        if znode is None:
            return Applied(ErrorCode.NO_NODE, None, [])
        grown = len(body.data or b"") - len(znode.data or b"")
        self.data_size += grown
        znode.data = body.data
        znode.version = body.version
        znode.mzxid = txn.zxid
        znode.mtime = txn.time_ms
        if self.quotas.usage:
            self.data_size += self.quotas.on_data_set(path, grown)
        return Applied(_OK, StatResult(znode.stat()), [(_DATA_CHANGED, path, znode.acl)])

    def _set_acl(self, body: SetAclTxn) -> Applied:
        znode = self._znodes.get(body.path)
        if znode is None:
            return Applied(ErrorCode.NO_NODE, None, [])
        znode.acl = body.acl
        znode.aversion = body.aversion
        return Applied(_OK, StatResult(znode.stat()), [])

    def _create(self, txn: Txn, body: CreateTxn) -> Applied:
        path = body.path
        zxid = txn.zxid
        cut = path.rfind("/")
        parent = self._znodes.get(path[:cut])
        if parent is None:
            return Applied(ErrorCode.NO_NODE, None, [])
        # Before the look at the child, and only upwards: on replay the child may be there while
        # the parent has yet to learn of it, or the parent may be ahead of this transaction.
        if body.parent_cversion > parent.cversion:
            parent.cversion = body.parent_cversion
            parent.pzxid = zxid
        name = path[cut + 1 :]
        if name in parent.children:
            return Applied(ErrorCode.NODE_EXISTS, None, [])
        owner = txn.session_id if body.is_ephemeral else 0
        parent.adopt(name)
        self.data_size += len(path) + len(body.data or b"")
        time_ms = txn.time_ms
        znode = Znode(body.data, zxid, zxid, zxid, time_ms, time_ms, 0, 0, 0, owner, body.acl)
        self._znodes[path] = znode
        result: PathResult | CreateResult = PathResult(path)
        if owner:
            self.ephemerals.setdefault(owner, {})[path] = None
        elif body.ttl_ms:
            self.containers[path] = body.ttl_ms
            # Such creates are always answered with the stat, in a multi as well.
            result = CreateResult(path, znode.stat())
        if self.quotas.usage or name in QUOTA_NODES:
            self.data_size += self.quotas.on_created(path, znode)
        return Applied(
            _OK,
            result,
            [(_CREATED, path, znode.acl), (_CHILDREN_CHANGED, path[:cut] or ROOT, parent.acl)],
        )

    def _delete(self, path: str, zxid: int, changes: list[Change]) -> ErrorCode:
        cut = path.rfind("/")
        parent_path = path[:cut]
        parent = self._znodes.get(parent_path)
        if parent is None:
            return ErrorCode.NO_NODE
        # Even when the znode is missing: on replay it may be gone already, its parent's pzxid not.
        parent.children.pop(path[cut + 1 :], None)
        parent.pzxid = max(parent.pzxid, zxid)
        znode = self._znodes.pop(path, None)
        if znode is None:
            return ErrorCode.NO_NODE
        self.data_size -= len(path) + len(znode.data or b"")
        owner = znode.ephemeral_owner
        if owner:
            self._forget_ephemeral(owner, path)
        elif self.containers:
            self.containers.pop(path, None)
        if self.quotas.usage:
            self.data_size += self.quotas.on_deleted(path, znode)
        changes.append((_DELETED, path, znode.acl))
        changes.append((_CHILDREN_CHANGED, parent_path or ROOT, parent.acl))
        return _OK

    def _forget_ephemeral(self, owner: int, path: str) -> None:
        paths = self.ephemerals.get(owner)
        if paths is not None:
            paths.pop(path, None)
            if not paths:
                del self.ephemerals[owner]

    def _kill_session(self, txn: Txn, body: CloseSessionTxn) -> Applied:
        changes: list[Change] = []
        leftovers = self.ephemerals.pop(txn.session_id, None) or {}
        for path in body.paths:
            self._delete(path, txn.zxid, changes)
            leftovers.pop(path, None)
        for path in leftovers:
            self._delete(path, txn.zxid, changes)
        return Applied(_OK, None, changes)

    def _multi(self, txn: Txn, body: MultiTxn) -> Applied:
        changes: list[Change] = []
        results: list[PathResult | CreateResult | StatResult | ErrorResult | None] = []
        for part in body.bodies:
            if isinstance(part, ErrorTxn):
                results.append(ErrorResult(part.error))
                continue
            applied = self._apply(txn, part)
            changes += applied.changes
            if applied.error:
                results.append(ErrorResult(applied.error))
            elif isinstance(applied.result, PathResult | CreateResult | StatResult):
                results.append(applied.result)
            else:
                results.append(None)
        return Applied(_OK, MultiResult(tuple(results)), changes)
