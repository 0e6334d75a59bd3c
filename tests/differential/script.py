"""A script's run on one side: sessions by name, and a record of all they saw, as text.

Owns the masks: what two ensembles may show differently because no promise is made of it
(instants, the time in session ids, where the zxids began, the order of children). Everything
else is in the record as it came.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from tests.differential.sides import TICK_MS, Address, Side, Void, wait_until
from tests.wire import ops
from tests.wire.ops import Failure, Op, Stat
from tests.wire.raw import EOF, Eof, Event, Greeting, Raw, Reply

# The longest session that a script may leave behind.
LONG_MS = 30_000
CLOSE_S = 3.0


@dataclass
class Script:
    """One run. Everything is below `root`, which the record shows as `~`."""

    side: Side
    root: str
    record: list[str] = field(default_factory=list)
    sessions: dict[str, Raw] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.roles = self.side.roles()
        self._names: dict[int, str] = {}
        self._passwords: dict[int, bytes] = {}
        self._connections: list[Raw] = []
        self._nudgers = [raw for sid in self.side.sids for raw in self._nudgers_on(sid)]
        self._connections += self._nudgers
        for raw in self._nudgers:
            self._passwords[raw.session_id] = raw.password
        raw = Raw(self.side.address(self.roles["leader"]), on_silence=self._nudge)
        raw.greet()
        reply = raw.call(ops.create(self.root))
        assert isinstance(reply, Reply), "the script's root cannot be created"
        raw.drop()
        self._close(raw.session_id, raw.password)
        # Closing that session took the next zxid.
        self.base = reply.zxid
        self.highest = self.base + 1

    # Sessions.

    def open(self, name: str, role: str = "leader", timeout_ms: int = LONG_MS) -> Raw:
        """Open a session on the member that has a role; the record has what was granted."""
        raw = self.connect(name, role)
        raw.greet(timeout_ms)
        self.greeted(name, role, raw)
        return raw

    def resume(self, name: str, other: str, role: str, timeout_ms: int = LONG_MS) -> Raw:
        """Present the session of `other` to a member, on a connection called `name`."""
        return self.resume_as(name, self.sessions[other], role, timeout_ms)

    def resume_as(self, name: str, old: Raw, role: str, timeout_ms: int = LONG_MS) -> Raw:
        """Present the session of an older connection to a member that knows what it has seen."""
        self.side.wait_until_applied(self.roles[role], old.last_zxid)
        raw = self.connect(name, role)
        raw.greet(timeout_ms, old.session_id, old.password, old.last_zxid)
        self.greeted(name, role, raw)
        return raw

    def connect(self, name: str, role: str) -> Raw:
        """Connect without a word."""
        address = self.side.address(self.roles[role])
        raw = self.sessions[name] = Raw(address, on_silence=self._nudge)
        self._connections.append(raw)
        return raw

    def greeted(self, name: str, role: str, raw: Raw) -> None:
        """Record what a member said to a ConnectRequest."""
        if raw.greeting is not None and raw.greeting.session_id:
            self._names.setdefault(raw.greeting.session_id, name)
            self._passwords[raw.greeting.session_id] = raw.password
        self.note(f"{name} on {role}", raw.greeting or EOF)

    def told_expired(self, victim: Raw, role: str, seconds: float = 10) -> str:
        """Present a session that was left alone, until its member calls it expired.

        Every question would touch a session that still lives, so it is asked only when its time
        has passed.
        """
        assert victim.greeting is not None
        time.sleep((victim.greeting.timeout_ms + 1.5 * TICK_MS) / 1000)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            raw = Raw(self.side.address(self.roles[role]), on_silence=self._nudge)
            self._connections.append(raw)
            greeting = raw.greet(
                victim.greeting.timeout_ms, victim.session_id, victim.password, victim.last_zxid
            )
            if isinstance(greeting, Greeting) and greeting.timeout_ms == 0:
                return "expired"
            raw.drop()
            time.sleep((victim.greeting.timeout_ms + 1.5 * TICK_MS) / 1000)
        return "never expired"

    def await_event(self, name: str) -> None:
        """Wait for an event and record it."""
        raw = self.sessions[name]
        while not any(isinstance(got, Event) for got in raw.arrived):
            raw.receive()
        self.note_events()

    def drop(self, name: str) -> None:
        """Close a connection without a word."""
        self.sessions.pop(name).drop()

    def finish(self) -> None:
        """Close every session that is left, so that the next script's zxids are its own."""
        for raw in self._connections:
            raw.drop()
        self.side.wait_until_serving()
        for session_id, password in self._passwords.items():
            self._close(session_id, password)

    def _close(self, session_id: int, password: bytes) -> None:
        """Close a session at the leader, whatever connection it had."""
        gone = partial(_is_closed, self.side.address(self.side.leader()), session_id, password)
        wait_until(gone, f"{self.side.name}: session {session_id:#x} is closed", 60)

    # Steps.

    def do(self, name: str, op: Op, *, settles: bool = True) -> Reply | Eof:
        """Ask, record the answer, then what every session was told because of it."""
        reply = self._call(self.sessions[name], op)
        # A session's ephemerals go in the order of a Java hash set, of which no promise is made.
        is_sorted = op.type == ops.CLOSE.type
        # What a session is told before its own answer, it must be told before it on both sides.
        arrived = self.sessions[name].take()
        if is_sorted:
            arrived.sort(key=lambda got: (0, got) if isinstance(got, Event) else (1,))
        for got in arrived:
            what = f"{name}: {op.name} {op.path}".rstrip()
            self.note(f"    {name} is told" if isinstance(got, Event) else what, got)
        if settles:
            self.settle()
            self.note_events(is_sorted=is_sorted)
        return reply

    def _call(self, raw: Raw, op: Op) -> Reply | Eof:
        """Ask and wait."""
        return raw.wait_for(raw.send(op))

    def _nudgers_on(self, sid: int) -> list[Raw]:
        """Sessions on a member: one, and another for each time that it had to be woken."""
        address = self.side.address(sid)
        opened: list[Raw] = []

        def open_another() -> None:
            opened.append(Raw(address, on_silence=open_another))
            opened[-1].send_greeting()

        open_another()
        # The list may grow meanwhile.
        for raw in opened:
            raw.receive_greeting()
        return opened

    def _nudge(self) -> None:
        """Give each member something to do while an answer takes long.

        A real member of this version may miss that it has work (ZOOKEEPER-4537) and sleep until
        the next request, whoever sends it.
        """
        for nudger in self._nudgers:
            nudger.send(ops.PING)

    def settle(self, without: str = "") -> None:
        """Wait until the member of every session has applied all that was answered so far."""
        self.highest = max([self.highest, *(raw.last_zxid for raw in self.sessions.values())])
        for name in self.sessions.keys() - {without}:
            raw = self.sessions[name]
            while not raw.is_over:
                reply = self._call(raw, ops.PING)
                if isinstance(reply, Eof) or reply.zxid >= self.highest:
                    break

    def note_events(self, *, is_sorted: bool = False) -> None:
        """Record the events that came, session by session."""
        for name, raw in self.sessions.items():
            events = raw.take_events()
            for event in sorted(events) if is_sorted else events:
                self.note(f"    {name} is told", event)

    def note(self, what: str, value: object = "") -> None:
        """Record a line."""
        text = f"{what} -> {self.shown(value)}"
        self.record.append(text.replace(self.root, "~"))

    # Masks.

    def shown(self, value: object) -> str:
        """A value as text, without what is masked."""
        match value:
            case Eof():
                return "EOF"
            case Reply(_, zxid, error, result):
                return f"{error} {self.shown(result)} {self.shown_zxid(zxid)}".replace(" None", "")
            case Event(type_, state, path, zxid):
                return f"event {type_} state {state} {path} zxid {zxid}"
            case Greeting():
                return self._shown_greeting(value)
            case Stat():
                return self._shown_stat(value)
            case Failure(error):
                return f"fails with {error}"
            case tuple() if value and all(isinstance(part, str) for part in value):
                return f"[{', '.join(sorted(map(str, value)))}]"
            case tuple() if value and all(_is_entry(part) for part in value):
                # An entry of an access list or an identity: sets, too, in the real server.
                return f"[{', '.join(sorted(map(str, value)))}]"
            case tuple():
                return f"({', '.join(map(self.shown, value))})"
            case _:
                return str(value)

    def _shown_greeting(self, greeting: Greeting) -> str:
        who = self._names.get(greeting.session_id, "?") if greeting.session_id else "nobody"
        password = greeting.password or b""
        kind = "zeros" if password == bytes(16) else f"{len(password)} bytes"
        return (
            f"session of {who}, {greeting.timeout_ms} ms, protocol {greeting.protocol},"
            f" password {kind}, read only {greeting.read_only}"
        )

    def _shown_stat(self, stat: Stat) -> str:
        owner = self._names.get(stat.ephemeral_owner, "?") if stat.ephemeral_owner else "nobody"
        zxids = " ".join(self.shown_zxid(z) for z in (stat.czxid, stat.mzxid, stat.pzxid))
        versions = f"{stat.version}/{stat.cversion}/{stat.aversion}"
        times = "timed" if stat.ctime and stat.mtime >= stat.ctime else f"{stat.ctime}"
        return (
            f"Stat({zxids}, versions {versions}, of {owner}, {stat.data_length} bytes,"
            f" {stat.num_children} children, {times})"
        )

    def shown_zxid(self, zxid: int) -> str:
        """A zxid as its distance from the script's beginning; of epochs only their order."""
        if zxid <= 0:
            return f"zxid {zxid}"
        if zxid >> 32 == self.base >> 32:
            return f"@{zxid - self.base:+d}" if zxid >= self.base else "@before"
        is_later = zxid >> 32 > self.base >> 32
        return f"@next epoch {zxid & 0xFFFFFFFF}" if is_later else "@epoch before"


def _is_closed(address: Address, session_id: int, password: bytes) -> bool:
    """Close a session, and whether it is gone.

    A real member may leave a whole connection without an answer for longer than anybody waits,
    though another one has it at once.
    """
    raw = Raw(address)
    try:
        with raw.patience(CLOSE_S):
            greeting = raw.greet(LONG_MS, session_id, password)
        if isinstance(greeting, Eof):
            return False
        if not greeting.session_id:
            return True
        raw.send(ops.CLOSE)
        return raw.is_closed_within(CLOSE_S)
    except TimeoutError:
        return False
    finally:
        raw.drop()


def _is_entry(value: object) -> bool:
    return isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[-1], str)


Steps = Callable[[Script], None]


def play(steps: Steps, side: Side, root: str) -> list[str]:
    """Run a script on one side and return its record. An error of the script is its last line."""
    script = Script(side, root)
    try:
        steps(script)
    except TimeoutError:
        script.note("and then", "no answer")
    finally:
        script.finish()
    return script.record


def play_on_all(steps: Steps, sides: Iterable[Side], root: str) -> dict[str, list[str]]:
    """Run a script on all sides at once. Raises what the script raises on any of them."""
    records: dict[str, list[str]] = {}
    errors: list[BaseException] = []

    def run(side: Side) -> None:
        try:
            records[side.name] = play(steps, side, root)
        except BaseException as error:
            error.add_note(f"on the {side.name} side")
            errors.append(error)

    threads = [threading.Thread(target=run, args=(side,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        # If the real side did not get there, what the other one did has no measure.
        raise next((error for error in errors if isinstance(error, Void)), errors[0])
    return records
