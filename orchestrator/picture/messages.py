"""Messages between members, made whole again from what both ends of a link traced. Pure.

A sender numbers what it traces, so that ends find each other exactly. Where a number is missing
(the sender was not traced yet), a receipt stands alone; so does what never arrived.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from client.history import Trace

SENT, LEFT, RECEIVED = "message_sent", "message_left", "message_received"
TRACES = frozenset({SENT, LEFT, RECEIVED})


@dataclass(slots=True)
class Message:
    """From `sent_ms` by `sender` to `received_ms` at `receiver`; None: that end is not known.

    `is_kept`: a rule of the link kept it back, until `left_ms` (None: to the end of the traces).
    `sent_order` and `received_order` place its ends among records of the same instant.
    """

    sender: int
    receiver: int
    packet: str
    sent_ms: float | None = None
    left_ms: float | None = None
    received_ms: float | None = None
    is_kept: bool = False
    sent_order: int = 0
    left_order: int = 0
    received_order: int = 0
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def txn_type(self) -> str:
        """The type of the transaction that it speaks of, or ``."""
        return str(self.fields.get("txn_type", ""))

    @property
    def zxid(self) -> str:
        """The zxid that it speaks of, as `epoch:counter`, or ``."""
        return str(self.fields.get("zxid", ""))

    @property
    def session_id(self) -> int:
        """The session that it speaks of, or 0."""
        return int(self.fields.get("session_id", 0))

    @property
    def title(self) -> str:
        """What a rule would name it by: `COMMIT[closeSession]`."""
        return f"{self.packet}[{self.txn_type}]" if self.txn_type else self.packet


def match_messages(traces: Iterable[tuple[int, Trace]]) -> list[Message]:
    """Join the ends, given in order of time with their places; in the order of the first ends."""
    messages: list[Message] = []
    on_the_way: dict[tuple[int, int, int], Message] = {}
    for order, trace in traces:
        peer = int(trace.fields.get("peer", 0))
        number = int(trace.fields.get("number", 0))
        said = {name: v for name, v in trace.fields.items() if name not in ("peer", "is_kept")}
        match trace.kind:
            case "message_sent":
                message = Message(trace.sid, peer, str(trace.fields.get("packet", "?")))
                message.sent_ms, message.sent_order = trace.at_ms, order
                message.is_kept = bool(trace.fields.get("is_kept", False))
                message.fields = said
                messages.append(message)
                # A member that restarted counts anew; what was on its way before is lost.
                on_the_way[trace.sid, peer, number] = message
            case "message_left":
                left = on_the_way.get((trace.sid, peer, number))
                if left is not None:
                    left.left_ms, left.left_order = trace.at_ms, order
            case "message_received":
                found = on_the_way.pop((peer, trace.sid, number), None) if number else None
                if found is None:
                    found = Message(peer, trace.sid, str(trace.fields.get("packet", "?")))
                    messages.append(found)
                found.fields = {**said, **found.fields}
                found.received_ms, found.received_order = trace.at_ms, order
            case _:
                pass
    return messages
