"""The main job in a minute: an ensemble with a slow link, clients that expire, what they read.

    python -m loadtests.demo

Starts three members, delays the link from the leader to one follower, and lets a few hundred Locust
users expire there for half a minute; then takes the delay off and does the same in short.

In both parts a client comes back with its old session id RECONNECT_AFTER_MS after the leader has
marked the session closing. That is the same in both, so that only the link differs, and it lies
well between the two: without a delay every member has applied the closeSession by then (a quorum's
round trip and a disk sync take a few milliseconds; on a busy machine now and then a hundred),
with it the slow member has not. A client that came back within those few milliseconds would read
stale on any ensemble, and rightly be counted: the locustfile's `--reconnect-after 0` shows it.

Exit status 0 only if everything ran and no cure failed; nothing is left running. What depends on
timing alone is remarked upon, not failed: a stall of a busy machine is a delay like any other.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from loadtests.headless import HeadlessLocust
from loadtests.readers import NEW_SESSION, OPEN_SESSION
from loadtests.stale_reads import console, table_of
from orchestrator.ensemble import Ensemble
from orchestrator.errors import OrchestratorError

MEMBERS = 3
USERS = 210
DELAY_MS = 300
RECONNECT_AFTER_MS = 150
# Long enough that a busy machine expires nobody who is alive.
SESSION_TIMEOUT_MS = 3000
LIFETIME_S = 1
SLOW_RUN_S, UNDELAYED_RUN_S = 30, 8
# Every cure where it matters, and those who need none.
READERS = (
    "open+none,open+sync,new+none,open@follower+none,open@leader+none,open+create,open+compare"
)
# Sessions expire in buckets of one tick: a short tick, so that they do not come in bursts. The
# limits, counted in ticks, and the longest timeout grow by as much.
SETTINGS: dict[str, Any] = {
    "members": MEMBERS,
    "tick_time_ms": 50,
    "init_limit": 200,
    "sync_limit": 40,
    "max_session_timeout_ms": 10_000,
}
_PROGRESS_S = 5.0
_STOP_S = 5.0


class DemoFailed(Exception):
    """A part did not run: why, with the end of what Locust said."""


def main() -> int:
    """Run both parts; return the exit status."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    out = console()
    try:
        with tempfile.TemporaryDirectory(prefix="lagkeeper-demo-") as directory:
            return _run(out, Path(directory))
    except (DemoFailed, OrchestratorError) as error:
        out.print(f"demo: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        out.print("demo: interrupted; everything is stopped")
        return 130


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    # As Ctrl-C: the same way out, past the same clean-up.
    raise KeyboardInterrupt


def _run(out: Console, directory: Path) -> int:
    began = time.monotonic()
    out.print(f"starting {MEMBERS} members")
    with Ensemble(**SETTINGS) as ensemble:
        leader = ensemble.leader()
        slow = next(sid for sid in range(1, MEMBERS + 1) if sid != leader)
        ensemble.link(f"{leader}->{slow}").delay(ms=DELAY_MS)
        out.print(
            f"member {leader} leads; link {leader}->{slow} is slow: {DELAY_MS} ms; {USERS} users"
            f" expire for {SLOW_RUN_S} s",
        )
        with_delay = _load(out, ensemble, directory / "slow.json", SLOW_RUN_S, slow)
        touched = ensemble.link(f"{leader}->{slow}").touched()
        ensemble.link(f"{leader}->{slow}").clear()
        out.print(f"the delay is taken off; the same for {UNDELAYED_RUN_S} s")
        without = _load(out, ensemble, directory / "undelayed.json", UNDELAYED_RUN_S, 0)
    out.print()
    out.print(table_of(with_delay, f"Link {leader}->{slow} delayed by {DELAY_MS} ms"))
    out.print(table_of(without, "No link delayed"))
    complaints = complaints_about(with_delay, without)
    if touched == 0:
        complaints.append("the delay touched no message")
    out.print(verdict_on(with_delay, without), style="bold")
    for complaint in complaints:
        out.print(f"not as it should be: {complaint}", style="red")
    for remark in remarks_on(with_delay, without):
        out.print(f"a busy machine shows: {remark}", style="yellow")
    out.print(f"{time.monotonic() - began:.0f} s in all")
    return 1 if complaints else 0


def _load(
    out: Console, ensemble: Ensemble, stale_json: Path, run_s: int, slow_member: int
) -> dict[str, Any]:
    """One headless run of the locustfile; return its stale-read table."""
    arguments = {
        "--users": USERS,
        "--spawn-rate": 70,
        "--run-time": f"{run_s}s",
        "--stop-timeout": 2,
        "--members": ",".join(ensemble.members),
        "--slow-member": slow_member,
        "--tick-time": SETTINGS["tick_time_ms"],
        "--readers": READERS,
        "--session-timeout": SESSION_TIMEOUT_MS,
        "--lifetime": LIFETIME_S,
        "--reconnect-after": RECONNECT_AFTER_MS,
        "--stale-json": stale_json,
    }
    log = stale_json.with_suffix(".log")
    words = [word for pair in arguments.items() for word in pair]
    with HeadlessLocust(words, ("ServiceUser",), log, _STOP_S) as locust:
        _show_progress(out, ensemble, locust)
        if locust.status != 0 or not stale_json.exists():
            said = [f"Locust ended with {locust.status}; it said:", *locust.last_words()]
            raise DemoFailed("\n".join(said))
    result: dict[str, Any] = json.loads(stale_json.read_text(encoding="utf-8"))
    return result


def _show_progress(out: Console, ensemble: Ensemble, locust: HeadlessLocust) -> None:
    began = time.monotonic()
    while not locust.wait(_PROGRESS_S):
        members = ensemble.status().members
        sessions = max(m.status.global_sessions for m in members)
        znodes = ", ".join(f"{m.status.ephemerals} on member {m.sid}" for m in members)
        elapsed_s = time.monotonic() - began
        out.print(f"{elapsed_s:4.0f} s  {sessions} sessions; ephemeral znodes: {znodes}")


# What the figures say


def _rows(result: dict[str, Any], session: str, place: str, mitigation: str) -> dict[str, Any]:
    for row in result["readers"]:
        if (row["session"], row["place"], row["mitigation"]) == (session, place, mitigation):
            found: dict[str, Any] = row
            return found
    raise DemoFailed(f"the table has no row '{session}, {place}, {mitigation}'")


def complaints_about(with_delay: dict[str, Any], without: dict[str, Any]) -> list[str]:
    """What no timing can excuse, a line each: rows without a verdict, cures that do not cure."""
    complaints = [
        f"no verdict at all: {row['name']}"
        for row in (*with_delay["readers"], *without["readers"])
        if row["requests"] == 0
    ]
    if complaints:
        return complaints
    safe = [
        _rows(with_delay, OPEN_SESSION, "slow member", "sync first"),
        _rows(with_delay, NEW_SESSION, "slow member", "none"),
    ]
    complaints = [f"{_of(row)} stale: {row['name']}" for row in safe if row["stale"]]
    unsafe = _rows(with_delay, OPEN_SESSION, "slow member", "none")
    if unsafe["stale"] == 0:
        complaints.append(f"the race did not show at all: {unsafe['name']}")
    return complaints


def remarks_on(with_delay: dict[str, Any], without: dict[str, Any]) -> list[str]:
    """What depends on who gets a processor in time, where it is not as on an idle machine.

    A program that is late by the delay finds the znode gone; a member that stalls for longer
    than clients take to come back shows it on an ensemble without any delay. Both are true.
    """
    remarks = []
    unsafe = _rows(with_delay, OPEN_SESSION, "slow member", "none")
    if unsafe["requests"] and unsafe["ratio"] < 0.9:
        remarks.append(f"ratio {unsafe['ratio']:.2f}, about 1 when idle: {unsafe['name']}")
    for row in without["readers"]:
        if row["stale"]:
            remarks.append(f"{_of(row)} stale without a delay, 0 when idle: {row['name']}")
    return remarks


def verdict_on(with_delay: dict[str, Any], without: dict[str, Any]) -> str:
    """The answer to the question of the list, in one sentence with its figures."""
    unsafe = _rows(with_delay, OPEN_SESSION, "slow member", "none")
    synced = _rows(with_delay, OPEN_SESSION, "slow member", "sync first")
    new = _rows(with_delay, NEW_SESSION, "slow member", "none")
    window = unsafe["window_ms"]
    length = f" (for {window['median']:.0f} ms at the median)" if window else ""
    stale = sum(row["stale"] for row in without["readers"])
    n = sum(row["requests"] for row in without["readers"])
    return (
        "Told that the session had expired, clients still saw its ephemeral znode in"
        f" {_of(unsafe)} reads through sessions open on the slow member{length}, but in"
        f" {_of(synced)} with sync() first, in {_of(new)} through new sessions, and in"
        f" {stale} of {n} by any of these ways without the delay."
    )


def _of(row: dict[str, Any]) -> str:
    return f"{row['stale']} of {row['requests']}"


if __name__ == "__main__":
    sys.exit(main())
