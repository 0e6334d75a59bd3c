"""What the asyncio and the threaded client have in common.

Owns the carrying out of the session machine's effects. Decides nothing about the protocol, and
leaves to each shell how to wait, how to wake and who runs callbacks.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from client.errors import (
    BadArgumentsError,
    ConnectionLossError,
    LagkeeperError,
    SessionExpiredError,
    error_for,
)
from client.events import (
    Announce,
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
)
from client.line import Frame, Handler
from client.members import parse_members
from client.ops import (
    ClientFrame,
    Reply,
    SessionRequest,
    UserOp,
    WatchEvent,
)
from client.replies import Watcher
from client.session import Session
from client.validation import validate

if TYPE_CHECKING:
    # A program that records nothing need not load what recording takes.
    from client.recording import Joinable

Listener = Callable[[SessionEvent], object]
_UNSIGNED = 2**64 - 1


class Line(Protocol):
    """A line as the shell uses it."""

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Take up a connection; 0 if the line is broken."""

    def send(self, number: int, frame: ClientFrame) -> None:
        """Queue a frame."""

    def drop(self, number: int) -> None:
        """Forget a connection and tell the member."""


class Shell(ABC):
    """A client without its API. Not safe for threads: a subclass serializes `_step`."""

    def __init__(
        self,
        members: str | Iterable[str],
        timeout_ms: int,
        session: tuple[int, bytes] | None,
        first: int,
        connect_timeout_ms: int,
        can_be_read_only: bool,
        listener: Listener | None,
        history: Joinable | None,
    ) -> None:
        self._members = parse_members(members)
        if not 0 < timeout_ms < 2**31:
            raise BadArgumentsError("connect", "", f"timeout_ms {timeout_ms} is not a length")
        session_id, password = checked_identity(session)
        self._session = Session(
            len(self._members),
            timeout_ms,
            first=first,
            session_id=session_id,
            password=password,
            can_be_read_only=can_be_read_only,
        )
        self._connect_timeout_ms = connect_timeout_ms
        self._listener = listener
        self._recording = None if history is None else history.join(self._members)
        self._line: Line | None = None
        self._number = 0
        self._armed_ms = math.inf
        self._backlog: list[Event] = []
        # Why the last attempt at each member failed, for the error of start().
        self._reasons: dict[str, str] = {}

    @property
    def session_id(self) -> int:
        """The session's id; 0 until the first member has answered."""
        return self._session.session_id

    @property
    def password(self) -> bytes:
        """What resumes the session, together with its id."""
        return self._session.password

    @property
    def timeout_ms(self) -> int:
        """The session timeout: negotiated, or the wanted one until then."""
        return self._session.timeout_ms

    @property
    def last_zxid(self) -> int:
        """The greatest zxid seen in a reply; a member behind it refuses this session."""
        return self._session.last_zxid

    @property
    def state(self) -> SessionState:
        """Where the session stands, as far as this client knows."""
        return self._session.state

    @property
    def is_read_only(self) -> bool:
        """Whether the member it is connected to has no quorum, and serves reads only."""
        return self._session.is_read_only

    @property
    def member(self) -> str | None:
        """The address of the member it is connected to, if it is."""
        if self._session.state is not SessionState.CONNECTED:
            return None
        return self._members[self._session.member]

    # From the line, and from the clock

    def on_frame(self, token: int, frame: Frame) -> None:
        """Take a frame from the line (see `client.line.Handler`)."""
        self._step(Received(token, frame))

    def on_lost(self, token: int, reason: str) -> None:
        """Take the end of a connection (see `client.line.Handler`)."""
        if token == self._session.connection:
            self._reasons[self._members[self._session.member]] = reason
        self._step(Lost(token))

    def _on_deadline(self) -> None:
        self._armed_ms = math.inf
        self._step(DeadlineReached())

    # Carrying out

    def _step(self, event: Event) -> None:
        session = self._session
        self._step_once(event)
        while self._backlog:
            self._step_once(self._backlog.pop(0))
        deadline = session.deadline()
        # A deadline that only moved further away is looked up when the earlier one comes.
        if deadline is not None and deadline < self._armed_ms:
            self._armed_ms = deadline
            self._wake_at(deadline)

    def _step_once(self, event: Event) -> None:
        recording = self._recording
        if recording is not None:
            recording.before(self._session, event)
        effects = self._session.step(event, time.monotonic() * 1000)
        if recording is not None:
            recording.after(self._session, effects)
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Complete():
                self._complete(effect.token, effect.reply)
            case Send():
                if self._line is not None:
                    self._line.send(self._number, effect.request)
            case Fire():
                self._fire(effect.watchers, effect.event)
            case Fail():
                error = error_for(effect.code, effect.op.name, effect.op.path, effect.detail)
                error.definite = effect.definite
                self._fail(effect.token, error)
            case Open():
                self._line = self._line_to(self._members[effect.member])
                self._number = self._line.open(self, effect.connection, effect.request)
                if not self._number:
                    self._backlog.append(Lost(effect.connection))
            case Drop():
                if self._line is not None:
                    self._line.drop(self._number)
            case Announce():
                self._announce(effect.event)
            case _:
                assert_never(effect)

    @abstractmethod
    def _line_to(self, member: str) -> Line:
        """Return the line to a member, new if there is none."""

    @abstractmethod
    def _wake_at(self, deadline_ms: float) -> None:
        """See that `_on_deadline` is called then."""

    @abstractmethod
    def _complete(self, token: Any, reply: Reply) -> None:
        """Hand over a reply."""

    @abstractmethod
    def _fail(self, token: Any, error: LagkeeperError) -> None:
        """Hand over an error."""

    @abstractmethod
    def _fire(self, watchers: tuple[Watcher, ...], event: WatchEvent) -> None:
        """Call watchers."""

    @abstractmethod
    def _announce(self, event: SessionEvent) -> None:
        """Wake whoever waits for the session, and call the listener."""

    def _check_op(self, op: UserOp) -> None:
        """Raise BadArgumentsError for an operation that cannot be sent, now or ever."""
        validate(op)
        if self.state is SessionState.CONNECTING and not self._session.connection:
            raise BadArgumentsError(op.name, op.path, "the client was not started")

    def _check_started(self) -> None:
        """Raise unless the session is connected: start() waited in vain."""
        if self.state is SessionState.CONNECTED:
            return
        if self.state is SessionState.EXPIRED:
            # Ids are signed numbers, and shown unsigned, as ZooKeeper does.
            shown = f"session {self.session_id & _UNSIGNED:#x}"
            raise SessionExpiredError("connect", "", shown)
        tried = ", ".join(
            f"{member} ({self._reasons.get(member, 'no answer')})" for member in self._members
        )
        patience = f"no session within {self._connect_timeout_ms} ms"
        raise ConnectionLossError("connect", "", f"{patience}; members: {tried}")


def checked_identity(session: tuple[int, bytes] | None) -> tuple[int, bytes]:
    """Return session_id and password, 0 and empty for None; BadArgumentsError if they cannot be."""
    match session:
        case None:
            return 0, b""
        case (int() as session_id, bytes() as password) if -(2**63) <= session_id < 2**63:
            return session_id, password
        case _:
            detail = f"session {session!r} is not a 64-bit id with the bytes of a password"
            raise BadArgumentsError("connect", "", detail)
