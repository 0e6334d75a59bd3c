"""Leading: discovery, broadcast, liveness and the fate of sessions."""

from __future__ import annotations

import pytest

from nodes.core.effects import CloseConnection, ConnectReply, Effect, Persist, PersistEpochs, Send
from nodes.core.events import (
    ClosingHeld,
    ClosingReleased,
    EpochsPersisted,
    ExpireRequested,
    PeerConnected,
    PeerLost,
    Received,
)
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
    Ping,
    Proposal,
    Request,
    Revalidate,
    Revalidated,
    ServerState,
    SyncPacket,
    Trunc,
    UpToDate,
)
from nodes.core.requests import EPHEMERAL, CloseSession, Create, CreateSession, Exists, Sync
from nodes.core.sessions import NO_PASSWORD
from nodes.core.txns import CloseSessionTxn, CreateSessionTxn, Recovered
from nodes.core.zxid import MAX_COUNTER, make_zxid

from .bench import (
    EPOCH,
    OTHER,
    SESSION,
    TICK_MS,
    TIMEOUT_MS,
    Bench,
    leading,
    looking,
    replies,
    sent,
    txn,
    verdicts,
)

Z1, Z2, Z3 = (make_zxid(EPOCH, counter) for counter in (1, 2, 3))


def request(session: int = SESSION, cxid: int = 1, path: str = "/a") -> Request:
    """A learner forwards its client's create."""
    return Request(session, cxid, Create(path, b""))


def with_session(bench: Bench, owner: int = 2) -> Bench:
    """A session that a client of the follower `owner` opened, committed."""
    bench.receive(owner, Request(SESSION, 0, CreateSession(TIMEOUT_MS)))
    commit(bench)
    return bench


def commit(bench: Bench) -> list[Effect]:
    """Let the leader and one follower acknowledge everything outstanding."""
    effects: list[Effect] = []
    broadcast = bench.member._role.broadcast  # type: ignore[union-attr]
    for zxid in list(broadcast.outstanding):  # type: ignore[union-attr]
        effects += bench.persist(zxid)
        effects += bench.receive(2, Ack(zxid))
    return effects


# Discovery.


def elected() -> Bench:
    bench = looking(3, Recovered(accepted_epoch=4, current_epoch=4))
    bench.disk_answers = False
    bench.elect(3, (1, 2))
    return bench


def test_epoch_is_newer_than_all_that_a_quorum_has_accepted() -> None:
    """`registerWithLeader`."""
    bench = elected()
    assert bench.greet(2, 22, accepted=6) == [PersistEpochs(7, 4)]


def test_epoch_is_announced_only_when_the_leaders_own_promise_is_on_disk() -> None:
    bench = elected()
    bench.greet(2, 22, accepted=6)
    assert bench.step(EpochsPersisted(7, 4)) == [Send(2, 22, LeaderInfo(7))]


def test_epoch_acknowledged_before_does_not_count() -> None:
    """`registerWithLeader`: -1."""
    bench = elected()
    bench.greet(2, 22)
    bench.step(EpochsPersisted(5, 4))
    assert bench.receive(2, AckEpoch(-1, 0)) == []
    bench.greet(1, 11)
    assert PersistEpochs(5, 5) in bench.receive(1, AckEpoch(4, 0))


@pytest.mark.parametrize("theirs", [AckEpoch(5, 0), AckEpoch(4, 1)])
def test_newer_history_of_a_follower_ends_the_leadership(theirs: AckEpoch) -> None:
    """`registerWithLeader`: leading on would erase what may be committed."""
    bench = elected()
    bench.greet(2, 22, accepted=4)
    bench.step(EpochsPersisted(5, 4))
    bench.receive(2, theirs)
    assert bench.member.status().state is ServerState.LOOKING


def test_leader_makes_way_for_a_voter_that_has_promised_a_newer_epoch() -> None:
    """Nobody else would let it follow again; the next epoch is newer than its promise."""
    bench = leading()
    effects = bench.greet(1, 12, accepted=9)
    assert PersistEpochs(9, 1) in effects
    assert Send(1, 12, Fin()) in effects
    assert bench.member.status().state is ServerState.LOOKING


def test_leader_does_not_make_way_for_an_observer() -> None:
    bench = leading(observers=(4,))
    bench.step(PeerConnected(4))
    assert bench.greet(4, 41, accepted=9, observes=True) == [Send(4, 41, LeaderInfo(1))]
    assert bench.member.status().state is ServerState.LEADING


def test_leader_serves_only_with_its_own_term_on_disk() -> None:
    bench = elected()
    bench.greet(2, 22)
    bench.step(EpochsPersisted(5, 4))
    bench.receive(2, AckEpoch(4, 0))
    bench.receive(2, Ack(make_zxid(5, 0)))
    assert not bench.member.status().is_serving
    assert Send(2, 22, UpToDate(make_zxid(5, 0))) in bench.step(EpochsPersisted(5, 5))
    assert bench.member.status().is_serving


def test_candidate_without_a_quorum_gives_up_after_init_limit() -> None:
    bench = elected()
    bench.after(10 * TICK_MS - 1)
    assert bench.member.status().state is ServerState.LEADING
    bench.after(TICK_MS)
    assert bench.member.status().state is ServerState.LOOKING


def test_greeting_of_a_new_connection_replaces_the_old_one_without_a_word() -> None:
    """A Fin might be taken for an answer to the new greeting."""
    bench = leading()
    effects = bench.greet(2, 99)
    assert effects == [Send(2, 99, LeaderInfo(EPOCH))]
    assert bench.step(Received(2, 22, Ack(Z1))) == []


def test_greeting_that_cannot_be_answered_is_refused_when_it_can() -> None:
    bench = leading()
    bench.step(PeerLost(1))
    assert bench.greet(1, 11) == []
    assert Send(1, 11, Fin()) in bench.step(PeerConnected(1))


def test_learner_whose_link_broke_is_told_when_the_link_is_back() -> None:
    bench = leading()
    assert bench.step(PeerLost(2)) == []
    assert Send(2, 22, Fin()) in bench.step(PeerConnected(2))


def test_member_that_does_not_lead_refuses_a_greeting() -> None:
    bench = looking(3)
    assert bench.step(Received(1, 7, FollowerInfo(0))) == [Send(1, 7, Fin())]


# Synchronization.


def test_joining_follower_gets_what_is_outstanding_before_new_leader() -> None:
    """`syncFollower`: history, then proposals, then NEWLEADER."""
    bench = leading()
    bench.receive(2, request())
    bench.greet(1, 11)
    kinds = [m.kind for m in sent(bench.receive(1, AckEpoch(0, make_zxid(EPOCH, 0))))]
    assert kinds == ["DIFF", "PROPOSAL", "NEWLEADER"]


def test_joining_observer_gets_no_proposal() -> None:
    bench = leading(observers=(4,))
    bench.receive(2, request())
    bench.greet(4, 44, observes=True)
    packets = sent(bench.receive(4, AckEpoch(0, make_zxid(EPOCH, 0))))
    assert packets == [Diff(make_zxid(EPOCH, 0)), NewLeader(make_zxid(EPOCH, 0))]


def test_acknowledgement_of_a_proposal_that_is_truncated_again_counts_no_more() -> None:
    """TRUNC takes off the follower's disk what it had acknowledged over an earlier connection."""
    bench = leading()
    bench.receive(2, request())
    bench.receive(2, Ack(Z1))
    bench.greet(2, 99)
    assert sent(bench.receive(2, AckEpoch(-1, Z1)))[0] == Trunc(make_zxid(EPOCH, 0))
    assert bench.persist(Z1) == []
    assert Commit(Z1) in sent(bench.receive(2, Ack(Z1)))


def test_second_acknowledgement_of_the_epoch_does_not_synchronize_again() -> None:
    bench = leading()
    bench.greet(1, 11)
    bench.receive(1, AckEpoch(0, make_zxid(EPOCH, 0)))
    assert bench.receive(1, AckEpoch(0, make_zxid(EPOCH, 0))) == []


# Broadcast.


def test_proposal_is_logged_and_sent_before_anybody_acknowledges() -> None:
    bench = leading()
    logged, proposed = bench.receive(2, request())
    assert isinstance(logged, Persist)
    assert proposed == Send(2, 22, Proposal(logged.txn))
    assert logged.txn.zxid == Z1


def test_commit_needs_a_majority_of_voters() -> None:
    """`Leader.propose`, `tryToCommit`."""
    bench = leading(voters=(1, 2, 3, 4, 5))
    bench.join(1, 11, zxid=make_zxid(EPOCH, 0))
    bench.receive(2, request())
    assert bench.persist(Z1) == []
    assert bench.receive(1, Ack(Z1)) == []
    assert Commit(Z1) in sent(bench.receive(2, Ack(Z1)), 1)


def test_leaders_own_disk_is_not_required() -> None:
    """`Leader.propose`, `tryToCommit`: any quorum commits."""
    bench = leading()
    bench.join(1, 11, zxid=make_zxid(EPOCH, 0))
    bench.receive(2, request())
    bench.receive(1, Ack(Z1))
    assert Commit(Z1) in sent(bench.receive(2, Ack(Z1)))


def test_same_follower_twice_is_no_quorum() -> None:
    bench = leading()
    bench.receive(2, request())
    assert bench.receive(2, Ack(Z1)) == bench.receive(2, Ack(Z1)) == []


def test_observer_ack_never_counts() -> None:
    """`Observer`."""
    bench = leading(observers=(4,))
    bench.join(4, 44, zxid=make_zxid(EPOCH, 0), observes=True)
    bench.receive(2, request())
    bench.persist(Z1)
    assert bench.receive(4, Ack(Z1)) == []


def test_observer_is_informed_of_what_followers_are_told_to_commit() -> None:
    """`Leader.propose`, `tryToCommit`: INFORM carries the transaction."""
    bench = leading(observers=(4,))
    bench.join(4, 44, zxid=make_zxid(EPOCH, 0), observes=True)
    logged = bench.receive(2, request())[0]
    assert isinstance(logged, Persist)
    assert sent(commit(bench)) == [Commit(Z1), Inform(logged.txn)]


def test_later_proposal_never_overtakes_an_earlier_one() -> None:
    bench = leading()
    bench.receive(2, request(path="/a"))
    bench.receive(2, request(path="/b"))
    bench.persist(Z1)
    bench.persist(Z2)
    assert bench.receive(2, Ack(Z2)) == []
    assert sent(bench.receive(2, Ack(Z1))) == [Commit(Z1), Commit(Z2)]


def test_acknowledgement_over_a_connection_given_up_is_ignored() -> None:
    bench = leading()
    bench.receive(2, request())
    bench.persist(Z1)
    assert bench.step(Received(2, 21, Ack(Z1))) == []


def test_late_answer_of_the_disk_of_an_earlier_role_commits_nothing() -> None:
    bench = leading()
    bench.receive(2, request())
    bench.receive(2, Ack(Z1))
    bench.step(PeerLost(2))
    bench.after(TICK_MS)
    assert bench.member.status().state is ServerState.LOOKING
    assert bench.persist(Z1) == []


def test_last_counter_of_an_epoch_ends_the_leadership() -> None:
    """`ZxidUtils`, ZOOKEEPER-1277."""
    bench = leading()
    broadcast = bench.member._role.broadcast  # type: ignore[union-attr]
    broadcast._next_zxid = make_zxid(EPOCH, MAX_COUNTER - 2)  # type: ignore[union-attr]
    assert Persist in {type(e) for e in bench.receive(2, request())}
    assert bench.member.status().state is ServerState.LEADING
    assert Persist not in {type(e) for e in bench.receive(2, request())}
    assert bench.member.status().state is ServerState.LOOKING


# sync().


def test_sync_through_a_follower_waits_for_outstanding_proposals() -> None:
    """`Leader.processSync`: behind the COMMIT of the last one proposed."""
    bench = leading()
    bench.receive(2, request(path="/a"))
    bench.receive(2, request(path="/b"))
    assert bench.receive(2, Request(SESSION, 9, Sync("/"))) == []
    bench.persist(Z1)
    bench.persist(Z2)
    assert sent(bench.receive(2, Ack(Z1))) == [Commit(Z1)]
    assert sent(bench.receive(2, Ack(Z2))) == [Commit(Z2), SyncPacket()]


def test_sync_with_nothing_outstanding_is_answered_at_once() -> None:
    bench = leading()
    assert sent(bench.receive(2, Request(SESSION, 9, Sync("/")))) == [SyncPacket()]


def test_sync_of_a_learner_that_is_gone_is_forgotten() -> None:
    bench = leading()
    bench.join(1, 11, zxid=make_zxid(EPOCH, 0))
    bench.receive(1, request())
    bench.receive(1, Request(SESSION, 9, Sync("/")))
    bench.greet(1, 12)
    assert SyncPacket() not in sent(commit(bench))


def test_sync_on_the_leader_is_no_barrier() -> None:
    """`Leader.processSync`: it passes like a read."""
    bench = with_session(leading())
    bench.connect(5, SESSION)
    bench.receive(2, request(OTHER))
    assert replies(bench.submit(5, 1, Sync("/"))) == [(1, 0)]


# Sessions.


def test_expired_verdict_precedes_the_commit() -> None:
    """`setSessionClosing`: marked is expired to everybody who asks, here or through a follower."""
    bench = with_session(leading())
    bench.step(ExpireRequested(SESSION))
    assert bench.receive(2, Revalidate(SESSION, TIMEOUT_MS)) == [
        Send(2, 22, Revalidated(SESSION, False))
    ]
    assert bench.connect(5, SESSION) == [ConnectReply(5, 0, 0, NO_PASSWORD), CloseConnection(5)]
    assert bench.member.status().outstanding_proposals == 1


def test_held_thread_has_marked_but_proposed_nothing() -> None:
    """Window W0."""
    bench = with_session(leading())
    bench.step(ClosingHeld())
    assert bench.step(ExpireRequested(SESSION)) == []
    assert verdicts(bench.connect(5, SESSION)) == [(5, False)]
    logged = bench.step(ClosingReleased())[0]
    assert isinstance(logged, Persist)
    assert logged.txn.body == CloseSessionTxn(())


def test_ephemeral_of_a_proposed_close_is_gone_for_writers_at_once() -> None:
    """Window W1: writes are validated against the outstanding changes."""
    bench = with_session(leading())
    bench.receive(2, Request(SESSION, 1, Create("/e", b"", EPHEMERAL)))
    commit(bench)
    bench.receive(2, Request(OTHER, 0, CreateSession(TIMEOUT_MS)))
    bench.step(ExpireRequested(SESSION))
    bodies = [
        e.txn.body.type
        for e in bench.receive(2, Request(OTHER, 1, Create("/e", b"")))
        if isinstance(e, Persist)
    ]
    assert bodies == ["create"]
    assert bench.member._replica.tree.find("/e") is not None


def test_request_of_a_closing_session_on_the_leader_is_dropped() -> None:
    """`setSessionClosing`: no reply, and the connection closes when the closing is applied."""
    bench = with_session(leading())
    bench.connect(5, SESSION)
    bench.step(ExpireRequested(SESSION))
    assert bench.submit(5, 1, Exists("/")) == []
    assert CloseConnection(5) in commit(bench)


def test_session_expires_a_tick_after_its_timeout_at_the_latest() -> None:
    """`ExpiryQueue`: (T, T + tick] after the last touch seen by the leader."""
    bench = with_session(leading())
    start_ms = bench.now_ms
    for _ in range(TIMEOUT_MS // 50):
        bench.after(50)
        bench.receive(2, Ping())
    assert bench.member.status().closing_sessions == 0
    bench.now_ms = start_ms + TIMEOUT_MS + TICK_MS
    bench.after(0)
    assert bench.member.status().closing_sessions == 1


def test_touch_that_a_follower_reports_keeps_the_session() -> None:
    """`LearnerSessionTracker`."""
    bench = with_session(leading())
    for _ in range(3 * TIMEOUT_MS // 50):
        bench.after(50)
        bench.receive(2, Ping(((SESSION, TIMEOUT_MS),)))
    assert bench.member.status().closing_sessions == 0


def test_forwarded_request_does_not_touch() -> None:
    """`LearnerSessionTracker`."""
    bench = with_session(leading())
    for _ in range((TIMEOUT_MS + 2 * TICK_MS) // 50):
        bench.after(50)
        bench.receive(2, request())
        commit(bench)
    assert bench.member.status().global_sessions == 0


def test_new_leader_gives_every_session_a_full_timeout() -> None:
    """`LeaderSessionTracker`."""
    recovered = Recovered(1, 1, None, (txn(1, CreateSessionTxn(500), session=SESSION, epoch=1),))
    bench = looking(3, recovered, voters=(3,))
    bench.now_ms += 5000
    bench.after(200)
    bench.step(EpochsPersisted(2, 1))
    assert bench.member.status().is_serving
    assert bench.member.status().global_sessions == 1
    # It serves since 200 ms.
    bench.after(300)
    assert bench.member.status().closing_sessions == 0
    bench.after(TICK_MS)
    assert bench.member.status().closing_sessions == 1


def test_session_moves_with_its_revalidation() -> None:
    """`checkSession`: writes over the old owner are refused as moved."""
    bench = with_session(leading())
    bench.join(1, 11, zxid=make_zxid(EPOCH, 1))
    bench.receive(1, Revalidate(SESSION, TIMEOUT_MS))
    assert _type_of(bench.receive(2, request())) == "error"
    assert _type_of(bench.receive(1, request())) == "create"


def test_session_moved_closes_the_connection() -> None:
    """`checkSession`: on the leader even a read gets EOF; -118 is never told."""
    bench = with_session(leading())
    bench.connect(5, SESSION)
    bench.receive(2, Revalidate(SESSION, TIMEOUT_MS))
    assert bench.submit(5, 1, Exists("/")) == [CloseConnection(5)]


def test_reconnected_learner_does_not_own_its_sessions_any_more() -> None:
    """`checkSession`: its handler is another object."""
    bench = with_session(leading())
    bench.join(2, 99, zxid=Z1)
    assert _type_of(bench.receive(2, request())) == "error"
    bench.receive(2, Revalidate(SESSION, TIMEOUT_MS))
    assert _type_of(bench.receive(2, request())) == "create"


def test_close_of_a_client_marks_its_session_when_it_is_proposed() -> None:
    bench = with_session(leading())
    bench.receive(2, Request(SESSION, 7, CloseSession()))
    assert bench.member.status().closing_sessions == 1
    assert _type_of(bench.receive(2, request())) == "error"


def _type_of(effects: list[Effect]) -> str:
    """The type of the transaction that is proposed."""
    (logged,) = [e for e in effects if isinstance(e, Persist)]
    return logged.txn.body.type


# Liveness.


def test_leader_pings_every_half_tick() -> None:
    """`Leader.lead`."""
    bench = leading()
    assert sum(isinstance(m, Ping) for m in sent(bench.after(3 * TICK_MS))) == 6


def test_silent_quorum_ends_the_leadership_after_sync_limit() -> None:
    """`Leader.lead`: about syncLimit ticks, plus up to one; until then it serves."""
    bench = leading()
    bench.after(4 * TICK_MS - TICK_MS / 2)
    assert bench.member.status().is_serving
    bench.after(1.5 * TICK_MS)
    assert bench.member.status().state is ServerState.LOOKING


def test_resumed_leader_reads_what_was_sent_before_it_judges() -> None:
    """A pause is one half tick to it, however long."""
    bench = leading()
    bench.now_ms += 60 * TICK_MS
    bench.after(0)
    assert bench.member.status().state is ServerState.LEADING
    bench.receive(2, Ping())
    bench.after(3 * TICK_MS)
    assert bench.member.status().state is ServerState.LEADING


def test_follower_that_acknowledges_nothing_is_dropped() -> None:
    """`Leader.lead`, `SyncLimitCheck`: pings alone do not save it."""
    bench = leading()
    bench.join(1, 11, zxid=make_zxid(EPOCH, 0))
    bench.receive(2, request())
    for _ in range(9):
        bench.receive(2, Ack(Z1))
        bench.receive(1, Ping())
        bench.after(TICK_MS / 2)
    assert bench.member.status().synced_learners == (2,)


def test_clients_are_closed_before_learners_when_the_leader_steps_down() -> None:
    """`Leader.lead`."""
    bench = with_session(leading())
    bench.connect(5, SESSION)
    bench.join(1, 11, zxid=Z1)
    for _ in range(9):
        effects = bench.after(TICK_MS / 2)
        if CloseConnection(5) in effects:
            break
    assert not bench.member.status().is_serving


def test_single_member_commits_on_its_own_disk() -> None:
    bench = looking(1, voters=(1,))
    bench.after(200)
    connect = bench.connect(5)
    assert [type(e) for e in connect] == [Persist]
    assert verdicts(bench.persist(Z1)) == [(5, True)]
