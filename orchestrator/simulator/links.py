"""Owns a simulated link: a base latency behind the rules of `nodes.links`, and its breaking.

The rules are the very ones of the real transport. Messages never overtake; a broken link loses
all that is on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from nodes.core.messages import Message
from nodes.core.packet_traces import LEFT, RECEIVED, SENT, describe
from nodes.links import ActiveRule, Link, parse_rule
from orchestrator.simulator.clock import Clock
from orchestrator.simulator.trace import Fields

# The learner's connection, the message, and its number among those that are traced, or 0.
Parcel = tuple[int, Message, int]
# (sid, kind, fields)
Tell = Callable[[int, str, Fields], None]


class SimulatedLink:
    """One direction between two members.

    Invariants: while `is_connected` is False nothing is accepted and nothing is on its way;
    what was sent before a break never arrives after it.
    """

    def __init__(
        self,
        sender: int,
        receiver: int,
        clock: Clock,
        rng: Random,
        latency_ms: float,
        arrive: Callable[[int, Message], None],
        is_answerable: Callable[[], bool],
    ) -> None:
        """`arrive` takes the learner's connection and the message, at the receiver's end.

        Until `is_answerable()`, messages wait there: no answer may be lost on a link back that
        is not open yet. Whoever opens that one calls `go_on`.
        """
        self.sender = sender
        self.receiver = receiver
        self.is_connected = False
        self._clock = clock
        self._rng = rng
        self._latency_ms = latency_ms
        self._arrive = arrive
        self._is_answerable = is_answerable
        self._arrived: list[Parcel] = []
        self._ruled: Link[Parcel] = Link(rng)
        # Told of every message that leaves and arrives; None: nobody wants to know.
        self.tell: Tell | None = None
        self._traced = 0
        self._kept: set[int] = set()
        self._life = 0
        self._arrival_ms = 0.0
        self._pump_ms: float | None = None

    def __str__(self) -> str:
        """Return the link as people write it."""
        return f"{self.sender}->{self.receiver}"

    def open(self) -> None:
        """Accept messages from now on."""
        self.is_connected = True

    def break_off(self) -> int:
        """Lose what is on its way; return how many messages the rules kept back of it."""
        self.is_connected = False
        self._life += 1
        self._pump_ms = None
        self._arrived.clear()
        self._kept.clear()
        return self._ruled.drop_all()

    def send(self, connection: int, message: Message) -> None:
        """Send, silently into nothing while the link is broken."""
        if not self.is_connected:
            return
        if self.tell is not None:
            self._traced += 1
        ruled = self._ruled
        parcel = connection, message, self._traced if self.tell is not None else 0
        if not ruled.is_ruled and not ruled.waiting:
            # No rule can touch it: most messages of most runs.
            self._trace_sent(parcel)
            self._send_on(parcel)
            return
        txn_type = getattr(message, "txn_type", "")
        can_leave = ruled.send(parcel, message.kind, txn_type, self._clock.now_ms)
        self._trace_sent(parcel, is_kept=not can_leave)
        self._pump()

    def _trace_sent(self, parcel: Parcel, *, is_kept: bool = False) -> None:
        if self.tell is None:
            return
        _, message, number = parcel
        fields = {"peer": self.receiver, "number": number, **describe(message)}
        if is_kept:
            self._kept.add(number)
            fields["is_kept"] = True
        self.tell(self.sender, SENT, fields)

    def _trace_left(self, parcel: Parcel) -> None:
        number = parcel[2]
        self._kept.remove(number)
        if self.tell is not None:
            self.tell(self.sender, LEFT, {"peer": self.receiver, "number": number})

    def _send_on(self, parcel: Parcel) -> None:
        clock = self._clock
        arrival_ms = clock.now_ms + self._latency_ms * (0.8 + 0.4 * self._rng.random())
        self._arrival_ms = max(self._arrival_ms, arrival_ms)
        action = partial(self._deliver, self._life, parcel)
        clock.call_at(self._arrival_ms, action)

    def _pump(self) -> None:
        """Send on what the rules let go now, and come back for what they delay."""
        now_ms = self._clock.now_ms
        for parcel in self._ruled.take_due(now_ms):
            if parcel[2] in self._kept:
                self._trace_left(parcel)
            self._send_on(parcel)
        due_ms = self._ruled.next_due_ms()
        if due_ms is not None and (self._pump_ms is None or due_ms < self._pump_ms):
            self._pump_ms = due_ms
            self._clock.call_at(due_ms, partial(self._pump_again, self._life))

    def _pump_again(self, life: int) -> None:
        if life == self._life:
            self._pump_ms = None
            self._pump()

    def _deliver(self, life: int, parcel: Parcel) -> None:
        if life != self._life:
            return
        if self._is_answerable():
            self._hand_over(parcel)
        else:
            self._arrived.append(parcel)

    def _hand_over(self, parcel: Parcel) -> None:
        connection, message, number = parcel
        if self.tell is not None:
            fields = {"peer": self.sender, "number": number, **describe(message)}
            self.tell(self.receiver, RECEIVED, fields)
        self._arrive(connection, message)

    def go_on(self) -> None:
        """Hand over what has waited at the receiver's end for the link back."""
        arrived, self._arrived = self._arrived, []
        for parcel in arrived:
            self._hand_over(parcel)

    def set_rule(self, rule: str) -> None:
        """Add a rule, e.g. `delay=50ms jitter=5ms` or `hold only=COMMIT[closeSession]`.

        Raises RuleError for text that is no rule.
        """
        self._ruled.set_rule(parse_rule(rule))

    def clear_rules(self, action: str = "") -> int:
        """Take off the rules with this action (empty: all); return how many messages go on."""
        _, released = self._ruled.clear_rules(action)
        self._pump()
        return released

    @property
    def rules(self) -> list[ActiveRule]:
        """The rules in force, with what they touched."""
        return self._ruled.rules

    @property
    def waiting(self) -> int:
        """How many messages the rules keep back."""
        return self._ruled.waiting
