"""Real members on real disks, killed in the middle of their work and started again.

What was acknowledged is there afterwards; sessions and their ephemeral znodes are, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.acl import CREATOR_ALL_ACL
from client.errors import LagkeeperError, NoAuthError, QuotaExceededError
from client.replies import make_create
from client.sync import Client, Pending
from orchestrator.ensemble import Ensemble

pytestmark = pytest.mark.processes

SNAP_COUNT = 150
TIMEOUT_MS = 4000
# Longer than a busy machine needs to start three members and to look at them.
RESTART_MS = 6000


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Ensemble]:
    """An ensemble of one, which has nothing but its own disk, and takes snapshots all the time."""
    directory = tmp_path / "ensemble"
    with Ensemble(members=1, snap_count=SNAP_COUNT, directory=directory) as ensemble:
        yield ensemble


def acknowledged(pending: list[Pending]) -> int:
    """How many of these were answered; from the first that was not on, none must be."""
    count = 0
    for each in pending:
        try:
            each.result(timeout=10)
        except LagkeeperError:
            break
        count += 1
    return count


def test_writes_acknowledged_before_a_kill_are_there_after_it(
    single: Ensemble, tmp_path: Path
) -> None:
    members = single.members
    with Client(members) as client:
        client.create("/n")
    written = 0
    for _ in range(3):
        with Client(members, TIMEOUT_MS) as client:
            pending = [
                client.submit(make_create(f"/n/{written + i}", b"x" * 100, False, False))
                for i in range(2000)
            ]
            # Somewhere in the middle: some are answered, most are on their way.
            pending[300].result(timeout=10)
            single.kill(1)
            answered = acknowledged(pending)
            assert answered > 300
            single.start(1)
            single.wait_until_serving()
        with Client(members) as client:
            names = sorted(map(int, client.children("/n")))
            assert names == list(range(len(names)))
            assert len(names) >= written + answered
            written = len(names)
    history = tmp_path / "ensemble" / "member-1" / "history.1"
    assert len(list(history.glob("snapshot.*"))) >= 2


def test_the_same_tree_is_recovered_again_and_again(single: Ensemble) -> None:
    with Client(single.members) as client:
        for number in range(SNAP_COUNT * 2):
            client.submit(make_create(f"/{number}", b"", number % 3 == 0, False))
        client.sync()
        digest = single.status(with_digest=True).members[0].status.digest
        for _ in range(2):
            single.kill(1)
            single.start(1)
            single.wait_until_serving()
            assert single.status(with_digest=True).members[0].status.digest == digest


def digests(ensemble: Ensemble) -> set[str]:
    """Of the members' trees: one when all have applied the same."""
    return {member.status.digest for member in ensemble.status(with_digest=True).members}


def test_a_full_restart_keeps_tree_and_sessions_and_gives_each_a_full_timeout() -> None:
    with Ensemble(members=3, max_session_timeout_ms=RESTART_MS) as ensemble:
        owner = Client(ensemble.members, RESTART_MS).start()
        owner.create("/kept", b"data")
        owner.create("/ephemeral", ephemeral=True)
        owner.go_silent()
        ensemble.wait_until(lambda _: len(digests(ensemble)) == 1)
        before = digests(ensemble)
        for sid in (1, 2, 3):
            ensemble.kill(sid)
        restarted_at = time.monotonic()
        for sid in (1, 2, 3):
            ensemble.start(sid)
        ensemble.wait_until_serving()
        assert digests(ensemble) == before
        with Client(ensemble.members) as other:
            stat = other.exists("/ephemeral")
            assert stat is not None
            assert stat.ephemeral_owner == owner.session_id
            while other.exists("/ephemeral"):
                assert time.monotonic() - restarted_at < 30
                time.sleep(0.02)
            assert time.monotonic() - restarted_at >= RESTART_MS / 1000
            assert other.get("/kept")[0] == b"data"
        owner.close()


def test_lists_quotas_and_lifetimes_are_there_after_a_kill(tmp_path: Path) -> None:
    limits = "/zookeeper/quota/q/zookeeper_limits"
    with Ensemble(
        members=1,
        directory=tmp_path,
        snap_count=20,
        container_check_interval_ms=500,
        extended_types_enabled=True,
        enforce_quota=True,
    ) as ensemble:
        with Client(ensemble.members) as client:
            client.add_auth("digest", b"me:secret")
            client.create("/mine", acl=CREATOR_ALL_ACL)
            for path, data in (("/q", b""), ("/zookeeper/quota/q", b""), (limits, b"")):
                client.create(path, data)
            client.set(limits, b"countHardLimit=2")
            client.create("/zookeeper/quota/q/zookeeper_stats")
            client.create("/q/one")
            client.create_container("/box")
            client.create("/box/content")
            client.create_ttl("/brief", 3000)
            client.create_ttl("/long", 1_000_000)
            # Half of it ends in a snapshot, half in the log only.
            for number in range(30):
                client.set("/q/one", b"%d" % number)
        ensemble.kill(1)
        ensemble.start(1)
        with Client(ensemble.members) as client:
            with pytest.raises(NoAuthError):
                client.get("/mine")
            client.add_auth("digest", b"me:secret")
            assert client.get("/mine")[1].aversion == 0
            assert client.get("/zookeeper/quota/q/zookeeper_stats")[0] == b"count=2,bytes=2"
            with pytest.raises(QuotaExceededError):
                client.create("/q/two")
            client.delete("/box/content")
            ends = time.monotonic() + 20
            while client.exists("/box") or client.exists("/brief"):
                assert time.monotonic() < ends, "the leader deletes neither"
                time.sleep(0.05)
            assert client.exists("/long") is not None
