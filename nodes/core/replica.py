"""What a member has of the replicated state: epochs, tree, sessions, and the end of the log.

Owns the difference between logged and applied. It decides nothing about what is committed.
"""

from __future__ import annotations

from collections import deque

from nodes.core.context import Context
from nodes.core.effects import Persist, PersistEpochs, PersistSnapshot, TruncateLog
from nodes.core.errors import InvariantBroken
from nodes.core.snapshots import Snapshots
from nodes.core.tree import Applied, DataTree
from nodes.core.txns import CloseSessionTxn, CreateSessionTxn, Recovered, Snapshot, Txn
from nodes.core.zxid import counter_of, show_zxid

# ZooKeeper keeps 500 committed transactions and the one before them to feed learners.
COMMITTED_LOG_LENGTH = 501


class Replica:
    """Invariants: `last_zxid` < every zxid in `pending`, which grow; disk order is log order;

    behind everything asked of the disk, it holds what is here, but while `truncating_to` is set.
    """

    def __init__(self, context: Context, recovered: Recovered) -> None:
        self._context = context
        self.accepted_epoch = recovered.accepted_epoch
        self.current_epoch = recovered.current_epoch
        self.committed_log: deque[Txn] = deque(maxlen=COMMITTED_LOG_LENGTH)
        self.pending: deque[Txn] = deque()
        self.tree = DataTree()
        self.sessions: dict[int, int] = {}
        self.last_zxid = 0
        self.snapshot_zxid = 0
        self.truncating_to: int | None = None
        self._epochs_on_their_way = 0
        self._snapshots = Snapshots(context)
        self._restore(recovered)

    def _restore(self, recovered: Recovered) -> None:
        """Become what the disk holds; every logged transaction counts as applied."""
        self._load(recovered.snapshot or Snapshot(0, (), ()))
        for txn in recovered.txns:
            self._replay(txn)
        self._snapshots.on_replaced(len(recovered.txns))

    def _load(self, snapshot: Snapshot) -> None:
        self.tree = DataTree.from_images(snapshot.znodes) if snapshot.znodes else DataTree()
        self.tree.set_config(self._context.config.quorum_config)
        self.sessions = dict(snapshot.sessions)
        self.last_zxid = self.snapshot_zxid = snapshot.zxid
        self.committed_log.clear()
        self.pending.clear()

    def load(self, snapshot: Snapshot) -> None:
        """Become the leader's snapshot, on disk as well."""
        self._load(snapshot)
        self._snapshots.on_replaced(0)
        self._context.effects.append(PersistSnapshot(snapshot))

    def snapshot(self) -> Snapshot:
        """Return the applied state; what is only logged is not in it."""
        return Snapshot(self.last_zxid, self.tree.images(), tuple(self.sessions.items()))

    def truncate(self, zxid: int) -> None:
        """Begin to forget everything behind `zxid`; ends in `on_log_truncated`."""
        self.truncating_to = zxid
        self._snapshots.give_up()
        self._context.effects.append(TruncateLog(zxid))

    def on_log_truncated(self, recovered: Recovered | None) -> bool:
        """Become what the cut log holds; False if the disk could not go back that far.

        Raises InvariantBroken if it does not end where the leader said: epoch:0 is no
        transaction, so then it may end before, but nowhere else.
        """
        zxid, self.truncating_to = self.truncating_to, None
        if recovered is None:
            return False
        self._restore(recovered)
        if zxid is not None and counter_of(zxid) == 0 and self.last_zxid < zxid:
            self.last_zxid = zxid
        if self.last_zxid != zxid:
            cut, end = show_zxid(zxid or 0), show_zxid(self.last_zxid)
            raise InvariantBroken(f"log cut behind {cut} ends at {end}")
        return True

    def on_snapshot_part_written(self) -> None:
        """The disk takes the next part of the snapshot under way."""
        self._snapshots.on_part_written(self.last_zxid)

    def log(self, txn: Txn) -> None:
        """Append to the log; the disk answers with Persisted."""
        self.pending.append(txn)
        self._context.effects.append(Persist(txn))

    @property
    def last_logged_zxid(self) -> int:
        """The end of the history that a vote would name."""
        return self.pending[-1].zxid if self.pending else self.last_zxid

    def next_to_commit(self, zxid: int) -> Txn:
        """Take the oldest logged transaction, which must be `zxid`.

        Raises InvariantBroken otherwise: a commit that skips a proposal means two histories,
        and going on would serve the wrong one.
        """
        if not self.pending or self.pending[0].zxid != zxid:
            waiting = show_zxid(self.pending[0].zxid) if self.pending else "nothing"
            raise InvariantBroken(f"commit of {show_zxid(zxid)} while {waiting} is next")
        return self.pending.popleft()

    def apply(self, txn: Txn) -> Applied:
        """Apply one transaction to tree and sessions (`ZooKeeperServer.processTxn`)."""
        applied = self._replay(txn)
        self._snapshots.on_applied(txn.zxid, self.tree, self.sessions)
        return applied

    def _replay(self, txn: Txn) -> Applied:
        body = txn.body
        if type(body) is CreateSessionTxn:
            self.sessions[txn.session_id] = body.timeout_ms
        elif type(body) is CloseSessionTxn:
            self.sessions.pop(txn.session_id, None)
        applied = self.tree.apply(txn)
        self.last_zxid = txn.zxid
        self.committed_log.append(txn)
        return applied

    def fast_forward(self) -> None:
        """Apply all that is logged, committed or not: what a vote and a new term start from."""
        while self.pending:
            self.apply(self.pending.popleft())

    def persist_epochs(self, *, accepted: int | None = None, current: int | None = None) -> None:
        """Move the epochs forward; the disk answers with EpochsPersisted."""
        self.accepted_epoch = self.accepted_epoch if accepted is None else accepted
        self.current_epoch = self.current_epoch if current is None else current
        self._epochs_on_their_way += 1
        self._context.effects.append(PersistEpochs(self.accepted_epoch, self.current_epoch))

    def on_epochs_persisted(self) -> bool:
        """Return whether the disk has the newest epochs, and all that was asked for before them.

        An answer to an earlier write may arrive in a later role, with the same epochs; taking
        it for the later one would acknowledge a history that is not on disk yet.
        """
        self._epochs_on_their_way -= 1
        return self._epochs_on_their_way == 0
