"""Prep and tree together, without any protocol: what is prepared waits until it is committed."""

from __future__ import annotations

from collections import deque

from nodes.core.errors import ErrorCode
from nodes.core.prep import Prep
from nodes.core.requests import Create, Id, Stat, Write
from nodes.core.tree import Applied, DataTree
from nodes.core.txns import Txn, TxnBody

SESSION = 0x1000000000001
OTHER = 0x1000000000002


class Pipeline:
    """Every write takes the next zxid, whether it fails or not, and 10 ms of wall clock."""

    def __init__(self, *, extended_types_enabled: bool = False) -> None:
        self.tree = DataTree()
        self.prep = Prep(self.tree, extended_types_enabled=extended_types_enabled)
        self.zxid = 0
        self.outstanding: deque[Txn] = deque()
        self.history: list[Txn] = []

    def prepare(
        self,
        op: Write,
        session: int = SESSION,
        session_error: ErrorCode = ErrorCode.OK,
        ids: tuple[Id, ...] = (),
    ) -> TxnBody:
        """Prepare `op` and leave it outstanding."""
        self.zxid += 1
        time_ms = 10 * self.zxid
        body = self.prep.prepare(session, op, self.zxid, session_error, ids)
        self.outstanding.append(Txn(session, 1, self.zxid, time_ms, body))
        return body

    def commit(self, count: int | None = None) -> list[Applied]:
        """Apply the oldest `count` outstanding transactions; all of them by default."""
        applied = []
        for _ in range(len(self.outstanding) if count is None else count):
            txn = self.outstanding.popleft()
            self.history.append(txn)
            applied.append(self.tree.apply(txn))
            self.prep.applied(txn.zxid)
        return applied

    def write(
        self,
        op: Write,
        session: int = SESSION,
        session_error: ErrorCode = ErrorCode.OK,
        ids: tuple[Id, ...] = (),
    ) -> Applied:
        """Prepare and apply; nothing may be outstanding before."""
        assert not self.outstanding
        self.prepare(op, session, session_error, ids)
        return self.commit()[0]

    def create(self, *paths: str, flags: int = 0, session: int = SESSION) -> None:
        """Create znodes that must be creatable."""
        for path in paths:
            assert self.write(Create(path, b"", flags), session).error == ErrorCode.OK

    def stat(self, path: str) -> Stat:
        """Return the stat of a znode that must be there."""
        znode = self.tree.find(path)
        assert znode is not None, path
        return znode.stat()
