"""`orchestrator scale`: many sessions on one ensemble, kept alive, and then a storm of expiries.

Measures; judges nothing but one thing: a session that nobody silenced must not expire. All
sessions live in this process and share one stream per member.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from client.aio import AsyncClient
from client.errors import LagkeeperError
from client.events import SessionState
from orchestrator.config import duration_ms
from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, NotPossible
from orchestrator.member_traces import Traces

TIMEOUT_MS = 10_000
TICK_MS = 1000
# Connects under way at once: more would only queue, here instead of there.
CONNECTING = 500
KIB = 1024
PARENT = "/storm"
# Silence, the timeout, a tick for the bucket, half a tick for the report; the rest is patience.
STORM_PATIENCE_S = (TIMEOUT_MS + 1.5 * TICK_MS) / 1000 + 20.0

Figures = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add `scale`."""
    app.command()(scale)


def scale(
    sessions: Annotated[int, typer.Option(min=1, help="Sessions open at once.")] = 10_000,
    hold: Annotated[str, typer.Option("--for", help="How long to keep them alive.")] = "60s",
    storm: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, help="Sessions with an ephemeral znode that expire together."
        ),
    ] = 5_000,
    members: Annotated[int, typer.Option(min=1, help="Members of the ensemble.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Open many sessions, keep them alive, let many of them expire in the same tick.

    Prints what a session costs each member, and how long an expiry storm takes from the first
    mark to the last ephemeral znode gone, on every member. Exit status 1 if a session expired
    that was kept alive.

    Examples: orchestrator scale; orchestrator scale --sessions 2000 --for 10s --storm 1000 --json
    """
    hold_s = _seconds(hold)
    if storm > sessions:
        raise InvalidInput(f"--storm {storm} is more than --sessions {sessions}")
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    try:
        with Ensemble(members=members, tick_time_ms=TICK_MS) as ensemble, console.status("") as now:
            figures = asyncio.run(_measure(ensemble, sessions, hold_s, storm, now.update))
    except LagkeeperError as error:
        raise NotPossible(f"a client failed: {error}") from None
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
    else:
        Console().print(_table(figures))
    raise typer.Exit(1 if figures["lost"] else 0)


def _seconds(text: str) -> float:
    try:
        length_ms = duration_ms(text)
    except ValueError as error:
        raise InvalidInput(f"--for: {error}") from None
    assert isinstance(length_ms, int)
    return length_ms / 1000


async def _measure(
    ensemble: Ensemble, sessions: int, hold_s: float, storm: int, say: Any
) -> Figures:
    before = _resident(ensemble)
    say(f"opening {sessions} sessions")
    began = time.monotonic()
    clients = await _open(ensemble, sessions)
    figures: Figures = {
        "sessions": sessions,
        "opened_per_second": sessions / (time.monotonic() - began),
    }
    try:
        say(f"keeping them alive for {hold_s:g} s")
        began, cpu = time.monotonic(), _cpu_s(ensemble)
        await asyncio.sleep(hold_s)
        held_s = time.monotonic() - began
        figures["held_s"] = held_s
        figures["lost"] = sum(c.state is not SessionState.CONNECTED for c in clients)
        spent_s = {sid: after_s - cpu[sid] for sid, after_s in _cpu_s(ensemble).items()}
        figures["members"] = [
            {
                "sid": sid,
                "resident_mib": resident / KIB / KIB,
                "kib_per_session": (resident - before[sid]) / KIB / sessions,
                "cpu_percent": spent_s[sid] / held_s * 100,
            }
            for sid, resident in _resident(ensemble).items()
        ]
        if storm:
            say(f"{storm} sessions expire")
            figures["storm"] = await _storm(ensemble, clients[:storm])
    finally:
        say("closing")
        await asyncio.gather(*(client.close() for client in clients))
    return figures


async def _open(ensemble: Ensemble, sessions: int) -> list[AsyncClient]:
    room = asyncio.Semaphore(CONNECTING)
    addresses = ensemble.members

    async def open_one(index: int) -> AsyncClient:
        async with room:
            return await AsyncClient(addresses, TIMEOUT_MS, first=index % len(addresses)).start()

    return list(await asyncio.gather(*map(open_one, range(sessions))))


async def _storm(ensemble: Ensemble, victims: list[AsyncClient]) -> Figures:
    async with AsyncClient(ensemble.members) as other:
        await other.create(PARENT)
    await asyncio.gather(
        *(c.create(f"{PARENT}/{i}", ephemeral=True) for i, c in enumerate(victims))
    )
    watch = _StormWatch(ensemble, {client.session_id for client in victims})
    try:
        # Buckets end at whole ticks of the host's clock. Those heard from last early in a tick
        # share one, even if a follower reports its touches half a tick later.
        await asyncio.sleep(TICK_MS / 1000 - time.monotonic() % (TICK_MS / 1000))
        await asyncio.gather(*(client.exists(PARENT) for client in victims))
        for client in victims:
            await client.go_silent()
        return await asyncio.to_thread(watch.figures)
    finally:
        watch.close()


class _StormWatch:
    """When sessions are marked closing and when their closeSession is applied, per member."""

    def __init__(self, ensemble: Ensemble, session_ids: set[int]) -> None:
        self._ids = session_ids
        self._marked_ms: list[float] = []
        self._gone_ms: dict[int, list[float]] = {}
        self._streams: list[Traces] = []
        self._threads: list[threading.Thread] = []
        for member in ensemble.status().members:
            gone_ms = self._gone_ms[member.sid] = []
            self._follow(ensemble.traces(member.sid, ["close_applied"]), gone_ms)
            # Only the leader marks; the other streams end with `close`.
            self._follow(ensemble.traces(member.sid, ["close_marked"]), self._marked_ms)

    def figures(self) -> Figures:
        """Wait until every member has applied every close; raises NotPossible if that fails."""
        by = time.monotonic() + STORM_PATIENCE_S
        n = len(self._ids)
        seen = [self._marked_ms, *self._gone_ms.values()]
        while any(len(times_ms) < n for times_ms in seen):
            if time.monotonic() > by:
                counts = {sid: len(gone_ms) for sid, gone_ms in self._gone_ms.items()}
                raise NotPossible(f"of {n} closes the members have applied {counts}")
            time.sleep(0.05)
        first_ms = min(self._marked_ms)
        gone_after_ms = {sid: max(gone_ms) - first_ms for sid, gone_ms in self._gone_ms.items()}
        return {
            "sessions": n,
            "ticks": len({int(at_ms // TICK_MS) for at_ms in self._marked_ms}),
            "gone_ms": gone_after_ms,
            "gone_everywhere_ms": max(gone_after_ms.values()),
        }

    def close(self) -> None:
        """End the subscriptions."""
        for stream in self._streams:
            stream.close()
        for thread in self._threads:
            thread.join()

    def _follow(self, stream: Traces, times_ms: list[float]) -> None:
        def follow() -> None:
            for trace in stream:
                if trace.fields["session_id"].number in self._ids:
                    times_ms.append(trace.at_ms)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        self._streams.append(stream)
        self._threads.append(thread)


def _resident(ensemble: Ensemble) -> dict[int, int]:
    return {member.sid: member.status.resident_bytes for member in ensemble.status().members}


def _cpu_s(ensemble: Ensemble) -> dict[int, float]:
    """Seconds of processor time of each member, from /proc."""
    seconds = {}
    for member in ensemble.status().members:
        stat = Path(f"/proc/{member.pid}/stat").read_text(encoding="ascii")
        # Behind the command's name, which may hold anything: fields 14 and 15 of proc(5).
        fields = stat.rpartition(")")[2].split()
        seconds[member.sid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def _table(figures: Figures) -> Table:
    table = Table(title=f"{figures['sessions']:,} sessions, timeout {TIMEOUT_MS / 1000:g} s")
    for heading in ("what", "figure"):
        table.add_column(heading)
    table.add_row("sessions opened", f"{figures['opened_per_second']:,.0f}/s")
    table.add_row(f"lost in {figures['held_s']:.0f} s", str(figures["lost"]))
    for member in figures["members"]:
        text = (
            f"{member['resident_mib']:.1f} MiB, {member['kib_per_session']:.2f} KiB a session, "
            f"{member['cpu_percent']:.0f} % of a core"
        )
        table.add_row(f"member {member['sid']}", text)
    if "storm" in figures:
        storm = figures["storm"]
        name = f"{storm['sessions']:,} expiries, marked in {storm['ticks']} tick(s)"
        table.add_row(name, f"all gone everywhere after {storm['gone_everywhere_ms']:,.0f} ms")
    return table
