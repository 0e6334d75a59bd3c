"""Validation of writes, in the order of ZooKeeper's `PrepRequestProcessor`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.core.errors import ErrorCode
from nodes.core.prep import Prep
from nodes.core.requests import (
    Check,
    CloseSession,
    Create,
    CreateSession,
    Delete,
    MalformedWrite,
    Multi,
    PathResult,
    SetData,
    Write,
)
from nodes.core.tree import DataTree
from nodes.core.txns import (
    CheckTxn,
    CloseSessionTxn,
    CreateSessionTxn,
    CreateTxn,
    DeleteTxn,
    ErrorTxn,
    MultiTxn,
    SetDataTxn,
    Txn,
    TxnBody,
)

from .pipeline import OTHER, SESSION, Pipeline
from .test_tree import SESSIONS, WRITES

EXPIRED = ErrorCode.SESSION_EXPIRED
MOVED = ErrorCode.SESSION_MOVED


def furnished() -> Pipeline:
    """/a with data version 1 and a child /a/b; /e, an ephemeral of SESSION."""
    pipeline = Pipeline()
    pipeline.create("/a", "/a/b")
    pipeline.create("/e", flags=1)
    pipeline.write(SetData("/a", b""))
    return pipeline


ERRORS: list[tuple[Write, ErrorCode]] = [
    # create: flags, path form, parent, path rules, exists, ephemeral parent.
    (Create("/x", b"", 7), ErrorCode.BAD_ARGUMENTS),
    (Create("/x", b"", -1), ErrorCode.BAD_ARGUMENTS),
    (Create("/x", b"", 5), ErrorCode.UNIMPLEMENTED),
    (Create("/x", b"", 6), ErrorCode.UNIMPLEMENTED),
    (Create("abc", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("/missing/\0", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("//a", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("/x/", b""), ErrorCode.NO_NODE),
    (Create("/a/", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("/./a", b""), ErrorCode.NO_NODE),
    (Create("/missing/\x01", b""), ErrorCode.NO_NODE),
    (Create("/a/\x01", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("/e/..", b""), ErrorCode.BAD_ARGUMENTS),
    (Create("/", b""), ErrorCode.NODE_EXISTS),
    (Create("/a", b""), ErrorCode.NODE_EXISTS),
    (Create("/e/x", b""), ErrorCode.NO_CHILDREN_FOR_EPHEMERALS),
    # delete: path form, parent, node, version, children.
    (Delete("abc"), ErrorCode.BAD_ARGUMENTS),
    (Delete("/missing/\0"), ErrorCode.BAD_ARGUMENTS),
    (Delete("/"), ErrorCode.BAD_ARGUMENTS),
    (Delete("/zookeeper"), ErrorCode.BAD_ARGUMENTS),
    (Delete("/zookeeper/quota", 9), ErrorCode.BAD_ARGUMENTS),
    (Delete("/zookeeper/config"), ErrorCode.BAD_ARGUMENTS),
    (Delete("/missing/x"), ErrorCode.NO_NODE),
    (Delete("/missing"), ErrorCode.NO_NODE),
    (Delete("/a/"), ErrorCode.NO_NODE),
    (Delete("/a", 0), ErrorCode.BAD_VERSION),
    (Delete("/a", 1), ErrorCode.NOT_EMPTY),
    (Delete("/a"), ErrorCode.NOT_EMPTY),
    # setData and check: path rules, node, version.
    (SetData("abc", b""), ErrorCode.BAD_ARGUMENTS),
    (SetData("/missing/", b""), ErrorCode.BAD_ARGUMENTS),
    (SetData("/missing", b"", 9), ErrorCode.NO_NODE),
    (SetData("/a", b"", 0), ErrorCode.BAD_VERSION),
    (SetData("/a", b"", -2), ErrorCode.BAD_VERSION),
    (Check("/a/", 0), ErrorCode.BAD_ARGUMENTS),
    (Check("/missing", 9), ErrorCode.NO_NODE),
    (Check("/a", 0), ErrorCode.BAD_VERSION),
]


@pytest.mark.parametrize(("op", "error"), ERRORS, ids=[str(op) for op, _ in ERRORS])
def test_first_failing_check_decides(op: Write, error: ErrorCode) -> None:
    pipeline = furnished()
    before = pipeline.tree.digest()
    assert pipeline.prepare(op) == ErrorTxn(error)
    assert pipeline.commit()[0].error == error
    assert pipeline.tree.digest() == before


@pytest.mark.parametrize("verdict", [EXPIRED, MOVED])
@pytest.mark.parametrize(
    "op",
    [Create("/x", b""), Create("", b""), Create("/x", b"", 1), Delete(""), SetData("", b"")],
)
def test_session_is_checked_before_path_and_node(op: Write, verdict: ErrorCode) -> None:
    assert furnished().prepare(op, session_error=verdict) == ErrorTxn(verdict)


def test_create_checks_its_flags_before_the_session() -> None:
    pipeline = furnished()
    create = Create("/x", b"", 7)
    assert pipeline.prepare(create, session_error=EXPIRED) == ErrorTxn(ErrorCode.BAD_ARGUMENTS)


def test_create_and_close_session_are_not_checked() -> None:
    pipeline = furnished()
    assert pipeline.prepare(CreateSession(70), session_error=MOVED) == CreateSessionTxn(70)
    closing = pipeline.prepare(CloseSession(), session_error=EXPIRED)
    assert closing == CloseSessionTxn(("/e",))


@pytest.mark.parametrize(
    ("op", "body"),
    [
        (Create("/x", None), CreateTxn("/x", None, False, 3)),
        (Create("/x", b"1", 1), CreateTxn("/x", b"1", True, 3)),
        (Create("/x-", b"", 2), CreateTxn("/x-0000000002", b"", False, 3)),
        (Create("/x-", b"", 3), CreateTxn("/x-0000000002", b"", True, 3)),
        (Create("/a/", b"", 2), CreateTxn("/a/0000000001", b"", False, 2)),
        (Create("/", b"", 2), CreateTxn("/0000000002", b"", False, 3)),
        (Create("/x", b"", 4), CreateTxn("/x", b"", False, 3)),
        (Create("/zookeeper/x", b""), CreateTxn("/zookeeper/x", b"", False, 1)),
        (Delete("/a/b", 0), DeleteTxn("/a/b")),
        (Delete("/e"), DeleteTxn("/e")),
        (SetData("/a", b"2", 1), SetDataTxn("/a", b"2", 2)),
        (SetData("/", None), SetDataTxn("/", None, 1)),
        (Check("/a", 1), CheckTxn("/a")),
        (Multi(()), MultiTxn(())),
    ],
)
def test_txn_of_a_good_write(op: Write, body: TxnBody) -> None:
    pipeline = furnished()
    assert pipeline.prepare(op) == body
    assert pipeline.commit()[0].error == ErrorCode.OK


# --- sequence numbers -----------------------------------------------------------------------------


def sequential(pipeline: Pipeline, prefix: str = "/s/n") -> str:
    body = pipeline.prepare(Create(prefix, b"", 2))
    assert isinstance(body, CreateTxn)
    return body.path.removeprefix(prefix)


def test_sequence_counts_every_child_create_and_no_failed_one() -> None:
    pipeline = Pipeline()
    pipeline.create("/s")
    assert sequential(pipeline) == "0000000000"
    pipeline.prepare(Delete("/s/n0000000000"))
    assert sequential(pipeline) == "0000000001"
    pipeline.commit()
    pipeline.create("/s/plain")
    pipeline.write(Create("/s/plain", b""))
    assert sequential(pipeline) == "0000000003"
    pipeline.commit()
    assert sequential(pipeline) == "0000000004"


def test_failed_multi_consumes_no_sequence_number() -> None:
    pipeline = Pipeline()
    pipeline.create("/s")
    pipeline.prepare(Multi((Create("/s/n", b"", 2), Delete("/missing"))))
    assert sequential(pipeline) == "0000000000"
    pipeline.prepare(Multi((Create("/s/n", b"", 2), Create("/s/n", b"", 2))))
    pipeline.prepare(Multi((Create("/s/n", b"", 2), Delete("/missing"))))
    assert sequential(pipeline) == "0000000003"


def test_sequence_wraps_negative() -> None:
    tree = DataTree()
    root = tree.find("/")
    assert root is not None
    root.cversion = 2**31 - 1
    body = Prep(tree).prepare(SESSION, Create("/n", b"", 2), 1, ErrorCode.OK, ())
    assert body == CreateTxn("/n2147483647", b"", False, -(2**31))
    root.cversion = -(2**31)
    body = Prep(tree).prepare(SESSION, Create("/n", b"", 2), 1, ErrorCode.OK, ())
    assert body == CreateTxn("/n-2147483648", b"", False, 1 - 2**31)


# --- outstanding changes --------------------------------------------------------------------------


def test_writes_see_what_is_outstanding() -> None:
    pipeline = Pipeline()
    assert pipeline.prepare(Create("/p", b"")) == CreateTxn("/p", b"", False, 1)
    assert pipeline.prepare(Create("/p", b"")) == ErrorTxn(ErrorCode.NODE_EXISTS)
    assert pipeline.prepare(SetData("/p", b"", 0)) == SetDataTxn("/p", b"", 1)
    assert pipeline.prepare(SetData("/p", b"", 0)) == ErrorTxn(ErrorCode.BAD_VERSION)
    assert pipeline.prepare(SetData("/p", b"", 1)) == SetDataTxn("/p", b"", 2)
    assert pipeline.prepare(Create("/p/c", b"", 1)) == CreateTxn("/p/c", b"", True, 1)
    assert pipeline.prepare(Create("/p/c/d", b"")) == ErrorTxn(ErrorCode.NO_CHILDREN_FOR_EPHEMERALS)
    assert pipeline.prepare(Delete("/p", 2)) == ErrorTxn(ErrorCode.NOT_EMPTY)
    assert pipeline.prepare(Delete("/p/c")) == DeleteTxn("/p/c")
    assert pipeline.prepare(Delete("/p/c")) == ErrorTxn(ErrorCode.NO_NODE)
    assert pipeline.prepare(Delete("/p", 2)) == DeleteTxn("/p")
    assert pipeline.prepare(SetData("/p", b"")) == ErrorTxn(ErrorCode.NO_NODE)
    assert pipeline.prepare(Create("/p/c", b"")) == ErrorTxn(ErrorCode.NO_NODE)
    assert pipeline.prepare(Create("/p", b"")) == CreateTxn("/p", b"", False, 2)
    assert pipeline.prepare(Create("/p/c", b"")) == CreateTxn("/p/c", b"", False, 1)
    pipeline.commit()
    assert pipeline.stat("/p").version == 0


def test_applying_an_old_change_keeps_the_newer_record() -> None:
    pipeline = Pipeline()
    pipeline.prepare(Create("/p", b""))
    pipeline.prepare(Delete("/p"))
    pipeline.commit(1)
    assert pipeline.tree.find("/p") is not None
    assert pipeline.prepare(SetData("/p", b"")) == ErrorTxn(ErrorCode.NO_NODE)


def test_records_are_dropped_when_applied() -> None:
    pipeline = Pipeline()
    pipeline.create("/p")
    assert pipeline.prepare(Delete("/p")) == DeleteTxn("/p")
    # The leader's tree lost an uncommitted change only in this test: Prep must look at the tree.
    pipeline.prep.applied(pipeline.zxid)
    assert pipeline.prepare(SetData("/p", b"")) == SetDataTxn("/p", b"", 1)


# --- multi ----------------------------------------------------------------------------------------


def test_parts_see_earlier_parts() -> None:
    multi = Multi((Create("/p", b""), Create("/p/c", b""), SetData("/p", b"", 0), Check("/p", 1)))
    assert Pipeline().prepare(multi) == MultiTxn(
        (
            CreateTxn("/p", b"", False, 1),
            CreateTxn("/p/c", b"", False, 1),
            SetDataTxn("/p", b"", 1),
            CheckTxn("/p"),
        )
    )


def test_failed_multi_carries_one_error_for_each_part() -> None:
    multi = Multi((Create("/p", b""), Check("/p", 3), Create("/q", b""), Delete("/q")))
    assert Pipeline().prepare(multi) == MultiTxn(
        (
            ErrorTxn(ErrorCode.OK),
            ErrorTxn(ErrorCode.BAD_VERSION),
            ErrorTxn(ErrorCode.RUNTIME_INCONSISTENCY),
            ErrorTxn(ErrorCode.RUNTIME_INCONSISTENCY),
        )
    )


@pytest.mark.parametrize("verdict", [EXPIRED, MOVED])
def test_failing_session_shows_inside_the_multi(verdict: ErrorCode) -> None:
    multi = Multi((Create("/p", b""), Delete("/q")))
    assert Pipeline().prepare(multi, session_error=verdict) == MultiTxn(
        (ErrorTxn(verdict), ErrorTxn(ErrorCode.RUNTIME_INCONSISTENCY))
    )


def test_roll_back_restores_outstanding_changes_of_node_and_parent() -> None:
    pipeline = Pipeline()
    pipeline.prepare(Create("/p", b""))
    pipeline.prepare(Create("/p/c", b""))
    pipeline.prepare(SetData("/p/c", b""))
    failed = (
        SetData("/p/c", b""),
        Delete("/p/c"),
        Create("/p/d", b"", 1),
        Delete("/p/d"),
        Delete("/p"),
        Delete("/p"),
    )
    pipeline.prepare(Multi(failed))
    assert pipeline.prepare(Delete("/p")) == ErrorTxn(ErrorCode.NOT_EMPTY)
    assert pipeline.prepare(Check("/p/c", 1)) == CheckTxn("/p/c")
    assert pipeline.prepare(Create("/p/d", b"")) == CreateTxn("/p/d", b"", False, 2)
    assert all(
        applied.error in (ErrorCode.OK, ErrorCode.NOT_EMPTY) for applied in pipeline.commit()
    )


def test_roll_back_uncovers_the_tree() -> None:
    pipeline = furnished()
    pipeline.prepare(Multi((Delete("/a/b"), Delete("/a"), Create("/e", b""))))
    assert pipeline.prepare(Delete("/a")) == ErrorTxn(ErrorCode.NOT_EMPTY)
    assert pipeline.prepare(Delete("/a/b")) == DeleteTxn("/a/b")


# --- closeSession ---------------------------------------------------------------------------------


def test_close_session_takes_the_ephemerals_less_deletes_plus_creates() -> None:
    pipeline = Pipeline()
    pipeline.create("/kept", "/set", "/deleted", "/taken", flags=1)
    pipeline.create("/others", flags=1, session=OTHER)
    pipeline.prepare(SetData("/set", b""), OTHER)
    pipeline.prepare(Delete("/deleted"))
    pipeline.prepare(Delete("/taken"))
    pipeline.prepare(Create("/taken", b"", 1), OTHER)
    pipeline.prepare(Create("/new", b"", 1))
    pipeline.prepare(Create("/brief", b"", 1))
    pipeline.prepare(Delete("/brief"))
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(("/kept", "/set", "/new"))
    pipeline.commit()
    assert pipeline.tree.ephemerals == {OTHER: {"/others": None, "/taken": None}}


def test_create_of_a_path_whose_close_session_is_outstanding_succeeds() -> None:
    pipeline = furnished()
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(("/e",))
    assert pipeline.tree.find("/e") is not None
    assert pipeline.prepare(Create("/e", b"", 1), OTHER) == CreateTxn("/e", b"", True, 3)
    _, created = pipeline.commit()
    assert created.result == PathResult("/e")
    assert pipeline.stat("/e").ephemeral_owner == OTHER


def test_delete_of_a_path_whose_close_session_is_outstanding_finds_nothing() -> None:
    pipeline = furnished()
    pipeline.prepare(CloseSession())
    assert pipeline.prepare(Delete("/e"), OTHER) == ErrorTxn(ErrorCode.NO_NODE)


def test_parent_counts_the_closing_sessions_children_until_they_are_gone() -> None:
    pipeline = furnished()
    pipeline.create("/a/e", flags=1)
    pipeline.write(Delete("/a/b"))
    pipeline.prepare(CloseSession())
    assert pipeline.prepare(Delete("/a")) == ErrorTxn(ErrorCode.NOT_EMPTY)
    pipeline.commit()
    assert pipeline.prepare(Delete("/a")) == DeleteTxn("/a")


def test_second_close_session_has_nothing_left() -> None:
    pipeline = furnished()
    pipeline.prepare(Create("/f", b"", 1))
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(("/e", "/f"))
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(())


def test_recreated_ephemeral_survives_the_application_of_its_first_life() -> None:
    pipeline = Pipeline()
    pipeline.prepare(Create("/e", b"", 1))
    pipeline.prepare(Delete("/e"))
    pipeline.prepare(Create("/e", b"", 1))
    pipeline.commit(2)
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(("/e",))


def test_ephemeral_of_a_failed_multi_is_not_the_sessions() -> None:
    pipeline = Pipeline()
    pipeline.prepare(Multi((Create("/e", b"", 1), Delete("/missing"))))
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(())
    pipeline.prepare(Create("/f", b"", 1))
    pipeline.prepare(Multi((Delete("/f"), Create("/f", b"", 1), Delete("/missing"))))
    assert pipeline.prepare(CloseSession()) == CloseSessionTxn(("/f",))


# --- any history ----------------------------------------------------------------------------------


@given(st.lists(st.tuples(WRITES, SESSIONS, st.integers(0, 5)), max_size=40))
def test_what_was_validated_applies_and_closing_leaves_nothing(
    steps: list[tuple[Write, int, int]],
) -> None:
    """Only an ErrorTxn fails on the tree, and closeSession names all that is left to delete."""
    pipeline = Pipeline()

    def commit(count: int) -> None:
        for _ in range(count):
            txn = pipeline.outstanding[0]
            owned = set(pipeline.tree.ephemerals.get(txn.session_id, ()))
            assert_applies(txn, owned, pipeline)

    for op, session, backlog in steps:
        pipeline.prepare(op, session)
        commit(max(0, len(pipeline.outstanding) - backlog))
    commit(len(pipeline.outstanding))
    assert not pipeline.prep._changes._outstanding
    assert not pipeline.prep._changes._by_path
    assert not pipeline.prep._changes._pending_ephemerals


def assert_applies(txn: Txn, owned: set[str], pipeline: Pipeline) -> None:
    body = txn.body
    applied = pipeline.commit(1)[0]
    expected = body.error if isinstance(body, ErrorTxn) else ErrorCode.OK
    assert applied.error == expected
    if isinstance(body, CloseSessionTxn):
        assert set(body.paths) == owned
        assert len(applied.changes) == 2 * len(owned)


def test_a_write_that_cannot_be_read_is_refused_as_a_write() -> None:
    prep = Prep(DataTree())
    assert prep.prepare(1, MalformedWrite(), 9, ErrorCode.OK, ()) == ErrorTxn(
        ErrorCode.MARSHALLING_ERROR
    )
