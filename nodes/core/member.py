"""A member: one step for every event, one role at a time.

`step` does what all roles share and hands the rest to the role. Roles change only here,
through `become_*`. No clock, no I/O, no randomness: the same events give the same effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import assert_never

from nodes.core.config import MemberConfig
from nodes.core.context import Context
from nodes.core.counters import Counters
from nodes.core.dump import Dump, dump_of
from nodes.core.effects import CloseConnection, Effect
from nodes.core.election import Election, Vote
from nodes.core.events import (
    ClosingHeld,
    ClosingReleased,
    ConnectionLost,
    ConnectRequested,
    DeadlineReached,
    EpochsPersisted,
    Event,
    ExpireRequested,
    LogTruncated,
    PeerConnected,
    PeerLost,
    Persisted,
    ReadTracingSet,
    Received,
    SnapshotPartWritten,
    SnapshotPersisted,
    Started,
    Submitted,
)
from nodes.core.leader import Leader
from nodes.core.learner import Learner, Stage
from nodes.core.messages import GREETINGS, Fin, Message, Notification, ServerState
from nodes.core.readonly import ReadOnly
from nodes.core.replica import Replica
from nodes.core.server import Server
from nodes.core.status import Status
from nodes.core.txns import Recovered
from nodes.core.zxid import epoch_of

Role = Leader | Learner | None

# A member that looks for a leader waits this long, or a tick, before it serves reads meanwhile.
_READ_ONLY_AFTER_MS = 2000


class Member:
    """Invariants: LOOKING exactly while `_role` is None; then no client is connected, but to
    `_read_only`, which is there only then.
    """

    def __init__(self, config: MemberConfig, recovered: Recovered) -> None:
        self._config = config
        self._context = Context(config)
        self._replica = Replica(self._context, recovered)
        self._election = Election(self._context)
        self._role: Role = None
        self._read_only: ReadOnly | None = None
        self._read_only_at: float | None = None
        self._connections: Iterator[int] = count(1)
        self._unsaid_fins: dict[int, int] = {}
        self._closing_is_held = False

    def step(self, event: Event, now_ms: float) -> list[Effect]:
        """Take one event at the instant `now_ms` and return what is to be done, in order.

        Raises InvariantBroken when the protocol's own rules fail; the process must stop then.
        """
        return self.steps((event,), now_ms)

    def steps(self, events: Iterable[Event], now_ms: float) -> list[Effect]:
        """As `step` for each of some events that arrived together, in order. Raises as it does."""
        effects = self._context.begin(now_ms)
        for event in events:
            self._dispatch(event)
            role = self._role
            # A member whose log is being cut has no history to vote with: the one in memory is
            # about to go, and the one on disk is not known yet.
            if role is not None and role.is_over and self._replica.truncating_to is None:
                self.become_looking(role.is_over)
        return effects

    def _dispatch(self, event: Event) -> None:
        role = self._role
        match event:
            case Received(peer=peer, connection=connection, message=message):
                self._on_received(peer, connection, message)
            case Persisted(zxid=zxid):
                if role is not None:
                    role.on_persisted(zxid)
            case Submitted(connection=connection, xid=xid, op=op):
                self._context.counters.requests.packets_received += 1
                server = self._server
                if server is not None:
                    server.on_submitted(connection, xid, op)
            case DeadlineReached():
                self._on_deadline()
            case ConnectRequested():
                self._on_connect_requested(event)
            case ConnectionLost(connection=connection):
                server = self._server
                if server is not None and connection in server.connections:
                    self._context.counters.connection_drop_count += 1
                    server.on_connection_lost(connection)
            case PeerConnected(peer=peer):
                self._on_peer_connected(peer)
            case PeerLost(peer=peer):
                self._on_peer_lost(peer)
            case EpochsPersisted(accepted_epoch=accepted, current_epoch=current):
                if self._replica.on_epochs_persisted() and role is not None:
                    role.on_epochs_persisted(accepted, current)
            case LogTruncated(recovered=recovered):
                is_cut = self._replica.on_log_truncated(recovered)
                if isinstance(role, Learner):
                    role.on_log_truncated(is_cut=is_cut)
            case SnapshotPartWritten():
                self._replica.on_snapshot_part_written()
            case SnapshotPersisted():
                # NEWLEADER waits for the epochs, which the disk writes after the snapshot.
                pass
            case Started():
                # Not 1 again after a restart: packets of an earlier life may still arrive.
                self._connections = count(max(int(self._context.now_ms), 1))
                self.become_looking("started")
            case ExpireRequested(session_id=session_id):
                if isinstance(role, Leader):
                    role.expire(session_id)
            case ClosingHeld():
                self._hold_closing(True)
            case ClosingReleased():
                self._hold_closing(False)
            case ReadTracingSet(is_on=is_on):
                self._context.is_tracing_reads = is_on
            case _:
                assert_never(event)

    @property
    def _server(self) -> Server | None:
        """What clients of this member speak to, if they may speak to it now."""
        role = self._read_only if self._role is None else self._role
        return None if role is None else role.server

    # Roles.

    def become_looking(self, reason: str) -> None:
        """Leave the role: close clients, count everything logged as history, elect anew."""
        if self._role is not None:
            self._role.shut_down()
            self._role = None
        self._context.trace("state", state="LOOKING", reason=reason)
        self._replica.fast_forward()
        self._election.begin(self._replica.last_zxid, self._replica.current_epoch)
        if self._config.read_only_mode_enabled:
            after_ms = max(_READ_ONLY_AFTER_MS, self._config.tick_time_ms)
            self._read_only_at = self._context.now_ms + after_ms

    def _end_read_only(self) -> None:
        """The search is over: clients are closed, and come again to a member with a quorum."""
        self._read_only_at = None
        if self._read_only is not None:
            self._read_only.server.shut_down()
            self._read_only = None

    def become_leading(self) -> None:
        """The election chose this member."""
        assert self._role is None
        self._end_read_only()
        self._context.trace("state", state="LEADING", reason="elected")
        held = self._closing_is_held
        self._role = Leader(self._context, self._replica, closing_is_held=held)

    def become_learning(self, leader: int) -> None:
        """The election chose another member: follow it, or observe."""
        assert self._role is None
        self._end_read_only()
        self._role = Learner(self._context, self._replica, leader, self._connections)
        self._context.trace("state", state=self._role.state.name, reason="elected")

    def _on_vote(self, vote: Vote | None) -> None:
        if vote is None:
            return
        if vote.leader == self._config.sid:
            self.become_leading()
        else:
            self.become_learning(vote.leader)

    # Peers.

    def _on_received(self, peer: int, connection: int, message: Message) -> None:
        role = self._role
        if type(message) is Notification:
            self._on_notification(peer, message)
        elif isinstance(message, GREETINGS) and not self._is_listening_to(peer):
            # As a port that nobody listens on: the learner tries again a little later.
            self._say_fin(peer, connection)
        elif role is not None:
            role.on_message(peer, connection, message)
            if role.epoch is not None:
                self._election.enter_epoch(role.epoch)

    def _is_listening_to(self, peer: int) -> bool:
        return isinstance(self._role, Leader) and peer in self._context.connected_peers

    def _say_fin(self, peer: int, connection: int) -> None:
        """End a learner's connection, as soon as it can be told.

        A Fin that is lost with its link would leave the learner waiting for all of initLimit.
        """
        if peer in self._context.connected_peers:
            self._context.send(peer, connection, Fin())
        else:
            self._unsaid_fins[peer] = connection

    def _on_notification(self, peer: int, message: Notification) -> None:
        if self._role is None:
            self._on_vote(self._election.on_notification(peer, message))
        elif message.state is ServerState.LOOKING and not self._config.is_observer:
            self._election.send_to(peer, self._state)

    def _on_peer_connected(self, peer: int) -> None:
        self._context.connected_peers[peer] = None
        connection = self._unsaid_fins.pop(peer, None)
        if connection is not None:
            self._say_fin(peer, connection)
        if self._has_news_for(peer):
            # The last notification went out over the old link (`QuorumCnxManager` sends it
            # again too); without it a peer that looks would wait for its own resend.
            self._election.send_to(peer, self._state)
        if self._role is None:
            self._election.ask_again_soon()
        if isinstance(self._role, Learner):
            self._role.on_peer_connected(peer)

    def _has_news_for(self, peer: int) -> bool:
        """Whether `peer` may care for this member's vote: what an observer chose counts nowhere."""
        if self._role is None:
            return peer in self._config.voters
        return not self._config.is_observer

    def _on_peer_lost(self, peer: int) -> None:
        self._context.connected_peers.pop(peer, None)
        match self._role:
            case Leader() as leader:
                connection = leader.drop(peer, says_fin=False)
                if connection is not None:
                    self._say_fin(peer, connection)
            case Learner() as learner:
                learner.on_peer_lost(peer)
            case None:
                pass

    # Clients.

    def _on_connect_requested(self, event: ConnectRequested) -> None:
        counters = self._context.counters
        counters.requests.packets_received += 1
        counters.connection_request_count += 1
        counters.connection_revalidate_count += event.session_id != 0
        server = self._server
        if server is None:
            self._context.effects.append(CloseConnection(event.connection))
        else:
            server.on_connect_requested(event)

    def _hold_closing(self, is_held: bool) -> None:
        self._closing_is_held = is_held
        if isinstance(self._role, Leader):
            self._role.hold_closing(is_held)

    # Time.

    def deadline(self) -> float:
        """The instant, on the clock of `now_ms`, at which to deliver DeadlineReached."""
        if self._role is not None:
            return self._role.deadline()
        deadlines: list[float | None] = [self._election.deadline(), self._read_only_at]
        if self._read_only is not None:
            deadlines.append(self._read_only.server.next_local_expiry_ms)
        return min(deadline for deadline in deadlines if deadline is not None)

    def _on_deadline(self) -> None:
        if self._role is not None:
            self._role.on_deadline()
            return
        now_ms = self._context.now_ms
        if self._read_only_at is not None and self._read_only_at <= now_ms:
            self._read_only_at = None
            self._read_only = ReadOnly(self._context, self._replica)
        if self._read_only is not None:
            self._read_only.server.expire_local_sessions()
        self._on_vote(self._election.on_deadline())

    # Status.

    @property
    def _state(self) -> ServerState:
        match self._role:
            case Leader():
                return ServerState.LEADING
            case Learner() as learner:
                return learner.state
            case None:
                return ServerState.LOOKING

    @property
    def _phase(self) -> str:
        match self._role:
            case Leader() as leader:
                return leader.phase
            case Learner() as learner:
                return "DISCOVERY" if learner.stage is Stage.CONNECTING else learner.stage.name
            case None:
                return "ELECTION"

    @property
    def _leader_sid(self) -> int | None:
        match self._role:
            case Leader():
                return self._config.sid
            case Learner() as learner:
                return learner.leader
            case None:
                return None

    @property
    def is_serving(self) -> bool:
        """Whether clients are served at all, if only reads."""
        return self._server is not None

    @property
    def counters(self) -> Counters:
        """What this member has counted since its process began."""
        return self._context.counters

    def status(self) -> Status:
        """Return this member's own view."""
        role, server = self._role, self._server
        leader = role if isinstance(role, Leader) else None
        broadcast = leader.broadcast if leader is not None else None
        tree = self._replica.tree
        epoch = self._replica.current_epoch if role is None or role.epoch is None else role.epoch
        local = server.local_sessions if server is not None else None
        return Status(
            sid=self._config.sid,
            state=self._state,
            phase=self._phase,
            is_serving=server is not None and self._read_only is None,
            leader=self._leader_sid,
            epoch=max(epoch, epoch_of(self._replica.last_zxid)),
            last_zxid=self._replica.last_zxid,
            last_logged_zxid=self._replica.last_logged_zxid,
            global_sessions=len(self._replica.sessions),
            local_sessions=len(local.sessions) if local is not None else 0,
            closing_sessions=broadcast.sessions.closing_count if broadcast is not None else 0,
            is_read_only=self._read_only is not None,
            connections=len(server.connections) if server is not None else 0,
            znodes=tree.node_count,
            ephemerals=tree.ephemeral_count,
            watches=server.watches.count if server is not None else 0,
            outstanding_proposals=len(broadcast.outstanding) if broadcast is not None else 0,
            synced_learners=leader.synchronized() if leader is not None else (),
            closing_is_held=self._closing_is_held,
            outstanding_requests=server.commits.outstanding if server is not None else 0,
            learners=len(leader.handlers) if leader is not None else 0,
            pending_syncs=broadcast.pending_syncs if broadcast is not None else 0,
            approximate_data_size=tree.data_size,
        )

    def dump(self) -> Dump | None:
        """Return sessions, ephemerals and watches; None unless this member serves."""
        broadcast = self._role.broadcast if isinstance(self._role, Leader) else None
        server = self._server
        if server is None:
            return None
        return dump_of(self._replica, server, broadcast.sessions if broadcast is not None else None)

    def knows_session(self, session_id: int) -> bool:
        """Whether this member, if it leads, tracks the session."""
        broadcast = self._role.broadcast if isinstance(self._role, Leader) else None
        return broadcast is not None and session_id in broadcast.sessions.sessions

    def digest(self) -> str:
        """Return a digest of the applied tree: equal on members that have applied the same."""
        return self._replica.tree.digest()
