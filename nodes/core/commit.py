"""The order in which one member answers (`CommitProcessor`): per session, first in first out.

A request waits while an earlier one of its session waits for its commit, pings included; other
sessions' reads pass. It says which requests may go on, and applies and answers nothing itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeGuard, get_args

from nodes.core.errors import ErrorCode
from nodes.core.requests import EPHEMERAL, SEQUENTIAL, Create, Id, Multi, Op, Read, Write

_WRITES = frozenset(get_args(Write))
_READS = frozenset(get_args(Read))
# 5 has the bit, too, and asks for a time to live.
_EPHEMERAL_FLAGS = (EPHEMERAL, EPHEMERAL | SEQUENTIAL)


def needs_leader(op: Op) -> TypeGuard[Write]:
    """Whether an operation is the leader's to decide: every write."""
    return type(op) in _WRITES


def is_read(op: Op) -> TypeGuard[Read]:
    """Whether a member answers an operation on its own, from its tree."""
    return type(op) in _READS


def makes_ephemeral(op: Op) -> bool:
    """Whether an operation creates an ephemeral znode, alone or inside a multi."""
    if type(op) is Create:
        return op.flags in _EPHEMERAL_FLAGS
    return type(op) is Multi and any(makes_ephemeral(part) for part in op.ops)


@dataclass(slots=True)
class Connection:
    """A client's line to this member. Until its session is set up, requests wait in `early`.

    `ids` are who the client is: first its address, if known, then what it has proven.
    """

    id: int
    session_id: int
    timeout_ms: int
    ids: tuple[Id, ...] = ()
    is_set_up: bool = False
    early: list[tuple[int, Op]] = field(default_factory=list)


@dataclass(slots=True)
class ClientRequest:
    """A request of a client of this member. `error` is a verdict reached before its turn."""

    session_id: int
    cxid: int
    op: Op
    connection: Connection | None
    error: ErrorCode = ErrorCode.OK
    is_waiting: bool = False
    arrived_ms: float = 0.0


class CommitProcessor:
    """Invariant: a session has a queue exactly while the head of it waits for its commit."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[int, deque[ClientRequest]] = {}

    @property
    def outstanding(self) -> int:
        """How many requests are queued."""
        return sum(map(len, self._queues.values()))

    def admit(self, request: ClientRequest, *, needs_commit: bool) -> bool:
        """Return whether `request` may be answered at once; else it is queued."""
        queue = self._queues.get(request.session_id)
        if queue is not None:
            request.is_waiting = needs_commit
            queue.append(request)
            return False
        if not needs_commit:
            return True
        request.is_waiting = True
        self._queues[request.session_id] = deque((request,))
        return False

    def match(self, session_id: int, cxid: int) -> ClientRequest | None:
        """Return this member's own request that a committed transaction answers, if any."""
        queue = self._queues.get(session_id)
        if queue is None or queue[0].cxid != cxid:
            return None
        return queue[0]

    def go_on(self, request: ClientRequest) -> list[ClientRequest]:
        """`request` has its commit: return the queued ones that may be answered after it.

        A sync may have its turn while a write is still ahead of it; then it waits there.
        """
        request.is_waiting = False
        queue = self._queues.get(request.session_id)
        if queue is None or queue[0].is_waiting:
            return []
        ready: list[ClientRequest] = []
        while queue and not queue[0].is_waiting:
            ready.append(queue.popleft())
        if not queue:
            del self._queues[request.session_id]
        return ready
