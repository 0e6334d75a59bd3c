"""DIFF, TRUNC or SNAP: the table of `syncFollower`, and how a learner carries it out."""

from __future__ import annotations

from nodes.core.config import MemberConfig
from nodes.core.context import Context
from nodes.core.effects import Effect, Send, TruncateLog
from nodes.core.errors import ErrorCode
from nodes.core.events import LogTruncated, PeerLost
from nodes.core.messages import (
    Ack,
    AckEpoch,
    Commit,
    Diff,
    LeaderInfo,
    Message,
    NewLeader,
    Notification,
    Proposal,
    ServerState,
    Snap,
    Trunc,
)
from nodes.core.replica import COMMITTED_LOG_LENGTH, Replica
from nodes.core.synchronization import NO_COMMON_ZXID, plan_synchronization
from nodes.core.txns import ErrorTxn, Recovered, Snapshot, Txn
from nodes.core.zxid import make_zxid

from .bench import Bench, greeting, sent, txn


def error_txn(counter: int, epoch: int = 1) -> Txn:
    """A transaction that changes nothing but the zxid."""
    return txn(counter, ErrorTxn(ErrorCode.NO_NODE), epoch=epoch)


def replica_of(*txns: Txn, snapshot: Snapshot | None = None) -> Replica:
    """A leader's replica with this history."""
    context = Context(MemberConfig(1, (1, 2, 3)))
    return Replica(context, Recovered(1, 1, snapshot, txns))


def kinds(packets: list[Message]) -> list[str]:
    return [packet.kind for packet in packets]


def as_packets(*txns: Txn) -> list[Message]:
    """Each transaction with its commit."""
    return [p for t in txns for p in (Proposal(t), Commit(t.zxid))]


HISTORY = tuple(error_txn(counter) for counter in range(1, 6))


def test_equal_histories_get_an_empty_diff() -> None:
    replica = replica_of(*HISTORY)
    assert plan_synchronization(replica, HISTORY[-1].zxid) == [Diff(HISTORY[-1].zxid)]


def test_fresh_members_get_an_empty_diff() -> None:
    assert plan_synchronization(replica_of(), 0) == [Diff(0)]


def test_learner_ahead_is_truncated_to_the_newest() -> None:
    replica = replica_of(*HISTORY)
    newest = HISTORY[-1].zxid
    assert plan_synchronization(replica, newest + 3) == [Trunc(newest)]


def test_learner_ahead_by_a_new_epoch_zxid_gets_a_snapshot() -> None:
    """epoch:0 is no transaction: there is nothing to cut."""
    replica = replica_of(*HISTORY)
    assert kinds(plan_synchronization(replica, make_zxid(7, 0))) == ["SNAP"]


def test_learner_behind_gets_what_it_lacks_with_commits() -> None:
    replica = replica_of(*HISTORY)
    plan = plan_synchronization(replica, HISTORY[2].zxid)
    assert plan == [Diff(HISTORY[-1].zxid), *as_packets(*HISTORY[3:])]


def test_new_epoch_zxid_inside_the_log_gets_a_diff() -> None:
    later = error_txn(1, epoch=3)
    plan = plan_synchronization(replica_of(*HISTORY, later), make_zxid(2, 0))
    assert plan == [Diff(later.zxid), *as_packets(later)]


def test_zxid_between_two_of_its_epoch_is_truncated_to_the_one_before() -> None:
    first, third = error_txn(1), error_txn(3)
    plan = plan_synchronization(replica_of(first, third), error_txn(2).zxid)
    assert plan == [Trunc(first.zxid), *as_packets(third)]


def test_zxid_unknown_across_an_epoch_gets_a_snapshot() -> None:
    replica = replica_of(*HISTORY, error_txn(1, epoch=3))
    assert kinds(plan_synchronization(replica, make_zxid(1, 9))) == ["SNAP"]


def test_learner_behind_the_committed_log_gets_a_snapshot() -> None:
    txns = tuple(error_txn(counter) for counter in range(1, COMMITTED_LOG_LENGTH + 3))
    assert kinds(plan_synchronization(replica_of(*txns), txns[0].zxid)) == ["SNAP"]
    assert kinds(plan_synchronization(replica_of(*txns), txns[1].zxid)) == ["SNAP"]
    assert kinds(plan_synchronization(replica_of(*txns), txns[2].zxid))[0] == "DIFF"


def test_learner_that_could_not_cut_gets_a_snapshot() -> None:
    """Forced, the first row of the table."""
    assert kinds(plan_synchronization(replica_of(), NO_COMMON_ZXID)) == ["SNAP"]
    assert kinds(plan_synchronization(replica_of(*HISTORY), NO_COMMON_ZXID)) == ["SNAP"]


# The learner's side.


def discovered(*txns: Txn, snapshot: Snapshot | None = None) -> Bench:
    """A learner with this log that has acknowledged the leader's epoch 2."""
    bench = greeting(Recovered(1, 1, snapshot, txns))
    last_zxid = bench.member.status().last_zxid
    assert sent(bench.receive(3, LeaderInfo(2))) == [AckEpoch(1, last_zxid)]
    return bench


def test_truncation_finishes_before_what_follows_it() -> None:
    """Packets queue up behind a TRUNC until the disk has cut the log."""
    bench = discovered(*HISTORY)
    assert bench.receive(3, Trunc(HISTORY[2].zxid)) == [TruncateLog(HISTORY[2].zxid)]
    other = error_txn(1, epoch=2)
    assert bench.receive(3, Proposal(other)) == []
    assert bench.receive(3, Commit(other.zxid)) == []
    assert bench.receive(3, NewLeader(make_zxid(2, 0))) == []
    effects = bench.truncated(*HISTORY[:3])
    assert sent(effects) == [Ack(make_zxid(2, 0))]
    assert bench.member.status().last_zxid == other.zxid


def test_log_cut_at_an_epochs_beginning_may_end_before_it() -> None:
    """TRUNC sets the last zxid (1.1); epoch:0 itself is in no log."""
    bench = discovered(error_txn(1))
    bench.receive(3, Trunc(make_zxid(1, 0)))
    bench.truncated()
    assert bench.member.status().last_zxid == make_zxid(1, 0)


def test_member_does_not_vote_while_its_log_is_being_cut() -> None:
    """In memory it still has what the disk is about to lose: a vote for it would be a lie."""
    bench = discovered(*HISTORY)
    bench.receive(3, Trunc(HISTORY[2].zxid))
    assert sent(bench.step(PeerLost(3))) == []
    votes = [m for m in sent(bench.truncated(*HISTORY[:3])) if isinstance(m, Notification)]
    assert {(vote.state, vote.zxid) for vote in votes} == {
        (ServerState.LOOKING, HISTORY[2].zxid),
    }


def test_member_whose_log_could_not_be_cut_votes_with_all_of_it() -> None:
    """Nothing was cut: what it would deny is still on its disk."""
    bench = discovered(*HISTORY)
    bench.receive(3, Trunc(HISTORY[2].zxid))
    assert sent(bench.step(PeerLost(3))) == []
    effects = bench.step(LogTruncated(None))
    votes = [m for m in sent(effects) if isinstance(m, Notification)]
    assert {(vote.state, vote.zxid) for vote in votes} == {
        (ServerState.LOOKING, HISTORY[-1].zxid),
    }


def test_snapshot_that_is_newer_than_the_cut_is_replaced_by_the_leaders() -> None:
    """A candidate's snapshot may hold transactions that were never committed."""
    bench = discovered(snapshot=Snapshot(make_zxid(1, 9), (), ()))
    assert bench.receive(3, Trunc(make_zxid(1, 5))) == [TruncateLog(make_zxid(1, 5))]
    assert bench.step(LogTruncated(None)) == _to_leader(bench, AckEpoch(-1, NO_COMMON_ZXID))
    assert bench.receive(3, NewLeader(make_zxid(2, 0))) == []
    bench.receive(3, Snap(Snapshot(make_zxid(1, 5), (), ())))
    assert sent(bench.receive(3, NewLeader(make_zxid(2, 0)))) == [Ack(make_zxid(2, 0))]
    assert bench.member.status().last_zxid == make_zxid(1, 5)


def _to_leader(bench: Bench, message: Message) -> list[Effect]:
    return [Send(3, bench.connection_of[3], message)]
