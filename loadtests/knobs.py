"""The load test's own arguments: on Locust's command line and in its web UI.

Owns names, defaults and help texts, and reads them back as one typed object. Finds nobody and
starts nothing.
"""

from __future__ import annotations

import math
import os
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.readers import LEADER as LEADER_ROLE
from loadtests.readers import (
    MITIGATIONS,
    OBSERVER,
    OTHER,
    SLOW,
    Reader,
    UnknownReader,
    find_readers,
)

if TYPE_CHECKING:
    # Importing Locust patches the whole process for gevent.
    from locust.argument_parser import LocustArgumentParser

TOLD_BY = ("mark", "poll")
SHAPES = ("steady", "ramp", "storm", "restart")
ENDS = ("silence", "crash", "close", "cut")
ALL = "all"
_ROLES = (LEADER_ROLE, OTHER, SLOW, OBSERVER, ALL)


class SetupError(Exception):
    """The test cannot begin: one line that says what was wrong and where."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """What was asked for. Times named `_ms` are in milliseconds, those named `_s` in seconds."""

    members: tuple[str, ...]
    directory: Path
    victim_member: str
    slow_member: int
    session_timeout_ms: int
    tick_time_ms: int
    lifetime_s: float
    ends: dict[str, float]
    told_by: str
    reconnect_after_ms: int
    readers: tuple[Reader, ...]
    read_every_s: float
    window_bound_ms: int
    link_rules: tuple[str, ...]
    link_rule_after_s: float
    shape: str
    ramp_s: float
    fault_after_s: float
    storm_every_s: float
    storm_percent: float
    restart_pause_s: float
    seed: int
    audit: bool
    stale_json: Path | None
    record: Path | None
    history: Path | None


# (flag, type, default, help)
_WHERE = (
    ("--members", str, "", "members, host:port,host:port,... (else they are asked of --dir)"),
    ("--dir", str, ".lagkeeper", "directory of a running 'orchestrator up'"),
    (
        "--victim-member",
        str,
        "leader",
        "where services have their sessions: leader, follower, slow, observer, all, or a sid",
    ),
    ("--slow-member", int, 0, "sid of the slow member; 0: the one whose link is delayed"),
)
_WHEN = (
    ("--session-timeout", int, 2000, "silence after which a service's session expires, ms"),
    ("--tick-time", int, 200, "the ensemble's tick, ms; for --told-by poll"),
    ("--lifetime", float, 2.5, "seconds a service stays registered before it ends, on average"),
    ("--reconnect-after", int, 0, "ms between the mark (or the poll's time) and reconnecting"),
    ("--read-every", float, 1.0, "seconds between two lookups of a Reader, on average"),
    ("--window-bound", int, 5000, "ms after which a stale reader gives up polling"),
)
_WHO = (
    (
        "--ends",
        str,
        "silence=1,crash=1",
        "how services end, with weights: silence (hangs), crash (its connection breaks), close"
        " (says good-bye), cut (its network is cut until the leader has marked it)",
    ),
    (
        "--readers",
        str,
        "open,new,open@follower,open@leader",
        "reader kinds, dealt to the services in turn: open, new or local session, on the slow"
        " member, or with @slow, @follower, @leader, @observer; +KEY for a mitigation of its own",
    ),
    (
        "--mitigations",
        str,
        ",".join(key for key in MITIGATIONS if key in ("none", "sync", "create", "compare")),
        f"what readers do to be safe, each with each reader kind: {', '.join(MITIGATIONS)}",
    ),
)
_FAULTS = (
    ("--link-rule", str, "", "rules while the test runs, '3->1 delay=50ms'; several with ;"),
    ("--link-rule-after", float, 0.0, "seconds from the start until --link-rule; 0: at once"),
    ("--ramp-time", float, 60.0, "seconds of --shape ramp until all users are there"),
    ("--fault-after", float, 10.0, "seconds from the start to the first storm or restart"),
    ("--storm-every", float, 0.0, "seconds from one storm to the next; 0: one storm only"),
    ("--storm-percent", float, 100.0, "how many of all services a storm takes, in percent"),
    ("--restart-pause", float, 5.0, "seconds of rest between two members' restarts"),
    ("--seed", int, 0, "of the random choices; 0: another one each time"),
)
_FILES = (
    ("--stale-json", str, "", "write the stale-read table to this file"),
    ("--record", str, "", "write the record of the run (JSON, for reports) to this file"),
    ("--history", str, "", "write every operation and its outcome (JSON lines) to this file"),
)


def add_knobs(parser: LocustArgumentParser) -> None:
    """Add the arguments; Locust shows each in its web UI as well.

    Straight to the parser: those of an argument group never reach the web UI.
    """
    for name, kind, default, help_text in (*_WHERE, *_WHEN, *_WHO, *_FAULTS, *_FILES):
        parser.add_argument(name, type=kind, default=default, help=help_text)
    parser.add_argument(
        "--told-by",
        choices=TOLD_BY,
        default="mark",
        help="when a client reconnects with its old id: 'mark': as soon as the leader traces that"
        " it marked the session closing; 'poll': once the session must have expired",
    )
    parser.add_argument(
        "--shape",
        choices=SHAPES,
        default="steady",
        help="steady; ramp: users in ten steps; storm: many services crash in one moment;"
        " restart: members are stopped and started again one by one",
    )
    parser.add_argument(
        "--audit",
        action="store_true",
        help="have the members trace every read they serve, and count the stale ones a second"
        " time from that; members and Locust must share a host. It costs the members time",
    )


def read_knobs(options: Namespace) -> Knobs:
    """What the command line or the web UI says. Raises SetupError for what makes no sense."""
    for name, known in (("told_by", TOLD_BY), ("shape", SHAPES)):
        if getattr(options, name) not in known:
            raise SetupError(f"{_flag(name)}: {getattr(options, name)!r} is none of {_list(known)}")
    _check_numbers(options)
    return Knobs(
        members=_split(options.members),
        directory=Path(options.dir),
        victim_member=_victim_member(options.victim_member),
        slow_member=options.slow_member,
        session_timeout_ms=options.session_timeout,
        tick_time_ms=options.tick_time,
        lifetime_s=options.lifetime,
        ends=_weights(options.ends),
        told_by=options.told_by,
        reconnect_after_ms=options.reconnect_after,
        readers=_readers(options.readers, options.mitigations),
        read_every_s=options.read_every,
        window_bound_ms=options.window_bound,
        link_rules=tuple(part.strip() for part in options.link_rule.split(";") if part.strip()),
        link_rule_after_s=options.link_rule_after,
        shape=options.shape,
        ramp_s=options.ramp_time,
        fault_after_s=options.fault_after,
        storm_every_s=options.storm_every,
        storm_percent=options.storm_percent,
        restart_pause_s=options.restart_pause,
        seed=options.seed,
        audit=options.audit,
        stale_json=_writable("stale_json", options),
        record=_writable("record", options),
        history=_writable("history", options),
    )


def knobs_said(options: Namespace) -> dict[str, Any]:
    """Every knob by its name and as it was said, for the record."""
    named = [name for name, *_ in (*_WHERE, *_WHEN, *_WHO, *_FAULTS)]
    named += ["--told-by", "--shape", "--audit"]
    return {flag[2:]: getattr(options, flag[2:].replace("-", "_")) for flag in named}


def record_path(options: Namespace) -> Path | None:
    """Where the record goes, whatever else is wrong; None if nowhere, or if it cannot."""
    try:
        return _writable("record", options)
    except SetupError:
        return None


def _check_numbers(options: Namespace) -> None:
    above_0 = ("session_timeout", "tick_time", "lifetime", "read_every", "window_bound")
    for name in (*above_0, "ramp_time", "storm_percent"):
        if not 0 < getattr(options, name) < math.inf:
            raise SetupError(f"{_flag(name)}: must be above 0, and finite")
    not_below_0 = ("reconnect_after", "link_rule_after", "fault_after", "storm_every")
    for name in (*not_below_0, "restart_pause", "seed"):
        if not 0 <= getattr(options, name) < math.inf:
            raise SetupError(f"{_flag(name)}: must not be below 0, and finite")
    if options.storm_percent > 100:
        raise SetupError("--storm-percent: at most 100")


def _victim_member(said: str) -> str:
    if said not in _ROLES and not said.isdecimal():
        raise SetupError(f"--victim-member: {said!r} is no sid and none of {_list(_ROLES)}")
    return said


def _readers(kinds: str, mitigations: str) -> tuple[Reader, ...]:
    try:
        found = find_readers(_split(kinds), _split(mitigations))
    except UnknownReader as error:
        flag = "--mitigations" if "mitigation" in str(error) else "--readers"
        raise SetupError(f"{flag}: {error}") from None
    if not found:
        raise SetupError("--readers: name at least one, such as open, and one of --mitigations")
    return tuple(found)


def _weights(said: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in _split(said):
        end, _, weight = part.partition("=")
        if end not in ENDS:
            raise SetupError(f"--ends: no end {end!r}; known are {_list(ENDS)}")
        try:
            weights[end] = float(weight or 1)
        except ValueError:
            raise SetupError(f"--ends: {part!r}: the weight is no number") from None
        if not 0 <= weights[end] < math.inf:
            raise SetupError(f"--ends: {part!r}: a weight is 0 or more, and finite")
    if not sum(weights.values()):
        raise SetupError(f"--ends: name at least one of {_list(ENDS)}, with a weight above 0")
    return weights


def _writable(name: str, options: Namespace) -> Path | None:
    said = getattr(options, name)
    if not said:
        return None
    path = Path(said)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise SetupError(f"{_flag(name)}: cannot write {path}")
    return path


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
