"""Fuzzy snapshots: begun in time, written part by part, mended by the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.core import snapshots
from nodes.core.config import MemberConfig
from nodes.core.context import Context
from nodes.core.effects import PersistSnapshot, TruncateLog, WriteSnapshotPart
from nodes.core.replica import Replica
from nodes.core.requests import (
    EPHEMERAL,
    OPEN_ACL,
    SEQUENTIAL,
    Acl,
    CloseSession,
    Create,
    CreateContainer,
    CreateSession,
    Delete,
    DeleteContainer,
    Id,
    Multi,
    SetAcl,
    SetData,
    Write,
)
from nodes.core.tree import DataTree
from nodes.core.txns import CreateTxn, Recovered, Snapshot, Txn
from tests.core.pipeline import Pipeline
from tests.core.snapshot_benchmark import measure, report


class Replicated(Pipeline):
    """A replica with a log that keeps all, and a disk that takes a part when it is told to."""

    def __init__(self, snap_count: int) -> None:
        super().__init__()
        self.context = Context(MemberConfig(1, (1,), snap_count=snap_count))
        self.replica = Replica(self.context, Recovered())
        # The pipeline applies through its tree.
        self.replica.tree = self.tree
        self.tree.set_config(self.context.config.quorum_config)
        self.parts: list[WriteSnapshotPart] = []
        self.is_complete = False

    def do(self, op: Write, session: int) -> None:
        """Prepare and apply an operation, on the replica."""
        # Only the leader itself deletes containers, in no session.
        self.prepare(op, 0 if isinstance(op, DeleteContainer) else session)
        txn = self.outstanding.popleft()
        self.history.append(txn)
        self.replica.apply(txn)
        self.prep.applied(txn.zxid)

    def asked(self) -> list[WriteSnapshotPart]:
        """The parts that the replica has asked for since."""
        effects, self.context.effects = self.context.effects, []
        return [effect for effect in effects if isinstance(effect, WriteSnapshotPart)]

    def take_part(self) -> bool:
        """Take what was asked for and ask for the next; False if there is nothing to do."""
        asked = self.asked()
        if not asked:
            return False
        (part,) = asked
        if self.is_complete:
            self.parts, self.is_complete = [], False
        self.parts.append(part)
        self.is_complete = part.is_last
        self.replica.on_snapshot_part_written()
        return True

    def recovered(self) -> Replica:
        """What a restart would make of the complete snapshot and the log."""
        zxid = self.parts[0].zxid
        znodes = tuple(znode for part in self.parts for znode in part.znodes)
        sessions = tuple(session for part in self.parts for session in part.sessions)
        behind = tuple(txn for txn in self.history if txn.zxid > zxid)
        found = Recovered(0, 0, Snapshot(zxid, znodes, sessions), behind)
        return Replica(Context(self.context.config), found)


def state(replica: Replica) -> object:
    """Everything replicated, and what the tree keeps beside it."""
    tree = replica.tree
    ephemerals = {owner: set(paths) for owner, paths in tree.ephemerals.items()}
    children = {path: set(znode.children) for path, znode in tree._znodes.items()}
    beside = (ephemerals, set(tree.containers), tree.quotas.usage, tree.data_size)
    return replica.last_zxid, replica.sessions, tree.digest(), beside, children


@pytest.fixture(autouse=True)
def small_parts() -> Iterator[None]:
    size, snapshots.PART_ZNODES = snapshots.PART_ZNODES, 1
    yield
    snapshots.PART_ZNODES = size


SESSIONS = st.integers(1, 3)
QUOTA = "/zookeeper/quota/a"
THERE = ("/a", "/a/a", "/a/b", "/b", "/b/a", QUOTA)
PATHS = st.sampled_from(
    (*THERE, "/c", "/b/b", "/a/a/a", f"{QUOTA}/zookeeper_limits", f"{QUOTA}/zookeeper_stats")
)
FLAGS = st.sampled_from([0, 0, 0, EPHEMERAL, EPHEMERAL, SEQUENTIAL])
SIMPLE = st.one_of(
    st.builds(Create, PATHS, st.binary(max_size=1), FLAGS),
    st.builds(CreateContainer, PATHS, st.just(b"")),
    st.builds(Delete, PATHS, st.just(-1)),
    st.builds(SetData, PATHS, st.binary(max_size=1), st.just(-1)),
)
ACLS = st.sampled_from([OPEN_ACL, (Acl(31, Id("digest", "u:p")), *OPEN_ACL)])
OPS = st.one_of(
    SIMPLE,
    SIMPLE,
    st.builds(Multi, st.lists(SIMPLE, min_size=1, max_size=3).map(tuple)),
    st.builds(SetAcl, PATHS, ACLS),
    st.builds(DeleteContainer, PATHS),
    st.builds(CreateSession, st.just(1000)),
    st.builds(CloseSession),
)
# None: the disk takes the next part.
STEPS = st.lists(st.none() | st.tuples(OPS, SESSIONS), min_size=1, max_size=60)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_a_snapshot_taken_while_writes_go_on_is_mended_by_the_log(
    steps: list[tuple[Write, int] | None],
) -> None:
    replicated = Replicated(snap_count=8)
    for session in (1, 2, 3):
        replicated.do(CreateSession(1000), session)
    for path in THERE:
        replicated.do(Create(path, b"", 0), 1)
    for step in steps:
        if step is None:
            replicated.take_part()
        else:
            replicated.do(*step)
            if replicated.is_complete:
                assert state(replicated.recovered()) == state(replicated.replica)
    while replicated.take_part():
        pass
    assert state(replicated.recovered()) == state(replicated.replica)
    for session in (1, 2, 3):
        replicated.do(CloseSession(), session)
    assert state(replicated.recovered()) == state(replicated.replica)


def begun(snap_count: int) -> Replicated:
    """A replica that has just begun a snapshot."""
    replicated = Replicated(snap_count)
    for number in range(snap_count):
        assert not replicated.context.effects
        replicated.do(Create(f"/{number}", b"", 0), 1)
    return replicated


def test_a_snapshot_begins_after_snap_count_transactions() -> None:
    replicated = begun(3)
    (part,) = replicated.asked()
    assert (part.zxid, part.last_zxid, part.is_last) == (3, 3, False)
    assert [znode.path for znode in part.znodes] == ["/"]


def test_one_part_at_a_time_and_the_next_only_when_it_is_taken() -> None:
    replicated = begun(3)
    for number in range(10):
        replicated.do(Create(f"/during-{number}", b"", 0), 1)
    assert len(replicated.asked()) == 1
    replicated.replica.on_snapshot_part_written()
    (part,) = replicated.asked()
    assert (part.zxid, part.last_zxid) == (3, 13)


def test_the_next_snapshot_counts_from_the_start_of_this_one() -> None:
    replicated = begun(3)
    while replicated.take_part():
        pass
    for number, count in enumerate([0, 0, 1]):
        replicated.do(Delete(f"/{number}", -1), 1)
        assert len(replicated.asked()) == count


def test_a_restart_counts_the_transactions_behind_the_snapshot() -> None:
    replicated = begun(3)
    context = Context(MemberConfig(1, (1,), snap_count=4))
    replica = Replica(context, Recovered(txns=tuple(replicated.history)))
    assert context.effects == []
    replica.apply(Txn(1, 0, 9, 0, CreateTxn("/x", b"", False, 1)))
    assert any(isinstance(effect, WriteSnapshotPart) for effect in context.effects)


def test_a_cut_or_another_state_ends_the_snapshot_under_way() -> None:
    """What the disk takes after it would be parts of two states."""
    ends: list[Callable[[Replica], None]] = [
        lambda replica: replica.truncate(2),
        lambda replica: replica.load(Snapshot(9, (), ())),
    ]
    for end in ends:
        replicated = begun(3)
        replicated.asked()
        end(replicated.replica)
        replicated.replica.on_snapshot_part_written()
        (effect,) = replicated.context.effects
        assert isinstance(effect, TruncateLog | PersistSnapshot)


def test_no_snapshot_begins_before_the_last_part_of_one_given_up_is_taken() -> None:
    replicated = begun(1)
    replicated.asked()
    replicated.replica.load(Snapshot(0, (), ()))
    replicated.do(Create("/a", b"", 0), 1)
    assert replicated.asked() == []
    replicated.replica.on_snapshot_part_written()
    replicated.do(Create("/b", b"", 0), 1)
    assert len(replicated.asked()) == 1


def test_members_take_their_snapshots_at_different_times() -> None:
    """Between half of snapCount and all of it, as in ZooKeeper."""
    intervals = [
        snapshots._interval(MemberConfig(sid, (1, 2, 3), (4,), snap_count=100))
        for sid in (1, 2, 3, 4)
    ]
    assert intervals == [100, 88, 75, 63]


def test_a_part_of_large_znodes_is_short() -> None:
    snapshots.PART_ZNODES = 1000
    tree = DataTree()
    for number in range(10):
        body = CreateTxn(f"/{number}", bytes(snapshots.PART_BYTES // 2), False, number + 1)
        tree.apply(Txn(1, 0, number + 1, 0, body))
    walk = tree.walk()
    sizes = []
    while part := snapshots._take(walk):
        sizes.append(len(part))
    assert sizes[1:-1] == [2] * (len(sizes) - 2)


def test_no_step_of_a_large_snapshot_hands_out_more_than_a_part(tmp_path: Path) -> None:
    """How long the steps are, is the machine's affair: `snapshot_benchmark` prints it."""
    snapshots.PART_ZNODES = 500
    figures = measure(5000, tmp_path)
    assert figures.parts >= 5000 / 500
    assert f"{figures.znodes} znodes in {figures.parts} parts" in report(figures)
