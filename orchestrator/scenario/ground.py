"""The ensemble under a variant: who is who, what is done to it, what its members have traced.

Knows no session but by its id. What a step asks of programs is `play`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from client.history import Trace
from orchestrator.scenario import steps
from orchestrator.scenario.faults import Faults
from orchestrator.scenario.places import NEW_LEADER, Roles, rule_of
from orchestrator.scenario.stage import Link, Stage
from orchestrator.scenario.verdicts import Inconclusive


class Ground:
    """Of one variant. Roles keep their sids, whoever leads later."""

    def __init__(self, stage: Stage, leader: int) -> None:
        self.roles = Roles(leader, stage.voters, stage.observers)
        self.faults = Faults(stage)
        self._stage = stage
        # (kind, sid, session_id), and each with session_id 0 too: of whatever session.
        self._traced: set[tuple[str, int, int]] = set()

    def on_trace(self, trace: Trace) -> None:
        """A member traced something."""
        session_id = trace.fields.get("session_id", 0)
        self._traced.add((trace.kind, trace.sid, int(session_id)))
        self._traced.add((trace.kind, trace.sid, 0))
        if trace.kind == "close_marked":
            self.faults.marked()

    def is_awake(self, sid: int) -> bool:
        """Whether a member is neither down nor paused."""
        return sid not in self.faults.down and sid not in self.faults.paused

    async def sid_of(self, word: str) -> int:
        """A member by its role or its sid. Raises Inconclusive if nobody has the role now."""
        if word != NEW_LEADER:
            return self.roles.sid_of(word)
        leader = await self._stage.leader()
        if leader is None:
            raise Inconclusive("no member leads now")
        return leader

    async def _links(self, text: str) -> list[Link]:
        new_leader = await self.sid_of(NEW_LEADER) if NEW_LEADER in text else None
        return self.roles.links_of(text, new_leader)

    async def disturb(self, action: steps.Particulars, line: int) -> None:
        """Do to members and links what a step says."""
        faults = self.faults
        match action:
            case steps.Hold() | steps.Delay() | steps.Cut():
                await faults.place(line, await self._links(action.link), rule_of(action))
            case steps.Isolate():
                links = self.roles.links_round(await self.sid_of(action.member))
                await faults.place(line, links, rule_of(action))
            case steps.Release() | steps.Heal() | steps.Clear():
                word = {"release": "hold", "heal": "cut"}.get(action.word, "")
                await faults.take_off(await self._links(action.link), word)
            case steps.Rejoin():
                links = self.roles.links_round(await self.sid_of(action.member))
                await faults.take_off(links, "cut")
            case steps.Reset():
                await faults.reset(await self._links(action.link))
            case steps.HoldClosing():
                await faults.hold_closing(line)
            case steps.ReleaseClosing():
                await faults.release_closing()
            case steps.Kill():
                await faults.kill(await self.sid_of(action.member))
            case steps.Start():
                await self._start(await self.sid_of(action.member))
            case steps.Pause():
                await faults.pause(await self.sid_of(action.member))
            case steps.ResumeMember():
                await faults.resume(await self.sid_of(action.member))
            case _:
                raise AssertionError(f"nobody can do {action.word}")

    async def _start(self, sid: int) -> None:
        await self.faults.start(sid)
        await self._until_serving({sid}, steps.PATIENCE_MS)

    async def _until_serving(self, sids: set[int], within_ms: float) -> None:
        async def serve() -> bool:
            return sids <= await self._stage.serving()

        shown = ", ".join(map(str, sorted(sids)))
        await self._poll(serve, within_ms, f"member {shown} does not serve")

    async def wait_for(self, action: steps.Await, session_id: int) -> None:
        """Wait for what a step says; `session_id` 0: its traces are of any session."""
        if action.trace is not None:
            await self._await_trace(action, session_id)
        elif action.serving is not None:
            await self._until_serving(await self._up(action.serving), action.within)
        else:
            not_this = self.roles.leader if action.leader == "new" else None

            async def leads() -> bool:
                return await self._stage.leader() not in (None, not_this)

            await self._poll(leads, action.within, "nobody leads")

    async def _up(self, word: str) -> set[int]:
        if word == "all":
            return set(self.roles.sids) - self.faults.down - self.faults.paused
        return {await self.sid_of(word)}

    async def _await_trace(self, action: steps.Await, session_id: int) -> None:
        kind = str(action.trace)
        any_of = action.on is None
        sids = set(self.roles.sids) if any_of else await self._up(action.on or "all")

        def is_traced() -> bool:
            seen = {sid for sid in sids if (kind, sid, session_id) in self._traced}
            return bool(seen) if any_of else seen == sids

        if not await self._stage.until(is_traced, action.within):
            of = f" of {action.session}" if action.session else ""
            raise Inconclusive(f"no {kind}{of} traced within {action.within} ms")

    async def _poll(
        self, is_so: Callable[[], Awaitable[bool]], within_ms: float, what: str
    ) -> None:
        began_ms = self._stage.now_ms()
        while not await is_so():
            if self._stage.now_ms() - began_ms > within_ms:
                raise Inconclusive(f"{what} within {within_ms:.0f} ms")
            await self._stage.sleep(5)
