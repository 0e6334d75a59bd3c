"""What a history costs a client, for each operation: `python -m tests.client.bench_history`.

Processor time of one thread, of the session machine's part alone; the lines behind it cost more
than that with or without a history.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from client.events import Complete, SessionState, Submitted
from client.history import History
from client.ops import DataResult, GetData, Reply, SetData, Stat, StatResult
from client.recording import HistoryWriter
from client.session import Session

OPERATIONS = 30_000
ROUNDS = 5
STAT = Stat(1 << 32, 1 << 32, 1, 1, 3, 0, 0, 0, 5, 0, 1 << 32)


def cost_us(writer: HistoryWriter) -> float:
    """The least of some rounds, half reads and half writes."""
    recording = writer.join(["127.0.0.1:2181"])
    session = Session(1, 1000, session_id=7)
    session.state = SessionState.CONNECTED
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(0, OPERATIONS, 2):
            read, write = GetData("/key"), SetData("/key", b"%d" % number)
            recording.before(session, Submitted(number, read))
            recording.before(session, Submitted(number + 1, write))
            shown = Reply(number, 1 << 32, 0, DataResult(b"value", STAT))
            recording.after(session, [Complete(number, shown)])
            changed = Reply(number, 1 << 32, 0, StatResult(STAT))
            recording.after(session, [Complete(number + 1, changed)])
        best = min(best, time.process_time() - began)
    return best / OPERATIONS * 1e6


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.jsonl"
        writer = HistoryWriter(file)
        written = cost_us(writer)
        writer.close()
        size = file.stat().st_size / (OPERATIONS * ROUNDS)
        began = time.process_time()
        read = len(History.load(file).operations)
        read_us = (time.process_time() - began) / read * 1e6
    kept = cost_us(HistoryWriter())
    sys.stdout.write(
        f"written {written:.1f} us an operation, {size:.0f} bytes; kept {kept:.1f} us;"
        f" read back {read_us:.1f} us\n"
    )


if __name__ == "__main__":
    main()
