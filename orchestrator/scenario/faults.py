"""What a variant does to the ensemble, so that it can be counted and taken back.

Owns the rules in force with what each has touched, and members that are down or paused. A rule
that touched nothing by the time it is taken off makes a variant inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.rules import LinkRule, show_link, show_rule
from orchestrator.scenario.stage import Link, Stage
from orchestrator.scenario.verdicts import Inconclusive, StepFailed

SETTLE_MS = 20_000
TOUCH_MS = 1_000
POLL_MS = 2


@dataclass(slots=True)
class _Placed:
    """A rule on links, by the step of a line. `before`: touched in lives that members ended."""

    line: int
    rule: LinkRule
    links: set[Link]
    now: dict[Link, int] = field(default_factory=dict)
    before: int = 0

    @property
    def touched(self) -> int:
        return self.before + sum(self.now.values())


class Faults:
    """Of one variant."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._placed: list[_Placed] = []
        self.down: set[int] = set()
        self.paused: set[int] = set()
        self._closing_line = 0
        self._marks = 0

    async def place(self, line: int, links: list[Link], rule: LinkRule) -> None:
        """Put a rule on links."""
        self._check_senders(links)
        await self._count()
        for placed in self._placed:
            if placed.rule.match == rule.match:
                # It is replaced there: what it has touched so far stands.
                placed.before += sum(placed.now.pop(link, 0) for link in links)
                placed.links -= set(links)
        # First remembered: one that only some links have taken has to be taken off, too.
        self._placed.append(_Placed(line, rule, set(links)))
        await self._stage.set_rule(links, rule)

    async def take_off(self, links: list[Link], action: str) -> None:
        """Take rules off links. Raises Inconclusive if one of them touched nothing."""
        self._check_senders(links)
        named = [p for p in self._placed if not p.links.isdisjoint(links)]
        ending = [p for p in named if action in ("", p.rule.action_name)]
        if not ending:
            shown = ",".join(show_link(*link) for link in sorted(links))
            raise StepFailed(f"no {action or 'rule'} on {shown} to take off")
        await self._await_touch(ending)
        await self._stage.clear_rules(links, action)
        for placed in self._placed:
            if action in ("", placed.rule.action_name):
                placed.before += sum(placed.now.pop(link, 0) for link in links)
                placed.links -= set(links)
        self._check(only_gone=True)
        self._placed = [placed for placed in self._placed if placed.links]

    async def reset(self, links: list[Link]) -> None:
        """Break links."""
        self._check_senders(links)
        for sender, _ in links:
            self._check_is(sender, is_down=False)
        await self._stage.reset(links)

    def _check_senders(self, links: list[Link]) -> None:
        """A rule acts on the sender's side, and who is paused can take none."""
        for sender, _ in links:
            if sender in self.paused:
                raise StepFailed(f"member {sender} is paused: its links take no orders")

    def _check_is(self, sid: int, *, is_down: bool, is_paused: bool = False) -> None:
        if (sid in self.down) != is_down:
            raise StepFailed(f"member {sid} is {'up' if is_down else 'down'}")
        if (sid in self.paused) != is_paused:
            raise StepFailed(f"member {sid} is {'not paused' if is_paused else 'paused'}")

    async def check(self) -> None:
        """Raise Inconclusive if a rule in force touches nothing."""
        await self._await_touch(self._placed)
        self._check(only_gone=False)
        await self._check_closing()

    def _check(self, *, only_gone: bool) -> None:
        for placed in self._placed:
            if placed.touched == 0 and not (only_gone and placed.links):
                links = ",".join(show_link(*link) for link in sorted(placed.links))
                where = f" on {links}" if links else ""
                text = show_rule(placed.rule)
                raise Inconclusive(f"'{text}' of line {placed.line}{where} touched no message")

    async def _await_touch(self, rules: list[_Placed]) -> None:
        """Wait a while for rules that have touched nothing yet: what they shall touch is due.

        Readers may be quicker than the message that is to be held.
        """
        began_ms = self._stage.now_ms()
        await self._count()
        while any(p.touched == 0 for p in rules) and self._stage.now_ms() - began_ms < TOUCH_MS:
            await self._stage.sleep(POLL_MS)
            await self._count()

    async def _count(self) -> None:
        if not self._placed:
            return
        touched = await self._stage.touched()
        for placed in self._placed:
            for link in placed.links:
                count = touched.get((link, placed.rule.match))
                if count is not None:
                    placed.now[link] = count

    async def hold_closing(self, line: int) -> None:
        """Stall the leader's expiry thread."""
        self._closing_line, self._marks = line, 0
        await self._stage.hold_closing()

    async def release_closing(self) -> None:
        """Let it go on. Raises Inconclusive if no session was marked closing meanwhile."""
        await self._check_closing()
        await self._stage.release_closing()
        self._closing_line = 0

    def marked(self) -> None:
        """A session was marked closing."""
        self._marks += 1

    async def _check_closing(self) -> None:
        if not self._closing_line:
            return
        if not await self._stage.until(lambda: self._marks > 0, TOUCH_MS):
            raise Inconclusive(
                f"hold_closing of line {self._closing_line}: no session was marked meanwhile"
            )

    async def kill(self, sid: int) -> None:
        """End a member's process at once."""
        self._check_is(sid, is_down=False, is_paused=sid in self.paused)
        await self._count()
        for placed in self._placed:
            for link in placed.links:
                if link[0] == sid:
                    placed.before += placed.now.pop(link, 0)
        await self._stage.kill(sid)
        self.paused.discard(sid)
        self.down.add(sid)

    async def start(self, sid: int) -> None:
        """Start it again."""
        self._check_is(sid, is_down=True)
        await self._stage.start(sid)
        self.down.discard(sid)

    async def pause(self, sid: int) -> None:
        """Stop a member's process where it stands."""
        self._check_is(sid, is_down=False)
        await self._count()
        await self._stage.pause(sid)
        self.paused.add(sid)

    async def resume(self, sid: int) -> None:
        """Let it go on."""
        self._check_is(sid, is_down=False, is_paused=True)
        await self._stage.resume(sid)
        self.paused.discard(sid)

    async def undo(self) -> None:
        """Take everything back; returns when every member serves under one leader again."""
        for sid in sorted(self.paused):
            await self.resume(sid)
        sids = (*self._stage.voters, *self._stage.observers)
        if self._placed:
            await self._stage.clear_rules([(a, b) for a in sids for b in sids if a != b], "")
            self._placed.clear()
        for sid in sorted(self.down):
            await self.start(sid)
        began_ms = self._stage.now_ms()
        while not await self._stage.is_settled():
            if self._stage.now_ms() - began_ms > SETTLE_MS:
                raise Inconclusive("the ensemble did not serve again after the variant")
            await self._stage.sleep(10)
        if self._closing_line:
            await self._stage.release_closing()
