"""Owns the state of one interaction script: the world, the clients by name, what was printed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nodes.core.effects import CloseConnection, ConnectReply, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.leader import Leader
from nodes.core.messages import Message
from nodes.core.requests import ChildrenResult, DataResult, PathResult, StatResult
from nodes.core.zxid import MAX_COUNTER, epoch_of, make_zxid, show_zxid
from orchestrator.simulator.connections import PING_XID, Connection, Frame
from orchestrator.simulator.host import Host, Life
from orchestrator.simulator.world import World
from tests.simulator.packets import show_packet

PATIENCE_MS = 50.0
EVENT_TYPES = {1: "NodeCreated", 2: "NodeDeleted", 3: "NodeDataChanged", 4: "NodeChildrenChanged"}


class ScriptError(ValueError):
    """A command that cannot be: says where."""


@dataclass(slots=True)
class Client:
    """A connection under its name, and what was asked on it."""

    name: str
    connection: Connection
    asked: dict[int, str] = field(default_factory=dict)


class Stage:
    """The world of one script, and what happened in it since the last command."""

    def __init__(self) -> None:
        self._seed = 1
        self._world: World | None = None
        self._clients: dict[str, Client] = {}
        self._names: dict[int, str] = {}
        self._printed: list[str] = []
        self._traced = 0
        self._kinds: tuple[str, ...] | None = ("",)
        self._packets: tuple[str, ...] = ()

    def run(self, line: str) -> list[str]:
        """Carry out one command; return what it printed."""
        self._printed = []
        self._carry_out(line.split())
        self._print_traces()
        return self._printed

    def _carry_out(self, words: Sequence[str]) -> None:
        if not words:
            raise ScriptError("no command")
        word, *args = words
        command: Callable[..., None] | None = getattr(self, f"_do_{word.replace('-', '_')}", None)
        if command is None:
            raise ScriptError(f"unknown command {word!r}")
        try:
            inspect.signature(command).bind(*args)
        except TypeError:
            raise ScriptError(f"usage: {command.__doc__}") from None
        command(*args)

    @property
    def world(self) -> World:
        """The ensemble."""
        if self._world is None:
            raise ScriptError("no members: add-members first")
        return self._world

    def exhaust_zxids(self, left: int) -> None:
        """Leave the leader's epoch `left` zxids: nobody waits for four thousand million writes."""
        leader = self.world.leader()
        role = self.world.hosts[leader].member._role if leader is not None else None
        if not isinstance(role, Leader) or role.broadcast is None:
            raise ScriptError("no member leads")
        broadcast = role.broadcast
        # The last counter is never used: the leader steps down at the write that would take it.
        epoch = epoch_of(broadcast._next_zxid)
        broadcast._next_zxid = make_zxid(epoch, MAX_COUNTER - 1 - left)

    # What is printed.

    def _print_traces(self) -> None:
        """Print what was traced since the last time, in its place among what clients saw."""
        if self._world is None:
            return
        records = self.world.trace.records
        for record in records[self._traced :]:
            if self._kinds is None or not record.kind.startswith(self._kinds):
                continue
            fields = " ".join(self._show(name, value) for name, value in record.fields.items())
            who = str(record.sid) if record.sid else "world"
            self._printed.append(f"{who} {record.kind} {fields}")
        self._traced = len(records)

    def _show(self, name: str, value: int | str | bool) -> str:
        if name == "session_id":
            return f"session={self._names.get(int(value), '?')}"
        return f"{name}={value}"

    def _say(self, text: str) -> None:
        self._print_traces()
        self._printed.append(text)

    def _on_send(self, sender: int, receiver: int, message: Message) -> None:
        if message.kind in self._packets:
            self._say(f"{sender}->{receiver} {show_packet(message)}")

    def _on_frame(self, client: Client, frame: Frame) -> None:
        match frame:
            case ConnectReply(session_id=session_id, timeout_ms=timeout_ms):
                if session_id:
                    self._names.setdefault(session_id, client.name)
                    self._say(f"{client.name}: connected timeout={timeout_ms}")
                    client.connection.keep_alive()
                else:
                    self._say(f"{client.name}: session expired")
            case Reply(xid=xid):
                if xid != PING_XID:
                    self._say(f"{client.name}: {client.asked[xid]}: {self._show_reply(frame)}")
            case Notify(type=event_type, path=path):
                self._say(f"{client.name}: event {EVENT_TYPES[event_type]} {path}")
            case CloseConnection():
                self._say(f"{client.name}: connection closed")

    def _show_reply(self, reply: Reply) -> str:
        if reply.error != ErrorCode.OK:
            return f"{reply.error.name} zxid={show_zxid(reply.zxid)}"
        match reply.result:
            case PathResult(path=path):
                text = path
            case DataResult(data=data, stat=stat):
                shown = "null" if data is None else repr(data.decode())
                text = f"{shown} owner={self._names.get(stat.ephemeral_owner, 'none')}"
            case StatResult(stat=stat):
                text = f"version={stat.version}"
            case ChildrenResult(names=names):
                text = " ".join(sorted(names)) or "none"
            case _:
                text = "ok"
        return f"{text} zxid={show_zxid(reply.zxid)}"

    # What clients wait for.

    def _client(self, name: str) -> Client:
        if name not in self._clients:
            raise ScriptError(f"no client {name!r}")
        return self._clients[name]

    def _await(self, client: Client, is_answered: Callable[[], bool]) -> None:
        """Run until the client has its answer or loses its connection, or patience ends."""
        clock, connection = self.world.clock, client.connection
        end_ms = clock.now_ms + PATIENCE_MS
        while not is_answered() and not connection.is_closed:
            next_ms = clock.next_ms()
            if next_ms is None or next_ms > end_ms:
                self._say(f"{client.name}: no answer yet")
                return
            clock.run_next()


def state_of(host: Host) -> str:
    """Return a member's state; one that is down has none."""
    return host.member.status().state.name if host.is_up else ""


def show_status(host: Host) -> str:
    """Return a member's own view of itself as one line."""
    if host.life is Life.DOWN:
        return f"{host.sid} down"
    status = host.member.status()
    paused = " paused" if host.life is Life.PAUSED else ""
    return (
        f"{host.sid} {status.state.name} {status.phase} leader={status.leader}"
        f" epoch={status.epoch} zxid={show_zxid(status.last_zxid)}"
        f" sessions={status.global_sessions} ephemerals={status.ephemerals}"
        f" znodes={status.znodes}{paused}"
    )
