"""Leading once a quorum follows: the life of a write, from request to commit (Zab's broadcast).

`process` (a client of the leader) or `on_request` (a client of a learner) -> `propose`: prepared,
given a zxid, logged, sent -> `acknowledge`, as disks confirm -> committed with a quorum, in order
-> applied and answered by the server. Owns that order and the fate of global sessions. Who
follows, and whether there still is a quorum of them, is the leader's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.core.commit import ClientRequest, Connection, makes_ephemeral, needs_leader
from nodes.core.containers import ContainerManager
from nodes.core.context import Context
from nodes.core.errors import ErrorCode
from nodes.core.expiry import ExpiryThread
from nodes.core.handler import LearnerHandler
from nodes.core.messages import (
    Commit,
    Inform,
    Message,
    Proposal,
    Request,
    Revalidated,
    SyncPacket,
)
from nodes.core.prep import Prep
from nodes.core.quorum import is_quorum
from nodes.core.replica import Replica
from nodes.core.requests import CloseSession, CreateSession, DeleteContainer, Id, Sync, Write
from nodes.core.server import Server
from nodes.core.sessions import SessionTracker
from nodes.core.txns import CloseSessionTxn, Txn, TxnBody
from nodes.core.zxid import MAX_COUNTER, counter_of, make_zxid, show_zxid


@dataclass(slots=True)
class Outstanding:
    """A proposal on its way to a quorum. `acks` are the voters that have it on disk."""

    type: str
    session_id: int
    acks: set[int] = field(default_factory=set)
    syncs: tuple[LearnerHandler, ...] = ()


class Broadcast:
    """Invariants: `outstanding` is in zxid order and its zxids are `replica.pending`'s.

    Every session of the replica is tracked, from the proposal of its createSession on.
    """

    def __init__(
        self,
        context: Context,
        replica: Replica,
        epoch: int,
        handlers: dict[int, LearnerHandler],
        step_down: Callable[[str], None],
    ) -> None:
        """Begin the epoch; every session gets a full timeout from now (`LeaderSessionTracker`).

        `handlers` is the leader's, and changes as learners come and go.
        """
        config = context.config
        self._context = context
        self._replica = replica
        self._config = config
        self._handlers = handlers
        self._step_down = step_down
        self._next_zxid = replica.last_zxid = make_zxid(epoch, 0)
        self._prep = Prep(
            replica.tree,
            extended_types_enabled=config.extended_types_enabled,
            enforce_quota=config.enforce_quota,
        )
        self.outstanding: dict[int, Outstanding] = {}
        sessions = replica.sessions.items()
        self.sessions = SessionTracker(config.tick_time_ms, sessions, context.now_ms)
        self.expiry = ExpiryThread(context, self.sessions, self._submit_close)
        self.containers = ContainerManager(context, replica.tree, self._submit_delete_container)
        self.server = Server(context, replica, self)

    # From a request to a proposal.

    def process(self, request: ClientRequest) -> None:
        """A request of the leader's own client: validated here, reads too."""
        if needs_leader(request.op):
            self.server.admit(request, needs_commit=True)
            connection = request.connection
            ids = connection.ids if connection is not None else ()
            self.propose(request.session_id, request.cxid, request.op, self, ids)
            return
        request.error = self._check_session(request.session_id, self, is_global=False)
        self.server.admit(request, needs_commit=False)

    def on_request(self, handler: LearnerHandler, request: Request) -> None:
        """A learner's client asks. A sync is not checked for its session (`processSync`)."""
        op = request.op
        if type(op) is Sync:
            if self.outstanding:
                self.outstanding[next(reversed(self.outstanding))].syncs += (handler,)
            else:
                self._send_sync(handler)
        elif needs_leader(op):
            self.propose(request.session_id, request.cxid, op, handler, request.ids)

    def _submit_close(self, session_id: int) -> None:
        self.propose(session_id, 0, CloseSession(), self, ())

    def _submit_delete_container(self, path: str) -> None:
        self.propose(0, 0, DeleteContainer(path), self, ())

    def propose(
        self, session_id: int, cxid: int, op: Write, owner: object, ids: tuple[Id, ...]
    ) -> None:
        """Make a request a transaction and put it in order (`PrepRequestProcessor`, `propose`)."""
        if counter_of(self._next_zxid + 1) == MAX_COUNTER:
            # The one after it would carry into the epoch (ZOOKEEPER-1277).
            self._step_down("the epoch has no zxid left")
            return
        self._next_zxid += 1
        zxid, time_ms = self._next_zxid, self._context.wall_ms
        body = self._prepare(session_id, op, owner, zxid, ids)
        if type(body) is CloseSessionTxn:
            self._context.trace("close_proposed", session_id=session_id, zxid=show_zxid(zxid))
        self._context.counters.proposal_count += 1
        txn = Txn(session_id, cxid, zxid, time_ms, body)
        self.outstanding[zxid] = Outstanding(body.type, session_id)
        self._replica.log(txn)
        proposal = Proposal(txn)
        now_ms = self._context.now_ms
        for handler in self._handlers.values():
            if handler.is_voter and handler.is_forwarding:
                handler.note_proposal(zxid, now_ms)
                self._send(handler, proposal)

    def _prepare(
        self, session_id: int, op: Write, owner: object, zxid: int, ids: tuple[Id, ...]
    ) -> TxnBody:
        verdict = ErrorCode.OK
        if type(op) is CreateSession:
            self.sessions.track(session_id, op.timeout_ms, self._context.now_ms)
            self.sessions.set_owner(session_id, owner)
        elif type(op) is CloseSession:
            self.sessions.mark_closing(session_id)
        elif type(op) is not DeleteContainer:
            verdict = self._check_session(session_id, owner, is_global=makes_ephemeral(op))
        return self._prep.prepare(session_id, op, zxid, verdict, ids)

    def _check_session(self, session_id: int, owner: object, *, is_global: bool) -> ErrorCode:
        """`LeaderSessionTracker.checkSession`, or `checkGlobalSession`."""
        if not is_global and session_id not in self.sessions.sessions:
            if self.server.is_local(session_id):
                return ErrorCode.OK
            is_foreign = session_id >> 56 & 0xFF != self._config.sid & 0xFF
            if self._config.local_sessions_enabled and is_foreign:
                return ErrorCode.OK
        return self.sessions.check(session_id, owner)

    def send_outstanding(self, handler: LearnerHandler) -> None:
        """Let a learner that has just been sent the history log what is not committed yet.

        It may have acknowledged these over an earlier connection; but TRUNC and SNAP take them
        off its disk again, so until it acknowledges anew they are not there to be counted.
        """
        for txn in self._replica.pending:
            self.outstanding[txn.zxid].acks.discard(handler.sid)
            self._send(handler, Proposal(txn))

    # From acknowledgements to the commit.

    def acknowledge(self, sid: int, zxid: int) -> None:
        """A voter, or the leader itself, has the proposal on its disk."""
        outstanding = self.outstanding.get(zxid)
        if outstanding is None:
            return
        outstanding.acks.add(sid)
        self._try_to_commit()

    def _try_to_commit(self) -> None:
        """Commit from the head on: a quorum for a later one never overtakes an earlier one."""
        while self.outstanding:
            zxid, head = next(iter(self.outstanding.items()))
            if not is_quorum(head.acks, self._config.voters):
                return
            del self.outstanding[zxid]
            self._commit(zxid, head)

    def _commit(self, zxid: int, proposal: Outstanding) -> None:
        txn = self._replica.next_to_commit(zxid)
        counters = self._context.counters
        counters.commit_count += 1
        counters.quorum_ack_latency.add(self._context.wall_ms - txn.time_ms)
        if proposal.type == CloseSessionTxn.type:
            self._context.trace(
                "close_committed", session_id=proposal.session_id, zxid=show_zxid(zxid)
            )
        commit = Commit(zxid, proposal.type)
        for handler in self._handlers.values():
            if handler.is_forwarding:
                self._send(handler, commit if handler.is_voter else Inform(txn))
        self.server.on_committed(txn)
        self._prep.applied(zxid)
        for handler in proposal.syncs:
            self._send_sync(handler)

    @property
    def pending_syncs(self) -> int:
        """Syncs of learners that wait for a proposal to commit."""
        return sum(len(proposal.syncs) for proposal in self.outstanding.values())

    def _send_sync(self, handler: LearnerHandler) -> None:
        if self._handlers.get(handler.sid) is handler:
            self._send(handler, SyncPacket())

    def _send(self, handler: LearnerHandler, message: Message) -> None:
        self._context.send(handler.sid, handler.connection, message)

    # Sessions.

    def touch(self, session_id: int, timeout_ms: int) -> bool:
        """Only a session that is alive may go on."""
        return self.sessions.touch(session_id, timeout_ms, self._context.now_ms)

    def revalidate(self, connection: Connection) -> None:
        """The verdict is the tracker's, at once, and waits for no transaction."""
        session_id = connection.session_id
        is_valid = self._revalidate(session_id, connection.timeout_ms, self)
        self.server.finish_setup(connection, is_valid=is_valid)

    def on_revalidate(self, handler: LearnerHandler, session_id: int, timeout_ms: int) -> None:
        """The same, asked by a learner for its client."""
        self._context.counters.revalidate_count += 1
        is_valid = self._revalidate(session_id, timeout_ms, handler)
        self._send(handler, Revalidated(session_id, is_valid))

    def _revalidate(self, session_id: int, timeout_ms: int, owner: object) -> bool:
        is_valid = self.touch(session_id, timeout_ms)
        if is_valid:
            self.sessions.set_owner(session_id, owner)
        return is_valid

    def on_session_created(self, session_id: int, timeout_ms: int) -> None:
        """Tracked since its request was prepared."""

    def on_session_closed(self, session_id: int) -> None:
        """It is not known any more; an id that comes back is expired."""
        self.sessions.remove(session_id)

    # Time.

    def deadline(self) -> float:
        """When sessions may be due, global or local, or containers."""
        deadline = self.containers.deadline()
        for next_ms in (self.expiry.next_ms, self.server.next_local_expiry_ms):
            if next_ms is not None and next_ms < deadline:
                deadline = next_ms
        return deadline

    def on_deadline(self) -> None:
        """Expire sessions, delete containers."""
        self.expiry.run()
        self.server.expire_local_sessions()
        self.containers.run()
