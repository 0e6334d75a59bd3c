"""Leading: discovery and synchronization, and keeping a quorum (ZooKeeper's `Leader`).

Owns the epoch and the learners' connections: who follows, how far each has come, who is silent.
What is proposed and committed once a quorum follows is `broadcast`'s.
"""

from __future__ import annotations

from typing import assert_never

from nodes.core.broadcast import Broadcast
from nodes.core.context import Context
from nodes.core.handler import LearnerHandler, Stage
from nodes.core.messages import (
    GREETINGS,
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
    Snap,
    SyncPacket,
    Trunc,
    UpToDate,
)
from nodes.core.quorum import is_quorum
from nodes.core.replica import Replica
from nodes.core.server import Server
from nodes.core.synchronization import NO_COMMON_ZXID, plan_synchronization
from nodes.core.zxid import counter_of, make_zxid


class Leader:
    """Invariant: `broadcast` is there exactly from the moment that a quorum has the epoch on disk.

    `is_over` is set once the leader must step down; the member acts on it after each step.
    """

    def __init__(self, context: Context, replica: Replica, *, closing_is_held: bool) -> None:
        config = context.config
        self._context = context
        self._replica = replica
        self._config = config
        self._closing_is_held = closing_is_held
        self.handlers: dict[int, LearnerHandler] = {}
        self.broadcast: Broadcast | None = None
        self.epoch: int | None = None
        self.phase = "DISCOVERY"
        self.is_over = ""
        self._accepted_epochs = {config.sid: replica.accepted_epoch}
        self._epoch_acks: set[int] = set()
        self._new_leader_acks: set[int] = set()
        self._half_ticks = 0
        self._next_half_tick = context.now_ms + config.tick_time_ms / 2
        self._waits_until = 0.0
        self._wait_anew()
        self._choose_epoch()

    @property
    def server(self) -> Server | None:
        """The client side, while this leader serves."""
        return None if self.broadcast is None else self.broadcast.server

    # Discovery.

    def _on_learner_info(self, peer: int, connection: int, accepted_epoch: int) -> None:
        """A learner greets; a handler it had before is of a connection it has given up itself."""
        self.drop(peer, says_fin=False)
        is_voter = peer in self._config.voters
        self.handlers[peer] = LearnerHandler(peer, connection, is_voter, self._half_ticks)
        if self.epoch is None:
            self._accepted_epochs[peer] = accepted_epoch
            self._choose_epoch()
        elif is_voter and accepted_epoch > self.epoch:
            self._make_way_for(peer, accepted_epoch)
        elif self._epoch_acks:
            self._context.send(peer, connection, LeaderInfo(self.epoch))

    def _choose_epoch(self) -> None:
        """With a quorum's promises known, the epoch is newer than all of them."""
        if self.epoch is None and is_quorum(self._accepted_epochs, self._config.voters):
            self.epoch = max(self._accepted_epochs.values()) + 1
            self._wait_anew()
            self._replica.persist_epochs(accepted=self.epoch)

    def _make_way_for(self, peer: int, accepted_epoch: int) -> None:
        """A voter has promised a newer epoch, and must not follow this one.

        It may have been elected itself, and told nobody of its epoch before it was cut off.
        ZooKeeper leaves it out, looking and failing again and again, until the leader changes for
        another reason. So change it now; with the same promise, the next epoch is newer.
        """
        self._replica.persist_epochs(accepted=accepted_epoch)
        self.step_down(f"member {peer} has promised epoch {accepted_epoch}")

    def on_epochs_persisted(self, accepted_epoch: int, current_epoch: int) -> None:
        """The disk has the promise (then it may be announced) or the term (then it counts)."""
        if self.epoch is None or accepted_epoch != self.epoch:
            return
        if current_epoch == self.epoch:
            self._new_leader_acks.add(self._config.sid)
            self._establish()
        elif not self._epoch_acks:
            self._epoch_acks.add(self._config.sid)
            for handler in self.handlers.values():
                self._send(handler, LeaderInfo(self.epoch))
            self._end_discovery()

    def _on_ack_epoch(self, handler: LearnerHandler, message: AckEpoch) -> None:
        if handler.stage is not Stage.GREETED and message.last_zxid != NO_COMMON_ZXID:
            return
        handler.last_zxid = message.last_zxid
        handler.stage = Stage.EPOCH_ACKED
        if self.phase != "DISCOVERY":
            self._synchronize(handler)
            return
        theirs = (message.current_epoch, message.last_zxid)
        ours = (self._replica.current_epoch, self._replica.last_zxid)
        if handler.is_voter and message.current_epoch != -1:
            if theirs > ours:
                # Leading on would erase transactions that a quorum may have acknowledged.
                self.step_down(f"member {handler.sid} has a newer history")
                return
            self._epoch_acks.add(handler.sid)
        self._end_discovery()

    def _end_discovery(self) -> None:
        if self.phase == "DISCOVERY" and is_quorum(self._epoch_acks, self._config.voters):
            self.phase = "SYNCHRONIZATION"
            self._wait_anew()
            self._replica.persist_epochs(current=self.epoch)
            for handler in self.handlers.values():
                if handler.stage is Stage.EPOCH_ACKED:
                    self._synchronize(handler)

    # Synchronization.

    def _synchronize(self, handler: LearnerHandler) -> None:
        """Send history, then everything still outstanding, then NEWLEADER; forward from there."""
        assert self.epoch is not None
        plan = plan_synchronization(self._replica, handler.last_zxid)
        for packet in plan:
            self._send(handler, packet)
        self._context.trace("learner_synchronizing", learner=handler.sid, mode=plan[0].kind)
        if handler.is_voter and self.broadcast is not None:
            self.broadcast.send_outstanding(handler)
        self._send(handler, NewLeader(make_zxid(self.epoch, 0)))
        handler.stage = Stage.SYNCHRONIZING

    def _on_new_leader_ack(self, handler: LearnerHandler) -> None:
        handler.stage = Stage.SYNCHRONIZED
        if handler.is_voter:
            self._new_leader_acks.add(handler.sid)
        if self.broadcast is not None:
            self._send_up_to_date(handler)
        else:
            self._establish()

    def _establish(self) -> None:
        """A quorum, this member among it, has the epoch on disk: serve."""
        acks = self._new_leader_acks
        if self.broadcast is not None or not is_quorum(acks, self._config.voters):
            return
        if self._config.sid not in acks:
            return
        assert self.epoch is not None
        self.phase = "BROADCAST"
        self.broadcast = Broadcast(
            self._context, self._replica, self.epoch, self.handlers, self.step_down
        )
        if self._closing_is_held:
            self.broadcast.expiry.hold()
        self._context.trace("serving", state="LEADING", epoch=self.epoch)
        for handler in self.handlers.values():
            if handler.stage is Stage.SYNCHRONIZED:
                self._send_up_to_date(handler)

    def _send_up_to_date(self, handler: LearnerHandler) -> None:
        self._send(handler, UpToDate(self._replica.last_zxid))

    def on_persisted(self, zxid: int) -> None:
        """The leader's own log counts like any other voter's."""
        if self.broadcast is not None:
            self.broadcast.acknowledge(self._config.sid, zxid)

    def _on_ack(self, handler: LearnerHandler, zxid: int) -> None:
        if counter_of(zxid) == 0:
            if handler.stage is Stage.SYNCHRONIZING:
                self._on_new_leader_ack(handler)
            return
        handler.note_ack(zxid, self._context.now_ms)
        if handler.is_voter and self.broadcast is not None:
            self.broadcast.acknowledge(handler.sid, zxid)

    # Learners.

    def on_message(self, peer: int, connection: int, message: Message) -> None:
        """Take a packet of a learner; packets of a connection given up are ignored."""
        handler = self.handlers.get(peer)
        if handler is None or handler.connection != connection:
            if isinstance(message, GREETINGS):
                self._on_learner_info(peer, connection, message.accepted_epoch)
            return
        handler.heard_at = self._half_ticks
        match message:
            case Ack(zxid=zxid):
                self._on_ack(handler, zxid)
            case Request():
                if self.broadcast is not None:
                    self.broadcast.on_request(handler, message)
            case Ping(touches=touches):
                if self.broadcast is not None:
                    for session_id, timeout_ms in touches:
                        self.broadcast.touch(session_id, timeout_ms)
            case Revalidate(session_id=session_id, timeout_ms=timeout_ms):
                if self.broadcast is not None:
                    self.broadcast.on_revalidate(handler, session_id, timeout_ms)
            case AckEpoch():
                self._on_ack_epoch(handler, message)
            case Fin():
                self.drop(peer, says_fin=False)
            case FollowerInfo() | ObserverInfo():
                self._on_learner_info(peer, connection, message.accepted_epoch)
            case (
                Notification()
                | Proposal()
                | Commit()
                | Inform()
                | Diff()
                | Trunc()
                | Snap()
                | LeaderInfo()
                | NewLeader()
                | UpToDate()
                | Revalidated()
                | SyncPacket()
            ):
                self._context.trace("out_of_protocol", peer=peer, packet=message.kind)
                self.drop(peer)
            case _:
                assert_never(message)

    def _send(self, handler: LearnerHandler, message: Message) -> None:
        self._context.send(handler.sid, handler.connection, message)

    def drop(self, peer: int, *, says_fin: bool = True) -> int | None:
        """End the connection with a learner; return its number, if there was one."""
        handler = self.handlers.pop(peer, None)
        if handler is None:
            return None
        if says_fin:
            self._send(handler, Fin())
        return handler.connection

    # Time.

    def deadline(self) -> float:
        """The next half tick, or the next bucket of sessions."""
        deadline = None if self.broadcast is None else self.broadcast.deadline()
        return self._next_half_tick if deadline is None else min(deadline, self._next_half_tick)

    def on_deadline(self) -> None:
        """Ping, drop the silent, count who is left; expire sessions."""
        if self.broadcast is not None:
            self.broadcast.on_deadline()
        if self._next_half_tick <= self._context.now_ms:
            self._next_half_tick = self._context.now_ms + self._config.tick_time_ms / 2
            self._half_ticks += 1
            self._on_half_tick()

    def _on_half_tick(self) -> None:
        now_ms, tick_ms = self._context.now_ms, self._config.tick_time_ms
        if self.broadcast is None:
            if now_ms >= self._waits_until:
                self.step_down("no quorum within initLimit")
            return
        for handler in list(self.handlers.values()):
            is_in_sync = handler.stage is Stage.SYNCHRONIZED
            limit = self._config.sync_limit if is_in_sync else self._config.init_limit
            is_silent = self._half_ticks - handler.heard_at >= 2 * limit
            if is_silent or handler.is_overdue(now_ms, limit * tick_ms):
                self._context.trace("learner_dropped", learner=handler.sid)
                self.drop(handler.sid)
            elif handler.is_forwarding:
                self._send(handler, Ping())
        if self._half_ticks % 2 == 0:
            in_sync = {self._config.sid, *self.synchronized()}
            if not is_quorum(in_sync, self._config.voters):
                self.step_down("no quorum of followers in sync")

    def _wait_anew(self) -> None:
        """A quorum of greetings, of epochs accepted, of histories: initLimit for each of them."""
        span_ms = self._config.init_limit * self._config.tick_time_ms
        self._waits_until = self._context.now_ms + span_ms

    # What operators ask.

    def expire(self, session_id: int) -> None:
        """Treat a session as due now."""
        if self.broadcast is not None:
            self.broadcast.expiry.expire(session_id)

    def hold_closing(self, is_held: bool) -> None:
        """Stall the expiry thread, or let it go on."""
        self._closing_is_held = is_held
        if self.broadcast is not None:
            if is_held:
                self.broadcast.expiry.hold()
            else:
                self.broadcast.expiry.release()

    def synchronized(self) -> tuple[int, ...]:
        """The learners in step."""
        return tuple(sid for sid, h in self.handlers.items() if h.stage is Stage.SYNCHRONIZED)

    def step_down(self, reason: str) -> None:
        """Lead no further; the member goes back to LOOKING at the end of this step."""
        self.is_over = self.is_over or reason

    def shut_down(self) -> None:
        """Close clients first, so that nobody reads what may be undone, then learners."""
        if self.server is not None:
            self.server.shut_down()
        for peer in list(self.handlers):
            self.drop(peer)
