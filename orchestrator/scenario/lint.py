"""What could never work in a scenario that reads well: found before anything is played.

Walks each variant's steps as they would be played, and keeps no more than who is opened, asked,
watched and held by then. Steps with an `if` are taken for done where that helps a file, and for
left out where it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from nodes.rules import RuleError
from orchestrator.scenario import steps
from orchestrator.scenario.expectations import check_fields, references_of, words_of
from orchestrator.scenario.model import Scenario, Step
from orchestrator.scenario.places import NEW_LEADER, Roles, rule_of
from orchestrator.scenario.reading import Problem, ScenarioProblems
from orchestrator.scenario.values import NO_SESSIONS, SESSION_TRACES

# A step that takes something back, and the steps that may have set it.
_UNDOES = {
    "release": ("hold",),
    "heal": ("cut", "isolate"),
    "rejoin": ("isolate", "cut"),
    "clear": ("hold", "delay", "cut", "isolate"),
    "release_closing": ("hold_closing",),
    "start": ("kill",),
    "resume_member": ("pause",),
}


def check_scenario(scenario: Scenario) -> None:
    """Raise ScenarioProblems with everything that could never work."""
    problems = dict.fromkeys(_of_the_whole(scenario))
    for variant in scenario.head.variants:
        walk = _Walk(scenario)
        for step in scenario.steps_of(variant):
            walk.take(step)
        walk.end()
        problems |= dict.fromkeys(walk.problems)
    if problems:
        raise ScenarioProblems(scenario.file, list(problems))


def _of_the_whole(scenario: Scenario) -> list[Problem]:
    found = [
        Problem(step.line, "no variant takes this step")
        for step in scenario.steps
        if step.variants is not None and not step.variants
    ]
    seen: dict[tuple[int, ...], str] = {}
    for variant in scenario.head.variants:
        taken = tuple(index for index, step in enumerate(scenario.steps) if step.is_of(variant))
        if taken in seen:
            line = scenario.variant_lines.get(variant, 0)
            text = f"variant '{variant}' takes the same steps as '{seen[taken]}': say 'when'"
            found.append(Problem(line, text))
        seen.setdefault(taken, variant)
    return found


class _Walk:
    """One variant, step by step."""

    def __init__(self, scenario: Scenario) -> None:
        section = scenario.head.ensemble
        self.problems: list[Problem] = []
        self._everywhere = {
            action.as_
            for step in scenario.steps
            for action in _asked(step.action)
            if action.as_ is not None
        }
        self._sessions = {
            step.action.session for step in scenario.steps if isinstance(step.action, steps.Open)
        }
        # Who leads is not known yet; that somebody does is enough to know who there is.
        self._roles = Roles(section.voters[-1], section.voters, section.observer_sids)
        self._line = 0
        self._is_sure = True
        self._opened: dict[str, int] = {}
        self._gone: dict[str, tuple[str, int]] = {}
        # The word of a result's step, and its session.
        self._results: dict[str, tuple[str, str]] = {}
        self._waiting: list[tuple[int, str, str | None]] = []
        self._watches: dict[str, str] = {}
        self._done: set[str] = set()

    def _complain(self, text: str) -> None:
        self.problems.append(Problem(self._line, text))

    def take(self, step: Step) -> None:
        """Go on by a step."""
        self._line, self._is_sure = step.line, not step.condition
        self._check_condition(step.condition)
        self._do(step.action)

    def end(self) -> None:
        """Find what nobody has waited for."""
        for line, session, name in self._waiting:
            named = f"'{name}'" if name else "it"
            self._line = line
            self._complain(
                f"nobody waits for {named}: add 'answer: {{to: NAME}}', 'unanswered', or a later"
                f" step of '{session}' that is waited for"
            )

    def _do(self, action: steps.Particulars) -> None:
        self._check_references(action)
        match action:
            case steps.Until(do=do):
                if isinstance(do, steps.Asked):
                    self._ask(do)
                    self._check_fields(do.word, action.is_)
            case steps.Asked():
                self._ask(action)
            case steps.Silence() | steps.Crash() | steps.DropConnection() | steps.Wake():
                self._trouble(action)
            case steps.Expire(session=session):
                self._check_session(session)
            case _:
                self._look(action)
                self._check_places(action)
                self._undo(action)

    # Sessions and what is asked of them.

    def _ask(self, action: steps.Asked) -> None:
        session: str = getattr(action, "session", "")
        if isinstance(action, steps.Open):
            self._open(session)
        else:
            self._check_session(session)
            self._check_is_there(action, session)
        self._check_places(action)
        watch = getattr(action, "watch", None)
        if watch and self._watches.setdefault(watch, session) != session:
            self._complain(f"watch '{watch}' is of session '{self._watches[watch]}'")
        self._wait_for(action, session)
        if action.as_ is not None:
            self._results[action.as_] = (action.word, session)
        self._check_fields(action.word, action.expect)
        if action.background and action.expect.keys() - {"answered"}:
            self._complain("expect: it has no answer yet; say it where 'answer' waits for it")

    def _open(self, session: str) -> None:
        if session in self._opened and self._is_sure:
            line = self._opened[session]
            self._complain(f"session '{session}' is open since line {line}: choose another name")
        if session in NO_SESSIONS:
            self._complain(f"session '{session}': the word for no session; choose another name")
        self._opened.setdefault(session, self._line)

    def _check_session(self, session: str) -> None:
        if session not in self._opened:
            known = ", ".join(self._opened) or "none"
            self._complain(f"session '{session}' is not opened before this step; opened: {known}")

    def _check_is_there(self, action: steps.Asked, session: str) -> None:
        """A hanging, dead or disconnected program asks nothing."""
        if isinstance(action, steps.Present) or session not in self._gone or not self._is_sure:
            return
        how, line = self._gone[session]
        if isinstance(action, steps.Resume):
            if how != "crash":
                del self._gone[session]
                return
        elif how == "drop" and action.background:
            return
        cure = {"drop": "resume it first", "silence": "wake or resume it first"}
        self._complain(
            f"session '{session}' is gone since line {line} ({how});"
            f" {cure.get(how, 'a dead program does nothing more')}"
        )

    def _wait_for(self, action: steps.Asked, session: str) -> None:
        if action.background and self._is_sure:
            self._waiting.append((self._line, session, action.as_))
        elif not action.background and isinstance(action, steps.Operation | steps.Open):
            # Answers of a session come in the order of its requests.
            self._hear_all(session)

    def _hear_all(self, session: str) -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting[1] != session]

    def _hear(self, name: str) -> None:
        """An answer is waited for, and with it all before it of the same session."""
        places = [place for place, waiting in enumerate(self._waiting) if waiting[2] == name]
        if places:
            last = places[-1]
            session = self._waiting[last][1]
            before = [w for w in self._waiting[:last] if w[1] != session]
            self._waiting = before + self._waiting[last + 1 :]

    def _trouble(
        self, action: steps.Silence | steps.Crash | steps.DropConnection | steps.Wake
    ) -> None:
        session = action.session
        self._check_session(session)
        if isinstance(action, steps.Wake):
            if self._gone.pop(session, ("", 0))[0] != "silence" and self._is_sure:
                self._complain(f"session '{session}' does not hang: 'silence' it first")
            return
        self._hear_all(session)
        if self._is_sure:
            self._gone[session] = (action.word, self._line)

    # Looking.

    def _look(self, action: steps.Particulars) -> None:
        match action:
            case steps.Answer(to=name) | steps.Unanswered(to=name):
                self._check_result(name)
                self._hear(name)
                if isinstance(action, steps.Answer):
                    self._check_expected(name, action.expect)
                elif name in self._results:
                    self._check_reads(self._results[name][1])
            case steps.Events(watch=watch) | steps.NoEvents(watch=watch):
                if watch not in self._watches:
                    self._complain(f"watch '{watch}' is not set before this step")
                else:
                    self._check_reads(self._watches[watch])
            case steps.Expect(results=results):
                for name, expected in results.items():
                    self._check_result(name)
                    self._check_something(name, expected)
                    self._check_expected(name, expected)
            case steps.Harm(if_=results):
                self._check_condition(results)
            case steps.Await(session=session, trace=trace):
                if session is not None:
                    self._check_session(session)
                    if trace not in SESSION_TRACES:
                        self._complain(f"{trace or 'this'} is of no session: leave out 'session'")
            case _:
                pass

    def _check_result(self, name: str) -> None:
        if name not in self._results:
            known = ", ".join(self._results) or "none"
            self._complain(f"no result '{name}' before this step; there are: {known}")

    def _check_condition(self, condition: Mapping[str, steps.Expected]) -> None:
        for name, expected in condition.items():
            if name not in self._everywhere:
                self._complain(f"no step has 'as: {name}'")
            self._check_something(name, expected)
            self._check_expected(name, expected)
            if "answered" in expected:
                self._hear(name)

    def _check_expected(self, name: str, expected: steps.Expected) -> None:
        if name in self._results:
            self._check_fields(self._results[name][0], expected)

    def _check_something(self, name: str, expected: steps.Expected) -> None:
        if not expected:
            self._complain(f"{name}: nothing expected; fields and values, such as {{error: ok}}")

    def _check_fields(self, word: str, expected: steps.Expected) -> None:
        for problem in check_fields(word, expected):
            self._complain(problem)
        for owner in words_of(expected.get("owner")):
            if owner not in self._sessions and owner not in NO_SESSIONS:
                known = ", ".join((*sorted(self._sessions), *NO_SESSIONS))
                self._complain(f"owner: no session '{owner}'; one of {known}")

    def _check_reads(self, session: str) -> None:
        """Who reads nothing hears of nothing: that nothing has come would always be so."""
        how, line = self._gone.get(session, ("", 0))
        if how in ("silence", "crash") and self._is_sure:
            self._complain(f"session '{session}' reads nothing since line {line} ({how})")

    def _check_references(self, action: steps.Particulars) -> None:
        for name, field in references_of(action):
            self._check_result(name)
            self._check_expected(name, {field: {"not": ""}})

    # The ensemble.

    def _check_places(self, action: steps.Particulars) -> None:
        for word in _members_of(action):
            self._try(partial(self._roles.sid_of, word))
        if isinstance(link := getattr(action, "link", None), str):
            self._try(lambda: self._find_links(link))
        if isinstance(action, steps.Hold | steps.Delay):
            self._try(lambda: rule_of(action))

    def _find_links(self, link: str) -> None:
        """Raise RuleError if they cannot be, whoever leads by then."""
        *others, last = self._roles.voters
        for new_leader in others:
            with suppress(RuleError):
                self._roles.links_of(link, new_leader)
                return
        self._roles.links_of(link, last)

    def _try(self, find: Callable[[], object]) -> None:
        try:
            find()
        except RuleError as error:
            self._complain(str(error))

    def _undo(self, action: steps.Particulars) -> None:
        set_by = _UNDOES.get(action.word)
        if set_by and self._is_sure and self._done.isdisjoint(set_by):
            self._complain(f"{action.word}: no {' or '.join(set_by)} before this step")
        self._done.add(action.word)


def _members_of(action: steps.Particulars) -> list[str]:
    """The members that a step names, but for those that only its time can tell."""
    if isinstance(action, steps.Answer | steps.Unanswered):
        return []
    words = [getattr(action, key, None) for key in ("on", "to", "member", "serving")]
    return [w for w in words if isinstance(w, str) and w not in (NEW_LEADER, "all")]


def _asked(action: steps.Particulars) -> list[steps.Asked]:
    if isinstance(action, steps.Until):
        action = action.do
    return [action] if isinstance(action, steps.Asked) else []
