"""Programs by what becomes of their sessions: those of a scenario, and the stage's own hands.

Owns the results of opening, resuming and closing. What is asked of whom is `play`'s to say.
"""

from __future__ import annotations

from client.events import SessionEvent, SessionState
from client.history import CLOSED, EXPIRED, LOST, SILENT
from client.recording import HistoryWriter
from orchestrator.scenario.program import Program
from orchestrator.scenario.results import Result
from orchestrator.scenario.stage import Stage
from orchestrator.scenario.values import show_length


class Actor:
    """One program. Invariant: at most one result waits for its connection, one for its end."""

    def __init__(
        self,
        stage: Stage,
        history: HistoryWriter,
        client: int,
        sid: int,
        timeout_ms: int,
        last_zxid: int = 0,
    ) -> None:
        """Prepare; nothing is sent before `open`. `client` is its number in the history.

        `last_zxid`: what its program has seen already; a member behind that hangs up.
        """
        self.client = client
        self._stage = stage
        self._history = history
        self._connecting: Result | None = None
        # Hung up on, a program tries again, unless that is what is asked.
        self._is_put_off_at_once = last_zxid > 0
        self._closing: Result | None = None
        self._is_leaving = False
        self.program = Program(
            stage,
            sid,
            timeout_ms,
            history.program(client),
            on_event=self._on_event,
            on_refused=self._on_refused,
            last_zxid=last_zxid,
        )

    def open(self, result: Result) -> None:
        """Open the session."""
        self._connecting = result
        self.program.start()

    def resume(self, sid: int, result: Result) -> None:
        """Connect again, to a member; what that says to the session is the result."""
        program = self.program
        if not program.is_over:
            self._connecting, self._is_put_off_at_once = result, True
            program.come_back(sid)
        if program.is_over:
            self._connecting = None
            self._answer(result, self._known_end())

    def _known_end(self) -> str:
        return EXPIRED if self.program.state is SessionState.EXPIRED else CLOSED

    def close(self, result: Result) -> None:
        """End the session."""
        self._closing = result
        if self.program.is_over:
            self._end(self._known_end())
        else:
            self.program.close()

    def hang(self) -> None:
        """Fall silent, with an open connection."""
        self.program.hang()
        program = self.program
        self._history.ended(self.client, program.session_id, SILENT, str(program.sid))

    def wake(self) -> None:
        """Go on."""
        program = self.program
        member = str(program.sid)
        self._history.opened(self.client, program.session_id, program.timeout_ms, member)
        program.wake()

    def crash(self) -> None:
        """Die."""
        self.program.crash()

    # What the program is told.

    def _on_event(self, event: SessionEvent) -> None:
        match event:
            case SessionEvent.CONNECTED:
                self._tell_connecting("alive")
            case SessionEvent.EXPIRED:
                self._tell_connecting(EXPIRED)
                self._end(EXPIRED)
            case SessionEvent.CLOSED:
                # Without a connection, or when the answer never came, the session may live on.
                self._end(CLOSED if self.program.is_closed_surely else LOST)
            case _:
                pass

    def _on_refused(self) -> None:
        if self._connecting is not None and self._is_put_off_at_once:
            self.program.is_away = True
            self._tell_connecting(CLOSED)

    def _tell_connecting(self, verdict: str) -> None:
        result, self._connecting = self._connecting, None
        self._is_put_off_at_once = False
        if result is not None:
            self._answer(result, verdict)

    def _answer(self, result: Result, verdict: str) -> None:
        result.answer(**verdict_fields(verdict, self.program.timeout_ms))
        self._stage.changed()

    def _end(self, end: str) -> None:
        result, self._closing = self._closing, None
        if result is not None:
            error = {CLOSED: "ok", EXPIRED: "session_expired"}.get(end, "connection_loss")
            result.answer(error=error)
            self._stage.changed()

    # The end of a variant.

    def leave(self) -> None:
        """Begin to end the session, whatever has become of it; `try_to_leave` goes on."""
        program = self.program
        if program.is_over or (program.session_id == 0 and program.is_crashed):
            return
        if program.is_crashed or program.is_hanging or program.is_away:
            if not program.is_crashed:
                self.crash()
            self.program = self._successor(program)

    def _successor(self, program: Program) -> Program:
        """A program that takes the session over, in order to end it."""
        session = (program.session_id, program.password)
        successor = Program(
            self._stage,
            program.sid,
            program.timeout_ms,
            self._history.program(self.client),
            on_event=self._on_event,
            session=session,
        )
        successor.start()
        return successor

    def try_to_leave(self) -> bool:
        """Close the session as soon as it is connected; returns whether it is over."""
        program = self.program
        if program.state is SessionState.CONNECTED and not self._is_leaving:
            self._is_leaving = True
            program.close()
        return program.state in (SessionState.CLOSED, SessionState.EXPIRED)


def have_left(actors: list[Actor]) -> bool:
    """Whether all sessions are over; each is closed as soon as it is connected."""
    # A list: every one of them has to try.
    return all([actor.try_to_leave() for actor in actors])  # noqa: C419


def verdict_fields(verdict: str, timeout_ms: int) -> dict[str, str]:
    """What a result says of a session that was presented, resumed or opened."""
    error = "session_expired" if verdict == EXPIRED else "ok"
    told = {"timeout": show_length(timeout_ms)} if verdict == "alive" else {}
    return {"error": error, "verdict": verdict, **told}
