"""Roles and what all of them share."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nodes.core.effects import CloseConnection
from nodes.core.events import (
    ClosingHeld,
    ConnectionLost,
    DeadlineReached,
    Event,
    ExpireRequested,
    PeerConnected,
    PeerLost,
    Persisted,
    Received,
    SnapshotPersisted,
    Submitted,
)
from nodes.core.member import Member
from nodes.core.messages import Commit, Fin, Ping, Proposal, ServerState
from nodes.core.requests import Exists
from nodes.core.txns import CheckTxn, Recovered
from nodes.core.zxid import make_zxid

from .bench import EPOCH, SESSION, following, leading, looking, make_config, sent, txn
from .network import Network


def test_member_that_looks_has_no_client() -> None:
    """`Leader.lead`: new connections are closed until it serves again."""
    bench = looking()
    assert bench.connect(5) == [CloseConnection(5)]
    assert bench.submit(5, 1, Exists("/")) == []
    assert bench.step(ConnectionLost(5)) == []


def test_status_tells_state_and_phase() -> None:
    assert (looking().member.status().state, looking().member.status().phase) == (
        ServerState.LOOKING,
        "ELECTION",
    )
    follower, leader = following().member.status(), leading().member.status()
    assert (follower.state, follower.phase, follower.leader) == (
        ServerState.FOLLOWING,
        "BROADCAST",
        3,
    )
    assert (leader.state, leader.phase, leader.leader) == (ServerState.LEADING, "BROADCAST", 3)


def test_late_answers_of_the_disk_are_taken_in_every_role() -> None:
    for bench in (looking(), following(), leading()):
        before = bench.member.status()
        assert bench.step(Persisted(1)) == []
        assert bench.step(SnapshotPersisted(1)) == []
        assert bench.member.status() == before


def test_expiry_is_the_leaders_alone() -> None:
    """Nothing is decided about a global session by a follower."""
    bench = following()
    assert bench.step(ExpireRequested(SESSION)) == []


def test_stall_of_the_expiry_thread_outlives_a_change_of_role() -> None:
    bench = looking(3, voters=(3,))
    bench.step(ClosingHeld())
    bench.after(200)
    assert bench.member.status().closing_is_held
    bench.connect(5)
    bench.persist(bench.member.status().last_logged_zxid)
    bench.after(3000)
    assert bench.member.status().closing_sessions == 1
    assert bench.member.status().outstanding_proposals == 0


def test_events_that_arrive_together_do_what_they_do_one_by_one() -> None:
    """Also where one of them ends the role: the ones behind it find the next role."""
    epoch_zxid = make_zxid(EPOCH, 0)
    arrived: list[Event] = [
        Received(3, 0, Ping()),
        *(Received(3, 0, Proposal(txn(n, CheckTxn("/a")))) for n in (1, 2, 3)),
        *(Persisted(epoch_zxid + n) for n in (1, 2, 3)),
        *(Received(3, 0, Commit(epoch_zxid + n)) for n in (1, 2)),
        Submitted(5, 1, Exists("/")),
        PeerLost(3),
        Submitted(5, 2, Exists("/")),
        PeerConnected(3),
    ]
    apart, together = following(), following()
    for bench in (apart, together):
        bench.connect(5)
    connection = apart.member._role.connection  # type: ignore[union-attr]
    events = [
        replace(event, connection=connection) if isinstance(event, Received) else event
        for event in arrived
    ]
    one_by_one = [e for event in events for e in apart.member.step(event, apart.now_ms)]
    assert together.member.steps(events, together.now_ms) == one_by_one
    assert together.member.status() == apart.member.status()
    assert apart.member.status().state is ServerState.LOOKING


def test_deadline_lies_ahead_once_it_was_reached() -> None:
    """Else a shell would spin."""
    for bench in (looking(), following(), leading()):
        for _ in range(20):
            bench.now_ms = max(bench.now_ms, bench.member.deadline())
            bench.step(DeadlineReached())
            assert bench.member.deadline() > bench.now_ms


def test_connection_numbers_of_a_restarted_member_are_new() -> None:
    """Packets of its earlier life may still be on their way."""
    numbers = []
    for start_ms in (1000.0, 61_000.0):
        bench = looking()
        bench.member = Member(make_config(1), Recovered())
        bench.now_ms = start_ms
        bench.boot()
        bench.elect(3, (2, 3))
        numbers.append(bench.member._role.connection)  # type: ignore[union-attr]
    assert numbers[0] < numbers[1]


def test_learner_says_goodbye_to_a_leader_it_gives_up() -> None:
    bench = following()
    assert Fin() in sent(bench.after(2000), 3)


@given(st.lists(st.sampled_from([50, 130, 600]), max_size=8))
def test_same_events_give_the_same_effects(lengths: list[int]) -> None:
    """Byte for byte: nothing but the events and their instants is looked at."""
    seen = []
    for _ in range(2):
        effects: list[str] = []
        network = Network(make_config(0))
        network.on_effects = lambda sid, got, to=effects: to.append(f"{sid} {got}")  # type: ignore[misc]
        for sid in network.sids:
            network.start(sid)
        for length_ms in lengths:
            network.run(length_ms)
            for sid, member in network.members.items():
                if member.status().is_serving:
                    network.connect(sid, len(effects), 500)
        seen.append(effects)
    assert seen[0] == seen[1]
