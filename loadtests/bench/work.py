"""What both ensembles are made to do, and the figures of it. Every function measures one side."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

from loadtests.bench.raw import EPHEMERAL, WireError, WireSession, first_write
from loadtests.bench.sides import JAR, Side

CLIENTS = 4
OUTSTANDING = 256
# Below the backlog of 50 connections that a real server lets wait, on each of three members.
CONNECTING = 100
_FAMILY = 1000
SOURCE = Path(__file__).with_name("WireBench.java")
_JAVA_S = 300
_PING_S = 3.0
_EXPIRY_S = 60.0

Figures = dict[str, float]


class WorkError(Exception):
    """A measurement failed; says which and why."""


def compile_client(directory: Path) -> None:
    """Compile the Java client into `directory`; raises WorkError."""
    run = subprocess.run(
        ["javac", "-cp", str(JAR), "-d", str(directory), str(SOURCE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise WorkError(f"javac: {run.stderr.strip()}")


def over_the_wire(side: Side, classes: Path, operations: int) -> Figures:
    """Operations a second and sequential latencies (p50, ms) through Apache's own client."""
    run = subprocess.run(
        ["java", "-cp", f"{classes}:{JAR}", "WireBench", ",".join(side.addresses()),
         str(CLIENTS), str(OUTSTANDING), str(operations), str(max(operations // 10, 100))],
        capture_output=True, text=True, check=False, timeout=_JAVA_S,
    )  # fmt: skip
    if run.returncode:
        raise WorkError(f"{side.name}: the Java client ended with {run.returncode}: {run.stderr}")
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return {line["work"]: line["figure"] for line in lines}


def resident_mib(side: Side) -> float:
    """The resident memory of one member, on average."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in side.pids()]
    return sum(pages) * os.sysconf("SC_PAGESIZE") / len(pages) / 2**20


async def sessions(side: Side, count: int) -> Figures:
    """Open `count` sessions, each with a socket of its own; let them all expire with a znode each.

    `expiries`: how many a second, from the first that is gone to the last.
    """
    addresses = side.addresses()
    room = asyncio.Semaphore(CONNECTING)
    parent = f"/sessions-{time.monotonic_ns()}"
    await first_write(addresses, parent)

    opened: list[WireSession] = []

    async def open_one(index: int) -> None:
        address = addresses[index % len(addresses)]
        async with room:
            try:
                session = await WireSession.open(address)
            except WireError:
                # At multiples of 10 s both kinds of server let go who has come but not spoken yet.
                session = await WireSession.open(address)
            opened.append(session)

    async def keep_alive() -> None:
        while True:
            await asyncio.sleep(_PING_S)
            for session in opened:
                session.ping()

    began = time.monotonic()
    pinging = asyncio.create_task(keep_alive())
    await asyncio.gather(*map(open_one, range(count)))
    figures = {"sessions opened": count / (time.monotonic() - began)}
    figures["memory with sessions"] = resident_mib(side)

    async def own(index: int, session: WireSession) -> None:
        async with room:
            await session.create(f"{parent}/{index}", EPHEMERAL)

    await asyncio.gather(*(own(i, session) for i, session in enumerate(opened)))
    pinging.cancel()
    for session in opened:
        session.abandon()
    figures["expiries"] = await _expiries(addresses[0], parent, count)
    return figures


async def _expiries(address: str, parent: str, count: int) -> float:
    """Watch the children of `parent` go."""
    watcher = await WireSession.open(address)
    by = time.monotonic() + _EXPIRY_S
    first: tuple[float, int] | None = None
    while time.monotonic() < by:
        left = await watcher.count_children(parent)
        now = time.monotonic()
        if first is None and left < count:
            first = (now, left)
        if left == 0:
            assert first is not None
            watcher.close()
            # Of those that went after the first look that saw any gone.
            return first[1] / (now - first[0]) if now > first[0] else float(count)
        await asyncio.sleep(0.02)
    raise WorkError(f"{address}: {left} of {count} sessions have not expired")


async def fill(side: Side, count: int) -> None:
    """Create `count` znodes, a thousand at a time: a parent and its children of 100 bytes."""
    addresses = side.addresses()
    top = f"/full-{time.monotonic_ns()}"
    await first_write(addresses, top)

    async def fill_some(number: int) -> None:
        session = await WireSession.open(addresses[number % len(addresses)])
        for begin in range(number * _FAMILY, count, CLIENTS * _FAMILY):
            parent = f"{top}/{begin}"
            await session.create(parent)
            end = min(begin + _FAMILY, count) - 1
            await session.create_all([f"{parent}/{i}" for i in range(begin, end)], bytes(100))
        session.close()

    await asyncio.gather(*map(fill_some, range(CLIENTS)))


def restart_s(side: Side) -> float:
    """Kill every member and start them all; how long until a write is committed."""
    side.kill_all()
    began = time.monotonic()
    side.start_all()
    try:
        asyncio.run(first_write(side.addresses(), f"/restarted-{time.monotonic_ns()}"))
    except WireError as error:
        raise WorkError(f"{side.name}: {error}") from None
    return time.monotonic() - began


def recovery_s(side: Side) -> float:
    """Kill the leader; how long until a write is committed by the others."""
    began = time.monotonic()
    others = side.kill_leader()
    try:
        asyncio.run(first_write(others, f"/recovered-{time.monotonic_ns()}"))
    except WireError as error:
        raise WorkError(f"{side.name}: {error}") from None
    return time.monotonic() - began
