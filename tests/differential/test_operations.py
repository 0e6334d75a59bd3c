"""Observables 42 to 45: four-letter words, restarts, catching up, containers."""

from __future__ import annotations

import re
import time

import pytest

from tests.differential.conftest import Compare, Sides
from tests.differential.meant import unexplained
from tests.differential.ours import OurEnsemble
from tests.differential.real import RealEnsemble
from tests.differential.script import Script, play_on_all
from tests.differential.sides import TICK_MS, wait_until
from tests.differential.test_faults import is_there
from tests.wire import ops
from tests.wire.ops import EPHEMERAL
from tests.wire.raw import Raw, Reply, four_letters

# More than the transactions that a leader keeps for learners that come back.
MANY = 600
# A session's, for longer than a busy machine takes to start all members of either ensemble.
RESTART_MS = 75 * TICK_MS
MNTR = (
    "zk_server_state",
    "zk_znode_count",
    "zk_watch_count",
    "zk_ephemerals_count",
    "zk_num_alive_connections",
    "zk_outstanding_requests",
    "zk_global_sessions",
)

pytestmark = pytest.mark.timeout(300)


def test_42_four_letter_words(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower", "other"):
            s.open(role, role)
            s.do(role, ops.create(f"{s.root}/{role}", flags=EPHEMERAL))
            s.do(role, ops.exists(f"{s.root}/{role}", True))
        for role, sid in s.roles.items():
            address = s.side.address(sid)
            for word in ("ruok", "isro", "crst", "srst"):
                s.note(f"{word} on {role}", four_letters(address, word))
            lines = four_letters(address, "srvr").splitlines()
            s.note("srvr has", [line.partition(":")[0] for line in lines])
            s.note("mode", [line for line in lines if line.startswith("Mode")])
            s.note("dump", _ephemerals(four_letters(address, "dump")))
            s.note("cons", _last_of_connection(s, role, four_letters(address, "cons")))
            values = dict(
                line.split("\t", 1) for line in four_letters(address, "mntr").splitlines()
            )
            for key in MNTR[:1]:
                s.note(f"mntr {key}", values.get(key))
            s.note("mntr has", [key for key in MNTR if key not in values])
            conf = four_letters(address, "conf").splitlines()
            s.note("conf has", sorted(line.partition("=")[0] for line in conf if "=" in line))

    compare(steps)


def _ephemerals(dump: str) -> list[str]:
    """The lines of paths, which are the same on all members."""
    return sorted(line.strip() for line in dump.splitlines() if line.startswith("\t/"))


def _last_of_connection(s: Script, role: str, cons: str) -> list[str]:
    session = f"sid=0x{s.sessions[role].session_id:x},"
    line = next(line for line in cons.splitlines() if session in line)
    found = re.findall(r"(lop|to|lcxid)=(\w+)", line)
    zxid = re.search(r"lzxid=0x(\w+)", line)
    lines = [f"{key}={value}" for key, value in found]
    return [*lines, s.shown_zxid(int(zxid[1], 16)) if zxid else "no zxid"]


def test_43_full_restart(compare: Compare) -> None:
    def steps(s: Script) -> None:
        owner = s.open("owner", "follower", RESTART_MS)
        s.do("owner", ops.create(f"{s.root}/mine", flags=EPHEMERAL))
        s.do("owner", ops.create2(f"{s.root}/data", b"kept"))
        s.do("owner", ops.set_data(f"{s.root}/data", b"kept, too"))
        before = owner.call(ops.get_data(f"{s.root}/data"))
        for sid in s.side.sids:
            s.side.kill(sid)
        s.sessions.clear()
        first, *rest = s.side.sids
        s.side.start(first)
        refusal = "This ZooKeeper instance is not currently serving requests"
        address = s.side.address(first)
        wait_until(lambda: refusal in _word(address, "srvr"), "a member says that it looks")
        s.note("isro", _word(address, "isro"))
        s.note("ruok", _word(address, "ruok"))
        s.note("mntr", _word(address, "mntr").strip())
        # No session's time runs before a second member starts.
        begun = time.monotonic()
        for sid in rest:
            s.side.start(sid)
        s.side.wait_until_serving()
        s.roles = s.side.roles()
        reader = s.open("reader", "other")
        after = reader.call(ops.get_data(f"{s.root}/data"))
        assert isinstance(before, Reply) and isinstance(after, Reply)
        s.note("data and Stat are the same", before.value == after.value)
        s.note("the epoch is one more", (after.zxid >> 32) - (before.zxid >> 32) >= 1)
        s.note("the ephemeral is there", is_there(reader, f"{s.root}/mine"))
        gone_s = 3 * RESTART_MS / 1000
        wait_until(
            lambda: is_there(reader, f"{s.root}/mine") is False, "the ephemeral goes", gone_s
        )
        s.note("after a full timeout", time.monotonic() - begun > RESTART_MS / 1000)

    compare(steps)


def _word(address: tuple[str, int], word: str) -> str:
    try:
        return four_letters(address, word)
    except OSError:
        return ""


@pytest.mark.parametrize("writes", [20, MANY])
def test_44_a_follower_comes_back(compare: Compare, writes: int) -> None:
    def steps(s: Script) -> None:
        writer = s.open("writer", "leader")
        s.side.kill(s.roles["follower"])
        for number in range(writes):
            writer.send(ops.create(f"{s.root}/n{number}", b"x"))
        writer.call(ops.sync())
        s.side.start(s.roles["follower"])
        s.side.wait_until_serving()
        s.note("the trees", _compared(s))

    compare(steps)


def test_44_an_ex_leader_with_a_proposal_of_its_own(compare: Compare) -> None:
    def steps(s: Script) -> None:
        old = s.roles["leader"]
        writer = s.open("writer", "leader")
        s.side.isolate(old)
        try:
            writer.send(ops.create(f"{s.root}/lost"))
            # Its own disk has it soon; nobody else ever hears of it.
            time.sleep(0.5)
            s.side.kill(old)
            s.sessions.clear()
            # Released before, what is on its way would still reach who followed it.
            s.roles = s.side.wait_for_quorum(without=old)
        finally:
            s.side.release()
        writer = s.open("another", "leader")
        writer.call(ops.create(f"{s.root}/won"))
        s.side.start(old)
        s.side.wait_until_serving()
        s.roles = s.side.roles()
        s.note("the trees", _compared(s))

    compare(steps)


def _compared(s: Script) -> tuple[object, ...]:
    """How many children the root has, and whether every member says the same of each."""
    seen = []
    for sid in s.side.sids:
        with Raw.open(s.side.address(sid)) as raw:
            raw.call(ops.sync())
            reply = raw.call(ops.get_children2(s.root))
            assert isinstance(reply, Reply) and isinstance(reply.value, tuple)
            names, stat = sorted(reply.value[0]), reply.value[1]
            xids = [raw.send(ops.exists(f"{s.root}/{name}")) for name in names]
            replies = [raw.wait_for(xid) for xid in xids]
            seen.append((names, stat, [r.value for r in replies if isinstance(r, Reply)]))
    some = ", ".join(seen[0][0][:1])
    return len(seen[0][0]), some, all(one == seen[0] for one in seen)


def test_45_containers_go_when_they_are_empty(sides: Sides) -> None:
    """On ensembles of one, whose leaders look every half second instead of every minute."""
    pair = (
        RealEnsemble(1, **{"znode.container.checkIntervalMs": "500"}),
        OurEnsemble(1, container_check_interval_ms=500),
    )
    try:
        records = play_on_all(_container_steps, pair, "/containers")
        difference = unexplained(records["real"], records["ours"])
        if difference:
            pytest.fail(difference, pytrace=False)
    finally:
        for side in pair:
            side.close()


def _container_steps(s: Script) -> None:
    s.open("one", "leader")
    poller = s.open("poller", "leader")
    used, unused, ttl = (f"{s.root}/{name}" for name in ("used", "unused", "ttl"))
    s.do("one", ops.container(used))
    s.do("one", ops.container(unused))
    s.do("one", ops.create(f"{used}/kid"))
    s.do("one", ops.exists(used, True))
    s.do("one", ops.delete(f"{used}/kid"))
    wait_until(lambda: is_there(poller, used) is False, "the container goes")
    s.do("one", ops.PING)
    s.do("one", ops.exists(unused))
    s.do("one", ops.create_ttl(ttl, 700))
    wait_until(lambda: is_there(poller, ttl) is False, "the TTL znode goes")
    s.do("one", ops.get_children2(s.root))
