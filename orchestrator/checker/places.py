"""Where writes of unknown outcome took effect, as far as anybody saw their values.

Pure. Every acknowledged write has its place, the zxid of its reply; an unknown one gets it from the
first answer that shows its value. What is wrong with the values themselves shows here, too: nobody
wrote them, they were refused, or they are at another zxid than the acknowledged one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from client.history import FAILED, OK, UNKNOWN, History, Operation, Seen, Write, show_zxid
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.rules import NOWHERE, ONE_ZXID, ORDER, REFUSED

DIGITS = 10  # at the end of a sequential znode's name


class Places:
    """What is known of the places of writes.

    `placed`: the zxid of unknown writes, by number. `first_zxid`: what is older was there before
    the history began. `ambiguous`: values shown that more than one unknown write may have left.
    """

    def __init__(self, history: History) -> None:
        self.placed: dict[int, int] = {}
        self._names: dict[tuple[int, str], str] = {}
        self.first_zxid = min((op.zxid for op in history.operations if op.zxid), default=0)
        self.ambiguous: set[str] = set()
        self.anomalies: list[Anomaly] = []
        self.examined = 0
        self._is_complete = history.is_complete
        self._by_value: dict[str, list[Operation]] = {}
        self._by_zxid: dict[int, Operation] = {}
        self._index(history.operations)
        for operation in history.operations:
            if not operation.writes and operation.outcome == OK:
                for path, seen in shown(operation):
                    if seen.value:
                        self.examined += 1
                        self._look(operation, path, seen, seen.value)

    def zxid_of(self, operation: Operation) -> int:
        """The place of a write; 0 if it has none, or none that is known."""
        if operation.outcome == OK:
            return operation.zxid
        return self.placed.get(operation.number, 0)

    def _index(self, operations: list[Operation]) -> None:
        by_value: defaultdict[str, list[Operation]] = defaultdict(list)
        by_zxid = self._by_zxid
        for operation in operations:
            if not operation.writes:
                continue
            for write in operation.writes:
                if write.value:
                    by_value[write.value].append(operation)
            if operation.outcome == OK and operation.zxid:
                other = by_zxid.setdefault(operation.zxid, operation)
                if other is not operation and other.session_id != operation.session_id:
                    text = f"two writes were acknowledged at {show_zxid(operation.zxid)}"
                    self.anomalies.append(Anomaly(ORDER, text, [other, operation]))
        self._by_value = by_value

    def path_of(self, operation: Operation, write: Write) -> str:
        """The znode that a write is of; empty for a sequential one whose name nobody has seen."""
        if operation.outcome == UNKNOWN and write.is_sequential:
            return self._names.get((operation.number, write.value), "")
        return write.path

    def _look(self, by: Operation, path: str, seen: Seen, value: str) -> None:
        """An answer shows a value; find who wrote it."""
        at_zxid = self._by_zxid.get(seen.mzxid)
        if at_zxid is not None and any(write.path == path for write in at_zxid.writes):
            return  # the sweep over all zxids compares them
        writers = [op for op in self._by_value.get(value, ()) if _writes(op, path, value)]
        unknown = [op for op in writers if op.outcome == UNKNOWN]
        if len(unknown) > 1:
            self.ambiguous.add(value)
        elif unknown:
            self._place(unknown[0], by, path, seen, value)
        elif seen.mzxid > self.first_zxid and self._is_complete:
            self.anomalies.append(_misplaced(writers, by, path))

    def _place(
        self, operation: Operation, by: Operation, path: str, seen: Seen, value: str
    ) -> None:
        self._names[operation.number, value] = path
        if self.placed.setdefault(operation.number, seen.mzxid) != seen.mzxid:
            text = f"a write of {path} took effect twice"
            self.anomalies.append(Anomaly(ONE_ZXID, text, [operation, by]))


def _misplaced(writers: list[Operation], by: Operation, path: str) -> Anomaly:
    """What it means that a value is where no acknowledged or unknown write put it."""
    for operation in writers:
        if operation.outcome == OK:
            text = f"{path} was acknowledged at one zxid and is there at another"
            return Anomaly(ONE_ZXID, text, [operation, by])
    for operation in writers:
        if operation.outcome == FAILED:
            return Anomaly(REFUSED, f"a refused write of {path} took effect", [operation, by])
    return Anomaly(NOWHERE, f"{path} shows a value that nobody wrote there", [by])


def shown(operation: Operation) -> Iterator[tuple[str, Seen]]:
    """Yield the znodes that a read shows, with what it shows of them."""
    if operation.reads:
        for path, seen in zip(operation.reads, operation.seen, strict=False):
            if seen is not None:
                yield path, seen
    elif operation.seen and operation.seen[0] is not None:
        yield operation.path, operation.seen[0]


def _writes(operation: Operation, path: str, value: str) -> bool:
    """Whether it asked for this value there. The name of a sequential znode may be unknown."""
    return any(
        write.value == value
        and (
            write.path == path
            or (
                write.is_sequential
                and operation.outcome == UNKNOWN
                and write.path == path[:-DIGITS]
            )
        )
        for write in operation.writes
    )


def order_of_effects(history: History, places: Places) -> Iterator[tuple[int, Operation]]:
    """Yield what took effect, or has an answer that names its zxid; an effect before its views."""
    keyed = []
    for operation in history.operations:
        is_effect = operation.writes and operation.outcome != FAILED
        zxid = places.zxid_of(operation) if is_effect else operation.zxid
        if zxid:
            keyed.append((zxid * 2 + (not is_effect), operation.number, operation))
    keyed.sort(key=lambda item: item[:2])
    for key, _, operation in keyed:
        yield key >> 1, operation


def last_writes(history: History) -> dict[int, int]:
    """Of each session, the zxid of its last acknowledged write."""
    last: dict[int, int] = {}
    for operation in history.operations:
        if operation.writes and operation.outcome == OK:
            session_id = operation.session_id
            if operation.zxid > last.get(session_id, 0):
                last[session_id] = operation.zxid
    return last
