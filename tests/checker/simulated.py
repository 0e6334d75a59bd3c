"""Sound histories: clients of a simulated ensemble under faults, recorded as real clients are.

Programs write unique values, own ephemerals, watch, move, and come and go; everything is drawn
from a seed. At the end all is healed, and every member is read whole.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from random import Random

from client.events import SessionEvent, SessionState
from client.history import History, Member, Trace
from client.ops import (
    EPHEMERAL,
    SEQUENTIAL,
    AddWatch,
    Check,
    Create,
    Delete,
    Exists,
    GetChildren,
    GetData,
    Multi,
    SetData,
    Sync,
    UserOp,
    WatchMode,
)
from client.recording import HistoryWriter
from orchestrator.simulator.clients import SimulatedClient
from orchestrator.simulator.injection import Injector
from orchestrator.simulator.run import CLIENTS, make_plan
from orchestrator.simulator.workload import Workload
from orchestrator.simulator.world import World

ROOT, EPHEMERALS, QUEUE = "/s", "/s/e", "/s/q"
KEYS = tuple(f"{ROOT}/k{number}" for number in range(5))
OUTSTANDING = 6
SUFFER_MS = 3000.0
REST_MS = 6000.0
PATIENCE_MS = 90_000.0
TIMEOUTS_MS = (200, 400, 800, 2000)
CLOSING = ("close_marked", "close_submitted", "close_committed", "close_applied")
MIX = {
    "set": 10,
    "set if": 4,
    "create": 4,
    "delete": 2,
    "multi": 3,
    "own": 4,
    "disown": 2,
    "queue": 2,
    "get": 8,
    "exists": 5,
    "exists ephemeral": 4,
    "children": 3,
    "sync and get": 3,
    "watch": 1,
}


class Program:
    """A client, and another one once its session is over."""

    def __init__(
        self,
        number: int,
        world: World,
        writer: HistoryWriter,
        rng: Random,
        *,
        watches: bool,
    ) -> None:
        self.number = number
        self._watches = watches
        self.is_stopped = False
        self.client: SimulatedClient | None = None
        self._world, self._writer, self._rng = world, writer, rng
        self._values = count(1)
        self._outstanding = 0
        self._think_ms = rng.choice((8.0, 20.0, 50.0))

    @property
    def session_id(self) -> int:
        return 0 if self.client is None else self.client.session_id

    def move(self) -> None:
        if self.client is not None:
            self.client.move()

    def turn(self) -> None:
        """Do one thing, and come back later."""
        if self.is_stopped:
            return
        clock = self._world.clock
        clock.call_at(clock.now_ms + self._think_ms * self._rng.uniform(0.2, 1.8), self.turn)
        if self.client is None:
            self._connect()
        elif self._outstanding < OUTSTANDING:
            self._act(self.client)

    def _connect(self) -> None:
        sids = list(self._world.sids)
        self._rng.shuffle(sids)
        timeout_ms = self._rng.choice(TIMEOUTS_MS)
        history = self._writer.program(self.number)
        client = SimulatedClient(self._world, tuple(sids), timeout_ms, history)
        client.on_event = partial(self._on_event, client)
        self.client = client

    def _on_event(self, client: SimulatedClient, event: SessionEvent) -> None:
        if event in (SessionEvent.EXPIRED, SessionEvent.CLOSED) and self.client is client:
            self.client = None

    def _act(self, client: SimulatedClient) -> None:
        draw = self._rng.random()
        if draw < 0.01:
            self.client = None
            client.close()
        elif draw < 0.02:
            self.client = None
            client.fall_silent()
        elif draw < 0.05:
            client.move()
        elif client.state is SessionState.CONNECTED or draw < 0.3:
            for op in self._draw():
                self._outstanding += 1
                client.submit(op, self._end)

    def _end(self, _: object) -> None:
        self._outstanding -= 1

    def _value(self) -> bytes:
        return b"%d:%d" % (self.number, next(self._values))

    def _draw(self) -> tuple[UserOp, ...]:
        rng = self._rng
        key, owned = rng.choice(KEYS), f"{EPHEMERALS}/{rng.randrange(6)}"
        watches = self._watches and rng.random() < 0.25
        match rng.choices(list(MIX), list(MIX.values()))[0]:
            case "set":
                return (SetData(key, self._value()),)
            case "set if":
                return (SetData(key, self._value(), rng.randrange(4)),)
            case "create":
                return (Create(key, self._value()),)
            case "delete":
                return (Delete(key, rng.choice((-1, 0, 1))),)
            case "multi":
                create = Create(f"{ROOT}/m{rng.randrange(50)}", self._value())
                return (Multi((Check(key), SetData(key, self._value()), create)),)
            case "own":
                return (Create(owned, self._value(), EPHEMERAL),)
            case "disown":
                return (Delete(owned),)
            case "queue":
                return (Create(f"{QUEUE}/n-", self._value(), SEQUENTIAL | EPHEMERAL),)
            case "get":
                return (GetData(key, watches),)
            case "exists":
                return (Exists(key, watches),)
            case "exists ephemeral":
                return (Exists(owned, watches),)
            case "children":
                return (GetChildren(rng.choice((ROOT, EPHEMERALS, QUEUE)), watches),)
            case "sync and get":
                return (Sync(key), GetData(key))
            case "watch" if self._watches:
                mode = rng.choice((WatchMode.PERSISTENT, WatchMode.PERSISTENT_RECURSIVE))
                return (AddWatch(key, mode),)
            case _:
                return (GetData(key),)


class _Programs(Workload):
    """What an injector disturbs."""

    def __init__(self, programs: list[Program]) -> None:
        self.programs = programs  # type: ignore[assignment]


def record(seed: int, *, has_traces: bool = False) -> History:
    """Play a seed, and return what its clients saw. The same seed gives the same history."""
    plan = make_plan(seed)
    world = World(seed, plan.config, plan.surroundings)
    writer = HistoryWriter(
        source=f"seed {seed}", clock="virtual", now_ms=lambda: world.clock.now_ms
    )
    for sid, offset_ms in zip(world.sids, plan.clock_offsets_ms, strict=True):
        world.hosts[sid].set_clock(1.0, offset_ms)
    world.start()
    world.run_until(world.is_serving, PATIENCE_MS, "serving")
    _prepare(world, writer)
    rng = Random(f"{seed}/programs")
    # A local session that moves while it becomes a global one may lose what it asks for, watches
    # among it, without a word: ZooKeeper drops requests of sessions that it does not know yet.
    watches = not plan.config.local_sessions_enabled
    programs = [
        Program(number, world, writer, Random(rng.random()), watches=watches)
        for number in range(1, CLIENTS + 1)
    ]
    for program in programs:
        program.turn()
    injector = Injector(world, _Programs(programs))
    injector.schedule(plan.faults)
    world.run_for(SUFFER_MS)
    injector.end_all()
    world.run_until(world.is_serving, PATIENCE_MS, "serving again")
    for program in programs:
        program.is_stopped = True
    world.run_for(REST_MS)
    world.run_until(world.is_serving, PATIENCE_MS, "serving still")
    _read_all(world, writer)
    if has_traces:
        _add_traces(world, writer)
    writer.close()
    return writer.history


def _prepare(world: World, writer: HistoryWriter) -> None:
    client = SimulatedClient(world, world.sids, 2000, writer.program(100))
    for path in (ROOT, EPHEMERALS, QUEUE):
        client.submit(Create(path, b"0:" + path.encode()))
    world.run_until(lambda: len(client.outcomes) == 3, what="prepared")
    client.close()
    world.run_until_idle()


def _read_all(world: World, writer: HistoryWriter) -> None:
    """Read every znode that anybody named, or that is there, through each member."""
    first = len(writer.history.operations)
    named = {w.path: None for op in writer.history.operations for w in op.writes}
    for sid in world.sids:
        client = SimulatedClient(world, (sid,), 2000, writer.program(200 + sid))
        client.submit(Sync("/"))
        for path in (ROOT, EPHEMERALS, QUEUE):
            client.submit(GetChildren(path))
        for path in named:
            client.submit(GetData(path))
        asked = len(named) + 4
        world.run_until(lambda c=client, n=asked: len(c.outcomes) == n, what="read")  # type: ignore[misc]
        client.close()
        world.run_until_idle()
        status = world.hosts[sid].member.status()
        writer.add(Member(sid, "running", status.is_serving, status.last_zxid))
    for operation in writer.history.operations[first:]:
        operation.is_final = True
    # The readers' own sessions have zxids, too.
    even = max(member.last_zxid for member in writer.history.members)
    writer.history.members = [replaced(m, even) for m in writer.history.members]


def replaced(member: Member, last_zxid: int) -> Member:
    return Member(member.sid, member.process, member.is_serving, last_zxid)


def _add_traces(world: World, writer: HistoryWriter) -> None:
    for record_ in world.trace.records:
        if record_.kind in CLOSING:
            fields: dict[str, int | str | bool | float] = dict(record_.fields)
            writer.add(Trace(record_.at_ms, record_.sid, record_.kind, fields))
