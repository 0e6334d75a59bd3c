"""Histories written by hand, one story each."""

from __future__ import annotations

from typing import Any

from client.history import (
    EXPIRED,
    OK,
    Header,
    Operation,
    Record,
    Seen,
    Session,
    Told,
    Trace,
    Write,
)

VICTIM, READER = 0x300000000000001, 0x100000000000001
CLOSE = (1 << 32) + 8


class Story:
    """Appends records; instants are milliseconds."""

    def __init__(self) -> None:
        self.records: list[Record] = [Header()]
        self._operations = 0
        self._numbers: dict[tuple[int, int], int] = {}

    def session(self, session_id: int, client: int, sid: int, name: str = "") -> None:
        self.records.append(
            Session(session_id, client, EXPIRED, opened_ms=1.0, member=str(sid), name=name)
        )

    def trace(self, at_ms: float, sid: int, kind: str, **fields: Any) -> None:
        self.records.append(Trace(at_ms, sid, kind, fields))

    def told(self, at_ms: float, session_id: int, client: int, sid: int) -> None:
        self.records.append(Told(session_id, client, at_ms, EXPIRED, str(sid)))

    def create(self, at_ms: float, session_id: int, client: int, sid: int, path: str) -> None:
        write = Write("create", path, is_ephemeral=True)
        self._operation(at_ms, session_id, client, sid, "create", path, (write,), zxid=CLOSE - 1)

    def exists(
        self, at_ms: float, session_id: int, client: int, sid: int, path: str, owner: int
    ) -> None:
        seen = Seen(CLOSE - 1, CLOSE - 1, 0, owner) if owner else None
        self._operation(at_ms, session_id, client, sid, "exists", path, seen=(seen,))

    def _operation(
        self,
        at_ms: float,
        session_id: int,
        client: int,
        sid: int,
        kind: str,
        path: str,
        writes: tuple[Write, ...] = (),
        zxid: int = CLOSE - 1,
        seen: tuple[Seen | None, ...] = (),
    ) -> None:
        self._operations += 1
        number = self._operations
        self.records.append(
            Operation(
                *(number, client, session_id, kind, path, at_ms, writes, OK, "", number),
                *(at_ms + 0.4, str(sid), zxid, seen),
            )
        )

    def message(
        self,
        sent_ms: float | None,
        received_ms: float | None,
        sender: int,
        receiver: int,
        packet: str,
        *,
        left_ms: float | None = None,
        is_kept: bool = False,
        **fields: Any,
    ) -> None:
        number = self._numbers[sender, receiver] = self._numbers.get((sender, receiver), 0) + 1
        said = {"packet": packet, "number": number, **fields}
        if sent_ms is not None:
            kept = {"is_kept": True} if is_kept or left_ms is not None else {}
            self.trace(sent_ms, sender, "message_sent", peer=receiver, **said, **kept)
        if left_ms is not None:
            self.trace(left_ms, sender, "message_left", peer=receiver, number=number)
        if received_ms is not None:
            self.trace(received_ms, receiver, "message_received", peer=sender, **said)

    def closing(
        self,
        session_id: int,
        steps: dict[str, float],
        applied: dict[int, float],
        zxid: str = "1:8",
    ) -> None:
        """The end of a session: steps on leader 3, then applied by members."""
        for step, at_ms in steps.items():
            named = {"zxid": zxid} if step in ("proposed", "committed") else {}
            self.trace(at_ms, 3, f"close_{step}", session_id=session_id, **named)
        for sid, at_ms in applied.items():
            self.trace(at_ms, sid, "close_applied", session_id=session_id, zxid=zxid)


def w2_story() -> Story:
    """Told at 102, read on member 1 at 103, member 1 applies at 165."""
    story = Story()
    story.session(VICTIM, 1, 3, "victim")
    story.session(READER, 2, 1, "reader")
    story.create(10.0, VICTIM, 1, 3, "/lock")
    steps = {"marked": 100.0, "submitted": 100.0, "proposed": 100.1, "committed": 101.0}
    story.closing(VICTIM, steps, {3: 101.0, 2: 101.31, 1: 165.01})
    close: dict[str, Any] = {"txn_type": "closeSession", "zxid": "1:8"}
    story.message(100.1, 100.3, 3, 1, "PROPOSAL", session_id=VICTIM, **close)
    story.message(100.6, 100.9, 1, 3, "ACK", **close)
    story.message(101.0, 101.3, 3, 2, "COMMIT", **close)
    story.message(101.0, 165.0, 3, 1, "COMMIT", left_ms=164.8, **close)
    story.message(101.5, 101.6, 3, 1, "PING")
    story.told(102.0, VICTIM, 1, 3)
    story.exists(103.0, READER, 2, 1, "/lock", VICTIM)
    story.exists(170.0, READER, 2, 1, "/lock", 0)
    return story
