"""Scenario files read: YAML to a `Scenario`, or every problem with its line.

Owns the way from text to values. YAML 1.2's booleans only, since `on:` is a key here; a key said
twice is an error; nothing is executed.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from orchestrator.errors import InvalidInput
from orchestrator.scenario.model import Head, Scenario, Step
from orchestrator.scenario.steps import WORDS, Asked, Open, Particulars, Until

_Place = tuple[str | int, ...]
_MOST_NODES = 20_000
_MOST_BYTES = 200_000
_NOT = re.compile(r"not\s+(.*)")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file. Line 0: the file as a whole."""

    line: int
    text: str


class ScenarioProblems(InvalidInput):
    """Everything that is wrong with a file; as text, in one line."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("; ".join(self.lines()))

    def lines(self) -> list[str]:
        """Each problem on a line of its own."""
        return [
            f"{self.file}, line {problem.line}: {problem.text}"
            if problem.line
            else f"{self.file}: {problem.text}"
            for problem in self.problems
        ]


class _Loader(yaml.SafeLoader):
    """As YAML 1.2 has it: only true and false are booleans, and no text is a date."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


class _Tree:
    """The values of a file, and on which line each stands."""

    def __init__(self, file: str, text: str) -> None:
        self.lines: dict[_Place, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0
        self._file = file
        try:
            loader = _Loader(text)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            said = f"not YAML: it cannot have the character #x{ord(text[error.position]):04x}"
            raise ScenarioProblems(file, [Problem(line, said)]) from None
        try:
            node = loader.get_single_node()
            self.value = self._build(loader, node, ()) if node is not None else {}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._refusal(mark.line + 1 if mark else 0, error) from None
        except (ValueError, OverflowError) as error:
            raise self._refusal(loader.line + 1, error) from None
        except RecursionError:
            raise ScenarioProblems(file, [Problem(0, "too deeply nested")]) from None
        finally:
            loader.dispose()

    def _refusal(self, line: int, error: Exception) -> ScenarioProblems:
        said = getattr(error, "problem", None) or getattr(error, "context", None) or error
        if "alphabetic or numeric" in str(said):
            # `*->leader` is the name of something else to YAML.
            said = "a text that begins with * or & stands in quotes"
        return ScenarioProblems(
            self._file, [Problem(line, f"not YAML: {' '.join(str(said).split())}")]
        )

    def _build(self, loader: _Loader, node: yaml.Node, place: _Place) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise ScenarioProblems(self._file, [Problem(0, f"more than {_MOST_NODES} values")])
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(loader, node, place)
        if isinstance(node, yaml.SequenceNode):
            return [
                self._build(loader, item, (*place, index)) for index, item in enumerate(node.value)
            ]
        try:
            return loader.construct_object(node)
        except (ValueError, LookupError, AttributeError):
            # What PyYAML makes of `!!int foo`, of `!!timestamp foo`, and of 5,000 digits.
            said = f"'{node.value[:40]}' cannot be read as {node.tag.rpartition(':')[2]}"
            line = node.start_mark.line + 1
            raise ScenarioProblems(self._file, [Problem(line, said)]) from None

    def _build_mapping(self, loader: _Loader, node: yaml.MappingNode, place: _Place) -> Any:
        built: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(line, "a key is one word; quote a text with braces"))
                continue
            name = key.value
            if name in built:
                self.problems.append(Problem(line, f"'{name}' is said twice"))
            self.lines[*place, name] = line
            built[name] = self._build(loader, value, (*place, name))
        return built

    def line_of(self, place: _Place) -> int:
        """The line of a value, or of the nearest that surrounds it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def complain(self, place: _Place, text: str) -> None:
        """Remember what is wrong, and where."""
        self.problems.append(Problem(self.line_of(place), text))


def catalogue() -> list[str]:
    """The names of the packaged scenarios."""
    files = resources.files("orchestrator.scenario") / "catalogue"
    return sorted(f.name.removesuffix(".yaml") for f in files.iterdir() if f.name.endswith(".yaml"))


def find_text(name: str) -> tuple[str, str]:
    """The file and the text of a packaged scenario, or of a file. Raises InvalidInput."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        try:
            if not path.is_file() and not path.is_dir() and path.exists():
                # A pipe may never end.
                raise InvalidInput(f"cannot read {name}: not a file")
            if path.stat().st_size > _MOST_BYTES:
                raise InvalidInput(f"cannot read {name}: larger than {_MOST_BYTES} bytes")
            return name, path.read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"cannot read {name}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{name}, byte {error.start}: not UTF-8 text") from None
    known = catalogue()
    if name not in known and Path(f"{name}.yaml").is_file():
        raise InvalidInput(f"no packaged scenario '{name}'; did you mean the file '{name}.yaml'?")
    if name not in known:
        raise InvalidInput(f"no scenario '{name}'{_meant(name, known)}; see 'scenario list'")
    file = resources.files("orchestrator.scenario") / "catalogue" / f"{name}.yaml"
    return str(file), file.read_text(encoding="utf-8")


def template(name: str) -> str:
    """A scenario to begin with, under this name. Raises InvalidInput for one that cannot be."""
    file = resources.files("orchestrator.scenario") / "template.yaml"
    text = file.read_text(encoding="utf-8").replace("{name}", name)
    read_scenario(text, f"{name}.yaml")
    return text


def read_scenario(text: str, file: str) -> Scenario:
    """The scenario that a text says. Raises ScenarioProblems; knows nothing of `lint`."""
    tree = _Tree(file, text)
    if not isinstance(tree.value, dict):
        raise ScenarioProblems(file, [Problem(1, "keys and values expected, such as 'name: …'")])
    steps_given = tree.value.pop("steps", None)
    head = _validated(tree, Head, tree.value, ())
    stem = Path(file).stem
    if isinstance(head, Head) and head.name != stem and file != "-":
        tree.complain(("name",), f"name '{head.name}', but the file is {stem}.yaml")
    variants = list(head.variants) if isinstance(head, Head) else None
    steps = _read_steps(tree, steps_given, variants)
    if tree.problems or not isinstance(head, Head):
        raise ScenarioProblems(file, tree.problems)
    lines = {name: tree.line_of(("variants", name)) for name in head.variants}
    return Scenario(file, head, tuple(steps), lines)


def _read_steps(tree: _Tree, given: Any, variants: list[str] | None) -> list[Step]:
    if not isinstance(given, list) or not given:
        tree.complain(("steps",), "'steps' missing: a list of steps, each beginning with '- '")
        return []
    steps = []
    for index, step in enumerate(given):
        place: _Place = ("steps", index)
        if not isinstance(step, dict):
            tree.complain(
                place, "no step; a step is 'WORD: PARTICULARS', such as 'silence: victim'"
            )
            continue
        when = step.pop("when", None)
        chosen = _read_when(tree, (*place, "when"), when, variants)
        condition = _read_condition(tree, (*place, "if"), step.pop("if", None))
        action = _read_action(tree, place, step)
        if action is not None:
            steps.append(Step(tree.line_of(place), _show(step), action, chosen, condition))
    return steps


def _read_action(tree: _Tree, place: _Place, step: dict[str, Any]) -> Particulars | None:
    unknown = [word for word in step if word not in WORDS]
    for word in unknown:
        tree.complain((*place, word), f"no step '{word}'{_meant(word, WORDS)}")
    if unknown:
        return None
    if len(step) != 1:
        said = f"{' and '.join(step)} in one step" if step else "an empty step"
        tree.complain(place, f"{said}; each step begins with a '- ' of its own")
        return None
    ((word, value),) = step.items()
    kind = WORDS[word]
    if kind.shorthand and not (isinstance(value, dict) and _has_keys_of(value, kind)):
        value = {kind.shorthand: value}
    elif not isinstance(value, dict):
        tree.complain((*place, word), f"{word}: '{value}' stands without a key; {_keys(kind)}")
        return None
    if kind is Until and "do" in value:
        value = {**value, "do": _read_repeated(tree, (*place, word, "do"), value["do"])}
    read: Particulars | None = _validated(tree, kind, value, (*place, word))
    return read


def _read_repeated(tree: _Tree, place: _Place, step: Any) -> Particulars | None:
    if not isinstance(step, dict):
        tree.complain(place, "until: do: a step expected, such as {exists: {session: …, path: …}}")
        return None
    action = _read_action(tree, place, step)
    # A session is opened once.
    can_be = isinstance(action, Asked) and not isinstance(action, Open) and not action.background
    if action is not None and not can_be:
        tree.complain(place, "until: do: an operation that is waited for")
    return action


def _has_keys_of(value: dict[str, Any], kind: type[Particulars]) -> bool:
    """Whether keys are meant to be the step's own, and not those of its only value."""
    return kind.shorthand != "results"


def _read_condition(tree: _Tree, place: _Place, given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    is_one = isinstance(given, dict) and bool(given)
    if not is_one or not all(isinstance(fields, dict) for fields in given.values()):
        tree.complain(place, "if: results and what they must be, such as {seen: {exists: true}}")
        return {}
    found: dict[str, Any] = given
    return found


def _read_when(
    tree: _Tree, place: _Place, given: Any, variants: list[str] | None
) -> frozenset[str] | None:
    if given is None:
        return None
    is_negated = False
    if isinstance(given, str):
        found = _NOT.fullmatch(given.strip())
        is_negated, words = found is not None, found[1] if found else given
        given = [word.strip() for word in words.strip().strip("[]").split(",")]
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        tree.complain(place, "when: a variant, [several], 'not a' or 'not [a, b]'")
        return None
    if variants is None:
        return None
    for name in given:
        if name not in variants:
            tree.complain(place, f"when: no variant '{name}'; variants are {', '.join(variants)}")
    return frozenset(name for name in variants if (name in given) != is_negated)


def _validated(tree: _Tree, kind: type[Any], value: Any, place: _Place) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        for one in problems:
            loc = tuple(part for part in one["loc"] if part != "[key]")
            if one["type"] == "too_short" and any(
                loc != other["loc"] and loc == other["loc"][: len(loc)] for other in problems
            ):
                # Those that are wrong were not counted.
                continue
            tree.complain((*place, *loc), _complaint(kind, place, loc, one))
        return None


def _complaint(kind: type[Any], place: _Place, loc: _Place, error: Any) -> str:
    where = ".".join(str(part) for part in (*place[2:], *loc))
    if error["type"] == "extra_forbidden":
        within = _model_at(kind, loc[:-1])
        valid = f"; {_keys(within)}" if within else ""
        meant = _meant(str(loc[-1]), _names(within)) if within else ""
        return f"{where}: unknown key{meant}{valid}"
    if error["type"] == "missing":
        return f"{where}: missing"
    what = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{where}: {what}" if where else what
    shown = textwrap.shorten(repr(error.get("input")), 80, placeholder="…")
    return f"{where}: {what[0].lower()}{what[1:]}, not {shown}"


def _model_at(kind: type[Any], loc: _Place) -> type[BaseModel] | None:
    """The model that holds a place, if it is the outermost one or one field below."""
    for part in loc:
        found = kind.model_fields.get(str(part)) if issubclass(kind, BaseModel) else None
        if found is None or not isinstance(found.annotation, type):
            return None
        kind = found.annotation
    return kind if issubclass(kind, BaseModel) else None


def _names(kind: type[BaseModel]) -> list[str]:
    return [found.alias or name for name, found in kind.model_fields.items()]


def _keys(kind: type[BaseModel]) -> str:
    return f"keys are {', '.join(_names(kind))}"


def _meant(word: str, known: Mapping[str, Any] | list[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _show(step: dict[str, Any]) -> str:
    ((word, value),) = step.items() if len(step) == 1 else (("", ""),)
    if isinstance(value, dict):
        value = " ".join(f"{key}={_plain(part)}" for key, part in value.items())
    return f"{word} {_plain(value)}".strip()


def _plain(value: Any) -> str:
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(value)
