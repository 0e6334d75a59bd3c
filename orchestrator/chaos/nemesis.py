"""Carries out a plan of faults on a running ensemble, and heals everything at the end.

Keeps a quorum able to form unless a fault is bold. Records what it did, to whom, and how many
messages that touched. Judges nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.chaos.plan import DISABLING, Fault
from orchestrator.ensemble import Ensemble
from orchestrator.errors import OrchestratorError
from orchestrator.views import leader_of

FLAP_S = 0.06
CLEAR_PATIENCE_S = 10.0
SLOWEST_MS = 200.0

Answer = TypeVar("Answer")
LinkName = tuple[int, int]


@dataclass(slots=True)
class Deed:
    """What was done. `touched` counts messages, or processes; 0: the fault did nothing."""

    at_s: float
    kind: str
    text: str
    lasted_s: float = 0.0
    touched: int = 0
    error: str = ""


class Nemesis:
    """Invariants: `_down` are the members out of the quorum now; a link has one rule at most."""

    def __init__(
        self,
        ensemble: Ensemble,
        voters: Sequence[int],
        sids: Sequence[int],
        pick_session: Callable[[float], int],
        tell: Callable[[Deed], None],
    ) -> None:
        self._ensemble = ensemble
        self._voters = voters
        self._sids = sids
        self._pick_session = pick_session
        self._tell = tell
        self._leader: int | None = None
        self._down: dict[int, Fault] = {}
        self._ruled: set[LinkName] = set()
        self._room = asyncio.Condition()
        self._began = time.monotonic()
        self.deeds: list[Deed] = []

    async def run(self, plan: Sequence[Fault], duration_s: float) -> int:
        """Bring every fault at its time. Returns how many found no room before the end."""
        self._began = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        left_out = 0
        for fault in plan:
            await asyncio.sleep(max(0.0, fault.at_s - self._now_s()))
            sid = await self._enter(fault, duration_s)
            if sid is None:
                left_out += 1
                continue
            tasks.add(asyncio.create_task(self._bring(fault, sid)))
        await asyncio.sleep(max(0.0, duration_s - self._now_s()))
        await asyncio.gather(*tasks)
        return left_out

    async def heal(self) -> None:
        """Resume, start and clear everything."""
        view = await _do(self._ensemble.status)
        for member in view.members:
            if member.process == "paused":
                await _do(self._ensemble.resume, member.sid)
        for member in view.members:
            if member.process in ("killed", "stopped"):
                await _do(self._ensemble.start, member.sid)
        await _do(self._ensemble.link("*->*").clear)

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    async def _enter(self, fault: Fault, duration_s: float) -> int | None:
        """Choose a target, and wait for room; None if the run is over before there is any."""
        patience_s = duration_s - self._now_s()
        # With two voters there never is room for a fault that keeps the quorum.
        is_hopeless = fault.kind in DISABLING and not fault.is_bold and len(self._voters) < 3
        if patience_s <= 0 or is_hopeless:
            return None
        self._leader = leader_of(await _do(self._ensemble.status))
        async with self._room:
            try:
                async with asyncio.timeout(patience_s):
                    await self._room.wait_for(lambda: self._has_room(fault))
            except TimeoutError:
                return None
            free = [sid for sid in self._sids if sid not in self._down]
            sid = free[int(fault.aim * len(free))]
            if fault.is_at_leader and self._leader in free:
                sid = self._leader
            if fault.kind in DISABLING:
                self._down[sid] = fault
            return sid

    def _has_room(self, fault: Fault) -> bool:
        free = [sid for sid in self._sids if sid not in self._down]
        down = sum(1 for sid in self._voters if sid in self._down)
        spare = (len(self._voters) - 1) // 2
        if fault.kind not in DISABLING:
            return bool(free)
        return down < spare + fault.is_bold and len(free) > 1

    async def _bring(self, fault: Fault, sid: int) -> None:
        deed = Deed(self._now_s(), fault.kind, f"member {sid}")
        self.deeds.append(deed)
        carry_out = {
            "kill": self._kill,
            "pause": self._pause,
            "cut": self._cut,
            "one-way-cut": self._cut,
            "delay": self._delay,
            "reset": self._reset,
            "flap": self._flap,
            "expire": self._expire,
        }
        try:
            await carry_out[fault.kind](fault, sid, deed)
        except OrchestratorError as error:
            deed.error = str(error)
        finally:
            deed.lasted_s = self._now_s() - deed.at_s
            async with self._room:
                if self._down.get(sid) is fault:
                    del self._down[sid]
                self._room.notify_all()
            self._tell(deed)

    async def _kill(self, fault: Fault, sid: int, deed: Deed) -> None:
        await _do(self._ensemble.kill, sid)
        deed.touched = 1
        await asyncio.sleep(fault.lasts_s)
        await _do(self._ensemble.start, sid)

    async def _pause(self, fault: Fault, sid: int, deed: Deed) -> None:
        await _do(self._ensemble.pause, sid)
        deed.touched = 1
        await asyncio.sleep(fault.lasts_s)
        await _do(self._ensemble.resume, sid)

    async def _cut(self, fault: Fault, sid: int, deed: Deed) -> None:
        ways = [(sid, other) for other in self._sids if other != sid]
        back = [(other, sid) for other in self._sids if other != sid]
        if fault.kind == "cut":
            ways += back
            deed.text = f"member {sid} from and to all others"
        elif fault.size < 0.5:
            deed.text = f"what member {sid} sends"
        else:
            ways = back
            deed.text = f"what member {sid} gets"
        await self._rule(ways, "cut", fault.lasts_s, deed)

    async def _delay(self, fault: Fault, sid: int, deed: Deed) -> None:
        other = self._peer(fault, sid)
        ways = [(sid, other), (other, sid)]
        if fault.peer < 0.5:
            ways = [(sid, other) for other in self._sids if other != sid]
        delay_ms = 1 + fault.size * SLOWEST_MS
        shape = ("uniform", "normal", "pareto")[int(fault.aim * 3)]
        rule = f"delay={delay_ms:.0f}ms jitter={delay_ms / 4:.0f}ms distribution={shape}"
        deed.text = f"{_show(ways)} {rule}"
        await self._rule(ways, rule, fault.lasts_s, deed)

    async def _reset(self, fault: Fault, sid: int, deed: Deed) -> None:
        ways = [(sid, other) for other in self._sids if other != sid]
        deed.text = _show(ways)
        deed.touched = await self._connected(ways)
        await _do(self._ensemble.link(_show(ways)).reset)

    async def _flap(self, fault: Fault, sid: int, deed: Deed) -> None:
        other = self._peer(fault, sid)
        ways = [(sid, other), (other, sid)]
        turns = max(2, int(fault.lasts_s / (2 * FLAP_S)))
        deed.text = f"{_show(ways)} {turns} times"
        for _ in range(turns):
            await self._rule(ways, "cut", FLAP_S, deed)
            await asyncio.sleep(FLAP_S)

    async def _expire(self, fault: Fault, sid: int, deed: Deed) -> None:
        session_id = self._pick_session(fault.aim)
        deed.text = f"session {session_id:#x}"
        if session_id:
            await _do(self._ensemble.expire, session_id)
            deed.touched = 1

    def _peer(self, fault: Fault, sid: int) -> int:
        """The other end of a link. Mostly the leader: between followers there is little to hit."""
        others = [other for other in self._sids if other != sid]
        if fault.size < 0.8 and self._leader in others:
            return self._leader
        return others[int(fault.peer * len(others))]

    async def _rule(self, ways: Sequence[LinkName], rule: str, lasts_s: float, deed: Deed) -> None:
        """Put a rule on links that have none, for a while; count what it touched."""
        ways = [way for way in ways if way not in self._ruled]
        self._ruled.update(ways)
        done: list[LinkName] = []
        try:
            for way in ways:
                # A paused sender takes no rule; the others do.
                try:
                    await _do(self._ensemble.link(_show([way])).set, rule)
                except OrchestratorError as error:
                    deed.error = str(error)
                else:
                    done.append(way)
            await asyncio.sleep(lasts_s)
            deed.touched += await self._touched(done)
        finally:
            for way in done:
                await self._clear(way)
            self._ruled.difference_update(ways)

    async def _clear(self, way: LinkName) -> None:
        """Take the rule off, as soon as the link's sender listens."""
        deadline = time.monotonic() + CLEAR_PATIENCE_S
        while True:
            try:
                await _do(self._ensemble.link(_show([way])).clear)
                return
            except OrchestratorError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(FLAP_S)

    async def _touched(self, ways: Sequence[LinkName]) -> int:
        view = await _do(self._ensemble.status)
        return sum(
            rule.touched
            for member in view.members
            for link in member.status.links
            if (link.sender, link.receiver) in ways
            for rule in link.rules
        )

    async def _connected(self, ways: Sequence[LinkName]) -> int:
        view = await _do(self._ensemble.status)
        return sum(
            link.is_connected
            for member in view.members
            for link in member.status.links
            if (link.sender, link.receiver) in ways
        )


async def _do(call: Callable[..., Answer], *arguments: Any) -> Answer:
    return await asyncio.to_thread(call, *arguments)


def _show(ways: Sequence[LinkName]) -> str:
    return ",".join(f"{sender}->{receiver}" for sender, receiver in ways)
