"""Following or observing: discovery, synchronization and broadcast, seen from a learner.

Owns the connection to one leader and the promise to log before acknowledging. It never
decides what is committed, whether a session is alive, or whether a write is valid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import assert_never

from nodes.core.commit import ClientRequest, Connection, needs_leader
from nodes.core.context import Context
from nodes.core.messages import (
    Ack,
    AckEpoch,
    Commit,
    Diff,
    Fin,
    FollowerInfo,
    Inform,
    LeaderInfo,
    Message,
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
    Trunc,
    UpToDate,
)
from nodes.core.replica import Replica
from nodes.core.requests import Sync
from nodes.core.server import Server
from nodes.core.synchronization import NO_COMMON_ZXID
from nodes.core.zxid import epoch_of

CONNECT_RETRIES = 5
CONNECT_RETRY_MS = 100


class Stage(IntEnum):
    """How far the connection to the leader has come."""

    CONNECTING = 0
    DISCOVERY = 1
    SYNCHRONIZATION = 2
    BROADCAST = 3


class Learner:
    """Invariant: an Ack leaves only for what the disk has confirmed, in log order.

    `is_over` is set once this leader is given up; the member acts on it after each step.
    """

    def __init__(
        self, context: Context, replica: Replica, leader: int, connections: Iterator[int]
    ) -> None:
        """`connections` numbers this member's connections; none is ever used twice."""
        config = context.config
        self._context = context
        self._replica = replica
        self._config = config
        self.leader = leader
        self.connection = 0
        self._connections = connections
        self.stage = Stage.CONNECTING
        self.server: Server | None = None
        self.epoch: int | None = None
        self.is_over = ""
        self._retries = 0
        self._retry_at: float | None = None
        self._silent_half_ticks = 0
        self._next_half_tick = context.now_ms + config.tick_time_ms / 2
        self._new_leader_zxid: int | None = None
        self._is_acknowledging = False
        self._unacknowledged: deque[tuple[int, str]] = deque()
        self._persisted_zxid = 0
        self._is_promising = False
        self._needs_snapshot = False
        self._backlog: list[Message] = []
        self._touches: dict[int, int] = {}
        self._revalidating: dict[int, Connection] = {}
        self._syncs: deque[ClientRequest] = deque()
        self._greet()

    @property
    def state(self) -> ServerState:
        """FOLLOWING or OBSERVING."""
        return ServerState.OBSERVING if self._config.is_observer else ServerState.FOLLOWING

    # Connecting.

    def _greet(self) -> None:
        # Each attempt is a connection of its own: the leader may still hold the end of the last.
        self.connection = next(self._connections)
        self._retry_at = None
        if self.leader not in self._context.connected_peers:
            self._on_refused()
            return
        greeting = ObserverInfo if self._config.is_observer else FollowerInfo
        self._send(greeting(self._replica.accepted_epoch))

    def _on_refused(self) -> None:
        """The leader does not listen yet; it may still be waiting for its election to settle."""
        self._retries += 1
        if self._retries > CONNECT_RETRIES:
            self.give_up("the leader does not take connections")
        else:
            self._retry_at = self._context.now_ms + CONNECT_RETRY_MS

    def on_peer_connected(self, peer: int) -> None:
        """The link to the leader is open: no need to wait for the next attempt."""
        if peer == self.leader and self._retry_at is not None:
            self._retry_at = self._context.now_ms

    def on_peer_lost(self, peer: int) -> None:
        """Without its link the connection is gone."""
        if peer != self.leader:
            return
        if self.stage is Stage.CONNECTING:
            self._on_refused()
        else:
            self.give_up("the link to the leader broke")

    # Packets.

    def on_message(self, peer: int, connection: int, message: Message) -> None:
        """Take a packet of the leader; packets of a connection given up are ignored."""
        if peer != self.leader or connection != self.connection:
            return
        self._silent_half_ticks = 0
        if self._replica.truncating_to is not None:
            self._backlog.append(message)
            return
        if self._needs_snapshot and not isinstance(message, Snap | Ping | Fin):
            # It continues a history that this member could not cut itself back to.
            return
        match message:
            case Proposal(txn=txn):
                counters = self._context.counters
                counters.learner_proposal_received_count += 1
                counters.proposal_latency.add(self._context.wall_ms - txn.time_ms)
                self._replica.log(txn)
                self._unacknowledged.append((txn.zxid, txn.body.type))
            case Commit(zxid=zxid):
                self._on_commit(zxid)
            case Inform(txn=txn):
                self._replica.log(txn)
                self._on_commit(txn.zxid)
            case Ping():
                self._send(Ping(tuple(self._touches.items())))
                self._touches.clear()
            case Revalidated(session_id=session_id, is_valid=is_valid):
                self._on_revalidated(session_id, is_valid)
            case SyncPacket():
                self._on_sync()
            case LeaderInfo(epoch=epoch):
                self._on_leader_info(epoch)
            case Diff() | Snap() | Trunc():
                self._on_history(message)
            case NewLeader(zxid=zxid):
                self._new_leader_zxid = zxid
                self._replica.persist_epochs(current=epoch_of(zxid))
            case UpToDate():
                self._on_up_to_date()
            case Fin():
                if self.stage is Stage.CONNECTING:
                    self._on_refused()
                else:
                    self.give_up("the leader closed the connection")
            case (
                Notification()
                | FollowerInfo()
                | ObserverInfo()
                | AckEpoch()
                | Request()
                | Ack()
                | Revalidate()
            ):
                self._context.trace("out_of_protocol", peer=peer, packet=message.kind)
                self.give_up(f"the leader sent {message.kind}")
            case _:
                assert_never(message)

    def _on_leader_info(self, epoch: int) -> None:
        self.stage = Stage.DISCOVERY
        self.epoch = epoch
        if epoch < self._replica.accepted_epoch and not self._config.is_observer:
            self.give_up(f"epoch {epoch} is older than one already accepted")
        elif epoch <= self._replica.accepted_epoch:
            # Not counted by the leader; nor does it ever count on what an observer promised.
            self._send(AckEpoch(-1, self._replica.last_zxid))
        else:
            self._is_promising = True
            self._replica.persist_epochs(accepted=epoch)

    def on_epochs_persisted(self, accepted_epoch: int, current_epoch: int) -> None:
        """The disk has the promise of an epoch, or all that NEWLEADER asks for."""
        if self._new_leader_zxid is not None:
            if current_epoch == epoch_of(self._new_leader_zxid):
                self._acknowledge_new_leader(self._new_leader_zxid)
        elif self._is_promising and accepted_epoch == self.epoch:
            self._is_promising = False
            self._send(AckEpoch(self._replica.current_epoch, self._replica.last_zxid))

    def _on_history(self, message: Diff | Snap | Trunc) -> None:
        self.stage = Stage.SYNCHRONIZATION
        self._context.trace("learner_synchronizing", learner=self._config.sid, mode=message.kind)
        match message:
            case Diff():
                pass
            case Snap(snapshot=snapshot):
                self._needs_snapshot = False
                self._replica.load(snapshot)
            case Trunc(zxid=zxid):
                self._replica.truncate(zxid)

    def on_log_truncated(self, *, is_cut: bool) -> None:
        """Go on with what came while the log was being cut to where the leader said."""
        backlog, self._backlog = self._backlog, []
        if self.is_over:
            return
        if not is_cut:
            # All that the disk has is newer: only a snapshot of the leader's replaces it.
            self._needs_snapshot = True
            self._send(AckEpoch(-1, NO_COMMON_ZXID))
        for message in backlog:
            self.on_message(self.leader, self.connection, message)

    def _acknowledge_new_leader(self, zxid: int) -> None:
        """The disk is first in, first out: the history before NEWLEADER is on it as well."""
        self._new_leader_zxid = None
        self._is_acknowledging = True
        self._send(Ack(zxid))
        self._acknowledge()

    def on_persisted(self, zxid: int) -> None:
        """A logged transaction is on disk; only now may the leader count it."""
        self._persisted_zxid = zxid
        if self._is_acknowledging:
            self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge what is on disk. An observer's word counts for nothing, so it says none."""
        while self._unacknowledged and self._unacknowledged[0][0] <= self._persisted_zxid:
            zxid, txn_type = self._unacknowledged.popleft()
            if not self._config.is_observer:
                self._send(Ack(zxid, txn_type))

    def _on_commit(self, zxid: int) -> None:
        self._context.counters.learner_commit_received_count += 1
        txn = self._replica.next_to_commit(zxid)
        if self.server is None:
            # History before UPTODATE is applied out of everybody's sight.
            self._replica.apply(txn)
        else:
            self.server.on_committed(txn)

    def _on_up_to_date(self) -> None:
        self.stage = Stage.BROADCAST
        self.server = Server(self._context, self._replica, self)
        assert self.epoch is not None
        self._context.trace("serving", state=self.state.name, epoch=self.epoch)

    def _on_revalidated(self, session_id: int, is_valid: bool) -> None:
        """The verdict goes to the client at once, past every commit that is still on its way."""
        connection = self._revalidating.pop(session_id, None)
        if connection is not None and self.server is not None:
            self.server.finish_setup(connection, is_valid=is_valid)

    def _on_sync(self) -> None:
        if self._syncs and self.server is not None:
            self.server.go_on(self._syncs.popleft())

    # The server's role.

    def touch(self, session_id: int, timeout_ms: int) -> bool:
        """Remember for the next ping; only the leader knows whether it is too late."""
        assert self.server is not None
        is_global = session_id in self._replica.sessions or self.server.is_upgrading(session_id)
        if self._config.local_sessions_enabled and not is_global:
            return False
        self._touches[session_id] = timeout_ms
        return True

    def revalidate(self, connection: Connection) -> None:
        """Ask the leader."""
        self._revalidating[connection.session_id] = connection
        self._send(Revalidate(connection.session_id, connection.timeout_ms))

    def process(self, request: ClientRequest) -> None:
        """Queue for the commit first, then forward: the answer must find it waiting."""
        assert self.server is not None
        is_sync = type(request.op) is Sync
        is_forwarded = is_sync or needs_leader(request.op)
        self.server.admit(request, needs_commit=is_forwarded)
        if is_sync:
            self._syncs.append(request)
        if is_forwarded:
            connection = request.connection
            ids = connection.ids if connection is not None else ()
            self._send(Request(request.session_id, request.cxid, request.op, ids))

    def on_session_created(self, session_id: int, timeout_ms: int) -> None:
        """A new session is reported at the next ping like a touched one."""
        self._touches[session_id] = timeout_ms

    def on_session_closed(self, session_id: int) -> None:
        """Nothing to report of it any more."""
        self._touches.pop(session_id, None)

    def _send(self, message: Message) -> None:
        self._context.send(self.leader, self.connection, message)

    # Time.

    def deadline(self) -> float:
        """The next half tick, the next attempt, or the next bucket of local sessions."""
        deadline = self._next_half_tick
        if self._retry_at is not None and self._retry_at < deadline:
            deadline = self._retry_at
        if self.server is not None:
            next_ms = self.server.next_local_expiry_ms
            if next_ms is not None and next_ms < deadline:
                deadline = next_ms
        return deadline

    def on_deadline(self) -> None:
        """Try to connect again; notice that the leader is silent; expire local sessions."""
        now_ms = self._context.now_ms
        if self._retry_at is not None and self._retry_at <= now_ms:
            self._greet()
        if self.server is not None:
            self.server.expire_local_sessions()
        if self._next_half_tick <= now_ms:
            self._next_half_tick = now_ms + self._config.tick_time_ms / 2
            self._silent_half_ticks += 1
            is_serving = self.stage is Stage.BROADCAST
            limit = self._config.sync_limit if is_serving else self._config.init_limit
            if self._silent_half_ticks >= 2 * limit:
                self.give_up("the leader is silent")

    def give_up(self, reason: str) -> None:
        """Follow this leader no further; the member goes back to LOOKING after this step."""
        self.is_over = self.is_over or reason

    def shut_down(self) -> None:
        """Close clients first, then the connection to the leader."""
        if self.server is not None:
            self.server.shut_down()
        self._send(Fin())
