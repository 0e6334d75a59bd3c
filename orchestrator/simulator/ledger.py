"""Owns the one history that all members deliver, and says at every addition whether it may be.

Keeps who led which epoch, what was broadcast in it and what was delivered. Knows transactions,
not members: what a member has delivered, and of what its tree consists, is the judge's to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nodes.core.txns import CloseSessionTxn, CreateSessionTxn, ErrorTxn, MultiTxn, Txn
from orchestrator.simulator.invariants import Invariant, Violation, show_zxid


class Ledger:
    """Invariants: `delivered` only grows; `place[zxid]` is the index of that transaction in it.

    `opened` has the zxid of each session's createSession.
    """

    def __init__(self, holders: Callable[[int], int], voters: int) -> None:
        """`holders` counts the voters whose disk holds a zxid, `voters` is how many there are."""
        self.delivered: list[Txn] = []
        self.place: dict[int, int] = {}
        self.acknowledged: dict[int, None] = {}
        self.opened: dict[int, int] = {}
        self.closed: dict[int, None] = {}
        self._holders = holders
        self._voters = voters
        self._leader_of: dict[int, int] = {}
        self._broadcast: dict[int, Txn] = {}
        self._broadcast_in: dict[int, list[int]] = {}
        self._delivered_in: dict[int, int] = {}
        self._last_cxid: dict[int, int] = {}

    @property
    def epochs(self) -> int:
        """How many epochs somebody led."""
        return len(self._leader_of)

    def lead(self, sid: int, epoch: int) -> None:
        """A member acts as the leader of an epoch."""
        known = self._leader_of.setdefault(epoch, sid)
        if known != sid:
            raise Violation(Invariant.LEADERSHIP, f"{known} and {sid} both lead epoch {epoch}")

    def log(self, sid: int, txn: Txn) -> None:
        """A member logs a transaction; the first one to do so must be its epoch's leader."""
        known = self._broadcast.get(txn.zxid)
        if known is txn:
            return
        zxid = show_zxid(txn.zxid)
        if known is not None:
            if known != txn:
                detail = f"{zxid} is {known.body} and, on member {sid}, {txn.body}"
                raise Violation(Invariant.INTEGRITY, detail)
            return
        epoch = txn.zxid >> 32
        if self._leader_of.get(epoch) != sid:
            detail = f"{sid} made up {zxid}, and {self._leader_of.get(epoch)} leads its epoch"
            raise Violation(Invariant.INTEGRITY, detail)
        self._broadcast[txn.zxid] = txn
        self._broadcast_in.setdefault(epoch, []).append(txn.zxid)

    def deliver(self, sid: int, index: int, txn: Txn) -> None:
        """A member delivers `txn` as its transaction number `index`."""
        if index == len(self.delivered):
            self._append(sid, txn)
            return
        known = self.delivered[index]
        if known is txn or known == txn:
            return
        detail = f"{sid} delivers {show_zxid(txn.zxid)} where others did {show_zxid(known.zxid)}"
        place = self.place.get(txn.zxid)
        if place is None:
            raise Violation(Invariant.AGREEMENT, detail)
        raise Violation(Invariant.TOTAL_ORDER if place > index else Invariant.INTEGRITY, detail)

    def _append(self, sid: int, txn: Txn) -> None:
        zxid = txn.zxid
        shown = f"{show_zxid(zxid)}, delivered by {sid}"
        broadcast = self._broadcast.get(zxid)
        if broadcast is not txn and broadcast != txn:
            raise Violation(Invariant.INTEGRITY, f"no leader broadcast {shown}")
        epoch = zxid >> 32
        if self.delivered and epoch < self.delivered[-1].zxid >> 32:
            last = show_zxid(self.delivered[-1].zxid)
            raise Violation(Invariant.GLOBAL_PRIMARY_ORDER, f"{shown}, follows {last}")
        count = self._delivered_in.get(epoch, 0)
        expected = self._broadcast_in[epoch][count]
        if expected != zxid:
            detail = f"{shown}, before {show_zxid(expected)}"
            raise Violation(Invariant.LOCAL_PRIMARY_ORDER, detail)
        holders = self._holders(zxid)
        if 2 * holders <= self._voters:
            detail = f"{shown}, is on the disks of {holders} of {self._voters} voters"
            raise Violation(Invariant.DURABILITY, detail)
        self._delivered_in[epoch] = count + 1
        self.place[zxid] = len(self.delivered)
        self.delivered.append(txn)
        self._note_session(txn)

    def _note_session(self, txn: Txn) -> None:
        body = txn.body
        if type(body) is CreateSessionTxn:
            self.opened[txn.session_id] = txn.zxid
        elif type(body) is CloseSessionTxn:
            self.closed[txn.session_id] = None
        elif txn.cxid > 0 and is_effective(txn):
            last = self._last_cxid.get(txn.session_id, 0)
            if txn.cxid <= last:
                detail = f"{txn.session_id:#x}: write {txn.cxid} took effect behind {last}"
                raise Violation(Invariant.SESSION_FIFO, detail)
            self._last_cxid[txn.session_id] = txn.cxid

    def adopt(self, sid: int, chain: Sequence[Txn], *, is_leading: bool) -> None:
        """A member begins to serve with this history behind it."""
        delivered = self.delivered
        if is_leading:
            self._check_leader(sid, {txn.zxid for txn in chain})
        for known, txn in zip(delivered, chain, strict=False):
            if known is not txn and known != txn:
                detail = f"{sid} serves with {show_zxid(txn.zxid)} for {show_zxid(known.zxid)}"
                raise Violation(Invariant.PREFIX_CONSISTENCY, detail)
        for txn in chain[len(delivered) :]:
            self._append(sid, txn)

    def _check_leader(self, sid: int, zxids: set[int]) -> None:
        for invariant, promised in (
            (Invariant.ACKNOWLEDGED, self.acknowledged),
            (Invariant.PRIMARY_INTEGRITY, self.place),
        ):
            for zxid in promised:
                if zxid not in zxids:
                    raise Violation(invariant, f"{sid} leads without {show_zxid(zxid)}")


def is_effective(txn: Txn) -> bool:
    """Whether it is not merely the record of a write that failed."""
    body = txn.body
    if type(body) is MultiTxn:
        return not any(type(part) is ErrorTxn for part in body.bodies)
    return type(body) is not ErrorTxn
