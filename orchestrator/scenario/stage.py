"""What a scenario is played on, as the interpreter sees it.

`processes` and `simulated` implement it. Waits are the stage's: real ones suspend, those in
virtual time run the world, and suspend only to be broken off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from client.history import Trace
from client.line import Handler
from client.ops import ClientFrame, SessionRequest
from nodes.rules import LinkRule

Link = tuple[int, int]
# (sender, receiver) and what makes two rules of a link the same.
RuleKey = tuple[Link, tuple[str, str, str]]


class Line(Protocol):
    """The way to one member, for connections by number; as `client.shell` wants it."""

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Open a connection; 0 if the member cannot be reached."""

    def send(self, number: int, frame: ClientFrame) -> None:
        """Send on a connection; silently lost if it is gone."""

    def drop(self, number: int) -> None:
        """Close a connection from this end."""


class Stage(Protocol):
    """An ensemble that serves, its members by sid, one clock, and all that is traced.

    `roots`: those that variants have had on it; what they made there stays.
    """

    kind: str
    clock: str
    voters: tuple[int, ...]
    observers: tuple[int, ...]
    on_trace: Callable[[Trace], None]
    roots: set[str]

    def now_ms(self) -> float:
        """The clock that stamps traces, too."""

    def call_at(self, at_ms: float, action: Callable[[], None]) -> None:
        """Call later."""

    def changed(self) -> None:
        """Something happened that somebody may wait for."""

    def line_to(self, sid: int) -> Line:
        """The way to a member, new if the last one broke."""

    async def until(self, is_true: Callable[[], bool], within_ms: float) -> bool:
        """Wait until it is true, which is looked at whenever something happens; False if late."""

    async def pass_moment(self) -> None:
        """Between two steps: no program does two things at one instant."""

    async def sleep(self, span_ms: float) -> None:
        """Let time pass."""

    async def leader(self) -> int | None:
        """Who leads: of several that think so, the one of the latest epoch."""

    async def serving(self) -> set[int]:
        """The members that serve."""

    async def is_settled(self) -> bool:
        """Whether every member serves, in one epoch, under one leader."""

    async def set_rule(self, links: list[Link], rule: LinkRule) -> None:
        """Put a rule on links; it replaces one of the same match."""

    async def clear_rules(self, links: list[Link], action: str) -> None:
        """Take rules with this action (empty: all) off links."""

    async def touched(self) -> dict[RuleKey, int]:
        """How many messages each rule in force has touched, where members can tell."""

    async def reset(self, links: list[Link]) -> None:
        """Break links: both sides notice."""

    async def kill(self, sid: int) -> None:
        """End a member's process at once."""

    async def start(self, sid: int) -> None:
        """Start it again."""

    async def pause(self, sid: int) -> None:
        """Stop a member's process where it stands."""

    async def resume(self, sid: int) -> None:
        """Let it go on."""

    async def expire(self, session_id: int) -> None:
        """Let the leader expire a session now, if it knows it."""

    async def hold_closing(self) -> None:
        """Stall the leader between marking and submitting."""

    async def release_closing(self) -> None:
        """Let whoever is stalled go on: the leader may be another by now."""
