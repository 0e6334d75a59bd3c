"""Owns a simulated client: the session machine of `client.session`, in virtual time.

The machine chooses members, pings, reconnects and re-registers watches; this shell carries out
its effects on raw connections and keeps its deadline. It retries nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, assert_never

import client.ops
import nodes.core.requests
from client.acl import OPEN_ACL
from client.events import (
    Announce,
    CloseRequested,
    Complete,
    DeadlineReached,
    Drop,
    Effect,
    Event,
    Fail,
    Fire,
    Lost,
    Open,
    Received,
    Send,
    SessionEvent,
    SessionState,
    Silenced,
    Started,
    Submitted,
)
from client.ops import AddWatch, Reply, SessionResponse, UserOp, WatchEvent
from client.session import Session
from nodes.core import effects as member_effects
from orchestrator.simulator.connections import Connection, Frame
from orchestrator.simulator.world import World

if TYPE_CHECKING:
    from client.recording import Joinable

Outcome = Reply | Fail


class SimulatedClient:
    """A client program with one session. Each submitted operation gets exactly one outcome.

    Invariant: `outcomes` and `events` are in the order in which the program learnt of them.
    """

    def __init__(
        self,
        world: World,
        sids: tuple[int, ...],
        timeout_ms: int,
        history: Joinable | None = None,
    ) -> None:
        """Begin to connect, to the first of `sids`; the others are tried in turn.

        `history` records every operation, on the world's clock if that is its writer's.
        """
        self.outcomes: list[Outcome] = []
        self.events: list[SessionEvent] = []
        self.watch_events: list[WatchEvent] = []
        self.on_event: Callable[[SessionEvent], None] | None = None
        self._world = world
        self._sids = sids
        self._session = Session(len(sids), timeout_ms)
        self._connections: dict[int, Connection] = {}
        self._wake_ms: float | None = None
        self._recording = None if history is None else history.join([str(sid) for sid in sids])
        self._step(Started())

    @property
    def state(self) -> SessionState:
        """Where the session stands, as far as the client knows."""
        return self._session.state

    @property
    def session_id(self) -> int:
        """The session's id; 0 before there is one."""
        return self._session.session_id

    @property
    def sid(self) -> int:
        """The member it talks to, or tries to."""
        return self._sids[self._session.member]

    def submit(self, op: UserOp, then: Callable[[Outcome], None] | None = None) -> None:
        """Ask for an operation; `then` is called with its outcome."""
        # A token of its own, by which a recording tells operations apart.
        token = partial(self._tell, then)
        # With a watcher a read would be watched, after the next reconnect even on the member.
        is_watching = isinstance(op, AddWatch) or getattr(op, "watch", False)
        watcher = self.watch_events.append if is_watching else None
        self._step(Submitted(token, op, watcher=watcher))

    def close(self) -> None:
        """End the session."""
        self._step(CloseRequested())

    def fall_silent(self) -> None:
        """Drop out without a word, as a program that hangs: the session is left to expire."""
        self._step(Silenced(keep_connection=True))

    def move(self) -> None:
        """Lose the connection, so that the session goes on with the next member."""
        number = self._session.connection
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.drop()
            self._step(Lost(number))

    def _step(self, event: Event) -> None:
        recording = self._recording
        if recording is not None:
            recording.before(self._session, event)
        effects = self._session.step(event, self._world.clock.now_ms)
        if recording is not None:
            recording.after(self._session, effects)
        for effect in effects:
            self._carry_out(effect)
        deadline = self._session.deadline()
        if deadline is not None and (self._wake_ms is None or deadline < self._wake_ms):
            self._wake_ms = deadline
            self._world.clock.call_at(deadline, self._wake, is_timer=True)

    def _wake(self) -> None:
        now_ms = self._world.clock.now_ms
        if self._wake_ms is None or now_ms < self._wake_ms:
            return
        self._wake_ms = None
        deadline = self._session.deadline()
        if deadline is None:
            return
        if deadline <= now_ms:
            self._step(DeadlineReached())
        else:
            self._wake_ms = deadline
            self._world.clock.call_at(deadline, self._wake, is_timer=True)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Open():
                self._open(effect)
            case Send(connection=number, request=request):
                self._connections[number].submit_as(request.xid, to_member(request.op))
            case Drop(connection=number):
                self._connections.pop(number).drop()
            case Complete(token=tell, reply=reply):
                tell(reply)
            case Fail(token=tell):
                tell(effect)
            case Fire(watchers=watchers, event=event):
                for watcher in watchers:
                    watcher(event)
            case Announce(event=announced):
                self.events.append(announced)
                if self.on_event is not None:
                    self.on_event(announced)
            case _:
                assert_never(effect)

    def _tell(self, then: Callable[[Outcome], None] | None, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if then is not None:
            then(outcome)

    def _open(self, effect: Open) -> None:
        number, request = effect.connection, effect.request
        connection = self._connections[number] = self._world.connect(
            self._sids[effect.member],
            request.timeout_ms,
            session_id=request.session_id,
            password=request.password,
            last_zxid=request.last_zxid_seen,
        )
        connection.on_frame = lambda frame: self._on_frame(number, frame)

    def _on_frame(self, number: int, frame: Frame) -> None:
        match frame:
            case member_effects.ConnectReply(
                session_id=session_id, timeout_ms=timeout_ms, password=password
            ):
                self._step(Received(number, SessionResponse(timeout_ms, session_id, password)))
            case member_effects.Reply(xid=xid, zxid=zxid, error=error, result=result):
                reply = Reply(xid, zxid, int(error), to_client(result))
                self._step(Received(number, reply))
            case member_effects.Notify(type=event_type, path=path):
                self._step(Received(number, WatchEvent(event_type, path)))
            case member_effects.CloseConnection():
                self._connections.pop(number, None)
                self._step(Lost(number))
            case _:
                assert_never(frame)


def to_member(op: client.ops.Op) -> nodes.core.requests.Op:
    """Return a client's operation in the members' own types."""
    translated: nodes.core.requests.Op = _translate(op, nodes.core.requests)
    return translated


def to_client(result: nodes.core.requests.Result) -> client.ops.Result:
    """Return a member's result in the client's own types."""
    translated: client.ops.Result = _translate(result, client.ops)
    return translated


# Of a type and a side: the other side's type, and the fields of both.
_COUNTERPARTS: dict[tuple[type, ModuleType], tuple[type, tuple[str, ...]]] = {}


def _translate(value: Any, module: ModuleType) -> Any:
    """The two sides share no code, only the names of types and fields: those of the wire."""
    kind = type(value)
    if kind is tuple:
        if value is OPEN_ACL:
            # Of nearly every create, and the core knows the open list by its identity.
            return nodes.core.requests.OPEN_ACL
        return tuple([_translate(part, module) for part in value])
    if not is_dataclass(kind):
        return value
    known = _COUNTERPARTS.get((kind, module))
    if known is None:
        names = tuple(field.name for field in fields(kind))
        known = _COUNTERPARTS[kind, module] = (getattr(module, kind.__name__), names)
    counterpart, names = known
    return counterpart(**{name: _translate(getattr(value, name), module) for name in names})
