"""`orchestrator bench`: what this ensemble costs and how fast it is, on this machine, now.

Measures; judges nothing. Every figure comes with the number of samples behind it. Other load on
the machine shows in the figures, so compare only what was measured in one run.
"""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from os import cpu_count
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from client.aio import AsyncClient
from client.errors import LagkeeperError
from client.ops import Create, GetData, Reply, SetData, UserOp
from nodes.accuracy import measure_delays
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible

CLIENTS = 4
OUTSTANDING = 256
VALUE = b"x" * 100
DELAYS_MS = (1.0, 5.0, 20.0, 100.0, 500.0)
MIB = 1024 * 1024

Figures = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add `bench`."""
    app.command()(bench)


def bench(
    members: Annotated[int, typer.Option(min=1, help="Members of the ensemble.")] = 3,
    operations: Annotated[
        int, typer.Option(min=100, help="Operations of each kind, for each of 4 clients.")
    ] = 5000,
    rounds: Annotated[int, typer.Option(min=1, help="Starts of the ensemble.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Measure start-up, memory, operations a second, latency, and how exact injected delays are.

    Works on ensembles of its own and on loopback; takes about a minute.

    Examples: orchestrator bench; orchestrator bench --members 5 --rounds 3 --json
    """
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    figures: Figures = {
        "machine": {"python": platform.python_version(), "cores": cpu_count()},
        "members": members,
    }
    try:
        # One loop for all: where gRPC has known several, it tells of their rivalry on stderr.
        with asyncio.Runner() as runner:
            with console.status("starting ensembles"):
                figures["start"] = _starts(members, rounds, runner)
            with Ensemble(members=members) as ensemble, console.status("reading and writing"):
                figures["memory"] = _memory(ensemble)
                figures.update(runner.run(throughput(ensemble, operations)))
            with console.status("timing delayed messages"):
                figures["machine"]["sleep_error"] = _sleep_error()
                accuracies = runner.run(measure_delays(DELAYS_MS))
    except LagkeeperError as error:
        raise NotPossible(f"a client of the benchmark failed: {error}") from None
    figures["delays"] = [asdict(accuracy) for accuracy in accuracies]
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
    else:
        Console().print(_table(figures))


def _starts(members: int, rounds: int, runner: asyncio.Runner) -> Figures:
    """From `orchestrator up` to the first committed write, as a user's shell sees it."""
    seconds = [_start(members, runner) for _ in range(rounds)]
    return {"n": rounds, "median_s": median(seconds), "max_s": max(seconds)}


def _start(members: int, runner: asyncio.Runner) -> float:
    directory = tempfile.mkdtemp(prefix="lagkeeper-bench-")
    up = ["up", "--json", "--members", str(members), "--dir", directory]
    command = [sys.executable, "-m", "orchestrator", *up]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise NotPossible(process.communicate()[1].strip() or "orchestrator up said nothing")
        runner.run(_first_write(json.loads(line)["connect"]))
        return time.monotonic() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
        shutil.rmtree(directory, ignore_errors=True)


async def _first_write(members: str) -> None:
    async with AsyncClient(members) as client:
        await client.create("/first")


def _memory(ensemble: Ensemble) -> Figures:
    resident = [m.status.resident_bytes / MIB for m in ensemble.status().members]
    return {"n": len(resident), "median_mib": median(resident), "max_mib": max(resident)}


async def throughput(ensemble: Ensemble, operations: int) -> Figures:
    """Two rounds, the second one counted: the first warms up both sides."""
    addresses = ensemble.members
    clients = [
        await AsyncClient(addresses, 10_000, first=i % len(addresses)).start()
        for i in range(CLIENTS)
    ]
    figures: Figures = {}
    try:
        for turn in ("warm", "counted"):
            root = await clients[0].create(f"/{turn}")
            await asyncio.gather(*(client.sync(root) for client in clients))
            figures["per_second"] = {
                name: await _rate(clients, operations, make(root)) for name, make in KINDS.items()
            }
        figures["sequential"] = await _sequential(clients[0], max(100, operations // 10))
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    return figures


def _sleep_error() -> Figures:
    """How late this machine wakes a sleeping process: no delay can be more exact than that."""
    errors_ms = []
    for _ in range(200):
        began = time.monotonic()
        time.sleep(0.005)
        errors_ms.append((time.monotonic() - began) * 1000 - 5)
    errors_ms.sort()
    return {"n": 200, "median_ms": median(errors_ms), "p99_ms": errors_ms[198]}


MakeOp = Callable[[int, int], UserOp]
KINDS: dict[str, Callable[[str], MakeOp]] = {
    "create": lambda root: lambda c, i: Create(f"{root}/{c}-{i}", VALUE),
    "get": lambda root: lambda c, i: GetData(f"{root}/{c}-{i}"),
    "set": lambda root: lambda c, i: SetData(f"{root}/{c}-{i}", VALUE),
}


async def _rate(clients: list[AsyncClient], operations: int, make: MakeOp) -> float:
    began = time.monotonic()
    await asyncio.gather(
        *(_pipelined(client, c, operations, make) for c, client in enumerate(clients))
    )
    return len(clients) * operations / (time.monotonic() - began)


async def _pipelined(client: AsyncClient, number: int, operations: int, make: MakeOp) -> None:
    room = asyncio.Semaphore(OUTSTANDING)
    failed: list[str] = []

    def finish(reply: asyncio.Future[Reply]) -> None:
        room.release()
        error = reply.exception()
        if error is not None:
            failed.append(str(error))
        elif reply.result().error:
            failed.append(f"error {reply.result().error}")

    for index in range(operations):
        await room.acquire()
        client.submit(make(number, index)).add_done_callback(finish)
    for _ in range(OUTSTANDING):
        await room.acquire()
    if failed:
        raise NotPossible(f"{len(failed)} of {operations} operations failed; first: {failed[0]}")


async def _sequential(client: AsyncClient, operations: int) -> Figures:
    """One operation at a time; the create waits for a quorum and its disks."""
    root = await client.create("/sequential")

    async def time_each(one: Callable[[int], Awaitable[object]]) -> Figures:
        times_ms = []
        for index in range(operations):
            began = time.monotonic()
            await one(index)
            times_ms.append((time.monotonic() - began) * 1000)
        times_ms.sort()
        p99 = times_ms[operations * 99 // 100]
        return {"n": operations, "p50_ms": median(times_ms), "p99_ms": p99}

    return {
        "create": await time_each(lambda i: client.create(f"{root}/{i}", VALUE)),
        "get": await time_each(lambda i: client.get(f"{root}/{i}")),
    }


def _table(figures: Figures) -> Table:
    table = Table(title=f"{figures['members']} members, {figures['machine']['cores']} cores")
    for heading in ("what", "figure", "n"):
        table.add_column(heading)
    start, memory = figures["start"], figures["memory"]
    table.add_row(
        "up to first committed write, median / max",
        f"{start['median_s']:.2f} / {start['max_s']:.2f} s",
        str(start["n"]),
    )
    table.add_row(
        "resident memory of an idle member, median / max",
        f"{memory['median_mib']:.0f} / {memory['max_mib']:.0f} MiB",
        str(memory["n"]),
    )
    for name, rate in figures["per_second"].items():
        table.add_row(f"{name}, {CLIENTS} clients x {OUTSTANDING} outstanding", f"{rate:,.0f}/s")
    for name, times in figures["sequential"].items():
        text = f"{times['p50_ms']:.2f} / {times['p99_ms']:.2f} ms"
        table.add_row(f"sequential {name}, p50 / p99", text, str(times["n"]))
    sleep = figures["machine"]["sleep_error"]
    text = f"{sleep['median_ms']:.2f} / {sleep['p99_ms']:.2f} ms"
    table.add_row("error of a bare sleep of 5 ms, p50 / p99", text, str(sleep["n"]))
    for delay in figures["delays"]:
        text = f"{delay['median_error_ms']:.2f} / {delay['p99_error_ms']:.2f} ms"
        text += f", {delay['reordered']} reordered"
        name = f"error of a {delay['delay_ms']:.0f} ms delay, p50 / p99"
        table.add_row(name, text, str(delay["samples"]))
    return table
