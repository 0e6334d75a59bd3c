"""Observables 12 to 23 without broken links: opening, moving, losing and closing sessions."""

from __future__ import annotations

import struct
import time

from tests.differential.conftest import Compare
from tests.differential.script import Script
from tests.differential.sides import TICK_MS, wait_until
from tests.wire import ops
from tests.wire.ops import EPHEMERAL
from tests.wire.raw import EOF, Eof, Event, Raw, Reply

SHORT_MS = 5 * TICK_MS
# Longer than it takes to be sure that a session is expired, which is more than a tick.
LATENCY_MS = 400
# What a busy machine may add to a bound.
SLACK_S = 2.0


def java_password(session_id: int) -> bytes:
    """The password of a session: 16 bytes of java.util.Random, seeded by the id."""
    mask = (1 << 48) - 1
    seed = ((session_id ^ 0xB3415C00) ^ 0x5DEECE66D) & mask
    words = b""
    for _ in range(4):
        seed = (seed * 0x5DEECE66D + 0xB) & mask
        words += struct.pack("<I", (seed >> 16) & 0xFFFFFFFF)
    return words


def test_12_negotiation(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower"):
            for asked in (-1, 0, 399, 400, 401, 59_999, 60_000, 60_001, 2**31 - 1):
                s.open("one", role, asked)
        for flag in (None, False, True):
            raw = s.connect("one", "follower")
            raw.greet(read_only=flag)
            s.greeted("one", "follower", raw)
            s.note("password as Java makes it", raw.password == java_password(raw.session_id))
            s.note("server in the id", raw.session_id >> 56 == s.roles["follower"])
            s.note("low bits", raw.session_id & 0xFF00)

    compare(steps)


def test_13_expiry_on_the_leader(compare: Compare) -> None:
    compare(lambda s: _expires(s, "leader", (SHORT_MS + TICK_MS) / 1000))


def test_13_expiry_on_a_follower(compare: Compare) -> None:
    compare(lambda s: _expires(s, "follower", (SHORT_MS + 1.5 * TICK_MS) / 1000))


def _expires(s: Script, role: str, bound_s: float) -> None:
    s.open("victim", role, SHORT_MS)
    s.open("watcher", "other")
    s.do("victim", ops.create(f"{s.root}/mine", flags=EPHEMERAL))
    s.do("watcher", ops.exists(f"{s.root}/mine", True))
    before = time.monotonic()
    s.do("victim", ops.PING)
    after = time.monotonic()
    s.drop("victim")
    s.await_event("watcher")
    seen = time.monotonic()
    s.note("not before its timeout", seen - before > SHORT_MS / 1000)
    s.note("not long after it", seen - after <= bound_s + SLACK_S)
    for name in ("leader", "follower", "other"):
        s.open(name, name)
        s.do(name, ops.exists(s.root))
        s.do(name, ops.exists(f"{s.root}/mine"))


def test_14_move_within_the_timeout(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("writer", "leader")
        a = f"{s.root}/a"
        s.do("one", ops.create(a, flags=EPHEMERAL))
        s.do("one", ops.get_data(a, True))
        old = s.sessions["one"]
        for role, timeout_ms in (("other", 500), ("leader", 99_999), ("follower", 20_000)):
            s.resume("one", "one", role, timeout_ms)
            s.note("the same id", s.sessions["one"].session_id == old.session_id)
            s.note("the same password", s.sessions["one"].password == old.password)
            s.do("one", ops.exists(a))
            s.do("writer", ops.set_data(a, b"nobody is told"))
            s.do("one", ops.set_watches(s.sessions["writer"].last_zxid, [a]))
            s.do("writer", ops.set_data(a, b"now it is"))
        s.do("one", ops.CLOSE)
        s.do("writer", ops.exists(a))

    compare(steps)


def test_15_expired_unknown_or_wrong_password(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("victim", "follower", SHORT_MS)
        s.open("watcher", "other")
        s.do("victim", ops.create(f"{s.root}/mine", flags=EPHEMERAL))
        s.do("watcher", ops.exists(f"{s.root}/mine", True))
        victim = s.sessions["victim"]
        s.drop("victim")
        s.await_event("watcher")
        alive = s.sessions["watcher"]
        for role in ("leader", "follower", "other"):
            for what, id_, password in (
                ("expired", victim.session_id, victim.password),
                ("unknown", 0x7_0000_0000_0001, java_password(0x7_0000_0000_0001)),
                ("unknown, negative", -5, java_password(-5)),
                ("wrong password", alive.session_id, bytes(16)),
                ("short password", alive.session_id, b"x"),
                ("no password", alive.session_id, None),
            ):
                if what.endswith("password") and role == "other":
                    continue  # it would cost the watcher its connection, which is observable 16
                raw = s.connect("again", role)
                raw.greet(session_id=id_, password=password)  # type: ignore[arg-type]
                s.greeted(what, role, raw)
                s.note("then", EOF if raw.is_closed_within(5) else "still open")
        s.do("watcher", ops.exists(s.root))

    compare(steps)


def test_16_wrong_password_on_the_same_member(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower"):
            s.open("one", role)
            one = s.sessions["one"]
            raw = s.connect("thief", role)
            raw.greet(session_id=one.session_id, password=b"0123456789abcdef")
            s.greeted("thief", role, raw)
            s.note("the owner's connection", EOF if one.is_closed_within(5) else "still open")
            s.resume("again", "one", role)
            s.do("again", ops.exists(s.root))

    compare(steps)


def test_17_twice_on_the_same_member(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower"):
            first = s.open("first", role)
            s.do("first", ops.create(f"{s.root}/{role}", flags=EPHEMERAL))
            s.resume("second", "first", role)
            s.note("the first connection", EOF if first.is_closed_within(5) else "still open")
            s.sessions.pop("first")
            s.do("second", ops.exists(f"{s.root}/{role}"))

    compare(steps)


def test_18_moved_session(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for start, end in (("follower", "other"), ("leader", "follower"), ("follower", "leader")):
            s.open("old", start)
            s.resume("new", "old", end)
            # Follower or leader: what the old connection may still do.
            for op in (ops.exists(s.root), ops.sync(), ops.PING, ops.set_data(s.root, b"x")):
                s.do("old", op, settles=False)
            s.sessions.pop("old")
            s.do("new", ops.set_data(s.root, b"y"))
            s.do("new", ops.exists(s.root))

    compare(steps)


def test_19_a_client_that_has_seen_more(compare: Compare) -> None:
    def steps(s: Script) -> None:
        alive = s.open("alive", "follower")
        for role in ("leader", "follower"):
            for ahead in (-1, 0, 1, 1 << 32):
                raw = s.connect("one", role)
                s.settle(without="one")
                raw.greet(last_zxid=s.highest + ahead)
                s.greeted(f"new session, {ahead} ahead", role, raw)
                if raw.greeting is not None:
                    # What its opening took is known from here on.
                    raw.call(ops.PING)
                    s.settle()
                s.sessions.pop("one")
                s.settle()
            raw = s.connect("one", role)
            raw.greet(20_000, alive.session_id, alive.password, s.highest + 5)
            s.greeted("old session, 5 ahead", role, raw)
            s.sessions.pop("one")

    compare(steps)


def test_20_close(compare: Compare) -> None:
    def steps(s: Script) -> None:
        reader = s.open("reader", "other")
        for role in ("leader", "follower"):
            owner = s.open("owner", role)
            mine = f"{s.root}/{role}"
            s.note("create", _error(owner.call(ops.create(mine, flags=EPHEMERAL))))
            for op in (ops.CLOSE, ops.exists(mine), ops.create(f"{s.root}/late"), ops.PING):
                owner.send(op)
            owner.is_closed_within(10)
            # What was sent behind it may be answered, and even take a zxid: a race in the real one.
            s.note("the owner is told first", _error(owner.take()[1]))
            s.sessions.pop("owner")
            reader.call(ops.sync())
            s.note("exists", _error(reader.call(ops.exists(mine))))
            s.note("what came late", _error(reader.call(ops.exists(f"{s.root}/late"))))

    compare(steps)


def _error(got: Reply | Event | Eof) -> int | Eof:
    return got.error if isinstance(got, Reply) else EOF


def test_21_silent_client_on_the_leader(compare: Compare) -> None:
    def steps(s: Script) -> None:
        victim = s.open("victim", "leader", SHORT_MS)
        reader = s.open("reader", "leader")
        s.do("victim", ops.create(f"{s.root}/mine", flags=EPHEMERAL))
        s.sessions.pop("victim")
        for role in ("follower", "other"):
            s.side.hold(s.roles[role], s.roles["leader"])
        try:
            # Presenting the id would cost the victim its connection, which is observable 16.
            time.sleep((SHORT_MS + 2 * TICK_MS) / 1000)
            victim.send(ops.exists(f"{s.root}/mine"))
            # The end may come, since an idle socket is closed on a grid of 10 s; an answer may not.
            s.note("nothing but the end", victim.is_closed_within(1) or not victim.take())
            s.note("meanwhile on the leader", reader.call(ops.exists(f"{s.root}/mine")))
        finally:
            s.side.release()
        s.note("then", EOF if victim.is_closed_within(20) else "still open")
        wait_until(lambda: _is_gone(reader, f"{s.root}/mine"), "the znode goes")

    compare(steps)


def test_22_told_before_it_is_gone_and_23_new_sessions(compare: Compare) -> None:
    """With much latency on every link: the open session is always stale, the new one never."""

    def steps(s: Script) -> None:
        readers = {role: s.open(f"reader on {role}", role) for role in ("follower", "other")}
        s.side.delay_all(LATENCY_MS)
        try:
            stale = new_stale = rounds = 0
            while rounds < 2:
                victim = s.open("victim", "leader", 2 * SHORT_MS)
                mine = f"{s.root}/mine-{rounds}"
                victim.call(ops.create(mine, flags=EPHEMERAL))
                for reader in readers.values():
                    reader.call(ops.sync())
                    victim.call(ops.exists(mine))
                s.told_expired(victim, "leader")
                for reader in readers.values():
                    reply = reader.call(ops.exists(mine))
                    assert isinstance(reply, Reply)
                    stale += reply.error == 0
                for role in readers:
                    with Raw.open(s.side.address(s.roles[role])) as raw:
                        reply = raw.call(ops.exists(mine))
                        assert isinstance(reply, Reply)
                        new_stale += reply.error == 0
                wait_until(lambda: _is_gone(readers["other"], mine), "the znode goes")  # noqa: B023
                s.drop("victim")
                rounds += 1
            assert stale
            s.note("open sessions that read it", f"{stale} of {2 * rounds}")
            s.note("new sessions that read it", new_stale)
        finally:
            s.side.delay_all(0)

    compare(steps)


def _is_gone(reader: Raw, path: str) -> bool:
    reply = reader.call(ops.exists(path))
    return isinstance(reply, Reply) and reply.error == -101
