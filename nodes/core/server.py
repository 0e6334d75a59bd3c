"""The client side of a serving member: connections, sessions on them, replies, watches.

What differs between leading and following (who validates, who decides a session's fate) is
behind `Role`. Lives from the moment a member serves until it leaves its role; then every
connection is closed.
"""

from __future__ import annotations

from typing import Protocol

from nodes.core import acl
from nodes.core.commit import (
    ClientRequest,
    CommitProcessor,
    Connection,
    is_read,
    makes_ephemeral,
)
from nodes.core.context import Context
from nodes.core.effects import CloseConnection, ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from nodes.core.reads import Reads
from nodes.core.replica import Replica
from nodes.core.requests import (
    Auth,
    CloseSession,
    Create,
    CreateResult,
    CreateSession,
    Id,
    Malformed,
    MultiResult,
    Op,
    PathResult,
    Result,
    Sync,
)
from nodes.core.sessions import NO_PASSWORD, SessionTracker, first_session_id, password_of
from nodes.core.tree import Applied
from nodes.core.txns import CloseSessionTxn, CreateSessionTxn, Txn
from nodes.core.watches import WatchManager
from nodes.core.zxid import show_zxid


class Role(Protocol):
    """What a server asks of the role it serves in."""

    def touch(self, session_id: int, timeout_ms: int) -> bool:
        """A global session was heard from; False if it cannot be served any more."""

    def revalidate(self, connection: Connection) -> None:
        """Find out whether the session is alive; ends in `Server.finish_setup`."""

    def process(self, request: ClientRequest) -> None:
        """Take a request of a client of this member on its way."""

    def on_session_created(self, session_id: int, timeout_ms: int) -> None:
        """A createSession is applied here."""

    def on_session_closed(self, session_id: int) -> None:
        """A closeSession is applied here."""


class Server:
    """Invariant: `_by_session` maps a session to its one connection on this member, which may

    still be waiting for its set-up.
    """

    def __init__(
        self, context: Context, replica: Replica, role: Role, *, is_read_only: bool = False
    ) -> None:
        config = context.config
        self._context = context
        self._replica = replica
        self._role = role
        self._is_read_only = is_read_only
        self.commits = CommitProcessor()
        self.watches = WatchManager(lambda connection: self.connections[connection].ids)
        self._reads = Reads(context, replica, self.watches)
        self.connections: dict[int, Connection] = {}
        self._by_session: dict[int, Connection] = {}
        self._next_session_id = first_session_id(config.sid, context.now_ms)
        self._upgrading: dict[int, None] = {}
        self.local_sessions: SessionTracker | None = None
        if config.local_sessions_enabled or is_read_only:
            self.local_sessions = SessionTracker(config.tick_time_ms, (), context.now_ms)

    # Connections and the sessions on them.

    def on_connect_requested(self, event: ConnectRequested) -> None:
        """`processConnectRequest`: the checks in ZooKeeper's order."""
        refusal = self._refusal(event)
        if refusal:
            self._context.trace(
                "connection_refused",
                session_id=event.session_id,
                last_zxid_seen=show_zxid(event.last_zxid_seen),
                reason=refusal,
            )
            self._context.effects.append(CloseConnection(event.connection))
            return
        config = self._context.config
        timeout_ms = min(
            max(event.timeout_ms, config.min_session_timeout_ms), config.max_session_timeout_ms
        )
        ids = (Id("ip", event.address),) if event.address else ()
        connection = Connection(event.connection, event.session_id, timeout_ms, ids)
        self.connections[connection.id] = connection
        if event.session_id == 0:
            self._open_session(connection)
            return
        previous = self._by_session.get(event.session_id)
        if previous is not None:
            self.close(previous)
        self._by_session[event.session_id] = connection
        if event.password != password_of(event.session_id):
            self.finish_setup(connection, is_valid=False)
        elif self._touch_local(event.session_id, timeout_ms):
            self.finish_setup(connection, is_valid=True)
        else:
            self._role.revalidate(connection)

    def _refusal(self, event: ConnectRequested) -> str:
        """Why a client must not even be answered, if so."""
        if self._is_read_only and not event.can_be_read_only:
            return "this member is read-only"
        if event.last_zxid_seen > self._replica.last_zxid:
            # Answering would let the client read a past that it has already left.
            return "the client has seen a later zxid"
        if self._is_read_only and event.session_id in self._replica.sessions:
            # Told that it expired, the client would believe it, and the quorum would not.
            return "a global session on a read-only member"
        return ""

    def _open_session(self, connection: Connection) -> None:
        connection.session_id = self._next_session_id
        self._next_session_id += 1
        self._by_session[connection.session_id] = connection
        op = CreateSession(connection.timeout_ms)
        request = ClientRequest(connection.session_id, 0, op, connection)
        if self.local_sessions is None:
            self._role.process(request)
            return
        self.local_sessions.track(
            connection.session_id, connection.timeout_ms, self._context.now_ms
        )
        self.finish_setup(connection, is_valid=True)

    def finish_setup(self, connection: Connection, *, is_valid: bool) -> None:
        """Tell the client the verdict on its session, unless its connection is gone."""
        if self.connections.get(connection.id) is not connection or connection.is_set_up:
            return
        self._context.trace(
            "session_connected", session_id=connection.session_id, is_valid=is_valid
        )
        if not is_valid:
            self._context.effects.append(
                ConnectReply(connection.id, 0, 0, NO_PASSWORD, self._is_read_only)
            )
            self.close(connection)
            return
        connection.is_set_up = True
        session_id = connection.session_id
        password = password_of(session_id)
        self._context.effects.append(
            ConnectReply(
                connection.id, session_id, connection.timeout_ms, password, self._is_read_only
            )
        )
        for xid, op in connection.early:
            self.on_submitted(connection.id, xid, op)
        connection.early.clear()

    def on_connection_lost(self, connection_id: int) -> None:
        """The client is gone, its session is not."""
        connection = self.connections.pop(connection_id, None)
        if connection is None:
            return
        self.watches.drop(connection_id)
        if self._by_session.get(connection.session_id) is connection:
            del self._by_session[connection.session_id]

    def close(self, connection: Connection) -> None:
        """Close a client's connection behind what was sent on it."""
        self._context.effects.append(CloseConnection(connection.id))
        self.on_connection_lost(connection.id)

    def shut_down(self) -> None:
        """The member leaves its role: nobody may read here until it has a new one."""
        for connection in list(self.connections.values()):
            self.close(connection)

    # Requests.

    def on_submitted(self, connection_id: int, xid: int, op: Op) -> None:
        """`submitRequestNow`: touch the session, then the chain of processors."""
        connection = self.connections.get(connection_id)
        if connection is None:
            return
        if not connection.is_set_up:
            connection.early.append((xid, op))
            return
        if type(op) is Auth:
            self._authenticate(connection, xid, op)
            return
        session_id = connection.session_id
        request = ClientRequest(session_id, xid, op, connection, arrived_ms=self._context.now_ms)
        timeout_ms = connection.timeout_ms
        if not self._touch_local(session_id, timeout_ms) and not self._role.touch(
            session_id, timeout_ms
        ):
            # ZooKeeper drops it without a reply (MissingSessionException): the client
            # learns of the expiry when the connection closes.
            self._context.trace("request_dropped", session_id=session_id, xid=xid)
            return
        if self.is_local(session_id):
            self._process_local(request)
        else:
            self._role.process(request)

    def _authenticate(self, connection: Connection, xid: int, op: Auth) -> None:
        """Answered by the connection itself: out of turn, and no sign of life of the session."""
        address = next((who.id for who in connection.ids if who.scheme == "ip"), "")
        super_digest = self._context.config.super_digest
        proven = acl.authenticate(op.scheme, op.auth, address, super_digest)
        ids = acl.joined(connection.ids, proven) if proven else None
        error = ErrorCode.AUTH_FAILED if ids is None else ErrorCode.OK
        self._context.effects.append(Reply(connection.id, xid, 0, error, None))
        if ids is None:
            self.close(connection)
        else:
            connection.ids = ids

    def _touch_local(self, session_id: int, timeout_ms: int) -> bool:
        local = self.local_sessions
        return local is not None and local.touch(session_id, timeout_ms, self._context.now_ms)

    def is_local(self, session_id: int) -> bool:
        """Whether the session is known to this member alone."""
        return self.local_sessions is not None and session_id in self.local_sessions.sessions

    def is_upgrading(self, session_id: int) -> bool:
        """Whether it was local and its createSession is on its way."""
        return session_id in self._upgrading

    @property
    def next_local_expiry_ms(self) -> int | None:
        """When local sessions may be due."""
        return None if self.local_sessions is None else self.local_sessions.next_ms

    def _process_local(self, request: ClientRequest) -> None:
        if type(request.op) is CloseSession:
            self.admit(request, needs_commit=False)
            return
        if makes_ephemeral(request.op) and not self._is_read_only:
            self._upgrade(request)
        self._role.process(request)

    def _upgrade(self, request: ClientRequest) -> None:
        """An ephemeral needs a replicated owner (`checkUpgradeSession`)."""
        assert self.local_sessions is not None
        if not self._context.config.local_sessions_upgrading_enabled:
            request.error = ErrorCode.EPHEMERAL_ON_LOCAL_SESSION
            return
        session = self.local_sessions.sessions[request.session_id]
        self.local_sessions.remove(request.session_id)
        self._upgrading[request.session_id] = None
        self._context.trace("session_upgraded", session_id=request.session_id)
        upgrade = CreateSession(session.timeout_ms)
        self._role.process(ClientRequest(request.session_id, 0, upgrade, None))

    def admit(self, request: ClientRequest, *, needs_commit: bool) -> None:
        """Answer now, or in the order of its session."""
        if self.commits.admit(request, needs_commit=needs_commit):
            self._answer(request)

    def expire_local_sessions(self) -> None:
        """Local sessions are their member's own to expire."""
        if self.local_sessions is None:
            return
        for session_id in self.local_sessions.take_due(self._context.now_ms):
            self._context.trace("local_session_expired", session_id=session_id)
            self._close_local(session_id)

    def _close_local(self, session_id: int) -> None:
        assert self.local_sessions is not None
        self.local_sessions.remove(session_id)
        connection = self._by_session.get(session_id)
        if connection is not None:
            self.close(connection)

    # Answers.

    def on_committed(self, txn: Txn) -> None:
        """Apply a committed transaction, fire watches, answer the client that asked for it."""
        applied = self._replica.apply(txn)
        context = self._context
        context.counters.propagation_latency.add(context.wall_ms - txn.time_ms)
        effects = context.effects
        if applied.changes:
            for connection, event_type, path in self.watches.fire(applied.changes):
                effects.append(Notify(connection, event_type, path))
        request = self.commits.match(txn.session_id, txn.cxid)
        body_type = type(txn.body)
        if body_type is CreateSessionTxn:
            self._on_session_created(txn, request)
        elif body_type is CloseSessionTxn:
            self._on_session_closed(txn, request)
        elif request is not None:
            self._reply_to_write(request, applied)
        if request is not None:
            self.go_on(request)

    def go_on(self, request: ClientRequest) -> None:
        """`request` has its commit: answer what had to wait for it, in order."""
        for ready in self.commits.go_on(request):
            if ready is not request or type(ready.op) is Sync:
                self._answer(ready)

    def _on_session_created(self, txn: Txn, request: ClientRequest | None) -> None:
        self._upgrading.pop(txn.session_id, None)
        timeout_ms = self._replica.sessions[txn.session_id]
        self._role.on_session_created(txn.session_id, timeout_ms)
        if request is not None and request.connection is not None:
            self.finish_setup(request.connection, is_valid=True)

    def _on_session_closed(self, txn: Txn, request: ClientRequest | None) -> None:
        session_id = txn.session_id
        self._role.on_session_closed(session_id)
        self._context.trace("close_applied", session_id=session_id, zxid=show_zxid(txn.zxid))
        # The tree is changed already: the client that sees its connection close may read
        # elsewhere, but on this member the ephemerals are gone before the socket is.
        if request is not None and request.connection is not None:
            self._reply(request, ErrorCode.OK, None)
        connection = self._by_session.get(session_id)
        if connection is not None:
            self.close(connection)

    def _reply_to_write(self, request: ClientRequest, applied: Applied) -> None:
        error = request.error or applied.error
        if error == ErrorCode.SESSION_MOVED or _says_moved(applied.result):
            # Never told to the client (ZOOKEEPER-710): its session goes on elsewhere.
            if request.connection is not None:
                self.close(request.connection)
            return
        result = applied.result if error == ErrorCode.OK else None
        if type(result) is PathResult and type(request.op) is Create and request.op.with_stat:
            znode = self._replica.tree.find(result.path)
            assert znode is not None
            result = CreateResult(result.path, znode.stat())
        self._reply(request, error, result)

    def _answer(self, request: ClientRequest) -> None:
        """`FinalRequestProcessor` for what changes nothing."""
        connection = request.connection
        if connection is None or self.connections.get(connection.id) is not connection:
            return
        if request.error == ErrorCode.SESSION_MOVED:
            self.close(connection)
            return
        if request.error != ErrorCode.OK:
            self._reply(request, request.error, None)
            return
        op = request.op
        if is_read(op):
            error, result = self._reads.answer(connection, op)
            if self._context.is_tracing_reads:
                self._reads.trace(request, result)
            self._reply(request, error, result)
            if type(op) is Malformed and op.closes:
                self.close(connection)
        elif type(op) is Sync:
            self._reply(request, ErrorCode.OK, PathResult(op.path))
        elif type(op) is CloseSession:
            self._reply(request, ErrorCode.OK, None)
            self._close_local(request.session_id)
        # Writes are answered by their transaction, never from here.

    def _reply(self, request: ClientRequest, error: ErrorCode, result: Result) -> None:
        connection = request.connection
        if connection is None or connection.id not in self.connections:
            return
        context = self._context
        context.effects.append(
            Reply(connection.id, request.cxid, self._replica.last_zxid, error, result)
        )
        # The reply to a connect is none of a request: it has not arrived as one.
        if request.arrived_ms:
            context.counters.requests.latency.add(int(context.now_ms - request.arrived_ms))


def _says_moved(result: Result) -> bool:
    return type(result) is MultiResult and any(
        getattr(part, "error", None) == ErrorCode.SESSION_MOVED for part in result.results
    )
