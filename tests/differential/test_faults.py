"""Observables 24 to 34: links that are silent, members that die, are paused, come back."""

from __future__ import annotations

import time

import pytest

from tests.differential.conftest import Compare
from tests.differential.script import Script
from tests.differential.sides import SYNC_LIMIT, TICK_MS, wait_until
from tests.wire import ops
from tests.wire.ops import EPHEMERAL, SEQUENTIAL, Stat
from tests.wire.raw import EOF, Eof, Raw, Reply

# Elections of the real server may take minutes here.
pytestmark = pytest.mark.timeout(300)
# Long enough to be deposed after it, short enough to expire before.
VICTIM_MS = 14 * TICK_MS
SYNC_LIMIT_S = SYNC_LIMIT * TICK_MS / 1000
SLACK_S = 4.0


def is_there(raw: Raw, path: str) -> object:
    """Whether a read shows a znode; EOF if the connection ends instead."""
    reply = raw.call(ops.exists(path))
    return EOF if isinstance(reply, Eof) else reply.error == 0


def has_answer(raw: Raw, xid: int, seconds: float) -> bool:
    """Whether an answer comes so soon."""
    with raw.patience(seconds):
        try:
            return isinstance(raw.wait_for(xid), Reply)
        except TimeoutError:
            return False


def test_24_25_28_isolated_leader(compare: Compare) -> None:
    """What it says of sessions, how long it serves, and what the new quorum thinks of it."""

    def steps(s: Script) -> None:
        old = s.roles["leader"]
        victim, alive = (
            s.open("victim", "leader", VICTIM_MS),
            s.open("alive", "follower", VICTIM_MS),
        )
        on_leader, on_follower = s.open("on leader", "leader"), s.open("on follower", "other")
        mine = f"{s.root}/mine"
        s.do("victim", ops.create(mine, flags=EPHEMERAL))
        begun = time.monotonic()
        s.side.isolate(old)
        try:
            victim.drop()
            s.sessions.pop("victim")
            while time.monotonic() < begun + (VICTIM_MS + 1.5 * TICK_MS) / 1000:
                alive.call(ops.PING)
                time.sleep(0.05)
            for name, raw in (("the victim", victim), ("one alive elsewhere", alive)):
                told = Raw(s.side.address(old))
                told.greet(VICTIM_MS, raw.session_id, raw.password)
                s.greeted(f"{name}, to the isolated leader", "leader", told)
                told.drop()
            s.note("alive is served", is_there(alive, mine))
            s.note("the isolated leader reads", is_there(on_leader, mine))
            # Each notices on its own that the others are silent.
            s.note("the follower ends", on_follower.is_closed_within(SYNC_LIMIT_S + SLACK_S))
            s.note("not before its limit", time.monotonic() - begun > SYNC_LIMIT_S * 0.9)
            s.note("the leader ends", on_leader.is_closed_within(SYNC_LIMIT_S + SLACK_S))
            _in_the_new_quorum(s, old, victim, alive, mine)
        finally:
            s.side.release()
            s.sessions.clear()

    compare(steps)


def _in_the_new_quorum(s: Script, old: int, victim: Raw, alive: Raw, mine: str) -> None:
    s.roles = s.side.wait_for_quorum(without=old)
    s.sessions.clear()
    reader = s.open("reader", "follower")
    s.note("a new session reads it", is_there(reader, mine))
    reader.call(ops.sync())
    s.note("after sync, too", is_there(reader, mine))
    for name, raw in (("the victim", victim), ("the one alive", alive)):
        again = s.connect(name, "leader")
        again.greet(VICTIM_MS, raw.session_id, raw.password)
        s.greeted(f"{name}, in the new quorum", "leader", again)
        s.drop(name)
    wait_until(lambda: is_there(reader, mine) is False, "the znode goes")
    s.note("the znode goes in the end")


def test_26_27_cut_off_follower(compare: Compare) -> None:
    def steps(s: Script) -> None:
        reader, writer = s.open("reader", "follower"), s.open("writer", "leader")
        s.do("writer", ops.set_data(s.root, b"old"))
        s.side.isolate(s.roles["follower"])
        try:
            writer.call(ops.set_data(s.root, b"new"))
            s.note("a read meanwhile", reader.call(ops.get_data(s.root)))
            new = s.connect("new", "follower")
            new.send_greeting()
            with new.patience(0.7):
                try:
                    s.note("a new session", new.receive_greeting())
                except TimeoutError:
                    s.note("a new session", "waits")
            xid = reader.send(ops.sync())
            s.note("sync has its answer", has_answer(reader, xid, 0.7))
        finally:
            s.side.release()
        new.receive_greeting()
        s.greeted("new, after all", "follower", new)
        s.note("sync has its answer", has_answer(reader, xid, 20))
        s.do("new", ops.get_data(s.root))
        s.do("reader", ops.get_data(s.root))

    compare(steps)


def test_29_33_34_leader_killed_amid_writes(compare: Compare) -> None:
    def steps(s: Script) -> None:
        clients = {role: s.open(role, role) for role in ("leader", "follower", "other")}
        for role in clients:
            s.do(role, ops.create(f"{s.root}/{role}", flags=EPHEMERAL))
        old = s.roles["leader"]
        for number in range(20):
            for role in ("follower", "other"):
                clients[role].send(ops.create(f"{s.root}/n{number}-{role}"))
        s.side.kill(old)
        for role, raw in clients.items():
            s.note(f"{role}'s connection ends", raw.is_closed_within(20))
        s.sessions.clear()
        s.roles = s.side.wait_for_quorum(without=old)
        s.side.start(old)
        s.side.wait_until_serving()
        s.roles = s.side.roles()
        trees = []
        for role, was in (("leader", "other"), ("follower", "leader"), ("other", "follower")):
            again = s.connect(f"again {role}", role)
            again.greet(20_000, clients[was].session_id, clients[was].password)
            s.greeted(f"{was}'s session on the new {role}", role, again)
            again.call(ops.sync())
            trees.append(_tree(again, s.root))
        s.note("what exists, exists on all", all(tree == trees[0] for tree in trees))
        s.note("all ephemerals are there", {"leader", "follower", "other"} <= set(trees[0]))

    compare(steps)


def _tree(raw: Raw, root: str) -> dict[str, Stat]:
    """Name and metadata of every child, in the order of their creation."""
    reply = raw.call(ops.get_children(root))
    assert isinstance(reply, Reply) and isinstance(reply.value, tuple)
    tree: dict[str, Stat] = {}
    for name in sorted(reply.value):
        got = raw.call(ops.exists(f"{root}/{name}"))
        assert isinstance(got, Reply) and isinstance(got.value, Stat)
        tree[name] = got.value
    return tree


def test_30_sync_with_a_proposal_outstanding(compare: Compare) -> None:
    def steps(s: Script) -> None:
        writer = s.open("writer", "leader")
        on_leader, on_follower = s.open("on leader", "leader"), s.open("on follower", "follower")
        for role in ("follower", "other"):
            s.side.hold(s.roles[role], s.roles["leader"])
        try:
            writer.send(ops.create(f"{s.root}/a"))
            time.sleep(0.2)
            s.note("sync on the leader", has_answer(on_leader, on_leader.send(ops.sync()), 2))
            s.note("then it reads", is_there(on_leader, f"{s.root}/a"))
            xid = on_follower.send(ops.sync())
            s.note("sync through a follower", has_answer(on_follower, xid, 0.5))
        finally:
            s.side.release()
        s.note("sync through a follower", has_answer(on_follower, xid, 20))
        s.note("then it reads", is_there(on_follower, f"{s.root}/a"))

    compare(steps)


def test_31_paused_follower(compare: Compare) -> None:
    def steps(s: Script) -> None:
        victim = s.open("victim", "follower", 5 * TICK_MS)
        s.open("watcher", "leader")
        mine = f"{s.root}/mine"
        s.do("victim", ops.create(mine, flags=EPHEMERAL))
        s.do("watcher", ops.exists(mine, True))
        s.sessions.pop("victim")
        s.side.pause(s.roles["follower"])
        try:
            s.await_event("watcher")
            for _ in range(3):
                victim.send(ops.exists(mine))
        finally:
            s.side.resume(s.roles["follower"])
        s.note("then", EOF if victim.is_closed_within(20) else "still open")
        replies = [got for got in victim.take() if isinstance(got, Reply)]
        # Whether any read is answered before K is applied is a race; what it may say is not.
        s.note("answers", {reply.error for reply in replies} <= {0, -101})

    compare(steps)


def test_32_pipelined_requests(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower"):
            raw = s.open(role, role)
            a = f"{s.root}/{role}"
            for op in (
                ops.create(a, b"1"),
                ops.get_data(a),
                ops.PING,
                ops.set_data(a, b"2", 0),
                ops.set_data(a, b"3", 0),
                ops.get_data(a),
                ops.create(f"{a}/x-", flags=SEQUENTIAL),
                ops.sync(a),
                ops.get_children2(a),
                ops.delete(a),
                ops.WHO_AM_I,
                ops.PING,
            ):
                raw.send(op)
            while len(raw.arrived) < 12:
                raw.receive()
            for got in raw.take():
                s.note(f"{role} is told", got)

    compare(steps)


def test_33_order_of_two_writers(compare: Compare) -> None:
    def steps(s: Script) -> None:
        writers = [s.open(role, role) for role in ("follower", "other")]
        for number in range(30):
            for index, raw in enumerate(writers):
                raw.send(ops.create(f"{s.root}/{index}-{number:02}"))
        for raw in writers:
            raw.call(ops.sync())
        s.settle()
        trees = [_tree(raw, s.root) for raw in (*writers, s.open("leader", "leader"))]
        s.note("the same on all", all(tree == trees[0] for tree in trees))
        orders = [
            sorted((stat.czxid, name) for name, stat in trees[0].items() if name[0] == who)
            for who in "01"
        ]
        in_order = [names == sorted(names) for names in ([n for _, n in o] for o in orders)]
        s.note("each in the order in which it was sent", in_order)
        s.note("writes", len(trees[0]))

    compare(steps)
