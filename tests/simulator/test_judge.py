"""The judge is first shown to reject: for each invariant a history by hand that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from client.ops import Create, PathResult, Reply
from nodes.core.commit import Connection
from nodes.core.errors import ErrorCode
from nodes.core.learner import Learner
from nodes.core.reads import Answer, Reads
from nodes.core.replica import Replica
from nodes.core.requests import Exists, Read
from nodes.core.tree import Applied
from nodes.core.txns import (
    CloseSessionTxn,
    CreateSessionTxn,
    CreateTxn,
    DeleteTxn,
    ErrorTxn,
    MultiTxn,
    SetAclTxn,
    SetDataTxn,
    Txn,
    TxnBody,
)
from orchestrator.simulator.invariants import Invariant, Violation
from orchestrator.simulator.ledger import Ledger
from orchestrator.simulator.model import Model
from orchestrator.simulator.promises import Operation, Promises
from orchestrator.simulator.run import make_plan, run_plan

SESSION = 7


def txn(epoch: int, counter: int, body: TxnBody | None = None, cxid: int = 0) -> Txn:
    body = body or CreateTxn(f"/{epoch}-{counter}", b"", False, 1)
    return Txn(SESSION, cxid, epoch << 32 | counter, 0, body)


def ledger_of(*txns: Txn, holders: int = 3) -> Ledger:
    """All broadcast by member 1, the leader of every epoch; nothing delivered yet."""
    ledger = Ledger(lambda zxid: holders, 3)
    for each in txns:
        ledger.lead(1, each.zxid >> 32)
        ledger.log(1, each)
    return ledger


def delivering(ledger: Ledger, *txns: Txn, sid: int = 1) -> None:
    for index, each in enumerate(txns):
        ledger.deliver(sid, index, each)


A, B, C, NEXT = txn(1, 1), txn(1, 2), txn(1, 3), txn(2, 1)


def test_one_history_on_all_members_is_right() -> None:
    ledger = ledger_of(A, B, C, NEXT)
    delivering(ledger, A, B, NEXT)
    delivering(ledger, A, B, sid=2)
    ledger.adopt(3, [A, B], is_leading=False)
    ledger.adopt(2, [A, B, NEXT], is_leading=True)
    assert ledger.delivered == [A, B, NEXT]
    assert ledger.epochs == 2


def two_leaders() -> None:
    ledger = ledger_of(A)
    ledger.lead(2, 1)


def serving_another_history() -> None:
    ledger = ledger_of(A, B, NEXT)
    delivering(ledger, A, NEXT)
    ledger.adopt(2, [A, B], is_leading=False)


def made_up_by_a_follower() -> None:
    ledger_of(A).log(2, B)


def two_transactions_with_one_zxid() -> None:
    ledger_of(A).log(2, txn(1, 1, DeleteTxn("/other")))


def delivered_and_never_broadcast() -> None:
    delivering(ledger_of(A), A, B)


def delivered_twice() -> None:
    ledger = ledger_of(A, B, C)
    delivering(ledger, A, B, C)
    delivering(ledger, A, A, sid=2)


def two_histories() -> None:
    ledger = ledger_of(A, B, NEXT)
    delivering(ledger, A, NEXT)
    delivering(ledger, A, B, sid=2)


def one_left_out() -> None:
    ledger = ledger_of(A, B, C)
    delivering(ledger, A, B, C)
    delivering(ledger, A, C, sid=2)


def a_gap_in_an_epoch() -> None:
    delivering(ledger_of(A, B, C), A, C)


def an_epoch_after_a_later_one() -> None:
    delivering(ledger_of(A, B, NEXT), A, NEXT, B)


def leading_without_what_was_delivered() -> None:
    ledger = ledger_of(A, B)
    delivering(ledger, A, B)
    ledger.adopt(2, [A], is_leading=True)


def on_too_few_disks() -> None:
    delivering(ledger_of(A, holders=1), A)


def leading_without_what_was_acknowledged() -> None:
    ledger = ledger_of(A, B)
    delivering(ledger, A, B)
    ledger.acknowledged[B.zxid] = None
    ledger.adopt(2, [A], is_leading=True)


def acknowledged_and_never_delivered() -> None:
    answer(Promises(ledger_of(A)), A.zxid)


def acknowledged_as_something_else() -> None:
    ledger = ledger_of(A)
    delivering(ledger, A)
    answer(Promises(ledger), A.zxid)


def writes_of_a_session_out_of_order() -> None:
    first, second = txn(1, 1, cxid=2), txn(1, 2, cxid=1)
    delivering(ledger_of(first, second), first, second)


def answers_out_of_order() -> None:
    promises = Promises(ledger_of(A))
    operations = [Operation((1, 1), SESSION, Create("/x"), 0.0) for _ in range(2)]
    for operation in operations:
        promises.invoked(operation)
    promises.ended(operations[1])


def going_back() -> None:
    one = txn(1, 1, CreateTxn("/x", b"", False, 1), 1)
    two = txn(1, 2, ErrorTxn(ErrorCode.NODE_EXISTS), 2)
    ledger = ledger_of(one, two)
    delivering(ledger, one, two)
    promises = Promises(ledger)
    answer(promises, two.zxid, xid=2, error=-110)
    answer(promises, one.zxid)


def answer(promises: Promises, zxid: int, xid: int = 1, error: int = 0) -> None:
    operation = Operation((1, 1), SESSION, Create("/x"), 0.0)
    promises.invoked(operation)
    operation.outcome = Reply(xid, zxid, error, None if error else PathResult("/x"))
    promises.ended(operation)


REJECTED: list[tuple[Callable[[], None], Invariant]] = [
    (two_leaders, Invariant.LEADERSHIP),
    (serving_another_history, Invariant.PREFIX_CONSISTENCY),
    (made_up_by_a_follower, Invariant.INTEGRITY),
    (two_transactions_with_one_zxid, Invariant.INTEGRITY),
    (delivered_and_never_broadcast, Invariant.INTEGRITY),
    (delivered_twice, Invariant.INTEGRITY),
    (two_histories, Invariant.AGREEMENT),
    (one_left_out, Invariant.TOTAL_ORDER),
    (a_gap_in_an_epoch, Invariant.LOCAL_PRIMARY_ORDER),
    (an_epoch_after_a_later_one, Invariant.GLOBAL_PRIMARY_ORDER),
    (leading_without_what_was_delivered, Invariant.PRIMARY_INTEGRITY),
    (on_too_few_disks, Invariant.DURABILITY),
    (leading_without_what_was_acknowledged, Invariant.ACKNOWLEDGED),
    (acknowledged_and_never_delivered, Invariant.ACKNOWLEDGED),
    (acknowledged_as_something_else, Invariant.ACKNOWLEDGED),
    (writes_of_a_session_out_of_order, Invariant.SESSION_FIFO),
    (answers_out_of_order, Invariant.SESSION_FIFO),
    (going_back, Invariant.ZXID_ORDER),
]


@pytest.mark.parametrize(
    ("history", "invariant"), REJECTED, ids=[history.__name__ for history, _ in REJECTED]
)
def test_history_is_rejected_by_name(history: Callable[[], None], invariant: Invariant) -> None:
    with pytest.raises(Violation) as caught:
        history()
    assert caught.value.invariant is invariant


# What shows on members only: the core is broken, and a few seeds are played.


Replay = Callable[[Replica, Txn], Applied]


def replay_without(patch: pytest.MonkeyPatch, is_left_out: Callable[[TxnBody], bool]) -> None:
    """Let trees leave out transactions that the logs have."""
    replay: Replay = Replica._replay

    def replay_most(self: Replica, txn: Txn) -> Applied:
        if not is_left_out(txn.body):
            return replay(self, txn)
        if isinstance(txn.body, CloseSessionTxn):
            self.sessions.pop(txn.session_id)
        applied = replay(self, replace(txn, body=ErrorTxn(ErrorCode.NO_NODE)))
        self.committed_log[-1] = txn
        return applied

    patch.setattr(Replica, "_replay", replay_most)


def violations(count: int = 6) -> set[str]:
    outcomes = [run_plan(make_plan(seed, ("move", "expire"), (3, 3))) for seed in range(count)]
    return {outcome.invariant for outcome in outcomes if outcome.invariant}


def test_reads_of_another_state_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Reads.answer

    def answer_elsewhere(self: Reads, connection: Connection, op: Read) -> Answer:
        return answer(self, connection, Exists("/zookeeper") if isinstance(op, Exists) else op)

    monkeypatch.setattr(Reads, "answer", answer_elsewhere)
    assert violations() == {Invariant.READS.value}


def test_a_list_that_is_lost_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    replay_without(monkeypatch, lambda body: isinstance(body, SetAclTxn))
    assert violations() == {Invariant.SAME_TREE.value}


def test_a_session_forgotten_too_early_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    replay: Replay = Replica._replay

    def replay_and_forget(self: Replica, txn: Txn) -> Applied:
        applied = replay(self, txn)
        if isinstance(txn.body, CreateTxn) and txn.body.is_ephemeral:
            self.sessions.pop(txn.session_id, None)
        return applied

    monkeypatch.setattr(Replica, "_replay", replay_and_forget)
    assert violations() == {Invariant.LIVE_OWNER.value}


def test_a_tree_that_is_not_made_of_its_transactions_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replay_without(monkeypatch, lambda body: isinstance(body, SetDataTxn))
    assert violations() == {Invariant.SAME_TREE.value}


def test_ephemerals_that_outlive_their_session_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    replay_without(monkeypatch, lambda body: isinstance(body, CloseSessionTxn))
    assert violations() == {Invariant.CLOSED_OWNER.value}


def test_an_ensemble_that_does_not_come_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    greet = Learner._greet

    def greet_once(self: Learner) -> None:
        if self._context.now_ms < 1e9 and self._replica.last_zxid >> 32 < 1:
            greet(self)

    monkeypatch.setattr(Learner, "_greet", greet_once)
    outcome = run_plan(make_plan(0, ("power",), (3, 3)))
    assert outcome.invariant == Invariant.RECOVERY.value


def test_the_judges_own_tree_follows_every_kind_of_transaction() -> None:
    model = Model(
        [
            txn(1, 1, CreateSessionTxn(100)),
            txn(1, 2, CreateTxn("/a", b"1", False, 1)),
            txn(1, 3, CreateTxn("/e", b"", True, 2)),
            txn(1, 4, SetDataTxn("/a", b"2", 1)),
            txn(1, 5, MultiTxn((CreateTxn("/m", b"", False, 3), DeleteTxn("/m")))),
            txn(1, 6, MultiTxn((ErrorTxn(ErrorCode.OK), ErrorTxn(ErrorCode.NO_NODE)))),
            txn(1, 7, SetAclTxn("/a", (), 1)),
            txn(1, 8, SetAclTxn("/missing", (), 1)),
        ]
    )
    assert set(model.nodes) == {"/a", "/e"}
    assert model.nodes["/a"].row() == (b"2", (), (1, 0, 1 << 32 | 2, 1 << 32 | 4, 1, 0))
    assert model.owned == {SESSION: {"/e": None}}
    model.fold(txn(1, 9, CloseSessionTxn(("/e",))))
    assert (set(model.nodes), model.owned, model.sessions) == ({"/a"}, {}, {})
