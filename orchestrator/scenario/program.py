"""A client program of a scenario: one session, on the member that the file says, whatever comes.

Owns the session machine's effects on a stage, and what a program may go through: hang, crash,
lose its connection, come back. Never changes its member by itself and retries nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

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
from client.line import Answer, Frame, Verdict, verdict_of
from client.ops import PING_XID, Ping, Reply, Request, SessionRequest, UserOp, WatchEvent
from client.recording import Joinable
from client.session import Session
from orchestrator.scenario.stage import Line, Stage

Outcome = Reply | Fail
OnOutcome = Callable[[Outcome], None]
OnEvent = Callable[[SessionEvent], None]


class Program:
    """Invariants: while `is_hanging`, what arrives waits unread and nothing is sent; while

    `is_away`, no connection is tried. Each submitted operation gets at most one outcome.
    """

    def __init__(
        self,
        stage: Stage,
        sid: int,
        timeout_ms: int,
        history: Joinable,
        *,
        on_event: OnEvent,
        on_refused: Callable[[], None] = lambda: None,
        session: tuple[int, bytes] | None = None,
        last_zxid: int = 0,
    ) -> None:
        """Prepare; nothing is sent before `start`. `session`: id and password of one to go on.

        `last_zxid`: what the program has seen already. `on_refused`: a connection went before the
        member said anything to the session.
        """
        session_id, password = session or (0, b"")
        self.sid = sid
        self.is_hanging = False
        self.is_away = False
        self.is_crashed = False
        self.pongs = 0
        self._stage = stage
        self._on_event = on_event
        self._on_refused = on_refused
        self._session = Session(
            1, timeout_ms, session_id=session_id, password=password, last_zxid=last_zxid
        )
        self._is_unheard = False
        self._unread: list[Event] = []
        # The machine knows one member; which one that is, the file says.
        self._names = [str(sid)]
        self._recording = history.join(self._names)
        self._line: Line | None = None
        self._number = 0
        self._wake_ms: float | None = None

    @property
    def state(self) -> SessionState:
        """Where the session stands, as far as the program knows."""
        return self._session.state

    @property
    def is_over(self) -> bool:
        """Whether the program knows that its session is closed or expired."""
        return not self.is_crashed and self.state in (SessionState.CLOSED, SessionState.EXPIRED)

    @property
    def is_closed_surely(self) -> bool:
        """Whether a member has answered the closing."""
        return self._session.is_closed_surely

    @property
    def session_id(self) -> int:
        """The session's id; 0 before there is one."""
        return self._session.session_id

    @property
    def password(self) -> bytes:
        """What resumes the session, together with its id."""
        return self._session.password

    @property
    def timeout_ms(self) -> int:
        """The negotiated timeout."""
        return self._session.timeout_ms

    def start(self) -> None:
        """Begin to connect."""
        self._step(Started())

    def submit(
        self, op: UserOp, on_outcome: OnOutcome, watcher: Callable[[WatchEvent], None] | None = None
    ) -> None:
        """Ask for an operation."""
        self._step(Submitted(on_outcome, op, watcher))

    def close(self) -> None:
        """Ask for the end of the session."""
        self._step(CloseRequested())

    def ping(self) -> None:
        """Send a ping; `pongs` counts the answers, those to the machine's own pings too."""
        if self._line is not None:
            self._line.send(self._number, Request(PING_XID, Ping()))

    # What a program may go through.

    def hang(self) -> None:
        """Send nothing more, read nothing more; the connection stays."""
        self.is_hanging = True

    def wake(self) -> None:
        """Go on after `hang`: read what has arrived, then notice how late it is."""
        self._read_on()
        self._on_time()

    def crash(self) -> None:
        """Die: the connection breaks, the session is left to expire."""
        self.is_crashed = True
        self.is_hanging = False
        self._unread.clear()
        self._step(Silenced(keep_connection=False))

    def lose_connection(self) -> None:
        """Lose the connection, and try no other before `come_back`."""
        self._read_on()
        self.is_away = True
        self._disconnect()

    def come_back(self, sid: int) -> None:
        """Connect again, to a member, with the session's id."""
        if not self.is_away:
            # Lost twice, the second loss would read as a refusal by the new member.
            self.lose_connection()
        self.sid = sid
        self._names[0] = str(sid)
        self.is_away = False
        deadline = self._session.deadline()
        if deadline is not None:
            # The machine would wait a little before it tries again; a file says when.
            self._step(DeadlineReached(), max(deadline, self._stage.now_ms()))

    def _read_on(self) -> None:
        self.is_hanging = False
        unread, self._unread = self._unread, []
        for event in unread:
            self._step(event)

    def _disconnect(self) -> None:
        if self._line is not None:
            self._line.drop(self._number)
        self._is_unheard = False
        self._step(Lost(self._session.connection))

    # From the line, and from the clock.

    def on_frame(self, token: int, frame: Frame) -> None:
        """Take a frame from the line."""
        if isinstance(frame, Reply) and frame.xid == PING_XID:
            self.pongs += 1
        self._arrive(Received(token, frame))

    def on_lost(self, token: int, reason: str) -> None:
        """Take the end of a connection."""
        self._arrive(Lost(token))

    def _arrive(self, event: Event) -> None:
        if self.is_hanging:
            self._unread.append(event)
        else:
            self._step(event)

    def _on_time(self) -> None:
        now_ms = self._stage.now_ms()
        if self._wake_ms is not None and now_ms >= self._wake_ms:
            self._wake_ms = None
        if self.is_hanging or self.is_away:
            return
        deadline = self._session.deadline()
        if deadline is not None and deadline <= now_ms:
            self._step(DeadlineReached())
        else:
            self._arm()

    def _arm(self) -> None:
        deadline = self._session.deadline()
        if deadline is not None and (self._wake_ms is None or deadline < self._wake_ms):
            self._wake_ms = deadline
            self._stage.call_at(deadline, self._on_time)

    # Carrying out.

    def _step(self, event: Event, now_ms: float | None = None) -> None:
        now_ms = self._stage.now_ms() if now_ms is None else now_ms
        session = self._session
        is_lost = isinstance(event, Lost) and event.connection == session.connection
        is_refused = is_lost and self._is_unheard
        if is_lost or isinstance(event, Received):
            self._is_unheard = False
        self._recording.before(session, event)
        effects = session.step(event, now_ms)
        self._recording.after(session, effects)
        for effect in effects:
            self._carry_out(effect)
        if is_refused:
            self._on_refused()
        self._arm()
        self._stage.changed()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Open():
                self._open(effect)
            case Send(request=request):
                if self._line is not None:
                    self._line.send(self._number, request)
            case Drop():
                if self._line is not None:
                    self._line.drop(self._number)
            case Complete(token=on_outcome, reply=reply):
                on_outcome(reply)
            case Fail(token=on_outcome):
                on_outcome(effect)
            case Fire(watchers=watchers, event=event):
                for watcher in watchers:
                    watcher(event)
            case Announce(event=announced):
                self._on_event(announced)
            case _:
                assert_never(effect)

    def _open(self, effect: Open) -> None:
        self._line = self._stage.line_to(self.sid)
        self._number = self._line.open(self, effect.connection, effect.request)
        self._is_unheard = True
        if not self._number:
            connection = effect.connection
            # Not inside this step: the machine takes one event at a time.
            self._stage.call_at(self._stage.now_ms(), lambda: self._arrive(Lost(connection)))


class Visit:
    """A connection that presents a session to one member and goes away with the answer."""

    def __init__(
        self,
        stage: Stage,
        sid: int,
        request: SessionRequest,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self._stage = stage
        self._on_verdict = on_verdict
        self._is_answered = False
        self._line = stage.line_to(sid)
        self._number = self._line.open(self, 0, request)
        if not self._number:
            stage.call_at(stage.now_ms(), lambda: self.on_lost(0, ""))

    def on_frame(self, token: int, frame: Frame) -> None:
        """Take the first answer."""
        if not isinstance(frame, Reply | WatchEvent):
            self._tell(verdict_of(frame))
            self._line.drop(self._number)

    def on_lost(self, token: int, reason: str) -> None:
        """The member hung up."""
        self._tell(Verdict(Answer.REFUSED))

    def _tell(self, verdict: Verdict) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._on_verdict(verdict)
            self._stage.changed()
