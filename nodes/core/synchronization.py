"""How a learner gets the leader's history: DIFF, TRUNC or SNAP (`LearnerHandler.syncFollower`).

Only the decision, as the packets that carry it out; sending them is the leader's.
"""

from __future__ import annotations

from nodes.core.messages import Commit, Diff, Message, Proposal, Snap, Trunc
from nodes.core.replica import Replica
from nodes.core.txns import Txn
from nodes.core.zxid import counter_of, epoch_of

# Told by a learner whose disk cannot go back to any history it shares with the leader.
NO_COMMON_ZXID = -1


def plan_synchronization(replica: Replica, peer_zxid: int) -> list[Message]:
    """Return the packets that bring a learner whose log ends at `peer_zxid` to `replica`.

    The first one is Diff, Trunc or Snap; committed transactions follow, each with its Commit.
    """
    if peer_zxid == NO_COMMON_ZXID:
        return [Snap(replica.snapshot())]
    log = replica.committed_log
    oldest = log[0].zxid if log else replica.last_zxid
    newest = log[-1].zxid if log else replica.last_zxid
    if peer_zxid == replica.last_zxid:
        return [Diff(peer_zxid)]
    # epoch:0 is no transaction: it only says that its owner led that epoch.
    is_new_epoch_zxid = counter_of(peer_zxid) == 0
    if peer_zxid > newest and not is_new_epoch_zxid:
        return [Trunc(newest)]
    if oldest <= peer_zxid <= newest:
        packets = _from_committed_log(replica, peer_zxid, newest, is_new_epoch_zxid)
        if packets:
            return packets
    return [Snap(replica.snapshot())]


def _from_committed_log(
    replica: Replica, peer_zxid: int, newest: int, is_new_epoch_zxid: bool
) -> list[Message]:
    before = [txn.zxid for txn in replica.committed_log if txn.zxid <= peer_zxid]
    missing = [txn for txn in replica.committed_log if txn.zxid > peer_zxid]
    if before[-1] == peer_zxid or is_new_epoch_zxid:
        return [Diff(newest), *_as_packets(missing)]
    if missing and epoch_of(missing[0].zxid) != epoch_of(peer_zxid):
        # The learner could not tell where to cut: its log has no entry on the other side
        # of the epoch's border that both are known to share.
        return []
    return [Trunc(before[-1]), *_as_packets(missing)]


def _as_packets(txns: list[Txn]) -> list[Message]:
    packets: list[Message] = []
    for txn in txns:
        packets += (Proposal(txn), Commit(txn.zxid, txn.body.type))
    return packets
