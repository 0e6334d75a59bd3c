"""What each operation and its reply look like in a history."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.acl import OPEN_ACL, Id
from client.history import FAILED, OK, Operation, Seen, Write
from client.ops import (
    EPHEMERAL,
    SEQUENTIAL,
    TTL_SEQUENTIAL_FLAGS,
    AclResult,
    AddWatch,
    Auth,
    Check,
    CheckWatches,
    ChildrenResult,
    Create,
    CreateContainer,
    CreateResult,
    CreateTtl,
    DataResult,
    Delete,
    ErrorResult,
    Exists,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    IdsResult,
    Multi,
    MultiRead,
    MultiResult,
    NumberResult,
    PathResult,
    PathsResult,
    Reconfig,
    RemoveWatches,
    Reply,
    Result,
    SetAcl,
    SetData,
    Stat,
    StatResult,
    Sync,
    UserOp,
    WatchMode,
    WhoAmI,
)
from client.recorded_ops import KINDS, reads_of, take_reply, value_of, writes_of

STAT = Stat(11, 12, 1000, 1001, 3, 0, 0, 7, 1, 0, 11)
SEEN = Seen(11, 12, 3, 7)
READ = Seen(11, 12, 3, 7, "v")

# Operation, what carries it out says, and its record: kind, writes, what is seen, names.
CASES: list[tuple[UserOp, Result, str, tuple[Write, ...], tuple[Seen | None, ...], list[str]]] = [
    (Create("/a", b"v"), PathResult("/a"), "create", (Write("create", "/a", "v"),), (), []),
    (
        Create("/a-", b"v", EPHEMERAL | SEQUENTIAL, OPEN_ACL, with_stat=True),
        CreateResult("/a-0000000004", STAT),
        "create",
        (Write("create", "/a-0000000004", "v", is_ephemeral=True, is_sequential=True),),
        (SEEN,),
        [],
    ),
    (
        CreateContainer("/a", None),
        CreateResult("/a", STAT),
        "create_container",
        (Write("create", "/a", may_vanish=True),),
        (SEEN,),
        [],
    ),
    (
        CreateTtl("/a", b"v", 5, flags=TTL_SEQUENTIAL_FLAGS),
        CreateResult("/a0000000004", STAT),
        "create_ttl",
        (Write("create", "/a0000000004", "v", is_sequential=True, may_vanish=True),),
        (SEEN,),
        [],
    ),
    (Delete("/a", 2), None, "delete", (Write("delete", "/a", "", 2),), (), []),
    (SetData("/a", b"v", 2), StatResult(STAT), "set", (Write("set", "/a", "v", 2),), (SEEN,), []),
    (
        Multi((Check("/a", 2), SetData("/b", b"v"), Create("/c-", b"w", SEQUENTIAL))),
        MultiResult((None, StatResult(STAT), PathResult("/c-0000000001"))),
        "multi",
        (
            Write("check", "/a", "", 2),
            Write("set", "/b", "v"),
            Write("create", "/c-0000000001", "w", is_sequential=True),
        ),
        (None, SEEN, None),
        [],
    ),
    (SetAcl("/a", OPEN_ACL), StatResult(STAT), "set_acl", (), (SEEN,), []),
    (Reconfig(), DataResult(b"v", STAT), "reconfig", (), (READ,), []),
    (GetData("/a"), DataResult(b"v", STAT), "get", (), (READ,), []),
    (Exists("/a"), StatResult(STAT), "exists", (), (SEEN,), []),
    (GetChildren("/a"), ChildrenResult(("b", "a"), STAT), "children", (), (SEEN,), ["a", "b"]),
    (GetAcl("/a"), AclResult(OPEN_ACL, STAT), "get_acl", (), (SEEN,), []),
    (GetEphemerals("/a"), PathsResult(("/a/b",)), "get_ephemerals", (), (), ["/a/b"]),
    (GetAllChildrenNumber("/a"), NumberResult(4), "get_all_children_number", (), (), []),
    (
        MultiRead((GetData("/a"), GetChildren("/b"), GetData("/none"))),
        MultiResult((DataResult(b"v", STAT), ChildrenResult(("c",), STAT), ErrorResult(-101))),
        "multi_read",
        (),
        (READ, SEEN, None),
        [],
    ),
    (Sync("/a"), PathResult("/a"), "sync", (), (), []),
    (WhoAmI(), IdsResult((Id("ip", "::1"),)), "who_am_i", (), (), []),
    (Auth("digest", b"user:secret"), None, "add_auth", (), (), []),
    (AddWatch("/a", WatchMode.PERSISTENT), None, "add_watch", (), (), []),
    (CheckWatches("/a"), None, "check_watches", (), (), []),
    (RemoveWatches("/a"), None, "remove_watches", (), (), []),
]


def recorded(op: UserOp, reply: Reply) -> Operation:
    operation = Operation(1, 1, 1, KINDS[type(op)], op.path, 0.0, writes_of(op), reads=reads_of(op))
    take_reply(operation, op, reply)
    return operation


@pytest.mark.parametrize(("op", "result", "kind", "writes", "seen", "names"), CASES)
def test_an_operation_carried_out(
    op: UserOp,
    result: Result,
    kind: str,
    writes: tuple[Write, ...],
    seen: tuple[Seen | None, ...],
    names: list[str],
) -> None:
    operation = recorded(op, Reply(1, 42, 0, result))
    assert (operation.kind, operation.outcome, operation.zxid) == (kind, OK, 42)
    assert (operation.writes, operation.seen) == (writes, seen)
    assert list(operation.names) == names
    assert "secret" not in repr(operation)


def test_no_kind_of_operation_is_left_out() -> None:
    kinds = set(get_args(UserOp))
    assert kinds == set(KINDS)
    # A check comes in a multi only.
    assert kinds - {Check} == {type(case[0]) for case in CASES}


def test_an_operation_of_several_reads_names_them() -> None:
    assert reads_of(MultiRead((GetData("/a"), GetChildren("/b")))) == ("/a", "/b")


def test_a_refused_operation_shows_nothing() -> None:
    operation = recorded(SetData("/a", b"v", 7), Reply(1, 42, -103, None))
    assert (operation.outcome, operation.error) == (FAILED, "BadVersion")
    assert (operation.zxid, operation.seen) == (42, ())


def test_a_failed_multi_has_the_error_of_the_part_that_failed() -> None:
    result = MultiResult((ErrorResult(0), ErrorResult(-110), ErrorResult(-2)))
    op = Multi((Delete("/a"), Create("/b"), Delete("/c")))
    operation = recorded(op, Reply(1, 42, 0, result))
    assert (operation.outcome, operation.error, operation.seen) == (FAILED, "NodeExists", ())


@pytest.mark.parametrize(
    ("op", "error", "left"),
    [
        (GetData("/a", watch=True), 0, "data"),
        (GetData("/a", watch=True), -101, ""),
        (GetData("/a"), 0, ""),
        (Exists("/a", watch=True), 0, "data"),
        (Exists("/a", watch=True), -101, "exist"),
        (GetChildren("/a", watch=True), 0, "child"),
        (AddWatch("/a", WatchMode.PERSISTENT), 0, "persistent"),
        (AddWatch("/a", WatchMode.PERSISTENT_RECURSIVE), 0, "recursive"),
        (AddWatch("/a", WatchMode.PERSISTENT), -5, ""),
    ],
)
def test_the_watch_that_an_answer_leaves(op: UserOp, error: int, left: str) -> None:
    assert recorded(op, Reply(1, 42, error, None)).watch == left


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (None, ""),
        (b"", ""),
        ("größer".encode(), "größer"),
        (b"x" * 64, "x" * 64),
        (b"x" * 65, "sha256:9537c5fdf120482f"),
        (b"\xff", "sha256:a8100ae6aa1940d0"),
        (b"two\nlines", "sha256:edc8c1284585d703"),
    ],
)
def test_data_as_a_value(data: bytes | None, value: str) -> None:
    assert value_of(data) == value


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_values_tell_data_apart(one: bytes, other: bytes) -> None:
    assert (value_of(one) == value_of(other)) == (one == other)
    assert len(value_of(one)) <= 64
