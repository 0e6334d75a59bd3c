"""What the sender's side of a link does to the messages it carries: delay, hold, cut.

Pure: no clock and no I/O; `now_ms` and the random numbers are given, so that the transport and
the simulator share it. Does not know what a message is: an item has a kind and a txn_type.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar, assert_never

from nodes.rules import (
    Action,
    Cut,
    Delay,
    Hold,
    LinkRule,
    RuleError,
    parse_link_rule,
    parse_links,
    parse_rule,
    show_link,
    show_rule,
)

__all__ = [
    "ActiveRule",
    "Cut",
    "Delay",
    "Hold",
    "Link",
    "LinkRule",
    "RuleError",
    "parse_link_rule",
    "parse_links",
    "parse_rule",
    "show_link",
    "show_rule",
]

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class ActiveRule:
    """A rule in force, and how many messages it delayed, held or cut."""

    rule: LinkRule
    touched: int = 0

    def takes(self, kind: str, txn_type: str, rng: Random) -> bool:
        """Return whether the rule acts on this message, and count it if so."""
        rule = self.rule
        if rule.kind:
            if kind != rule.kind:
                return False
        elif kind == "PING" and isinstance(rule.action, Hold):
            return False
        if rule.txn_type and txn_type != rule.txn_type:
            return False
        if rule.next and self.touched >= rule.next:
            return False
        if rule.probability < 1 and rng.random() >= rule.probability:
            return False
        self.touched += 1
        return True


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item]):
    """A message on its way, with what the rules made of it."""

    item: Item
    kind: str
    sent_ms: float
    delays: tuple[tuple[ActiveRule, float], ...] = ()
    hold: ActiveRule | None = None
    cut: ActiveRule | None = None
    due_ms: float = 0.0

    @property
    def arrival_ms(self) -> float:
        return self.sent_ms + sum(delay_ms for _, delay_ms in self.delays)


class Link(Generic[Item]):
    """One direction between two members, first in first out.

    A message waits in one of four places. `_free`: due since it was sent, for nothing was in its
    way. `_moving`: due at a known instant; these instants never fall. `_held`: begins with a
    held message, no pings behind it. `_behind_cut`: begins with a cut message. Each place is in
    the order of sending, and every message of a later place was sent after every message of an
    earlier one, but for the pings that overtook `_held`.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._active: list[ActiveRule] = []
        self._free: list[Item] = []
        self._free_ms = 0.0
        self._moving: deque[_Waiting[Item]] = deque()
        self._held: deque[_Waiting[Item]] = deque()
        self._behind_cut: deque[_Waiting[Item]] = deque()
        self._last_due_ms = float("-inf")
        self.sent_by_kind: dict[str, int] = {}
        self.touched_before = 0

    @property
    def rules(self) -> list[ActiveRule]:
        """The rules in force, oldest first, with their counters."""
        return list(self._active)

    @property
    def is_ruled(self) -> bool:
        """Whether any rule is in force; if not, `send` looks at no txn_type."""
        return bool(self._active)

    @property
    def sent(self) -> int:
        """Messages accepted so far, whatever became of them."""
        return sum(self.sent_by_kind.values())

    @property
    def waiting(self) -> int:
        """Messages not taken yet: free to go, delayed, held or cut."""
        return len(self._free) + len(self._moving) + len(self._held) + len(self._behind_cut)

    def send(self, item: Item, kind: str, txn_type: str, now_ms: float) -> bool:
        """Accept a message; `take_due` gives it back when its time has come.

        Returns whether that is now: False if a rule keeps it, or what it must not overtake.
        """
        self.sent_by_kind[kind] = self.sent_by_kind.get(kind, 0) + 1
        if not (self._active or self._moving or self._held or self._behind_cut):
            # Nothing can touch it: most messages of most links.
            self._free.append(item)
            self._free_ms = now_ms
            return True
        waiting = _Waiting(item, kind, now_ms)
        for active in self._active:
            if active.takes(kind, txn_type, self._rng):
                self._touch(waiting, active)
        self._admit(waiting)
        moving = self._moving
        return bool(moving) and moving[-1] is waiting and waiting.due_ms <= now_ms

    def take_due(self, now_ms: float) -> list[Item]:
        """Return, and forget, the messages whose time has come, in the order of arrival."""
        due, self._free = self._free, []
        moving = self._moving
        while moving and moving[0].due_ms <= now_ms:
            due.append(moving.popleft().item)
        return due

    def next_due_ms(self) -> float | None:
        """Return the instant of the next arrival; None while nothing moves."""
        if self._free:
            return self._free_ms
        return self._moving[0].due_ms if self._moving else None

    def set_rule(self, rule: LinkRule) -> None:
        """Add a rule for messages sent from now on; replaces one of the same action and match.

        What the replaced rule delays stays delayed; what it holds or cuts, the new one does.
        """
        fresh = ActiveRule(rule)
        for place, active in enumerate(self._active):
            if active.rule.match == rule.match:
                self._active[place] = fresh
                self.touched_before += active.touched
                self._hand_over(active, fresh)
                return
        self._active.append(fresh)

    def clear_rules(self, action: str = "") -> tuple[int, int]:
        """Take off the rules with this action (`delay`, `hold`, `cut`; empty: all).

        What they kept moves on at once, in order. Returns (rules cleared, messages released).
        """
        cleared = [a for a in self._active if action in ("", a.rule.action_name)]
        self._active = [a for a in self._active if a not in cleared]
        self.touched_before += sum(active.touched for active in cleared)
        return len(cleared), self._release(cleared)

    def drop_all(self) -> int:
        """Forget every waiting message, because the link broke; return how many were lost."""
        lost = self.waiting
        self._free.clear()
        self._forget_ruled()
        return lost

    def _forget_ruled(self) -> None:
        for place in (self._moving, self._held, self._behind_cut):
            place.clear()
        self._last_due_ms = float("-inf")

    def _touch(self, waiting: _Waiting[Item], active: ActiveRule) -> None:
        action: Action = active.rule.action
        match action:
            case Delay():
                waiting.delays += ((active, sample_ms(action, self._rng)),)
            case Hold():
                waiting.hold = active
            case Cut():
                waiting.cut = active
            case _:
                assert_never(action)

    def _admit(self, waiting: _Waiting[Item]) -> None:
        if waiting.cut or self._behind_cut:
            self._behind_cut.append(waiting)
        elif waiting.hold or (self._held and waiting.kind != "PING"):
            self._held.append(waiting)
        else:
            self._last_due_ms = max(self._last_due_ms, waiting.arrival_ms)
            waiting.due_ms = self._last_due_ms
            self._moving.append(waiting)

    def _release(self, cleared: Iterable[ActiveRule]) -> int:
        """Send every waiting message on its way again, without the cleared rules."""
        gone = set(cleared)
        before = {id(waiting): waiting.due_ms for waiting in self._moving}
        # Moving ones before held ones: a ping that overtook a held message stays before it.
        everything = [*self._moving, *self._held, *self._behind_cut]
        self._forget_ruled()
        for waiting in everything:
            waiting.delays = tuple(d for d in waiting.delays if d[0] not in gone)
            waiting.hold = None if waiting.hold in gone else waiting.hold
            waiting.cut = None if waiting.cut in gone else waiting.cut
            self._admit(waiting)
        never = float("inf")
        return sum(waiting.due_ms < before.get(id(waiting), never) for waiting in self._moving)

    def _hand_over(self, old: ActiveRule, new: ActiveRule) -> None:
        for waiting in (*self._held, *self._behind_cut):
            if waiting.hold is old:
                waiting.hold = new
            if waiting.cut is old:
                waiting.cut = new


def sample_ms(delay: Delay, rng: Random) -> float:
    """Return one delay, in milliseconds, never below 0."""
    jitter_ms = delay.jitter_ms
    match delay.distribution:
        case "uniform":
            sampled = delay.delay_ms + rng.uniform(-jitter_ms, jitter_ms)
        case "normal":
            sampled = rng.gauss(delay.delay_ms, jitter_ms)
        case "pareto":
            # A Pareto tail of shape 3 shifted to begin at 0 has the mean scale / 2.
            sampled = delay.delay_ms + 2 * jitter_ms * (rng.paretovariate(3) - 1)
        case _:
            sampled = delay.delay_ms
    return max(0.0, sampled)
