"""Owns what clients were told, and holds the ensemble to it.

One per run, for all client programs of it. It sees operations and their outcomes only, as a
program does, and looks up in the ledger what became of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from client.events import Fail
from client.ops import (
    Check,
    Create,
    CreateContainer,
    CreateResult,
    Delete,
    Multi,
    MultiResult,
    PathResult,
    Reply,
    SetAcl,
    SetData,
    UserOp,
)
from nodes.core.txns import (
    CreateTxn,
    DeleteTxn,
    ErrorTxn,
    MultiTxn,
    SetAclTxn,
    SetDataTxn,
    Txn,
    TxnBody,
)
from orchestrator.simulator.invariants import Invariant, Violation, show_zxid
from orchestrator.simulator.ledger import Ledger

WRITES = (Create, CreateContainer, Delete, SetData, SetAcl, Check, Multi)


@dataclass(slots=True)
class Operation:
    """What a client asked for, and what came of it; no outcome yet while `outcome` is None.

    `client`: a program, and which of its sessions.
    """

    client: tuple[int, int]
    session_id: int
    op: UserOp
    invoked_ms: float
    ended_ms: float = 0.0
    outcome: Reply | Fail | None = None


class Promises:
    """Invariant: `operations` are in the order of their invocation."""

    def __init__(self, ledger: Ledger) -> None:
        self.operations: list[Operation] = []
        self._ledger = ledger
        self._open: dict[tuple[int, int], deque[Operation]] = {}
        self._seen: dict[int, int] = {}

    def invoked(self, operation: Operation) -> None:
        """A client program asks."""
        self.operations.append(operation)
        self._open.setdefault(operation.client, deque()).append(operation)

    def ended(self, operation: Operation) -> None:
        """The program has its answer, or knows that it gets none."""
        first = self._open[operation.client].popleft()
        if first is not operation:
            detail = f"client {operation.client} is answered {operation.op} before {first.op}"
            raise Violation(Invariant.SESSION_FIFO, detail)
        reply = operation.outcome
        if isinstance(reply, Reply):
            self._check_zxid(operation.session_id, reply)
            if isinstance(operation.op, WRITES):
                self._check_write(operation, reply)

    def _check_zxid(self, session_id: int, reply: Reply) -> None:
        seen = self._seen.get(session_id, 0)
        if reply.zxid < seen:
            detail = f"{session_id:#x} saw {show_zxid(seen)}, then {show_zxid(reply.zxid)}"
            raise Violation(Invariant.ZXID_ORDER, detail)
        self._seen[session_id] = reply.zxid

    def _check_write(self, operation: Operation, reply: Reply) -> None:
        place = self._ledger.place.get(reply.zxid)
        shown = f"{operation.op} at {show_zxid(reply.zxid)}"
        if place is None:
            raise Violation(Invariant.ACKNOWLEDGED, f"{shown} was never delivered")
        txn = self._ledger.delivered[place]
        if (txn.session_id, txn.cxid) != (operation.session_id, reply.xid):
            raise Violation(Invariant.ACKNOWLEDGED, f"{shown} is another's: {txn}")
        if not is_made_of(txn, operation.op, reply):
            raise Violation(Invariant.ACKNOWLEDGED, f"{shown}, answered {reply}, became {txn}")
        self._ledger.acknowledged[reply.zxid] = None


def is_made_of(txn: Txn, op: UserOp, reply: Reply) -> bool:
    """Whether a transaction does what was asked for and answered."""
    if isinstance(op, Multi):
        parts = txn.body.bodies if isinstance(txn.body, MultiTxn) else ()
        results = reply.result.results if isinstance(reply.result, MultiResult) else ()
        return len(parts) == len(op.ops) == len(results)
    if reply.error:
        return isinstance(txn.body, ErrorTxn) and int(txn.body.error) == reply.error
    return _is_body_of(txn.body, op, reply)


def _is_body_of(body: TxnBody, op: UserOp, reply: Reply) -> bool:
    match op, body:
        case Create() | CreateContainer(), CreateTxn(path=path, data=data):
            result = reply.result
            told = result.path if isinstance(result, PathResult | CreateResult) else None
            return path == told and path.startswith(op.path) and data == op.data
        case SetData(), SetDataTxn(path=path, data=data):
            return path == op.path and data == op.data
        case SetAcl(), SetAclTxn(path=path):
            return path == op.path
        case Delete(), DeleteTxn(path=path):
            return path == op.path
    return False
