"""The stage's own hands: a session on every member, for what no program of the scenario does.

Owns the roots of variants, known to every member before a variant begins; catching up after one;
and hearing out a member. Takes no part in a variant's steps.
"""

from __future__ import annotations

from collections.abc import Callable

from client.events import SessionState
from client.ops import Create, Reply, Sync, UserOp
from client.recording import HistoryWriter
from orchestrator.errors import NotAnswering
from orchestrator.scenario.actors import Actor, have_left
from orchestrator.scenario.program import Program
from orchestrator.scenario.results import Result
from orchestrator.scenario.stage import Stage
from orchestrator.scenario.verdicts import Inconclusive

TIMEOUT_MS = 60_000
PATIENCE_MS = 15_000
PONG_MS = 1_000


class Hands:
    """Of one ensemble. `root` is the current variant's."""

    def __init__(self, stage: Stage, history: HistoryWriter) -> None:
        self.root = ""
        self._stage = stage
        self._history = history
        self._clients = 0
        self._by_sid: dict[int, Actor] = {}

    def new_actor(self, sid: int, timeout_ms: int, last_zxid: int = 0) -> Actor:
        """A program with the next number."""
        self._clients += 1
        client = self._clients
        return Actor(self._stage, self._history, client, sid, timeout_ms, last_zxid)

    async def open(self) -> None:
        """Open a session on every member."""
        results = []
        for sid in (*self._stage.voters, *self._stage.observers):
            result = Result(0, "")
            results.append(result)
            actor = self._by_sid[sid] = self.new_actor(sid, TIMEOUT_MS)
            actor.open(result)
        if not await self._stage.until(lambda: all(r.is_answered for r in results), PATIENCE_MS):
            raise NotAnswering(f"no session on every member within {PATIENCE_MS} ms")

    async def close(self) -> None:
        """End these sessions."""
        for actor in self._by_sid.values():
            actor.leave()
        actors = list(self._by_sid.values())
        await self._stage.until(lambda: have_left(actors), PATIENCE_MS)

    async def make_root(self, name: str, leader: int) -> None:
        """Create a root for a variant that every member has applied."""
        number, root = 1, f"/{name}"
        while root in self._stage.roots:
            number += 1
            root = f"/{name}-{number}"
        self._stage.roots.add(root)
        self.root = root
        await self._do({leader: Create(root)})
        await self.settle()

    async def settle(self) -> None:
        """Return when every member has applied all that is committed by now."""
        await self._do({sid: Sync("/") for sid in self._by_sid})

    async def _do(self, ops: dict[int, UserOp]) -> None:
        """Carry out an operation on each member, again where the connection was lost."""
        began_ms = self._stage.now_ms()
        while ops:
            left = PATIENCE_MS - (self._stage.now_ms() - began_ms)
            outcomes: dict[int, bool] = {}
            for sid, op in ops.items():
                self._ask(sid, op, outcomes)
            if left <= 0 or not await self._stage.until(_all_in(ops, outcomes), left):
                raise NotAnswering(f"member {min(ops)} did not answer within {PATIENCE_MS} ms")
            ops = {sid: op for sid, op in ops.items() if not outcomes[sid]}
            if ops:
                await self._stage.sleep(10)

    def _ask(self, sid: int, op: UserOp, outcomes: dict[int, bool]) -> None:
        actor = self._by_sid[sid]
        if actor.program.is_over:
            # A local session is gone when its member has joined another leader.
            actor = self._by_sid[sid] = self.new_actor(sid, TIMEOUT_MS)
            actor.open(Result(0, ""))
        elif actor.program.state is SessionState.CONNECTING:
            # Its member was away; it is back, and there is nothing to be patient about.
            actor.program.come_back(sid)

        def on_outcome(outcome: object) -> None:
            outcomes[sid] = isinstance(outcome, Reply)
            self._stage.changed()

        actor.program.submit(op, on_outcome)

    async def hear_out(self, sid: int) -> None:
        """Return when all that a member has heard and answered so far has arrived.

        Two pings, one after the other: by the first pong the member has heard everything that was
        sent before, by the second its answers to that are here. One more, since the first pong
        may be that of a ping which was under way. Raises Inconclusive if a member that serves is
        too slow for that: silence would then say nothing.
        """
        program = self._by_sid[sid].program
        if program.state is SessionState.CONNECTING:
            program.come_back(sid)
        for _ in range(3):
            wanted = program.pongs + 1
            program.ping()
            if not await self._stage.until(_has_pongs(program, wanted), PONG_MS):
                if program.state is SessionState.CONNECTED:
                    raise Inconclusive(f"member {sid} answered no ping within {PONG_MS} ms")
                return


def _all_in(ops: dict[int, UserOp], outcomes: dict[int, bool]) -> Callable[[], bool]:
    return lambda: len(outcomes) == len(ops)


def _has_pongs(program: Program, wanted: int) -> Callable[[], bool]:
    return lambda: program.pongs >= wanted
