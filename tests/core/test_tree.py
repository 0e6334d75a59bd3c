"""The data tree: layout, stat, ephemerals, and replay that changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.core.errors import ErrorCode, InvariantBroken
from nodes.core.requests import (
    OPEN_ACL,
    Acl,
    Check,
    CloseSession,
    Create,
    CreateContainer,
    CreateSession,
    CreateTtl,
    Delete,
    DeleteContainer,
    ErrorResult,
    Id,
    Multi,
    MultiResult,
    PathResult,
    SetAcl,
    SetData,
    Stat,
    StatResult,
    Write,
)
from nodes.core.tree import Applied, DataTree, EventType
from nodes.core.txns import (
    CloseSessionTxn,
    CreateSessionTxn,
    CreateTxn,
    DeleteTxn,
    ErrorTxn,
    SetDataTxn,
    Txn,
    TxnBody,
)
from nodes.core.znode import to_int32

from .pipeline import OTHER, SESSION, Pipeline


def txn(zxid: int, body: TxnBody, session: int = SESSION) -> Txn:
    return Txn(session, 1, zxid, 10 * zxid, body)


def test_fresh_tree() -> None:
    tree = DataTree()
    assert tree.node_count == 5
    assert tree.ephemeral_count == 0
    root = tree.find("/")
    assert root is not None
    assert root is tree.find("")
    assert root.stat() == Stat(0, 0, 0, 0, 0, -1, 0, 0, 0, 1, 0)
    assert [image.path for image in tree.images()] == [
        "/",
        "/zookeeper",
        "/zookeeper/config",
        "/zookeeper/quota",
    ]


def test_stat_after_create_and_set_data() -> None:
    pipeline = Pipeline()
    pipeline.write(Create("/a", b"abc", 1))
    assert pipeline.stat("/a") == Stat(1, 1, 10, 10, 0, 0, 0, SESSION, 3, 0, 1)
    applied = pipeline.write(SetData("/a", None))
    assert applied.result == StatResult(Stat(1, 2, 10, 20, 1, 0, 0, SESSION, 0, 0, 1))
    assert applied.result == StatResult(pipeline.stat("/a"))


def test_cversion_counts_creates_and_deletes_of_children() -> None:
    pipeline = Pipeline()
    pipeline.create("/a", "/a/b", "/a/c", "/a/c/d")
    stat = pipeline.stat("/a")
    assert (stat.cversion, stat.num_children, stat.pzxid, stat.mzxid) == (2, 2, 3, 1)
    pipeline.write(Delete("/a/b"))
    stat = pipeline.stat("/a")
    assert (stat.cversion, stat.num_children, stat.pzxid) == (3, 1, 5)
    assert pipeline.stat("/").cversion == 0


def test_changes_name_the_event_and_then_the_parents() -> None:
    pipeline = Pipeline()
    assert pipeline.write(Create("/a", b"")).changes == [
        (EventType.NODE_CREATED, "/a", OPEN_ACL),
        (EventType.NODE_CHILDREN_CHANGED, "/", OPEN_ACL),
    ]
    assert pipeline.write(SetData("/a", b"")).changes == [
        (EventType.NODE_DATA_CHANGED, "/a", OPEN_ACL)
    ]
    assert pipeline.write(Delete("/a")).changes == [
        (EventType.NODE_DELETED, "/a", OPEN_ACL),
        (EventType.NODE_CHILDREN_CHANGED, "/", OPEN_ACL),
    ]


def test_session_and_error_txns_change_nothing() -> None:
    tree = DataTree()
    before = tree.digest()
    error = txn(1, ErrorTxn(ErrorCode.NO_NODE))
    assert tree.apply(error) == Applied(ErrorCode.NO_NODE, None, [])
    assert tree.apply(txn(2, CreateSessionTxn(1000))) == Applied(ErrorCode.OK, None, [])
    assert tree.apply(txn(3, CloseSessionTxn(()))) == Applied(ErrorCode.OK, None, [])
    assert tree.digest() == before


def test_multi_results() -> None:
    pipeline = Pipeline()
    multi = Multi((Create("/a", b""), Check("/a", 0), SetData("/a", b"xy"), Create("/b", None)))
    applied = pipeline.write(multi)
    assert applied.error == ErrorCode.OK
    assert applied.result == MultiResult(
        (
            PathResult("/a"),
            None,
            StatResult(Stat(1, 1, 10, 10, 1, 0, 0, 0, 2, 0, 1)),
            PathResult("/b"),
        )
    )
    assert pipeline.write(Multi((Delete("/a"), Delete("/b")))).result == MultiResult((None, None))
    assert pipeline.write(Multi(())).result == MultiResult(())


def test_failed_multi_changes_nothing_and_names_each_part() -> None:
    pipeline = Pipeline()
    before = pipeline.tree.digest()
    applied = pipeline.write(Multi((Create("/a", b""), Delete("/x"), Create("/b", b""))))
    assert applied.error == ErrorCode.OK
    assert applied.changes == []
    assert applied.result == MultiResult(
        (
            ErrorResult(ErrorCode.OK),
            ErrorResult(ErrorCode.NO_NODE),
            ErrorResult(ErrorCode.RUNTIME_INCONSISTENCY),
        )
    )
    assert pipeline.tree.digest() == before


def test_kill_session_deletes_the_txns_paths_and_then_leftovers() -> None:
    pipeline = Pipeline()
    pipeline.create("/q")
    pipeline.create("/q/a", "/q/b", "/q/c", flags=1)
    pipeline.create("/q/other", flags=1, session=OTHER)
    assert pipeline.tree.ephemeral_count == 4
    applied = pipeline.tree.apply(txn(9, CloseSessionTxn(("/q/c", "/q/missing", "/q/a"))))
    assert applied.changes == [
        (event, path, OPEN_ACL)
        for deleted in ("/q/c", "/q/a", "/q/b")
        for event, path in (
            (EventType.NODE_DELETED, deleted),
            (EventType.NODE_CHILDREN_CHANGED, "/q"),
        )
    ]
    assert pipeline.stat("/q").pzxid == 9
    assert pipeline.tree.ephemerals == {OTHER: {"/q/other": None}}


def test_deleting_the_last_ephemeral_forgets_its_session() -> None:
    pipeline = Pipeline()
    pipeline.create("/a", "/b", flags=1)
    pipeline.write(Delete("/a"))
    assert pipeline.tree.ephemerals == {SESSION: {"/b": None}}
    pipeline.write(Delete("/b"))
    assert pipeline.tree.ephemerals == {}


def test_replayed_create_moves_the_parent_only_upwards() -> None:
    tree = DataTree()
    first, second = (txn(n, CreateTxn(f"/{n}", b"", False, n)) for n in (1, 2))
    tree.apply(first)
    tree.apply(second)
    assert tree.apply(first).error == ErrorCode.NODE_EXISTS
    root = tree.find("/")
    assert root is not None
    assert (root.cversion, root.pzxid) == (2, 2)
    # The child was caught by a fuzzy snapshot that had missed its parent's change.
    assert tree.apply(txn(3, CreateTxn("/1", b"", False, 3))).error == ErrorCode.NODE_EXISTS
    assert (root.cversion, root.pzxid) == (3, 3)


def test_replayed_delete_of_a_missing_znode_still_moves_pzxid_but_only_upwards() -> None:
    tree = DataTree()
    root = tree.find("/")
    assert root is not None
    assert tree.apply(txn(5, DeleteTxn("/a"))).error == ErrorCode.NO_NODE
    assert root.pzxid == 5
    assert tree.apply(txn(4, DeleteTxn("/a"))).error == ErrorCode.NO_NODE
    assert root.pzxid == 5


@pytest.mark.parametrize(
    "body",
    [CreateTxn("/x/a", b"", False, 1), DeleteTxn("/x/a"), SetDataTxn("/x", b"", 1)],
)
def test_txn_without_its_znode_fails_softly(body: TxnBody) -> None:
    tree = DataTree()
    before = tree.digest()
    assert tree.apply(txn(1, body)) == Applied(ErrorCode.NO_NODE, None, [])
    assert tree.digest() == before


@pytest.mark.parametrize(
    ("number", "wrapped"),
    [
        (0, 0),
        (-1, -1),
        (2**31 - 1, 2**31 - 1),
        (2**31, -(2**31)),
        (-(2**31), -(2**31)),
        (-(2**31) - 1, 2**31 - 1),
    ],
)
def test_int32_wraps_as_in_java(number: int, wrapped: int) -> None:
    assert to_int32(number) == wrapped


def test_images_without_a_parent_or_a_root_are_refused() -> None:
    images = DataTree().images()
    with pytest.raises(InvariantBroken, match="/zookeeper without its parent"):
        DataTree.from_images(images[1:])
    with pytest.raises(InvariantBroken, match="no root"):
        DataTree.from_images(())


def test_every_field_of_a_znode_is_in_the_digest() -> None:
    pipeline = Pipeline()
    pipeline.create("/a")
    *others, image = sorted(pipeline.tree.images(), key=lambda image: image.path == "/a")
    digests = {pipeline.tree.digest()}
    numbers = ("czxid", "mzxid", "pzxid", "ctime", "mtime", "version", "cversion", "aversion")
    for change in (
        {"data": None},
        {"data": b"x"},
        {"path": "/b"},
        {"ephemeral_owner": SESSION},
        {"acl": (Acl(1, Id("world", "anyone")),)},
        {"ttl_ms": 5},
        *({name: 77} for name in numbers),
    ):
        changed = replace(image, **change)  # type: ignore[arg-type]
        digests.add(DataTree.from_images((*others, changed)).digest())
    assert len(digests) == 7 + len(numbers)


# --- replay ---------------------------------------------------------------------------------------

QUOTA = "/zookeeper/quota/a"
PATHS = st.sampled_from(
    (
        *("/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/z"),
        *(QUOTA, f"{QUOTA}/zookeeper_limits", f"{QUOTA}/zookeeper_stats"),
    )
)
DATA = st.sampled_from([None, b"", b"1"])
ACLS = st.sampled_from([OPEN_ACL, (Acl(31, Id("digest", "u:p")), *OPEN_ACL)])
PARTS = st.one_of(
    st.builds(Create, PATHS, DATA, st.integers(0, 3), ACLS),
    st.builds(CreateContainer, PATHS, DATA),
    st.builds(CreateTtl, PATHS, DATA, st.integers(0, 2)),
    st.builds(Delete, PATHS),
    st.builds(SetData, PATHS, st.binary(max_size=2)),
    st.builds(Check, PATHS, st.integers(-1, 1)),
)
SESSIONS = st.sampled_from([SESSION, OTHER])
WRITES: st.SearchStrategy[Write] = st.one_of(
    PARTS,
    st.builds(Multi, st.lists(PARTS, max_size=4).map(tuple)),
    st.builds(SetAcl, PATHS, ACLS, st.integers(-1, 1)),
    st.builds(DeleteContainer, PATHS),
    st.builds(CloseSession),
    st.builds(CreateSession, st.just(1000)),
)


@given(st.lists(st.tuples(WRITES, SESSIONS, st.integers(0, 3)), max_size=40), st.integers(0, 40))
def test_replay_to_the_end_changes_nothing(steps: list[tuple[Write, int, int]], start: int) -> None:
    pipeline = Pipeline(extended_types_enabled=True)
    pipeline.create("/a", QUOTA)
    for op, session, backlog in steps:
        # Only the leader itself deletes containers, in no session.
        pipeline.prepare(op, 0 if isinstance(op, DeleteContainer) else session)
        pipeline.commit(max(0, len(pipeline.outstanding) - backlog))
    pipeline.commit()
    tree = pipeline.tree
    before = tree.digest()
    containers = set(tree.containers)
    assert all(image.ttl_ms for image in tree.images() if image.path in containers)
    assert len(containers) == sum(1 for image in tree.images() if image.ttl_ms)
    ephemerals = {session: set(paths) for session, paths in tree.ephemerals.items()}
    for replayed in pipeline.history[start:]:
        tree.apply(replayed)
    assert tree.digest() == before
    assert {session: set(paths) for session, paths in tree.ephemerals.items()} == ephemerals

    again = DataTree()
    for replayed in pipeline.history:
        again.apply(replayed)
    assert again.digest() == before

    loaded = DataTree.from_images(tree.images())
    assert loaded.digest() == before
    assert loaded.images() == tree.images()
    assert loaded.containers.keys() == containers
    assert loaded.data_size == tree.data_size
    assert {session: set(paths) for session, paths in loaded.ephemerals.items()} == ephemerals
