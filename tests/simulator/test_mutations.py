"""A core that is broken on purpose: the judge must say so, and by the right name.

Each mutation breaks one rule, here and nowhere else; then the same seeds that an unbroken core
passes are played until one is violated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import pytest

from nodes.core import broadcast, leader
from nodes.core.commit import ClientRequest, Connection
from nodes.core.handler import LearnerHandler
from nodes.core.learner import Learner
from nodes.core.messages import Ack, Message, Proposal
from nodes.core.replica import Replica
from nodes.core.requests import CreateSession
from nodes.core.server import Server
from orchestrator.simulator.faults import Fault
from orchestrator.simulator.invariants import Invariant
from orchestrator.simulator.judge import Judge
from orchestrator.simulator.run import Outcome, Plan, make_plan, run_plan
from orchestrator.simulator.world import Surroundings

SEEDS = range(20)
KINDS = ("crash", "power", "orphan", "hold", "isolate", "disk", "stall", "move")

Mutation = Callable[[pytest.MonkeyPatch], None]


def ack_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    """A follower acknowledges what it has only asked its disk to write."""
    on_message = Learner.on_message

    def on_message_eagerly(self: Learner, peer: int, connection: int, message: Message) -> None:
        on_message(self, peer, connection, message)
        if type(message) is Proposal and self._is_acknowledging:
            self._persisted_zxid = message.txn.zxid
            self._acknowledge()

    patch.setattr(Learner, "on_message", on_message_eagerly)


def commit_by_a_minority(patch: pytest.MonkeyPatch) -> None:
    """Two members' disks are enough, however many voters there are; in a trio, one."""

    def is_minority(sids: Collection[int], voters: Collection[int]) -> bool:
        return 2 * len(sids) >= len(voters) - 1

    patch.setattr(broadcast, "is_quorum", is_minority)


def observer_counted(patch: pytest.MonkeyPatch) -> None:
    """An observer gets proposals, acknowledges them, and is counted like a voter."""

    def handler(sid: int, connection: int, is_voter: bool, heard_at: int) -> LearnerHandler:
        return LearnerHandler(sid, connection, True, heard_at)

    def is_crowd(sids: Collection[int], voters: Collection[int]) -> bool:
        return 2 * len(sids) > len(voters)

    def acknowledge(self: Learner) -> None:
        while self._unacknowledged and self._unacknowledged[0][0] <= self._persisted_zxid:
            self._send(Ack(*self._unacknowledged.popleft()))

    patch.setattr(leader, "LearnerHandler", handler)
    patch.setattr(broadcast, "is_quorum", is_crowd)
    patch.setattr(Learner, "_acknowledge", acknowledge)


def trunc_skipped(patch: pytest.MonkeyPatch) -> None:
    """A member that is told to cut its log keeps it."""

    def truncate(self: Replica, zxid: int) -> None:
        """Do nothing."""

    patch.setattr(Replica, "truncate", truncate)


def expiry_by_a_follower(patch: pytest.MonkeyPatch) -> None:
    """A follower calls a session expired that it has not heard from for its timeout."""
    touched: dict[tuple[int, int], float] = {}
    touch = Learner.touch

    def touch_and_remember(self: Learner, session_id: int, timeout_ms: int) -> bool:
        touched[self._config.sid, session_id] = self._context.now_ms
        return touch(self, session_id, timeout_ms)

    def decide(self: Learner, connection: Connection) -> None:
        assert self.server is not None
        heard_ms = touched.get((self._config.sid, connection.session_id), -1e9)
        is_valid = self._context.now_ms - heard_ms < connection.timeout_ms
        self.server.finish_setup(connection, is_valid=is_valid)

    patch.setattr(Learner, "touch", touch_and_remember)
    patch.setattr(Learner, "revalidate", decide)


def session_without_a_quorum(patch: pytest.MonkeyPatch) -> None:
    """A member tells the client of its new session at once, and replicates it afterwards."""

    def open_session(self: Server, connection: Connection) -> None:
        connection.session_id = self._next_session_id
        self._next_session_id += 1
        self._by_session[connection.session_id] = connection
        self.finish_setup(connection, is_valid=True)
        op = CreateSession(connection.timeout_ms)
        self._role.process(ClientRequest(connection.session_id, 0, op, connection))

    patch.setattr(Server, "_open_session", open_session)


DURABILITY = {Invariant.DURABILITY}
DIVERGENCE = {
    Invariant.DURABILITY,
    Invariant.AGREEMENT,
    Invariant.PREFIX_CONSISTENCY,
    Invariant.TOTAL_ORDER,
    Invariant.SAME_TREE,
}
MUTATIONS: dict[Mutation, set[Invariant]] = {
    ack_before_the_sync: DURABILITY,
    commit_by_a_minority: DURABILITY,
    observer_counted: DURABILITY,
    trunc_skipped: DIVERGENCE,
    expiry_by_a_follower: {Invariant.EXPIRY},
    session_without_a_quorum: {Invariant.OPENING},
}


def first_violation(seeds: Iterable[int]) -> Outcome | None:
    outcomes = (run_plan(make_plan(seed, KINDS)) for seed in seeds)
    return next((outcome for outcome in outcomes if outcome.invariant), None)


def test_an_unbroken_core_passes_the_same_seeds() -> None:
    assert first_violation(SEEDS) is None


@pytest.mark.parametrize(("mutation", "expected"), MUTATIONS.items())
def test_mutation_goes_red_by_name(
    mutation: Mutation, expected: set[Invariant], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    outcome = first_violation(SEEDS)
    assert outcome is not None
    assert outcome.invariant in {invariant.value for invariant in expected}, outcome.violation


# What comes of it: the power fails everywhere, again and again, and no unsynced write survives.


def power_cuts(seed: int) -> Plan:
    plan = make_plan(seed, kinds=(), members=(3, 3))
    cuts = tuple(Fault("power", at_ms, 50.0) for at_ms in (300.0, 900.0, 1500.0, 2100.0, 2700.0))
    surroundings = Surroundings(disk_sync_ms=8.0)
    return replace(plan, faults=cuts, surroundings=surroundings)


def test_power_cuts_take_no_acknowledged_write() -> None:
    outcomes = [run_plan(power_cuts(seed)) for seed in range(10)]
    assert [outcome.violation for outcome in outcomes if outcome.invariant] == []
    assert all(outcome.faults == {"power": 5} for outcome in outcomes)


def test_power_cuts_take_acknowledged_writes_that_were_not_synced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ack_before_the_sync(monkeypatch)
    # Blind to the breach itself, the judge still sees what it leads to.
    monkeypatch.setattr(Judge, "_count_holders", lambda judge, zxid: 99)
    outcomes = [run_plan(power_cuts(seed)) for seed in range(10)]
    assert Invariant.ACKNOWLEDGED.value in {outcome.invariant for outcome in outcomes}
