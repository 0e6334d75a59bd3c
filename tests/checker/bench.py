"""How long the checker takes for a large history, and how much memory.

`python -m tests.checker.bench --operations 1000000 --sessions 10000`: makes a sound history of sets
(a fifth of them of one hot znode), reads, creates, deletes and lists of a hundred children, and
measures `orchestrator check` on it, in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import BinaryIO

from client.history import OK, End, Header, Operation, Seen, Session, Write, write_record

KEYS, CHILDREN = 1000, 100
HOT = 0.2


class Author:
    """Writes a history of programs that see everything at once."""

    def __init__(self, out: BinaryIO, sessions: int) -> None:
        self.number = 0
        self._out = out
        self._rng = Random(1)
        self._sessions = sessions
        self._zxid = 1 << 32
        self._state: dict[str, Seen] = {}
        self._children: list[str] = []
        write_record(Header(source="bench"), out)
        for session_id in range(1, sessions + 1):
            write_record(Session(session_id, session_id), out)
        for path in ("/k", "/d", *(f"/k/{key}" for key in range(KEYS))):
            self._create(path)

    def add(self) -> None:
        """One more operation."""
        draw = self._rng.random()
        key = 0 if self._rng.random() < HOT else self._rng.randrange(KEYS)
        path = f"/k/{key}"
        if draw < 0.4:
            self._set(path)
        elif draw < 0.45:
            self._replace_child()
        elif draw < 0.5:
            names = tuple(sorted(child.removeprefix("/d/") for child in self._children))
            self._write("children", "/d", seen=(self._state["/d"],), names=names)
        else:
            self._write("get", path, seen=(self._state[path],))

    def _create(self, path: str) -> None:
        self._zxid += 1
        value = f"v{self._zxid}"
        self._state[path] = Seen(self._zxid, self._zxid, 0, 0, value)
        self._write("create", path, (Write("create", path, value),))

    def _set(self, path: str) -> None:
        self._zxid += 1
        before, value = self._state[path], f"v{self._zxid}"
        after = Seen(before.czxid, self._zxid, before.version + 1, 0, value)
        self._state[path] = after
        self._write("set", path, (Write("set", path, value),), seen=(after,))

    def _replace_child(self) -> None:
        self._children.append(f"/d/{self.number}")
        self._create(self._children[-1])
        if len(self._children) > CHILDREN:
            path = self._children.pop(0)
            self._zxid += 1
            self._write("delete", path, (Write("delete", path),))

    def _write(
        self,
        kind: str,
        path: str,
        writes: tuple[Write, ...] = (),
        *,
        seen: tuple[Seen, ...] = (),
        names: tuple[str, ...] = (),
    ) -> None:
        self.number += 1
        session_id = self._rng.randrange(1, self._sessions + 1)
        operation = Operation(
            self.number, session_id, session_id, kind, path, self.number * 0.05, writes, OK
        )
        operation.answered, operation.returned_ms = self.number, self.number * 0.05 + 0.04
        operation.member = f"127.0.0.1:{session_id % 3}"
        operation.zxid, operation.seen, operation.names = self._zxid, seen, names
        write_record(operation, self._out)


def main() -> int:
    """Make it, check it, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=20)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        file = Path(directory) / "history.jsonl"
        with file.open("wb") as out:
            author = Author(out, arguments.sessions)
            while author.number < arguments.operations:
                author.add()
            write_record(End(author.number), out)
        began = time.monotonic()
        command = [sys.executable, "-m", "orchestrator", "check", str(file)]
        status = subprocess.run(command, check=False).returncode
        took_s = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.write(
        f"{took_s:.1f} s ({used.ru_utime + used.ru_stime:.1f} s of processor time),"
        f" {used.ru_maxrss / 1e6:.2f} GB\n"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
