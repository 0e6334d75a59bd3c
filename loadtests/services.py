"""A service: a session with an ephemeral znode, until its program is told that it is over.

Owns the four ways in which a service ends, how its program learns of that, and the list of those
that a process knows. Counts nothing; who looks for the znode afterwards is others' business.

| end     | what happens                                          | told by                        |
|---------|-------------------------------------------------------|--------------------------------|
| silence | the program hangs, its connection stays open          | presenting the old session id  |
| crash   | its connection breaks, the session is left to expire  | presenting the old session id  |
| cut     | its network is dead until the leader has marked it    | its own client, reconnecting   |
| close   | it says good-bye                                      | the reply                      |
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from client.events import SessionEvent, SessionState
from client.history import EXPIRED
from client.line import Answer
from client.ops import Exists
from client.recording import Program
from client.sync import Client, connect_once
from client.sync_line import shared_lines
from loadtests.close_marks import Closing
from loadtests.readers import Told
from loadtests.severed import SeverableLines

# A client that was cut off tries again at least so often; and a busy moment.
_RECONNECT_S = 10.0
_MARK_S = 5.0


class Void(Exception):
    """A round that proves nothing, and why."""


@dataclass(eq=False, slots=True)
class Service:
    """Invariants: `went_down_at` is set once; `told` only after that."""

    client: Client
    member: str
    path: str
    end: str
    closing: Closing
    lines: SeverableLines | None
    began: float
    heard_expired: threading.Event
    history: Program | None = None
    went_down_at: float | None = None
    told: Told | None = None
    # Set when it goes down, so that whoever drives it goes on.
    woken: threading.Event = field(default_factory=threading.Event)
    # Set when its program was told, or will not be: for those who watch its znode.
    is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def session_id(self) -> int:
        """Its session."""
        return self.client.session_id

    def is_alive(self) -> bool:
        """Whether it is up, and its session not over for all that its client knows."""
        return self.went_down_at is None and self.client.state is SessionState.CONNECTED

    def go_down(self, end: str) -> None:
        """End in this way; the second time nothing happens. A close waits for `learn`."""
        if self.went_down_at is not None:
            return
        self.end = end
        match end:
            case "silence":
                self.client.go_silent(keep_connection=True)
            case "crash":
                self.client.go_silent()
            case "cut" if self.lines is not None:
                self.lines.cut()
        self.went_down_at = time.monotonic()
        self.woken.set()

    def touch(self) -> None:
        """Let its member hear of it once more; nobody waits for the answer."""
        self.client.submit(Exists(self.path))

    def learn(self, reconnect_after_s: float, poll_after_s: float | None) -> Told:
        """Wait until its program is told that the session is over. Raises Void if it is not.

        With `poll_after_s` the program waits so long and knows nothing of marks; without, the
        leader itself says when the session is marked closing, so that presenting the id can
        neither revive it nor come long after.
        """
        assert self.went_down_at is not None
        if self.end == "close":
            self._close()
        else:
            self._wait_until_over(poll_after_s)
            time.sleep(reconnect_after_s)
            if self.end == "cut":
                self._reconnect()
            else:
                self._present_id()
        self.told = Told(self.session_id, self.path, time.monotonic())
        self.is_over.set()
        return self.told

    def _wait_until_over(self, poll_after_s: float | None) -> None:
        assert self.went_down_at is not None
        if poll_after_s is not None:
            time.sleep(max(0.0, self.went_down_at + poll_after_s - time.monotonic()))
        elif not self.closing.marked.wait(self.client.timeout_ms / 1000 * 1.5 + _MARK_S):
            raise Void("no mark seen")

    def _present_id(self) -> None:
        """Ask as a client does: a member that closes the connection instead is asked again.

        It does so when it applies the closeSession while the leader is being asked, as ZooKeeper
        does: what it closes is the session's newest connection, and that is the one that asks.
        """
        client, deadline = self.client, time.monotonic() + _RECONNECT_S
        answer = Answer.REFUSED
        while answer is Answer.REFUSED and time.monotonic() < deadline:
            verdict = connect_once(
                self.member, client.session_id, client.password, client.timeout_ms
            )
            answer = verdict.answer
        if answer is not Answer.EXPIRED:
            raise Void(f"session {answer.value} at the reconnect")
        if self.history is not None:
            self.history.told(client.session_id, EXPIRED, self.member)

    def _reconnect(self) -> None:
        assert self.lines is not None
        self.lines.mend()
        if not self.heard_expired.wait(_RECONNECT_S):
            raise Void(f"session {self.client.state.value} once its network was mended")

    def _close(self) -> None:
        before = self.client.last_zxid
        self.client.close()
        # A closeSession is a transaction: its reply carries a zxid that no earlier one did.
        if self.client.last_zxid == before:
            raise Void("no reply to the closing of a session")


def open_service(
    member: str,
    path: str,
    timeout_ms: int,
    end: str,
    closing_of: Callable[[int], Closing],
    history: Program | None = None,
) -> Service:
    """Open a session and register. Raises LagkeeperError; then nothing is left open.

    `closing_of` is asked for the session's end before it can come.
    """
    began = time.monotonic()
    heard_expired = threading.Event()

    def listen(event: SessionEvent) -> None:
        if event is SessionEvent.EXPIRED:
            heard_expired.set()

    lines = SeverableLines(shared_lines()) if end == "cut" else None
    listener = listen if end == "cut" else None
    client = Client(member, timeout_ms, lines=lines, listener=listener, history=history).start()
    try:
        closing = closing_of(client.session_id)
        # A value of its own, by which a history tells whose znode is seen there.
        client.create(path, f"service {client.session_id:x}".encode(), ephemeral=True)
    except BaseException:
        client.close()
        raise
    return Service(client, member, path, end, closing, lines, began, heard_expired, history)


class Registry:
    """The services that a process knows: those that are up, and those that went a moment ago."""

    def __init__(self, remember_s: float) -> None:
        self._remember_s = remember_s
        self._services: list[Service] = []
        self._places: dict[Service, int] = {}
        self._gone: deque[tuple[float, Service]] = deque()

    def __len__(self) -> int:
        """How many are known."""
        return len(self._services)

    def add(self, service: Service) -> None:
        """Know of it."""
        self._places[service] = len(self._services)
        self._services.append(service)

    def let_go(self, service: Service) -> None:
        """It is gone: forget it in a while."""
        self._gone.append((time.monotonic() + self._remember_s, service))
        while self._gone and self._gone[0][0] < time.monotonic():
            self._forget(self._gone.popleft()[1])

    def pick(self, random: Random) -> Service | None:
        """Any of them."""
        return random.choice(self._services) if self._services else None

    def alive(self) -> list[Service]:
        """Those that are up."""
        return [service for service in self._services if service.is_alive()]

    def _forget(self, service: Service) -> None:
        # The last one takes its place, so that picking needs no search.
        place, last = self._places.pop(service), self._services.pop()
        if last is not service:
            self._services[place] = last
            self._places[last] = place
