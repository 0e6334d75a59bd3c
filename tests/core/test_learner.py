"""Following and observing: what may leave, and when."""

from __future__ import annotations

import pytest

from nodes.core.effects import CloseConnection, ConnectReply, Persist, PersistEpochs, Send
from nodes.core.errors import InvariantBroken
from nodes.core.events import EpochsPersisted, PeerConnected, PeerLost, Received
from nodes.core.messages import (
    Ack,
    AckEpoch,
    Commit,
    Diff,
    Fin,
    FollowerInfo,
    Inform,
    LeaderInfo,
    NewLeader,
    Notification,
    ObserverInfo,
    Ping,
    Proposal,
    Request,
    Revalidate,
    Revalidated,
    ServerState,
    Snap,
    SyncPacket,
    UpToDate,
)
from nodes.core.requests import Create, CreateSession, Sync
from nodes.core.sessions import password_of
from nodes.core.txns import CreateSessionTxn, CreateTxn, Recovered, Snapshot
from nodes.core.zxid import make_zxid

from .bench import (
    EPOCH,
    SESSION,
    TICK_MS,
    TIMEOUT_MS,
    Bench,
    following,
    greeting,
    looking,
    replies,
    sent,
    txn,
    with_session,
)

FIRST = txn(1, CreateTxn("/a", b"", False, 1))
SECOND = txn(2, CreateTxn("/b", b"", False, 2))
NEW_LEADER = NewLeader(make_zxid(EPOCH, 0))


def lost(bench: Bench) -> bool:
    """Whether the member has given up its leader."""
    return bench.member.status().state is ServerState.LOOKING


# Discovery.


@pytest.mark.parametrize(("sid", "hello"), [(1, FollowerInfo(4)), (4, ObserverInfo(4))])
def test_learner_greets_with_the_epoch_it_has_accepted(
    sid: int, hello: FollowerInfo | ObserverInfo
) -> None:
    """`registerWithLeader`."""
    bench = looking(sid, Recovered(4, 4), observers=(4,))
    effects = bench.elect(3, tuple(voter for voter in (1, 2, 3) if voter != sid))
    assert hello in sent(effects, 3)


def test_epoch_is_acknowledged_only_when_the_promise_is_on_disk() -> None:
    """`registerWithLeader`."""
    bench = greeting(Recovered(4, 3))
    bench.disk_answers = False
    assert bench.receive(3, LeaderInfo(6)) == [PersistEpochs(6, 3)]
    assert sent(bench.step(EpochsPersisted(6, 3))) == [AckEpoch(3, 0)]


def test_epoch_accepted_before_is_acknowledged_without_a_word_that_counts() -> None:
    bench = greeting(Recovered(6, 3))
    assert sent(bench.receive(3, LeaderInfo(6))) == [AckEpoch(-1, 0)]


def test_older_epoch_ends_the_connection() -> None:
    bench = greeting(Recovered(6, 3))
    bench.receive(3, LeaderInfo(5))
    assert lost(bench)


def test_refused_greeting_is_repeated_over_a_new_connection_and_given_up_in_the_end() -> None:
    """`connectToLeader`: 5 retries, 100 ms apart."""
    bench = greeting()
    numbers = [bench.connection_of[3]]
    for _ in range(5):
        assert bench.step(Received(3, numbers[-1], Fin())) == []
        (hello,) = [e for e in bench.after(100) if isinstance(e, Send) and e.connection]
        numbers.append(hello.connection)
    assert len(set(numbers)) == 6
    bench.step(Received(3, numbers[-1], Fin()))
    assert lost(bench)


def test_greeting_lost_with_its_link_is_repeated_when_the_link_opens() -> None:
    bench = greeting()
    assert bench.step(PeerLost(3)) == []
    bench.step(PeerConnected(3))
    (hello,) = [e for e in bench.after(0) if isinstance(e, Send) and e.connection]
    assert hello.message == FollowerInfo(0)
    assert hello.connection != bench.connection_of[3]


def test_link_lost_after_discovery_began_ends_the_connection() -> None:
    bench = greeting()
    bench.receive(3, LeaderInfo(1))
    bench.step(PeerLost(3))
    assert lost(bench)


def test_link_to_another_peer_does_not_matter() -> None:
    bench = following()
    assert bench.step(PeerLost(2)) == []
    assert not lost(bench)


# Synchronization.


def test_new_leader_is_acknowledged_only_when_the_epoch_is_on_disk() -> None:
    """`syncFollower`; the history before it is on disk too: first in, first out."""
    bench = greeting()
    bench.receive(3, LeaderInfo(EPOCH))
    bench.disk_answers = False
    bench.receive(3, Diff(FIRST.zxid))
    assert bench.receive(3, Proposal(FIRST)) == [Persist(FIRST)]
    bench.receive(3, Commit(FIRST.zxid))
    assert bench.receive(3, NEW_LEADER) == [PersistEpochs(EPOCH, EPOCH)]
    assert bench.persist(FIRST.zxid) == []
    answered = sent(bench.step(EpochsPersisted(EPOCH, EPOCH)))
    assert answered == [Ack(NEW_LEADER.zxid), Ack(FIRST.zxid)]


def test_answer_of_the_disk_to_an_earlier_role_acknowledges_nothing() -> None:
    """The same epochs were asked for twice: only the second answer covers the new history."""
    bench = greeting()
    bench.receive(3, LeaderInfo(EPOCH))
    bench.disk_answers = False
    bench.receive(3, Diff(0))
    bench.receive(3, NEW_LEADER)
    bench.step(PeerLost(3))
    bench.step(PeerConnected(3))
    (hello,) = [e for e in bench.elect(3, (2, 3)) if isinstance(e, Send) and e.connection]
    bench.connection_of[3] = hello.connection
    assert sent(bench.receive(3, LeaderInfo(EPOCH))) == [AckEpoch(-1, 0)]
    bench.receive(3, Diff(FIRST.zxid))
    bench.receive(3, Proposal(FIRST))
    bench.receive(3, NEW_LEADER)
    assert bench.step(EpochsPersisted(EPOCH, EPOCH)) == []
    bench.persist(FIRST.zxid)
    assert Ack(NEW_LEADER.zxid) in sent(bench.step(EpochsPersisted(EPOCH, EPOCH)))


def test_snapshot_replaces_state_and_disk() -> None:
    bench = greeting()
    bench.receive(3, LeaderInfo(EPOCH))
    donor = following()
    donor.receive(3, Proposal(FIRST))
    donor.receive(3, Commit(FIRST.zxid))
    snapshot: Snapshot = donor.member._replica.snapshot()
    bench.receive(3, Snap(snapshot))
    assert bench.member.digest() == donor.member.digest()
    assert bench.member.status().last_zxid == FIRST.zxid


def test_clients_are_served_only_from_up_to_date_on() -> None:
    bench = greeting()
    bench.receive(3, LeaderInfo(EPOCH))
    bench.receive(3, Diff(0))
    bench.receive(3, NEW_LEADER)
    assert bench.connect(5) == [CloseConnection(5)]
    bench.receive(3, UpToDate(NEW_LEADER.zxid))
    assert [m.kind for m in sent(bench.connect(6))] == ["REQUEST"]


# Broadcast.


def test_ack_leaves_only_after_persisted() -> None:
    """`SyncRequestProcessor`."""
    bench = following()
    assert bench.receive(3, Proposal(FIRST)) == [Persist(FIRST)]
    assert bench.receive(3, Proposal(SECOND)) == [Persist(SECOND)]
    assert sent(bench.persist(FIRST.zxid)) == [Ack(FIRST.zxid)]
    assert sent(bench.persist(SECOND.zxid)) == [Ack(SECOND.zxid)]


def test_commit_may_come_before_the_own_disk() -> None:
    """`SyncRequestProcessor`: a member may serve what it has not synced itself."""
    bench = following()
    bench.receive(3, Proposal(FIRST))
    bench.receive(3, Commit(FIRST.zxid))
    assert bench.member.status().last_zxid == FIRST.zxid
    assert sent(bench.persist(FIRST.zxid)) == [Ack(FIRST.zxid)]


def test_proposal_is_not_applied_before_its_commit() -> None:
    bench = following()
    bench.receive(3, Proposal(FIRST))
    bench.persist(FIRST.zxid)
    assert bench.member.status().last_zxid == 0


def test_commit_that_skips_a_proposal_stops_the_process() -> None:
    """`Leader.propose`."""
    bench = following()
    bench.receive(3, Proposal(FIRST))
    bench.receive(3, Proposal(SECOND))
    with pytest.raises(InvariantBroken, match=r"commit of 1:2 while 1:1 is next"):
        bench.receive(3, Commit(SECOND.zxid))


def test_observer_logs_and_applies_but_acknowledges_nothing() -> None:
    """`Observer`."""
    bench = following(sid=4, observers=(4,))
    assert bench.receive(3, Inform(FIRST)) == [Persist(FIRST)]
    assert bench.member.status().last_zxid == FIRST.zxid
    assert bench.persist(FIRST.zxid) == []


def test_packets_of_a_connection_given_up_are_ignored() -> None:
    bench = following()
    assert bench.step(Received(3, bench.connection_of[3] - 1, Proposal(FIRST))) == []
    assert bench.step(Received(2, bench.connection_of[3], Proposal(FIRST))) == []


def test_logged_proposals_count_as_history_in_the_next_election() -> None:
    """`FastLeaderElection`: votes name what is logged, committed or not."""
    bench = following()
    bench.receive(3, Proposal(FIRST))
    votes = [m for m in sent(bench.step(PeerLost(3)), 2) if isinstance(m, Notification)]
    assert [(vote.leader, vote.zxid) for vote in votes] == [(1, FIRST.zxid)]


# Sessions and syncs.


def test_ping_is_answered_with_what_was_touched_since_the_last() -> None:
    """`LearnerSessionTracker`; a new session is reported like a touched one."""
    bench = following()
    connection = with_session(bench)
    assert sent(bench.receive(3, Ping())) == [Ping(((SESSION, TIMEOUT_MS),))]
    assert sent(bench.receive(3, Ping())) == [Ping()]
    bench.submit(connection, 1, Create("/x", b""))
    assert sent(bench.receive(3, Ping())) == [Ping(((SESSION, TIMEOUT_MS),))]


def test_revalidation_is_the_leaders_alone() -> None:
    """`processConnectRequest`: this member's own map of sessions is not asked."""
    bench = following()
    assert sent(bench.connect(5, SESSION)) == [Revalidate(SESSION, TIMEOUT_MS)]
    assert bench.receive(3, Revalidated(SESSION, True)) == [
        ConnectReply(5, SESSION, TIMEOUT_MS, password_of(SESSION))
    ]


def test_verdict_overtakes_commits_that_are_on_their_way() -> None:
    """`processConnectRequest`: processed in the packet loop, behind no commit."""
    bench = following()
    bench.receive(3, Proposal(FIRST))
    bench.connect(5, SESSION)
    assert CloseConnection(5) in bench.receive(3, Revalidated(SESSION, False))
    assert bench.member.status().last_zxid == 0


def test_new_session_is_answered_only_when_applied_here() -> None:
    """`processConnectRequest`: hence behind every closeSession before it."""
    bench = following()
    (asked,) = sent(bench.connect(5))
    assert isinstance(asked, Request)
    assert asked.op == CreateSession(TIMEOUT_MS)
    created = txn(1, CreateSessionTxn(TIMEOUT_MS), session=asked.session_id)
    assert bench.receive(3, Proposal(created)) == [Persist(created)]
    bench.persist(created.zxid)
    (reply,) = bench.receive(3, Commit(created.zxid))
    assert reply == ConnectReply(5, asked.session_id, TIMEOUT_MS, password_of(asked.session_id))


def test_sync_is_answered_by_the_leaders_packet_alone() -> None:
    """`processSync`."""
    bench = following()
    connection = with_session(bench)
    assert sent(bench.submit(connection, 1, Sync("/"))) == [Request(SESSION, 1, Sync("/"))]
    assert replies(bench.receive(3, SyncPacket())) == [(1, 0)]


def test_sync_behind_a_write_waits_for_both() -> None:
    """First in, first out within a session, even if the sync's packet is first."""
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, Create("/a", b""))
    bench.submit(connection, 2, Sync("/"))
    assert replies(bench.receive(3, SyncPacket())) == []
    created = txn(2, CreateTxn("/a", b"", False, 1))
    created.cxid = 1
    bench.receive(3, Proposal(created))
    assert replies(bench.receive(3, Commit(created.zxid))) == [(1, 0), (2, 0)]


# Liveness.


def test_silent_leader_is_given_up_after_sync_limit_and_clients_are_closed_first() -> None:
    """`Leader.lead`."""
    bench = following()
    connection = with_session(bench)
    assert bench.after(4 * TICK_MS - TICK_MS / 2) == []
    effects = bench.after(TICK_MS)
    assert effects[0] == CloseConnection(connection)
    assert effects[1] == Send(3, bench.connection_of[3], Fin())
    assert lost(bench)


def test_resumed_follower_reads_what_was_sent_before_it_judges() -> None:
    """A pause is one half tick to it, however long."""
    bench = following()
    bench.now_ms += 60 * TICK_MS
    bench.after(0)
    assert not lost(bench)


def test_leader_out_of_protocol_loses_its_follower() -> None:
    bench = following()
    bench.receive(3, Ack(1))
    assert lost(bench)
