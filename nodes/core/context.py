"""What every part of a member shares during one step: its settings, the instant, the effects.

Owns no protocol state. Parts append to `effects`; the order of appending is the order of doing.
"""

from __future__ import annotations

from nodes.core.config import MemberConfig
from nodes.core.counters import Counters
from nodes.core.effects import Effect, Send, Trace
from nodes.core.messages import Message


class Context:
    """One per member. `now_ms` and `effects` are those of the running step.

    `wall_ms` is the wall clock at `now_ms`, for the times in Stat.
    """

    __slots__ = (
        "config",
        "connected_peers",
        "counters",
        "effects",
        "is_tracing_reads",
        "now_ms",
        "wall_ms",
    )

    def __init__(self, config: MemberConfig) -> None:
        self.config = config
        self.now_ms = 0.0
        self.wall_ms = 0
        self.effects: list[Effect] = []
        self.connected_peers: dict[int, None] = {}
        self.counters = Counters()
        # A trace for every read would cost more than the read: only while somebody listens.
        self.is_tracing_reads = False

    def begin(self, now_ms: float) -> list[Effect]:
        """Begin a step at this instant; return the list that its effects will be in."""
        self.now_ms = now_ms
        self.wall_ms = int(now_ms + self.config.wall_offset_ms)
        self.effects = []
        return self.effects

    def send(self, peer: int, connection: int, message: Message) -> None:
        """Send `message` to `peer` over the link `self->peer`."""
        self.effects.append(Send(peer, connection, message))

    def trace(self, kind: str, **fields: int | str | bool) -> None:
        """Tell whoever listens that something of `kind` happened now."""
        self.effects.append(Trace(kind, fields))
