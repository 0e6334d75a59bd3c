"""What a load experiment is to do, read and checked before anything starts.

Owns the sweep's notation, the words for links that name roles, and the check of the load test's
knobs, which are asked of the load test itself. Starts nothing and finds nobody.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from loadtests.knobs import SetupError, add_knobs, read_knobs
from orchestrator.config import EnsembleConfig, load_config
from orchestrator.errors import InvalidInput
from orchestrator.rules import find_links, wire_rule

LEADER, SLOW = "leader", "slow"
DELAY = "delay"
DEFAULT_LINKS = f"{LEADER}->{SLOW}"
# Knobs of Locust itself that may be swept as well.
LOAD_KNOBS = ("users", "spawn-rate")
USER_CLASSES = ("ServiceUser", "WatcherUser", "ReaderUser")
# One ensemble serves all points of a sweep, and its tick is what it is.
_NEVER_SWEPT = ("tick-time", "dir", "members", "record", "stale-json", "history", "audit")


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A knob and its values. `links`: where the delay goes, for a sweep of delays."""

    knob: str
    values: tuple[str, ...]
    links: str = ""

    @property
    def unit(self) -> str:
        """The values' unit, where the knob has a plain one."""
        is_ms = self.links or self.knob in ("session-timeout", "reconnect-after")
        return "ms" if is_ms else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One experiment. Either `settings` of an ensemble to start, or where one runs: `directory`,
    or `addresses`. `knobs` are words for the load test's own arguments.
    """

    settings: dict[str, Any] | None
    directory: Path | None
    addresses: str
    users: int
    spawn_rate: float
    duration_s: int
    processes: int
    classes: tuple[str, ...]
    rules: tuple[str, ...]
    knobs: tuple[str, ...]
    sweep: SweepSpec | None

    def at(self, value: str) -> Plan:
        """The plan of one point of the sweep."""
        spec = self.sweep
        assert spec is not None
        if spec.links:
            return replace(self, rules=(*self.rules, f"{spec.links} {DELAY}={value}ms"))
        if spec.knob == "users":
            return replace(self, users=int(value))
        if spec.knob == "spawn-rate":
            return replace(self, spawn_rate=float(value))
        return replace(self, knobs=(*self.knobs, f"--{spec.knob}", value))


def check(plan: Plan) -> None:
    """Raise InvalidInput unless the knobs, the rules and every point of the sweep make sense."""
    points = [plan.at(value) for value in plan.sweep.values] if plan.sweep else [plan]
    if plan.sweep and read_options(plan.knobs).history:
        raise InvalidInput("--history: a history is of one run, and a sweep has several")
    for point in points:
        if read_options(point.knobs).record:
            raise InvalidInput("--record: the record goes into the report's directory; see --out")
        if point.settings is not None:
            sids = ensemble_config(point.settings).sids
            check_rules(point.rules, sids, sids[0], sids[-1])
    for name in plan.classes:
        if name not in USER_CLASSES:
            known = ", ".join(USER_CLASSES)
            raise InvalidInput(f"--user-class: no class '{name}'; known are {known}")


def ensemble_config(settings: dict[str, Any]) -> EnsembleConfig:
    """The configuration of the ensemble to start. Raises InvalidInput."""
    values = dict(settings)
    return load_config(values.pop("config_file", None), values)


def check_rules(rules: Sequence[str], sids: Sequence[int], leader: int, slow: int) -> list[str]:
    """The rules with sids for roles. Raises InvalidInput for one that cannot be."""
    found = []
    for text in rules:
        links, _, rule = text.strip().partition(" ")
        links = links.replace(LEADER, str(leader)).replace(SLOW, str(slow))
        try:
            find_links(links, sids)
            wire_rule(rule)
        except InvalidInput as error:
            raise InvalidInput(f"--link '{text}': {error}") from None
        if ";" in text:
            raise InvalidInput(f"--link '{text}': one rule only; give --link several times")
        found.append(f"{links} {rule}")
    return found


def parse_sweep(text: str) -> SweepSpec:
    """The sweep that `delay=0,5,20`, `*->1 delay=0,5` or `session-timeout=500,1000` says.

    Raises InvalidInput. A delay without links goes on that from the leader to the slow member.
    """
    links, _, assignment = text.strip().rpartition(" ")
    knob, equals, listed = assignment.partition("=")
    knob = knob.replace("_", "-")
    values = tuple(value.strip().removesuffix("ms") for value in listed.split(","))
    if not equals or not knob or not all(values):
        raise InvalidInput(f"--sweep '{text}': write for example delay=0,5,20,50,100")
    if len(set(values)) < len(values):
        raise InvalidInput(f"--sweep '{text}': a value is there twice")
    if links and knob != DELAY:
        raise InvalidInput(f"--sweep '{text}': on links only {DELAY} can be swept")
    if knob in _NEVER_SWEPT:
        raise InvalidInput(f"--sweep '{text}': {knob} is the same at all points")
    if knob == DELAY:
        return SweepSpec(knob, tuple(_number(text, v) for v in values), links or DEFAULT_LINKS)
    if knob in LOAD_KNOBS:
        for value in values:
            number = _number(text, value)
            if float(number) <= 0 or (knob == "users" and not number.isdecimal()):
                raise InvalidInput(f"--sweep '{text}': {knob} cannot be {value}")
    return SweepSpec(knob, values)


def _number(text: str, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        raise InvalidInput(f"--sweep '{text}': '{value}' is no number") from None
    if not 0 <= number <= 86_400_000:
        raise InvalidInput(f"--sweep '{text}': {value} is out of range")
    return value


# The load test's own arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            raise InvalidInput(
                f"no option or knob '{unknown.split()[0]}'; 'orchestrator load --help' has the"
                " options, 'orchestrator load --knobs' the knobs of the load test"
            )
        raise InvalidInput(message.removeprefix("argument "))


def read_options(words: Sequence[str]) -> argparse.Namespace:
    """The load test's arguments, checked as the load test itself does. Raises InvalidInput."""
    options = _parser().parse_args(list(words))
    try:
        read_knobs(options)
    except SetupError as error:
        raise InvalidInput(str(error)) from None
    return options


def knobs_help() -> str:
    """Every knob with its default, for people."""
    parser = _parser()
    parser.usage = argparse.SUPPRESS
    return parser.format_help()


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False, formatter_class=_with_defaults)
    # It asks for nothing that Locust's parser adds to the standard one.
    any_parser: Any = parser
    add_knobs(any_parser)
    return parser


def _with_defaults(prog: str) -> argparse.HelpFormatter:
    return argparse.ArgumentDefaultsHelpFormatter(prog, max_help_position=30, width=100)
