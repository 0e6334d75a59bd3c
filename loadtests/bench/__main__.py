"""`make bench`: the same work on Apache ZooKeeper and on this ensemble, in turn, as ratios.

    python -m loadtests.bench [--rounds 5] [--operations 5000] [--out bench.json]

A round starts both ensembles, one after the other, so that a slow minute of the machine touches
both. Figures are medians over the rounds; the spread is printed beside them. A round takes some
four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

# Before gRPC is loaded, as `orchestrator bench` and the members do.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")

from rich.console import Console
from rich.table import Table

from client.errors import LagkeeperError
from loadtests.bench import work
from loadtests.bench.ours import delay_error_p99_ms, race_trials_a_second
from loadtests.bench.raw import WireError
from loadtests.bench.sides import Apache, Ours, missing
from orchestrator.bench import throughput
from orchestrator.errors import OrchestratorError

# What is measured, whether more is better, and the ratio aimed at (None: only shown).
ROWS: dict[str, tuple[bool, float | None]] = {
    "create, wire": (True, 1.0),
    "get, wire": (True, 0.7),
    "set, wire": (True, 1.0),
    "mixed 90/10, wire": (True, None),
    "create, gRPC": (True, 1.5),
    "get, gRPC": (True, 1.0),
    "set, gRPC": (True, 1.5),
    "sequential create p50 ms, wire": (False, None),
    "sequential create p50 ms, gRPC": (False, 1.0),
    "sequential get p50 ms, wire": (False, None),
    "start to first write s": (False, 0.6),
    "idle member MiB": (False, 0.6),
    "sessions opened a second": (True, 1.0),
    "member with the sessions MiB": (False, None),
    "expiries a second": (True, None),
    "member with the znodes MiB": (False, None),
    "recovery from the leader's death s": (False, None),
    "restart with the znodes s": (False, None),
}
# What only this ensemble has: whether more is better, and the figure aimed at.
ALONE: dict[str, tuple[bool, float]] = {
    "error of a delay p99 ms, under load": (False, 3.0),
    "race trials a second, simulated": (True, 500.0),
}
Figures = dict[str, float]


def main() -> None:
    """Run the rounds, print the table, keep the raw figures."""
    options = _options()
    if (reason := missing()) is not None:
        sys.exit(f"bench: {reason}")
    console = Console(stderr=True)
    rounds: list[dict[str, Figures]] = []
    try:
        with tempfile.TemporaryDirectory() as classes:
            work.compile_client(Path(classes))
            for number in range(1, options.rounds + 1):
                rounds.append({})
                for make in (Apache, Ours):
                    with console.status(f"round {number} of {options.rounds}: {make.name}"):
                        rounds[-1][make.name] = _measure(make, Path(classes), options)
                # After each round: a failure in a later one costs no finished one.
                if options.out:
                    _keep(Path(options.out), rounds, options)
    except work.WorkError as error:
        sys.exit(f"bench: {error}")
    Console().print(show(rounds))


def _keep(path: Path, rounds: list[dict[str, Figures]], options: argparse.Namespace) -> None:
    result = {"machine": _machine(), "options": vars(options), "rounds": rounds}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument(
        "--operations", type=int, default=5000, help="of each kind and client (default 5000)"
    )
    parser.add_argument("--sessions", type=int, default=10_000, help="sessions (default 10,000)")
    parser.add_argument("--znodes", type=int, default=100_000, help="znodes (default 100,000)")
    parser.add_argument("--out", metavar="FILE", help="raw figures as JSON")
    return parser.parse_args()


def _measure(
    make: Callable[[], Apache] | Callable[[], Ours], classes: Path, options: argparse.Namespace
) -> Figures:
    with closing(make()) as side:
        try:
            return _measure_started(side, classes, options)
        except (WireError, OSError, LagkeeperError, OrchestratorError) as error:
            raise work.WorkError(f"{side.name}: {error}") from None


def _measure_started(side: Apache | Ours, classes: Path, options: argparse.Namespace) -> Figures:
    figures = {
        "start to first write s": side.start_s,
        "idle member MiB": work.resident_mib(side),
    }
    wire = work.over_the_wire(side, classes, options.operations)
    figures["create, wire"] = wire["create"]
    figures["get, wire"] = wire["get"]
    figures["set, wire"] = wire["set"]
    figures["mixed 90/10, wire"] = wire["mixed"]
    figures["sequential create p50 ms, wire"] = wire["sequential create"]
    figures["sequential get p50 ms, wire"] = wire["sequential get"]
    if isinstance(side, Ours):
        figures.update(_over_grpc(side, options.operations))
        figures["error of a delay p99 ms, under load"] = delay_error_p99_ms(side.ensemble)
        figures["race trials a second, simulated"] = race_trials_a_second()
    opened = asyncio.run(work.sessions(side, options.sessions))
    figures["sessions opened a second"] = opened["sessions opened"]
    figures["member with the sessions MiB"] = opened["memory with sessions"]
    figures["expiries a second"] = opened["expiries"]
    asyncio.run(work.fill(side, options.znodes))
    figures["member with the znodes MiB"] = work.resident_mib(side)
    figures["recovery from the leader's death s"] = work.recovery_s(side)
    figures["restart with the znodes s"] = work.restart_s(side)
    return figures


def _over_grpc(side: Ours, operations: int) -> Figures:
    got: dict[str, Any] = asyncio.run(throughput(side.ensemble, operations))
    figures = {f"{kind}, gRPC": rate for kind, rate in got["per_second"].items()}
    figures["sequential create p50 ms, gRPC"] = got["sequential"]["create"]["p50_ms"]
    return figures


def _machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
    }


def judge(rounds: list[dict[str, Figures]], row: str) -> tuple[float, bool]:
    """The median ratio of ours to theirs, and whether it is what is aimed at."""
    is_more_better, aim = ROWS[row]
    pairs = zip(_of(Ours.name, rounds, row), _of(Apache.name, rounds, row), strict=True)
    ratio = median(ours / theirs for ours, theirs in pairs)
    return ratio, _is_met(ratio, is_more_better, aim)


def show(rounds: list[dict[str, Figures]]) -> Table:
    """The table of all rows; a ratio that misses its aim is red."""
    table = Table(title=f"medians of {len(rounds)} rounds (least-most)")
    for heading in ("work", Apache.name, Ours.name, "ratio", "aim"):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    for row, (is_more_better, aim) in ROWS.items():
        ratio, is_met = judge(rounds, row)
        table.add_row(
            row,
            _spread(_of(Apache.name, rounds, row)),
            _spread(_of(Ours.name, rounds, row)),
            f"{ratio:.2f}" if is_met else f"[bold red]{ratio:.2f}[/]",
            _show_aim(is_more_better, aim),
        )
    for row, (is_more_better, aim) in ALONE.items():
        figures = _of(Ours.name, rounds, row)
        is_met = _is_met(median(figures), is_more_better, aim)
        shown = _spread(figures)
        table.add_row(
            row,
            "",
            shown if is_met else f"[bold red]{shown}[/]",
            "",
            _show_aim(is_more_better, aim),
        )
    return table


def _show_aim(is_more_better: bool, aim: float | None) -> str:
    return "" if aim is None else f"{'>=' if is_more_better else '<='} {aim:g}"


def _is_met(figure: float, is_more_better: bool, aim: float | None) -> bool:
    return aim is None or (figure >= aim if is_more_better else figure <= aim)


def _of(side: str, rounds: list[dict[str, Figures]], row: str) -> list[float]:
    # gRPC is ours alone: it is held against the real server's own protocol.
    name = row.replace("gRPC", "wire") if side == Apache.name else row
    return [figures[side][name] for figures in rounds]


def _spread(figures: list[float]) -> str:
    digits = 0 if median(figures) >= 100 else 2
    return f"{median(figures):,.{digits}f} ({min(figures):,.{digits}f}-{max(figures):,.{digits}f})"


if __name__ == "__main__":
    main()
