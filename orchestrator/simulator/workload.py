"""Owns simulated client programs: what they ask for, drawn from the seed, and what they record.

A program has one session at a time. It writes and reads, moves between members, closes, falls
silent, and opens a new session when the old one is over. It retries nothing.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from random import Random

from client.acl import ADMIN, ALL, ANYONE, OPEN_ACL, READ, Acl, Id
from client.events import SessionEvent, SessionState
from client.ops import (
    EPHEMERAL,
    SEQUENTIAL,
    Check,
    Create,
    CreateContainer,
    Delete,
    Exists,
    GetChildren,
    GetData,
    Multi,
    SetAcl,
    SetData,
    Sync,
    UserOp,
)
from orchestrator.simulator.clients import Outcome, SimulatedClient
from orchestrator.simulator.promises import Operation, Promises
from orchestrator.simulator.world import World

MOST_OUTSTANDING = 4
PATHS = tuple(f"/p{number}" for number in range(5))
WEIGHTS = {
    "create": 3,
    "create ephemeral": 3,
    "create sequential": 1,
    "set": 4,
    "delete": 2,
    "multi": 2,
    "multi that leaves nothing": 1,
    "get": 3,
    "exists": 3,
    "children": 1,
    "sync": 2,
}
OPS = tuple(WEIGHTS)
CUM_WEIGHTS = tuple(accumulate(WEIGHTS.values()))
# By the last digit of the data drawn. The last one forbids most of what programs ask for.
ACLS = {
    b"0": OPEN_ACL,
    b"1": (Acl(ALL, ANYONE), Acl(READ, Id("ip", "10.0.0.0/8"))),
    b"2": (Acl(READ | ADMIN, ANYONE),),
}
TIMEOUTS_MS = (200, 400, 800, 2000)


class Program:
    """Invariant: until `stop`, it has a client, or makes one at its next turn."""

    def __init__(self, number: int, world: World, promises: Promises, rng: Random) -> None:
        self.number = number
        self.is_stopped = False
        self._world = world
        self._promises = promises
        self._rng = rng
        self._outstanding = 0
        self._think_ms = rng.choice((15.0, 40.0, 80.0))
        self._client: SimulatedClient | None = None
        self._sessions = 0

    @property
    def session_id(self) -> int:
        """The id of its session; 0 while it has none."""
        return 0 if self._client is None else self._client.session_id

    def move(self) -> None:
        """Go on with another member."""
        if self._client is not None:
            self._client.move()

    def stop(self) -> None:
        """Ask for nothing any more."""
        self.is_stopped = True

    def turn(self) -> None:
        """Do one thing, and come back later."""
        if self.is_stopped:
            return
        at_ms = self._world.clock.now_ms + self._think_ms * self._rng.uniform(0.2, 1.8)
        self._world.clock.call_at(at_ms, self.turn)
        client = self._client
        if client is None:
            self._connect()
        elif self._outstanding < MOST_OUTSTANDING:
            self._act(client)

    def _connect(self) -> None:
        sids = list(self._world.sids)
        self._rng.shuffle(sids)
        client = SimulatedClient(self._world, tuple(sids), self._rng.choice(TIMEOUTS_MS))
        client.on_event = partial(self._on_event, client)
        self._client = client
        self._sessions += 1

    def _on_event(self, client: SimulatedClient, event: SessionEvent) -> None:
        is_over = event in (SessionEvent.EXPIRED, SessionEvent.CLOSED)
        if is_over and self._client is client:
            self._client = None

    def _act(self, client: SimulatedClient) -> None:
        draw = self._rng.random()
        if draw < 0.01:
            self._client = None
            client.close()
        elif draw < 0.02:
            self._client = None
            client.fall_silent()
        elif draw < 0.05:
            client.move()
        elif client.state is SessionState.CONNECTED or draw < 0.3:
            self._submit(client, self._draw_op())

    def _submit(self, client: SimulatedClient, op: UserOp) -> None:
        number = (self.number, self._sessions)
        operation = Operation(number, client.session_id, op, self._world.clock.now_ms)
        self._outstanding += 1
        self._promises.invoked(operation)

        def end(outcome: Outcome) -> None:
            self._outstanding -= 1
            operation.session_id = client.session_id
            operation.ended_ms = self._world.clock.now_ms
            operation.outcome = outcome
            self._promises.ended(operation)

        client.submit(op, end)

    def _draw_op(self) -> UserOp:
        rng = self._rng
        path, other = rng.choice(PATHS), f"/e{rng.randrange(4)}"
        data = b"%d" % rng.randrange(1000)
        match rng.choices(OPS, cum_weights=CUM_WEIGHTS)[0]:
            case "create":
                return CreateContainer(path, data) if data[-1:] == b"7" else Create(path, data)
            case "create ephemeral":
                return Create(other, data, EPHEMERAL)
            case "create sequential":
                return Create(f"{path}/s-", data, SEQUENTIAL | EPHEMERAL)
            case "set":
                version = rng.choice((-1, -1, 0, 1))
                acl = ACLS.get(data[-1:])
                return SetData(path, data, version) if acl is None else SetAcl(path, acl, version)
            case "delete":
                return Delete(rng.choice((path, other)))
            case "multi":
                create = Create(f"/m{path[1:]}", data, EPHEMERAL)
                return Multi((Check(path), SetData(path, data), create))
            case "multi that leaves nothing":
                return Multi((Create(f"{path}/m", data), Delete(f"{path}/m")))
            case "get":
                return GetData(path)
            case "exists":
                return Exists(other, rng.random() < 0.2)
            case "children":
                return GetChildren(path)
            case _:
                return Sync("/")


class Workload:
    """All programs of a run."""

    def __init__(self, world: World, promises: Promises, rng: Random, clients: int) -> None:
        self.programs = [
            Program(number, world, promises, Random(rng.random())) for number in range(clients)
        ]

    def start(self) -> None:
        """Let every program begin."""
        for program in self.programs:
            program.turn()

    def stop(self) -> None:
        """Let no program ask for anything any more."""
        for program in self.programs:
            program.stop()
