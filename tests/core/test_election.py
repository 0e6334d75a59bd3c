"""Fast leader election (`FastLeaderElection`)."""

from __future__ import annotations

import pytest

from nodes.core.effects import Send
from nodes.core.election import Vote
from nodes.core.events import PeerConnected
from nodes.core.messages import Notification, ServerState
from nodes.core.txns import Recovered

from .bench import Bench, leading, looking, sent

LOOKING, FOLLOWING, LEADING = ServerState.LOOKING, ServerState.FOLLOWING, ServerState.LEADING


def vote(
    leader: int, *, zxid: int = 0, clock: int = 1, peer_epoch: int = 0, state: ServerState = LOOKING
) -> Notification:
    """A notification, from whoever sends it."""
    return Notification(state, leader, zxid, clock, peer_epoch)


def told(bench: Bench, peer: int, message: Notification) -> set[tuple[int, int]]:
    """What the member tells whom, as (peer, leader it votes for)."""
    effects = bench.receive(peer, message)
    return {
        (e.peer, e.message.leader)
        for e in effects
        if isinstance(e, Send) and isinstance(e.message, Notification)
    }


def state_after_waiting(bench: Bench) -> tuple[str, int | None]:
    bench.after(200)
    status = bench.member.status()
    return status.state.name, status.leader


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Vote(1, 0, 0, 2), Vote(3, 99, 0, 1)),
        (Vote(1, 2, 0, 1), Vote(3, 1, 0, 1)),
        (Vote(3, 1, 0, 1), Vote(1, 1, 0, 1)),
    ],
)
def test_order_of_votes_is_epoch_then_zxid_then_sid(better: Vote, worse: Vote) -> None:
    """`totalOrderPredicate`."""
    assert better.is_better_than(worse)
    assert not worse.is_better_than(better)
    assert not better.is_better_than(better)


def test_votes_outside_looking_agree_whatever_their_zxid_and_clock() -> None:
    """ZOOKEEPER-1805."""
    assert Vote(3, 5, 1, 1, LEADING).agrees_with(Vote(3, 9, 7, 1, FOLLOWING))
    assert not Vote(3, 5, 1, 1, LEADING).agrees_with(Vote(3, 5, 1, 2, FOLLOWING))
    assert not Vote(3, 5, 1, 1, LEADING).agrees_with(Vote(3, 9, 1, 1, LOOKING))


def test_better_vote_is_adopted_and_told_to_all_voters() -> None:
    assert told(looking(1), 2, vote(2)) == {(2, 2), (3, 2)}


def test_worse_vote_of_this_round_changes_nothing() -> None:
    bench = looking(2)
    assert told(bench, 1, vote(1)) == set()


def test_vote_of_an_earlier_round_is_answered_and_not_counted() -> None:
    bench = looking(1)
    told(bench, 2, vote(1, clock=5))
    assert told(bench, 3, vote(1, clock=4)) == {(3, 1)}
    assert state_after_waiting(bench) == ("LEADING", 1)


def test_later_round_forgets_the_votes_of_this_one() -> None:
    bench = looking(1)
    told(bench, 2, vote(3))
    assert told(bench, 3, vote(1, clock=2)) == {(2, 1), (3, 1)}
    assert bench.member._election.clock == 2


def test_quorum_decides_only_after_finalize_wait() -> None:
    """A better vote may be on its way: 200 ms."""
    bench = looking(1)
    told(bench, 2, vote(2))
    bench.after(199)
    assert bench.member.status().state is LOOKING
    bench.after(1)
    assert bench.member.status().leader == 2


def test_better_vote_reopens_a_decided_election() -> None:
    bench = looking(1)
    told(bench, 2, vote(2))
    bench.after(150)
    told(bench, 3, vote(3))
    bench.after(199)
    assert bench.member.status().state is LOOKING
    bench.after(1)
    assert bench.member.status().leader == 3


def test_minority_never_decides() -> None:
    bench = looking(1, voters=(1, 2, 3, 4, 5))
    told(bench, 2, vote(2))
    bench.after(5000)
    assert bench.member.status().state is LOOKING


def test_single_member_elects_itself() -> None:
    bench = looking(1, voters=(1,))
    assert state_after_waiting(bench) == ("LEADING", 1)
    assert bench.member.status().is_serving


def test_observers_vote_never_counts() -> None:
    bench = looking(1, voters=(1, 2, 3), observers=(4, 5))
    told(bench, 4, vote(1))
    told(bench, 5, vote(1))
    bench.after(1000)
    assert bench.member.status().state is LOOKING


def test_vote_for_a_member_that_has_no_vote_is_ignored() -> None:
    bench = looking(1, observers=(4,))
    assert told(bench, 2, vote(4, zxid=99)) == set()


def test_observer_learns_the_leader_from_voters() -> None:
    bench = looking(4, observers=(4,))
    told(bench, 1, vote(2))
    told(bench, 2, vote(2))
    assert state_after_waiting(bench) == ("OBSERVING", 2)


def test_joiner_needs_a_quorum_and_the_leaders_own_word() -> None:
    """`checkLeader`: followers may not have noticed yet that their leader is gone."""
    bench = looking(1, voters=(1, 2, 3, 4, 5))
    for peer in (2, 4, 5):
        told(bench, peer, vote(3, clock=9, peer_epoch=6, state=FOLLOWING))
    assert bench.member.status().state is LOOKING
    told(bench, 3, vote(3, clock=9, peer_epoch=6, state=LEADING))
    assert bench.member.status().leader == 3
    assert bench.member._election.clock == 9


def test_leaders_word_alone_is_not_enough() -> None:
    bench = looking(1)
    told(bench, 3, vote(3, clock=9, peer_epoch=6, state=LEADING))
    assert bench.member.status().state is LOOKING


def test_silence_is_answered_by_resending_ever_more_rarely() -> None:
    """From 200 ms on, doubling."""
    bench = looking(1)
    counts = [len(sent(bench.after(length), 2)) for length in (200, 399, 1, 799, 1)]
    assert counts == [1, 0, 1, 0, 1]


def test_last_logged_zxid_and_current_epoch_are_the_first_vote() -> None:
    bench = looking(2, Recovered(accepted_epoch=7, current_epoch=6))
    first = [m for m in sent(bench.step(PeerConnected(1))) if isinstance(m, Notification)]
    assert first == [Notification(LOOKING, 2, 0, 1, 6)]


def test_member_with_a_role_answers_those_who_look() -> None:
    bench = leading()
    assert sent(bench.receive(1, vote(1, clock=3)), 1) == [
        Notification(LEADING, 3, 1 << 62, bench.member._election.clock, 1)
    ]
    assert bench.receive(1, vote(1, state=FOLLOWING)) == []


def test_vote_is_told_again_when_a_link_opens() -> None:
    """What was sent last may be lost with the old link (`QuorumCnxManager`)."""
    assert [m.kind for m in sent(leading().step(PeerConnected(1)), 1)] == ["NOTIFICATION"]


def test_link_that_opens_makes_a_looking_member_ask_soon_again() -> None:
    """Otherwise a member that looked for long would find the new leader up to a minute later."""
    bench = looking(1)
    for length in (200, 400, 800, 1600):
        bench.after(length)
    assert sent(bench.after(1000), 2) == []
    assert len(sent(bench.step(PeerConnected(3)), 3)) == 1
    assert [len(sent(bench.after(length), 2)) for length in (199, 1, 399, 1)] == [0, 1, 0, 1]
