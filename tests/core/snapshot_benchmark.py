"""How long a snapshot of a large tree keeps a member from serving: its longest single step.

python -m tests.core.snapshot_benchmark [ZNODES]
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from nodes.core.effects import Effect, WriteSnapshotPart
from nodes.core.events import SnapshotPartWritten
from nodes.core.member import Member
from nodes.core.tree import DataTree
from nodes.core.txns import CreateTxn, Recovered, Snapshot, Txn
from nodes.history import History
from tests.core.bench import following, txn


@dataclass(frozen=True)
class Figures:
    """Lengths in milliseconds; `whole_ms` is what taking every znode in one step takes."""

    znodes: int
    parts: int
    longest_step_ms: float
    median_step_ms: float
    whole_ms: float
    written_ms: float
    longest_write_ms: float


def measure(znodes: int, data_dir: Path) -> Figures:
    """Take a snapshot of a tree of this size, step by step, then write its parts to disk."""
    tree = DataTree()
    for number in range(1, znodes + 1):
        parent = f"/{number % 100}" if number > 100 else ""
        body = CreateTxn(f"{parent}/{number if parent else number % 100}", b"x" * 50, False, number)
        tree.apply(Txn(1, 0, number, 0, body))
    before = time.perf_counter()
    images = tree.images()
    whole_ms = (time.perf_counter() - before) * 1000
    member = following(Recovered(snapshot=Snapshot(0, images, ())), snap_count=2).member
    lengths, writes = _walk(member, History(data_dir))
    return Figures(
        znodes, len(writes), max(lengths), median(lengths), whole_ms, sum(writes), max(writes)
    )


def _walk(member: Member, history: History) -> tuple[list[float], list[float]]:
    """Return how long each step took, and each write of a part, which another thread does."""
    replica = member._replica
    lengths: list[float] = []
    writes: list[float] = []
    for counter in (1, 2):
        replica.log(txn(counter, CreateTxn(f"/last-{counter}", b"", False, 10**6)))
        before = time.perf_counter()
        replica.apply(replica.next_to_commit(replica.pending[0].zxid))
        lengths.append((time.perf_counter() - before) * 1000)
    effects: list[Effect] = replica._context.effects
    while asked := [effect for effect in effects if isinstance(effect, WriteSnapshotPart)]:
        before = time.perf_counter()
        history.write_part(asked[0])
        between = time.perf_counter()
        effects = member.step(SnapshotPartWritten(asked[0].zxid), 0)
        writes.append((between - before) * 1000)
        lengths.append((time.perf_counter() - between) * 1000)
    history.close()
    return lengths, writes


def report(figures: Figures) -> str:
    """One line for people."""
    return (
        f"{figures.znodes} znodes in {figures.parts} parts:"
        f" longest step {figures.longest_step_ms:.2f} ms, median {figures.median_step_ms:.2f} ms"
        f" (in one step: {figures.whole_ms:.0f} ms);"
        f" written in {figures.written_ms:.0f} ms,"
        f" the longest part in {figures.longest_write_ms:.1f} ms\n"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    # As `nodes.process` does.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with tempfile.TemporaryDirectory() as directory:
        sys.stdout.write(report(measure(count, Path(directory))))
