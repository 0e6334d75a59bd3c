"""Runs a load experiment: the ensemble, then Locust once for each point, and what came of it.

Owns the order of things and their end: whatever happens, Locust and the ensemble are ended, and
what was found until then is returned. Draws nothing, writes nothing but what Locust writes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from loadtests.headless import HeadlessLocust
from loadtests.knobs import SetupError, read_knobs
from loadtests.members import find_members
from loadtests.readers import SLOW as SLOW_ROLE
from loadtests.report.schema import RUN, SWEEP, BadRecord, Record, Sweep, parse
from loadtests.report.verdicts import sweep_verdict
from loadtests.web.ensemble import open_links
from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, OrchestratorError
from orchestrator.load.files import new_directory, write_report
from orchestrator.load.interrupt import Interrupted, Interrupts
from orchestrator.load.plan import Plan, SweepSpec, check_rules, ensemble_config, read_options
from orchestrator.ports import free_ports

_LOOK_S = 1.0
# Locust imports, asks the ensemble, spawns; at the end it gathers what its workers counted last.
_START_S, _STOP_S = 60.0, 40.0
_STOP_TIMEOUT_S = 3
_LOOPBACK = "127.0.0.1"
# Links may be slow by seconds and the quorum holds.
_OWN = {"sync_limit": 50, "init_limit": 200}
_LONGEST_TIMEOUT_MS = 30_000


class Progress(Protocol):
    """Who is told how it goes."""

    def say(self, line: str) -> None:
        """Something that stays true."""

    def begin(self, what: str, total_s: float) -> None:
        """A run begins."""

    def advance(self, elapsed_s: float, seen: str) -> None:
        """A run goes on."""


@dataclass(slots=True)
class Run:
    """What came of one run of Locust. `complaints`: why it is not as it should be."""

    record: Record
    values: dict[str, Any]
    complaints: list[str] = field(default_factory=list)
    is_interrupted: bool = False
    is_refused: bool = False


@dataclass(slots=True)
class Result:
    """What came of an experiment: a record or a sweep, typed and as it is written."""

    found: Record | Sweep
    values: dict[str, Any]
    complaints: list[str]
    is_interrupted: bool


def run_load(plan: Plan, directory: Path, progress: Progress, interrupts: Interrupts) -> Result:
    """Run everything that the plan says; Locust's files go below `directory`.

    Raises OrchestratorError if it cannot begin, and Interrupted if it is interrupted before.
    """
    with _ensemble(plan, progress, interrupts) as where:
        if plan.sweep is not None:
            return _run_sweep(where, directory, progress, interrupts)
        run = _run(where, directory, progress, interrupts, "load")
    if run.is_refused:
        raise InvalidInput(run.complaints[0])
    return Result(run.record, run.values, run.complaints, run.is_interrupted)


def tick_time_ms(plan: Plan) -> int:
    """The ensemble's tick, which the load test knows under the same name."""
    return int(read_options(plan.knobs).tick_time)


def own_settings(plan: Plan) -> dict[str, Any]:
    """The settings of the ensemble to start, such that every session timeout asked for holds."""
    settings = {**_OWN, **(plan.settings or {})}
    if settings.get("config_file") is not None:
        return plan.settings or {}
    points = [plan.at(value) for value in plan.sweep.values] if plan.sweep else [plan]
    timeouts = [int(read_options(point.knobs).session_timeout) for point in points]
    tick_ms = tick_time_ms(plan)
    settings.setdefault("tick_time_ms", tick_ms)
    settings["min_session_timeout_ms"] = min(2 * tick_ms, *timeouts)
    settings["max_session_timeout_ms"] = max(20 * tick_ms, _LONGEST_TIMEOUT_MS, *timeouts)
    return settings


@contextmanager
def _ensemble(plan: Plan, progress: Progress, interrupts: Interrupts) -> Iterator[Plan]:
    """The plan with the ensemble that it runs on, which is started here if it is its own."""
    with ExitStack() as stack:
        if plan.settings is not None:
            settings = own_settings(plan)
            config = ensemble_config(settings)
            progress.say(f"starting {len(config.sids)} members")
            with interrupts.allowed():
                ensemble = stack.enter_context(Ensemble(**settings))
            tick = ("--tick-time", str(ensemble.config.tick_time_ms))
            plan = replace(
                plan, directory=Path(ensemble.config.directory), knobs=(*tick, *plan.knobs)
            )
        elif plan.directory is not None:
            stack.enter_context(Ensemble.attach(plan.directory))
        words = ("--members", plan.addresses) if plan.addresses else ("--dir", str(plan.directory))
        yield replace(plan, knobs=(*words, *plan.knobs))


def _run_sweep(plan: Plan, directory: Path, progress: Progress, interrupts: Interrupts) -> Result:
    spec = plan.sweep
    assert spec is not None
    runs: list[Run] = []
    for index, value in enumerate(spec.values, start=1):
        below = new_directory(directory / f"{spec.knob}-{_plain(value)}")
        title = f"{spec.knob}={value} ({index} of {len(spec.values)})"
        run = _run(plan.at(value), below, progress, interrupts, title)
        write_report(below, run.record, run.values)
        runs.append(run)
        if run.is_refused or run.is_interrupted or interrupts.is_asked:
            break
    sweep, values = _sweep_of(spec, runs, is_interrupted=interrupts.is_asked)
    complaints = [
        f"{spec.knob}={value}: {complaint}"
        for value, run in zip(spec.values, runs, strict=False)
        for complaint in run.complaints
    ]
    return Result(sweep, values, complaints, interrupts.is_asked)


def _sweep_of(
    spec: SweepSpec, runs: list[Run], *, is_interrupted: bool
) -> tuple[Sweep, dict[str, Any]]:
    """The record of a sweep: its runs, and the points that did not come about."""
    points: list[dict[str, Any]] = []
    missing: list[str] = []
    for value, run in zip(spec.values, runs, strict=False):
        points.append({"value": value, "record": None if run.is_refused else run.values})
        missing += [f"{spec.knob}={value}: {sentence}" for sentence in run.record.missing]
    left = spec.values[len(runs) :]
    points += [{"value": value, "record": None} for value in left]
    if left:
        why = "the sweep was interrupted" if is_interrupted else "the point before it failed"
        missing.append(f"{spec.knob}={', '.join(left)}: not run, since {why}")
    swept = {"knob": spec.knob, "unit": spec.unit, "link": spec.links}
    values: dict[str, Any] = {"schema": SWEEP, "swept": swept, "points": points}
    values |= {"missing": missing, "verdict": ""}
    values["verdict"] = sweep_verdict(Sweep.model_validate(values))
    return Sweep.model_validate(values), values


def _plain(value: str) -> str:
    """The value as part of a file's name."""
    return "".join(c if c.isalnum() or c in ".-" else "_" for c in value)


# One run of Locust


def _run(
    plan: Plan, directory: Path, progress: Progress, interrupts: Interrupts, title: str
) -> Run:
    record_file, log = directory / ".locust-record.json", directory / "locust.log"
    try:
        arguments = _arguments(plan, directory, record_file)
    except (SetupError, OrchestratorError) as error:
        if plan.sweep is None:
            raise InvalidInput(str(error)) from None
        return _nothing(plan, [str(error)], is_refused=True)
    progress.begin(title, plan.duration_s)
    is_interrupted = False
    with HeadlessLocust(arguments, plan.classes, log, _STOP_S) as locust:
        try:
            with interrupts.allowed():
                complaints = _follow(plan, locust, progress, interrupts)
        except Interrupted:
            is_interrupted, complaints = True, []
            progress.say("interrupted; Locust finishes its figures, then the report is written")
        locust.end()
        return _outcome(plan, locust, record_file, complaints, is_interrupted)


def _arguments(plan: Plan, directory: Path, record_file: Path) -> list[object]:
    """Locust's arguments. Asks the ensemble who leads; raises SetupError if it does not answer."""
    options = read_options(plan.knobs)
    members = find_members(read_knobs(options))
    slow = members.places.get(SLOW_ROLE)
    slow_sid = slow.sid if slow else members.leader
    rules = check_rules(plan.rules, list(members.addresses), members.leader, slow_sid)
    words: list[object] = []
    if plan.sweep is not None and plan.sweep.links:
        # Without this a member whose delay is 0 would not be the slow one, but any follower.
        words += ["--slow-member", slow_sid]
    words += plan.knobs
    if rules:
        words += ["--link-rule", ";".join(filter(None, [options.link_rule, *rules]))]
    words += ["--users", plan.users, "--spawn-rate", plan.spawn_rate]
    words += ["--run-time", f"{plan.duration_s}s", "--stop-timeout", _STOP_TIMEOUT_S]
    words += ["--record", record_file, "--html", directory / "locust.html"]
    if plan.processes > 1:
        port = free_ports(_LOOPBACK, 1)[0]
        words += ["--processes", plan.processes]
        words += ["--master-bind-host", _LOOPBACK, "--master-bind-port", port]
        words += ["--master-host", _LOOPBACK, "--master-port", port]
    return words


def _follow(
    plan: Plan, locust: HeadlessLocust, progress: Progress, interrupts: Interrupts
) -> list[str]:
    """Wait for its end, and tell how it goes. Returns what went wrong; raises Interrupted."""
    began = time.monotonic()
    latest_s = plan.duration_s + _START_S + _STOP_S
    while not locust.wait(_LOOK_S):
        interrupts.check()
        elapsed_s = time.monotonic() - began
        if elapsed_s > latest_s:
            return [f"Locust did not end after {elapsed_s:.0f} s and was ended"]
        progress.advance(min(elapsed_s, plan.duration_s), _seen(plan))
    progress.advance(plan.duration_s, "")
    return []


def _seen(plan: Plan) -> str:
    """Sessions and ephemeral znodes now; empty where nobody answers, of which Locust will tell."""
    try:
        with open_links(plan.addresses, str(plan.directory)) as links:
            statuses = [m.status for m in links.view().members if m.HasField("status")]
    except OrchestratorError:
        return "the ensemble does not answer"
    if not statuses:
        return "no member answers"
    sessions = max(status.global_sessions for status in statuses)
    znodes = "/".join(str(status.ephemerals) for status in statuses)
    return f"{sessions} sessions, ephemerals {znodes}"


def _outcome(
    plan: Plan,
    locust: HeadlessLocust,
    record_file: Path,
    complaints: list[str],
    is_interrupted: bool,
) -> Run:
    status = locust.status
    try:
        values: dict[str, Any] = json.loads(record_file.read_text(encoding="utf-8"))
        record_file.unlink()
        record = parse(values, "the record of Locust")
        assert isinstance(record, Record)
    except (OSError, ValueError, BadRecord) as error:
        lost = f"Locust ended with {status} and left no record; locust.log has what it said"
        if is_interrupted:
            lost = "interrupted before there was anything to record"
        elif isinstance(error, BadRecord):
            lost = str(error)
        return _nothing(plan, [*complaints, lost], is_interrupted=is_interrupted)
    if status == 2:
        why = locust.refusal() or "; ".join(record.missing) or "locust.log says why"
        return Run(record, values, [f"the load test could not begin: {why}"], is_refused=True)
    if is_interrupted:
        values["missing"] = [*values["missing"], _cut_short(plan, record)]
    failures = sum(failure.count for failure in record.failures)
    if status and not is_interrupted:
        complaints = [*complaints, *record.missing]
        complaints += [f"{failures} requests failed"] if failures else []
        complaints = complaints or [f"Locust ended with {status}; locust.log says why"]
    return Run(Record.model_validate(values), values, complaints, is_interrupted)


def _cut_short(plan: Plan, record: Record) -> str:
    return f"interrupted after {record.duration_s:.0f} s of {plan.duration_s} s"


def _nothing(
    plan: Plan, why: list[str], *, is_interrupted: bool = False, is_refused: bool = False
) -> Run:
    """What is left of a run without a record: what was asked for, and why there is no more."""
    knobs = vars(read_options(plan.knobs))
    setup = {"knobs": knobs, "users": plan.users, "processes": plan.processes}
    values = {"schema": RUN, "setup": setup, "missing": why}
    return Run(Record.model_validate(values), values, list(why), is_interrupted, is_refused)
