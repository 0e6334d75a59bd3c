"""One variant of a scenario, played on a stage step by step.

Knows no more of where it runs than `stage.Stage` says, and does nothing that the file does not
say but for the end, when everything is taken back. Order comes from answers and traces alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from client.events import Fail
from client.history import EXPIRED, Trace
from client.line import Answer, Verdict
from client.ops import Reply, SessionRequest, WatchEvent
from client.recording import HistoryWriter
from client.watches import EventType
from orchestrator.errors import OrchestratorError
from orchestrator.scenario import steps
from orchestrator.scenario.actors import Actor, have_left, verdict_fields
from orchestrator.scenario.expectations import words_of
from orchestrator.scenario.ground import Ground
from orchestrator.scenario.hands import Hands
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.operations import fields_of, make_op
from orchestrator.scenario.program import Visit
from orchestrator.scenario.results import Result, Values, differences
from orchestrator.scenario.stage import Stage
from orchestrator.scenario.values import EVENT_TYPES
from orchestrator.scenario.verdicts import (
    FAILED,
    INCONCLUSIVE,
    PASSED,
    Inconclusive,
    StepFailed,
    VariantResult,
)

LEAVE_MS = 10_000
_LOST = "connection_loss"
EVENTS = dict(enumerate(EVENT_TYPES, EventType.NODE_CREATED))
_VERDICTS = {Answer.VALID: "alive", Answer.EXPIRED: EXPIRED, Answer.REFUSED: "closed"}


class Play:
    """A variant while it is played."""

    def __init__(
        self,
        stage: Stage,
        history: HistoryWriter,
        scenario: Scenario,
        variant: str,
        hands: Hands,
        leader: int,
    ) -> None:
        self.result = VariantResult(variant, began_ms=stage.now_ms())
        self._stage = stage
        self._history = history
        self._scenario = scenario
        self._variant = variant
        self._hands = hands
        self._ground = Ground(stage, leader)
        self._values = Values(hands.root)
        self._actors: dict[str, Actor] = {}
        self._watches: dict[str, list[tuple[str, str]]] = {}
        self._watchers: dict[str, Callable[[WatchEvent], None]] = {}
        self._line = 0

    async def run(self) -> VariantResult:
        """Play it, and take everything back."""
        result = self.result
        try:
            await self._play()
        except StepFailed as failure:
            result.verdict, result.why, result.line = FAILED, str(failure), self._line
        except (Inconclusive, OrchestratorError) as reason:
            result.verdict, result.why, result.line = INCONCLUSIVE, str(reason), self._line
        # Not if it was broken off: then the ensemble ends, too, and nobody shall wait for it.
        await self._leave()
        return result

    async def _play(self) -> None:
        for step in self._scenario.steps_of(self._variant):
            self._line = step.line
            if not self._is_so(step.condition):
                continue
            self._note("step", f"{step.text} (line {step.line})")
            await self._do(step.action)
            self._name_sessions()
            await self._stage.pass_moment()
        await self._ground.faults.check()
        self._judge()

    def _judge(self) -> None:
        expected = self._scenario.head.variants[self._variant].harmed
        if self.result.harmed and not expected:
            self._line = self.result.line
            raise StepFailed(f"harmed, expected not to be: {self.result.why}")
        if expected and not self.result.harmed:
            self._line = self._scenario.variant_lines.get(self._variant, 0)
            raise StepFailed("not harmed, expected to be")

    async def _leave(self) -> None:
        self.result.ended_ms = self._stage.now_ms()
        try:
            await self._ground.faults.undo()
            for actor in self._actors.values():
                actor.leave()
            actors = list(self._actors.values())
            await self._stage.until(lambda: have_left(actors), LEAVE_MS)
            await self._hands.settle()
        except (Inconclusive, OrchestratorError) as reason:
            if self.result.verdict == PASSED:
                self.result.verdict, self.result.why = INCONCLUSIVE, str(reason)
        # Those that were taken over at the end have new records.
        self._name_sessions()

    def _note(self, kind: str, text: str) -> None:
        """Tell the history what the experiment itself does."""
        self._history.add(Trace(round(self._stage.now_ms(), 3), 0, kind, {"text": text}))

    def on_trace(self, trace: Trace) -> None:
        """A member traced something."""
        self._ground.on_trace(trace)

    # Steps.

    async def _do(self, action: steps.Particulars) -> None:
        match action:
            case steps.Until():
                await self._repeat(action)
            case steps.Asked():
                await self._ask(action)
                if not (action.expect or action.as_ or action.background):
                    self._expect(self._unnamed(), _taken_for_granted(action))
            case steps.Silence() | steps.Wake() | steps.Crash() | steps.DropConnection():
                self._trouble(action)
            case steps.Expire(session=session):
                await self._stage.expire(self._session_id(session))
            case steps.Note(text=text):
                self.result.notes.append(text)
                self._note("note", text)
            case steps.Wait(length=length):
                await self._stage.sleep(length)
            case steps.Await(session=session):
                of = self._session_id(session) if session else 0
                await self._ground.wait_for(action, of)
            case (
                steps.Answer()
                | steps.Unanswered()
                | steps.Events()
                | steps.NoEvents()
                | steps.Expect()
                | steps.Harm()
            ):
                await self._look(action)
            case _:
                await self._ground.disturb(action, self._line)

    def _actor(self, name: str) -> Actor:
        if name not in self._actors:
            raise StepFailed(f"session '{name}' was never opened: its step was left out")
        return self._actors[name]

    def _session_id(self, name: str) -> int:
        session_id = self._actor(name).program.session_id
        if not session_id:
            raise StepFailed(f"session '{name}' has no id yet: it is still being opened")
        return session_id

    # Asking.

    async def _ask(self, action: steps.Asked) -> Result:
        name = action.as_ or self._unnamed()
        # Under its name only when it has been asked: it may refer to an earlier one of that name.
        result = Result(self._line, getattr(action, "session", ""))
        await self._begin(action, result)
        self._values.results[name] = result
        if not action.background:
            await self._outcome(name, steps.PATIENCE_MS)
        if action.expect:
            self._expect(name, action.expect)
        return result

    def _unnamed(self) -> str:
        """The name of this step's result if the file gives it none."""
        return f"line {self._line}"

    async def _begin(self, action: steps.Asked, result: Result) -> None:
        match action:
            case steps.Open():
                sid = await self._ground.sid_of(action.on)
                seen = 0 if action.seen is None else self._values.number(action.seen)
                actor = self._hands.new_actor(sid, action.timeout, seen)
                self._actors[action.session] = actor
                actor.open(result)
            case steps.Resume():
                self._actor(action.session).resume(await self._ground.sid_of(action.on), result)
            case steps.Close():
                self._actor(action.session).close(result)
            case steps.Present():
                await self._present(action, result)
            case steps.Operation():
                self._submit(action, result)
            case _:
                raise AssertionError(f"nobody can ask for {action.word}")

    def _submit(self, action: steps.Operation, result: Result) -> None:
        actor = self._actor(action.session)
        op = make_op(action, self._values)

        def on_outcome(outcome: Reply | Fail) -> None:
            result.answer(**fields_of(op, outcome, self._owner_name))
            self._stage.changed()

        watch = getattr(action, "watch", None)
        actor.program.submit(op, on_outcome, self._watcher(watch) if watch else None)

    def _watcher(self, name: str) -> Callable[[WatchEvent], None]:
        """One for each name: set twice on a path, it is told once, as by ZooKeeper's client."""
        if name not in self._watchers:
            told = self._watches[name] = []

            def watcher(event: WatchEvent) -> None:
                told.append((EVENTS.get(event.type, "removed"), event.path))
                self._stage.changed()

            self._watchers[name] = watcher
        return self._watchers[name]

    async def _present(self, action: steps.Present, result: Result) -> None:
        actor, sid = self._actor(action.session), await self._ground.sid_of(action.to)
        program = actor.program

        def on_verdict(verdict: Verdict) -> None:
            word = _VERDICTS[verdict.answer]
            if word == EXPIRED:
                self._history.told(program.session_id, EXPIRED, actor.client, str(sid))
            result.answer(**verdict_fields(word, verdict.timeout_ms))

        result.visited = sid
        request = SessionRequest(0, program.timeout_ms, program.session_id, program.password)
        Visit(self._stage, sid, request, on_verdict)

    def _name_sessions(self) -> None:
        """Let the history call sessions as the file does, once they have ids."""
        sessions = self._history.history.sessions
        for name, actor in self._actors.items():
            session = sessions.get(actor.program.session_id)
            if session is not None:
                session.name = name

    def _owner_name(self, session_id: int) -> str:
        if session_id == 0:
            return "nobody"
        for name, actor in self._actors.items():
            if actor.program.session_id == session_id:
                return name
        return "stranger"

    def _trouble(
        self, action: steps.Silence | steps.Wake | steps.Crash | steps.DropConnection
    ) -> None:
        actor = self._actor(action.session)
        match action:
            case steps.Silence():
                actor.hang()
            case steps.Wake():
                actor.wake()
            case steps.Crash():
                actor.crash()
            case steps.DropConnection():
                actor.program.lose_connection()

    async def _repeat(self, action: steps.Until) -> None:
        began_ms = self._stage.now_ms()
        while True:
            result = await self._ask(action.do)
            different = differences(self._values.expected(action.is_), result.fields)
            if not different:
                return
            if self._stage.now_ms() - began_ms > action.within:
                raise Inconclusive(f"within {action.within} ms still {'; '.join(different)}")
            await self._stage.sleep(action.every)

    # Looking.

    async def _look(self, action: steps.Particulars) -> None:
        match action:
            case steps.Answer(to=name):
                await self._outcome(name, action.within)
                self._expect(name, action.expect)
            case steps.Unanswered(to=name):
                result = self._values.result(name)
                await self._hear_out(result.visited or self._actor(result.session).program.sid)
                if result.is_answered:
                    error = result.fields["error"]
                    raise StepFailed(f"{name} is answered ({error}), expected not to be")
            case steps.Events():
                await self._expect_events(action)
            case steps.NoEvents(watch=watch):
                await self._expect_no_events(watch)
            case steps.Expect(results=results):
                for name, expected in results.items():
                    self._expect(name, expected)
            case steps.Harm():
                self._look_for_harm(action)

    async def _outcome(self, name: str, within_ms: float) -> None:
        result = self._values.result(name)
        if not await self._stage.until(lambda: result.is_answered, within_ms):
            raise Inconclusive(f"no answer to {name} within {within_ms:.0f} ms")

    def _expect(self, name: str, expected: steps.Expected) -> None:
        fields = self._values.result(name).fields
        different = differences(self._values.expected(expected), fields)
        if different:
            # Of a result without a name the line is said already.
            named = "" if name == self._unnamed() else f"{name}: "
            raise StepFailed(f"{named}{'; '.join(different)}")

    def _look_for_harm(self, action: steps.Harm) -> None:
        for name, wanted in action.if_.items():
            result = self._values.results.get(name)
            is_about_it = "answered" in wanted or _LOST in words_of(wanted.get("error"))
            if result is not None and not is_about_it:
                _check_is_heard(name, result)
        if self._is_so(action.if_):
            self.result.harmed = True
            self.result.why, self.result.line = action.because, self._line

    def _is_so(self, condition: Mapping[str, steps.Expected]) -> bool:
        """Whether results are so. One that is not there, since its step was left out, never is."""
        results = self._values.results
        return all(
            name in results and not differences(self._values.expected(wanted), results[name].fields)
            for name, wanted in condition.items()
        )

    async def _expect_events(self, action: steps.Events) -> None:
        wanted: list[tuple[str, str]] = [
            (event.type, self._values.path(event.path)) for event in action.expect
        ]
        told = self._watches.get(action.watch, [])
        await self._stage.until(lambda: len(told) >= len(wanted), action.within)
        seen = told[: len(wanted)]
        if seen != wanted:
            raise StepFailed(f"watch {action.watch} told {_show(seen)}, expected {_show(wanted)}")
        del told[: len(wanted)]

    async def _expect_no_events(self, name: str) -> None:
        for sid in {actor.program.sid for actor in self._actors.values()}:
            await self._hear_out(sid)
        if told := self._watches.get(name, []):
            raise StepFailed(f"watch {name} told {_show(told)}, expected nothing more")

    async def _hear_out(self, sid: int) -> None:
        """Return when everything that a member has sent so far has arrived."""
        if self._ground.is_awake(sid):
            await self._hands.hear_out(sid)


def _check_is_heard(name: str, result: Result) -> None:
    """Who has heard nothing has seen no harm, and no safety either."""
    if not result.is_answered or result.fields.get("error") == _LOST:
        how = _LOST if result.is_answered else "no answer yet"
        raise Inconclusive(f"{name} tells nothing ({how}): harm cannot be judged by it")


def _taken_for_granted(action: steps.Asked) -> steps.Expected:
    """Of an answer that nobody looks at: else an experiment would go on without what it needs."""
    match action:
        case steps.Open() | steps.Resume():
            return {"verdict": "alive"}
        case steps.Exists():
            return {"error": ["ok", "no_node"]}
        case steps.Present():
            return {}
        case _:
            return {"error": "ok"}


def _show(events: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind} {path}" for kind, path in events) or "nothing"
