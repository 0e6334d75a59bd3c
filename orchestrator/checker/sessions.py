"""What each session must see in its own order, and all writes in that of real time."""

from __future__ import annotations

from collections.abc import Iterator

from client.history import CLOSED, FAILED, OK, History, Operation, show_zxid
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.errors import ORDERED, plain
from orchestrator.checker.places import Places
from orchestrator.checker.rules import BACK, IMAGE, ORDER, REAL_TIME


class Sessions:
    """One pass over all operations, in the order of their invocation.

    `closings`: the zxids at which sessions were closed, as far as members traced it.
    """

    def __init__(self, history: History, places: Places, closings: dict[int, int]) -> None:
        self.anomalies: list[Anomaly] = []
        self.replies = self.moves = 0
        self._places = places
        self._closings = closings
        self._closed = {told.session_id: told for told in history.told if told.verdict == CLOSED}
        self._reply: dict[int, Operation] = {}
        self._write: dict[int, tuple[int, Operation]] = {}
        for operation in history.operations:
            if not operation.session_id:
                continue
            if operation.zxid:
                self._take_reply(operation)
            if operation.writes and operation.outcome != FAILED:
                self._take_write(operation)

    def _take_reply(self, operation: Operation) -> None:
        previous = self._reply.get(operation.session_id)
        self._reply[operation.session_id] = operation
        self.replies += 1
        if previous is None:
            return
        is_moved = previous.member != operation.member
        self.moves += is_moved
        proof = [previous, operation]
        if operation.zxid < previous.zxid:
            text = f"zxid {show_zxid(operation.zxid)} after {show_zxid(previous.zxid)}"
            self.anomalies.append(Anomaly(IMAGE if is_moved else BACK, text, proof))
        elif operation.zxid == previous.zxid and operation.writes and operation.outcome == OK:
            self.anomalies.append(Anomaly(ORDER, "a write has the zxid of an older one", proof))
        if 0 < operation.answered < previous.answered:
            text = "answered before an earlier request"
            self.anomalies.append(Anomaly(ORDER, text, proof))

    def _take_write(self, operation: Operation) -> None:
        """A write of unknown outcome keeps its place among the session's acknowledged writes."""
        zxid = self._places.zxid_of(operation)
        if not zxid:
            return
        self._check_closed(operation, zxid)
        latest_zxid, latest = self._write.get(operation.session_id, (0, operation))
        # Two acknowledged writes are compared by their replies already.
        if zxid <= latest_zxid and not operation.outcome == latest.outcome == OK:
            text = "a session's writes took effect in another order"
            self.anomalies.append(Anomaly(ORDER, text, [latest, operation]))
        if zxid > latest_zxid:
            self._write[operation.session_id] = zxid, operation

    def _check_closed(self, operation: Operation, zxid: int) -> None:
        """Nothing is acknowledged behind the closing.

        One that was merely decided may be forgotten yet. And where sessions may be local, a leader
        takes what is under way of a session that is over for a local session's.
        """
        if operation.outcome != OK:
            return
        closed_zxid = self._closings.get(operation.session_id, zxid)
        told = self._closed.get(operation.session_id)
        if zxid > closed_zxid:
            text = (
                f"a write at {show_zxid(zxid)}, its session was closed at {show_zxid(closed_zxid)}"
            )
            self.anomalies.append(Anomaly(ORDER, text, [operation]))
        elif told is not None and told.at_ms < operation.called_ms:
            text = f"a write at {show_zxid(zxid)}, asked for when its session was closed"
            self.anomalies.append(Anomaly(ORDER, text, [told, operation]))


def check_real_time(history: History, places: Places) -> Iterator[Anomaly]:
    """A write comes after all that any answer named before the write was invoked.

    So does a refused one, and one of unknown outcome whose place is known.
    """
    writes = [
        (op.called_ms, zxid, op)
        for op in history.operations
        if op.writes and (zxid := _zxid_of_write(op, places))
    ]
    answers = sorted((op for op in history.operations if op.zxid), key=lambda op: op.until_ms)
    latest: Operation | None = None
    place = 0
    for called_ms, zxid, operation in sorted(writes, key=lambda write: write[0]):
        while place < len(answers) and answers[place].until_ms < called_ms:
            if latest is None or answers[place].zxid > latest.zxid:
                latest = answers[place]
            place += 1
        if latest is not None and zxid <= latest.zxid:
            text = f"zxid {show_zxid(zxid)} is not above {show_zxid(latest.zxid)}"
            yield Anomaly(REAL_TIME, text, [latest, operation])


def _zxid_of_write(operation: Operation, places: Places) -> int:
    """Where a write stands in the one order; 0 if nobody knows, or it was refused before that."""
    if operation.outcome == FAILED:
        return operation.zxid if plain(operation.error) in ORDERED else 0
    return places.zxid_of(operation)
