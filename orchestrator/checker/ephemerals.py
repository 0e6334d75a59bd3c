"""Finds what is shown of ephemeral znodes after a program was told that their session is over.

A stale read is an operation invoked after such a verdict that still shows a znode of the session.
ZooKeeper does not promise that there are none. (What is shown behind the closing's own zxid, the
replay finds: that it does promise.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import inf

from client.history import History, Operation, Told
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.places import shown
from orchestrator.checker.rules import STALE
from orchestrator.checker.windows import NO_TRACES, Windows

SAME, OTHER = "the program that was told", "another program, later by the clock"

Shown = tuple[Operation, str, int]  # an operation, a path, the session that owns it


class Ephemerals:
    """`examined` counts what showed znodes of sessions whose end anybody was told of."""

    def __init__(
        self,
        history: History,
        windows: Windows,
        by_name: Iterable[Shown],
        gone: dict[tuple[str, int], float],
    ) -> None:
        """`by_name`: what lists of children and refused creates show, which name no owner.

        `gone`: when an answer had come that a session's znode is gone.
        """
        self.stale: list[Anomaly] = []
        self.examined = 0
        self._windows = windows
        self._gone = gone
        self._told: dict[int, list[Told]] = {}
        for told in sorted(history.told, key=lambda told: told.at_ms):
            self._told.setdefault(told.session_id, []).append(told)
        if not self._told:
            return
        for operation in history.operations:
            for path, owner in _owners(operation):
                if owner in self._told:
                    self._look(operation, path, owner)
        for operation, path, owner in by_name:
            self._look(operation, path, owner)

    @property
    def sessions(self) -> int:
        """Of how many sessions somebody was told that they are over."""
        return len(self._told)

    def by_class(self) -> Counter[tuple[str, str]]:
        """How many stale reads there are, by window and reader."""
        return Counter((anomaly.window, anomaly.reader) for anomaly in self.stale)

    def _look(self, operation: Operation, path: str, owner: int) -> None:
        self.examined += 1
        told = self._verdict_before(operation, owner)
        if told is not None:
            text = f"{path} is shown, though its session {owner:#x} was known to be {told.verdict}"
            reader = SAME if told.client == operation.client else OTHER
            window = self._windows.of(owner, operation)
            if window == NO_TRACES and self._gone.get((path, owner), inf) < operation.called_ms:
                window = "W2"  # some member had applied the closing already
            self.stale.append(Anomaly(STALE, text, [told, operation], window, reader))

    def _verdict_before(self, operation: Operation, owner: int) -> Told | None:
        """What the operation's own program had been told by then, or else anybody."""
        before = [told for told in self._told[owner] if told.at_ms < operation.called_ms]
        own = (told for told in before if told.client == operation.client)
        return next(own, before[0] if before else None)


def _owners(operation: Operation) -> Iterable[tuple[str, int]]:
    """The ephemerals that an answer shows, each with its owner."""
    if operation.writes:
        for write, seen in zip(operation.writes, operation.seen, strict=False):
            if seen is not None and seen.ephemeral_owner:
                yield write.path, seen.ephemeral_owner
    elif operation.seen:
        for path, seen in shown(operation):
            if seen.ephemeral_owner:
                yield path, seen.ephemeral_owner
