"""Owns the judge's own tree: what a run of transactions makes of an empty one.

It shares no code with the members' tree, and it refuses nothing: a transaction that should not
have been made leads to a difference, and the judge finds that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodes.core.requests import OPEN_ACL, Acl
from nodes.core.txns import (
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
)

# Data, access list, and version, owner, czxid, mzxid, aversion, time to live.
Row = tuple[bytes | None, tuple[Acl, ...], tuple[int, int, int, int, int, int]]


@dataclass(slots=True, eq=False)
class Node:
    """What the judge compares of a znode."""

    data: bytes | None
    version: int
    owner: int
    czxid: int
    mzxid: int
    acl: tuple[Acl, ...] = OPEN_ACL
    aversion: int = 0
    ttl_ms: int = 0

    def row(self) -> Row:
        """Return everything, for comparing and printing."""
        stat = (self.version, self.owner, self.czxid, self.mzxid, self.aversion, self.ttl_ms)
        return (self.data, self.acl, stat)


class Model:
    """Invariant: `owned` has, for each session, exactly the paths whose node it owns."""

    __slots__ = ("nodes", "owned", "sessions")

    def __init__(self, txns: Iterable[Txn] = ()) -> None:
        self.nodes: dict[str, Node] = {}
        self.owned: dict[int, dict[str, None]] = {}
        self.sessions: dict[int, None] = {}
        for txn in txns:
            self.fold(txn)

    def fold(self, txn: Txn) -> list[str]:
        """Apply a transaction; return the paths that it touched."""
        return self._fold(txn, txn.body)

    def _fold(self, txn: Txn, body: TxnBody) -> list[str]:
        match body:
            case CreateTxn(path=path, is_ephemeral=is_ephemeral):
                owner = txn.session_id if is_ephemeral else 0
                node = Node(body.data, 0, owner, txn.zxid, txn.zxid, body.acl, 0, body.ttl_ms)
                self.nodes[path] = node
                if owner:
                    self.owned.setdefault(owner, {})[path] = None
                return [path]
            case SetDataTxn(path=path, data=data, version=version):
                changed = self.nodes.get(path)
                if changed is not None:
                    changed.data, changed.version, changed.mzxid = data, version, txn.zxid
                return [path]
            case SetAclTxn(path=path, acl=acl, aversion=aversion):
                guarded = self.nodes.get(path)
                if guarded is not None:
                    guarded.acl, guarded.aversion = acl, aversion
                return [path]
            case DeleteTxn(path=path):
                self._delete(path)
                return [path]
            case MultiTxn(bodies=bodies):
                if any(isinstance(part, ErrorTxn) for part in bodies):
                    return []
                return [path for part in bodies for path in self._fold(txn, part)]
            case CreateSessionTxn():
                self.sessions[txn.session_id] = None
            case CloseSessionTxn(paths=paths):
                self.sessions.pop(txn.session_id, None)
                for path in paths:
                    self._delete(path)
                return list(paths)
        return []

    def _delete(self, path: str) -> None:
        node = self.nodes.pop(path, None)
        if node is not None and node.owner:
            owned = self.owned[node.owner]
            del owned[path]
            if not owned:
                del self.owned[node.owner]
