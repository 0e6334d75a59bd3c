"""Prep with access lists, containers, TTL znodes, quotas: checks in ZooKeeper's order."""

from __future__ import annotations

import pytest

from nodes.core.acl import ADMIN, ALL, CREATE, DELETE, READ, SUPER, WRITE, digest_id
from nodes.core.errors import ErrorCode
from nodes.core.messages import Request
from nodes.core.requests import (
    OPEN_ACL,
    Acl,
    Check,
    Create,
    CreateContainer,
    CreateResult,
    CreateTtl,
    Delete,
    DeleteContainer,
    ErrorResult,
    Id,
    Multi,
    MultiOp,
    MultiResult,
    PathResult,
    Reconfig,
    SetAcl,
    SetData,
    StatResult,
    Write,
)
from nodes.core.txns import CONTAINER_TTL, CreateTxn, DeleteTxn, ErrorTxn, SetAclTxn

from .pipeline import SESSION, Pipeline

ANYONE = Id("world", "anyone")
ANN = Id("digest", digest_id("ann:secret"))
# The session of what the leader itself asks for.
LEADER = 0
EMPTY: tuple[Acl, ...] = ()
INVALID = (Acl(ALL, Id("digest", "ann")),)
TO_AUTH = (Acl(READ, Id("auth", "")),)
EVERY_BIT = {"r": READ, "w": WRITE, "c": CREATE, "d": DELETE, "a": ADMIN}


def guarded() -> Pipeline:
    """For each bit a znode that lacks it for the world, with a child; /ann is all hers."""
    pipeline = Pipeline(extended_types_enabled=True)
    pipeline.tree.set_config(b"server.1=x")
    for name, bit in EVERY_BIT.items():
        pipeline.create(f"/no-{name}", f"/no-{name}/x")
        assert not pipeline.write(
            SetAcl(f"/no-{name}", (Acl(ALL & ~bit, ANYONE), Acl(ALL, ANN)))
        ).error
    assert not pipeline.write(Create("/ann", b"", 0, (Acl(ALL, ANN),))).error
    return pipeline


FORBIDDEN: list[Write] = [
    Create("/no-c/y", b""),
    Create("/no-c/x", b""),
    Create("/no-c/y\x01", b""),
    Create("/no-c/s", b"", 2),
    CreateContainer("/no-c/y", b""),
    CreateTtl("/no-c/y", b"", 5),
    Delete("/no-d/x"),
    Delete("/no-d/missing"),
    Delete("/no-d/x", 9),
    SetData("/no-w", b""),
    SetData("/no-w", b"", 9),
    SetAcl("/no-a", OPEN_ACL),
    SetAcl("/no-a", OPEN_ACL, 9),
    Multi((Check("/no-r", 9),)),
    Check("/no-r"),
    Check("/no-r", 9),
    SetData("/zookeeper/config", b""),
    SetAcl("/zookeeper/config", OPEN_ACL),
    Create("/zookeeper/config/x", b""),
]


@pytest.mark.parametrize("op", FORBIDDEN, ids=map(str, FORBIDDEN))
def test_without_the_bit_nothing_is_done(op: Write) -> None:
    """Before versions, existence and children; after path form and parent."""
    pipeline = guarded()
    before = pipeline.tree.digest()
    applied = pipeline.write(op)
    if isinstance(applied.result, MultiResult):
        assert applied.result.results[0] == ErrorResult(ErrorCode.NO_AUTH)
    else:
        assert applied.error == ErrorCode.NO_AUTH
    assert pipeline.tree.digest() == before


@pytest.mark.parametrize(
    "op",
    [
        Create("/no-w/y", b""),
        Create("/no-d/y", b""),
        # Deleting asks the parent, not the znode.
        Delete("/no-c/x"),
        Delete("/no-w/x"),
        SetData("/no-r", b""),
        SetData("/no-a", b"", 0),
        SetAcl("/no-w", OPEN_ACL, 1),
        Check("/no-w", 0),
    ],
    ids=str,
)
def test_other_bits_are_not_asked_for(op: Write) -> None:
    assert guarded().write(op).error == ErrorCode.OK


@pytest.mark.parametrize("ids", [(ANN,), (Id("ip", "127.0.0.1"), ANN), (SUPER,)])
def test_who_is_named_may(ids: tuple[Id, ...]) -> None:
    pipeline = guarded()
    ops: tuple[Write, ...] = (
        Create("/ann/x", b""),
        SetData("/ann", b"1"),
        Delete("/ann/x"),
        SetAcl("/ann", OPEN_ACL),
    )
    for op in ops:
        assert pipeline.write(op).error == ErrorCode.NO_AUTH
        assert pipeline.write(op, ids=ids).error == ErrorCode.OK


def test_not_even_the_super_user_rewrites_the_membership() -> None:
    pipeline = guarded()
    config = pipeline.tree.find("/zookeeper/config")
    assert config is not None
    assert (config.data, config.version, config.aversion) == (b"server.1=x", -1, -1)
    assert pipeline.write(SetData("/zookeeper/config", b""), ids=(SUPER,)).error == (
        ErrorCode.NO_AUTH
    )
    assert pipeline.write(SetAcl("/zookeeper/config", OPEN_ACL), ids=(SUPER,)).error == (
        ErrorCode.NO_AUTH
    )


@pytest.mark.parametrize(
    ("op", "error"),
    [
        # create: flags, session, path form, list, parent, ...
        (Create("/no-c/y", b"", 9, EMPTY), ErrorCode.BAD_ARGUMENTS),
        (Create("abc", b"", 0, EMPTY), ErrorCode.BAD_ARGUMENTS),
        (Create("/missing/y", b"", 0, EMPTY), ErrorCode.INVALID_ACL),
        (Create("/no-c/y", b"", 0, INVALID), ErrorCode.INVALID_ACL),
        (Create("/y", b"", 0, TO_AUTH), ErrorCode.INVALID_ACL),
        (Create("/missing/y", b""), ErrorCode.NO_NODE),
        # delete: path form, parent, permission.
        (Delete("/zookeeper/config"), ErrorCode.BAD_ARGUMENTS),
        (Delete("/missing/y"), ErrorCode.NO_NODE),
        # setACL: path rules, list, node, permission, aversion.
        (SetAcl("/missing/", EMPTY), ErrorCode.BAD_ARGUMENTS),
        (SetAcl("/missing", EMPTY), ErrorCode.INVALID_ACL),
        (SetAcl("/no-a", INVALID), ErrorCode.INVALID_ACL),
        (SetAcl("/no-a", TO_AUTH), ErrorCode.INVALID_ACL),
        (SetAcl("/missing", OPEN_ACL), ErrorCode.NO_NODE),
        (SetAcl("/no-w", OPEN_ACL, 0), ErrorCode.BAD_VERSION),
        (SetAcl("/no-w", OPEN_ACL, 2), ErrorCode.BAD_VERSION),
        (Reconfig(), ErrorCode.RECONFIG_DISABLED),
    ],
    ids=str,
)
def test_first_failing_check_decides(op: Write, error: ErrorCode) -> None:
    pipeline = guarded()
    before = pipeline.tree.digest()
    assert pipeline.write(op).error == error
    assert pipeline.tree.digest() == before


def test_session_is_checked_before_the_list_of_set_acl() -> None:
    expired = ErrorCode.SESSION_EXPIRED
    assert guarded().prepare(SetAcl("/", EMPTY), session_error=expired) == ErrorTxn(expired)
    assert guarded().prepare(Create("/x", b"", 0, EMPTY), session_error=expired) == (
        ErrorTxn(expired)
    )


def test_reconfig_is_refused_before_the_session_is_checked() -> None:
    refused = ErrorTxn(ErrorCode.RECONFIG_DISABLED)
    assert guarded().prepare(Reconfig(), session_error=ErrorCode.SESSION_MOVED) == refused


def test_set_acl_changes_the_list_and_the_aversion_alone() -> None:
    pipeline = Pipeline()
    pipeline.create("/a")
    before = pipeline.stat("/a")
    acl = (Acl(ALL, ANYONE), Acl(READ, ANN))
    assert pipeline.prepare(SetAcl("/a", acl, 0)) == SetAclTxn("/a", acl, 1)
    (applied,) = pipeline.commit()
    before.aversion = 1
    assert applied.result == StatResult(before)
    assert applied.changes == []
    assert pipeline.stat("/a") == before


def test_a_list_counts_from_its_proposal_on() -> None:
    """Unlike ZooKeeper, which asks the applied one (`docs/fidelity.md`)."""
    pipeline = Pipeline()
    pipeline.create("/a")
    pipeline.prepare(SetAcl("/a", (Acl(READ, ANYONE),)))
    assert pipeline.prepare(SetData("/a", b"")) == ErrorTxn(ErrorCode.NO_AUTH)
    pipeline.prepare(Create("/b", b"", 0, (Acl(READ, ANYONE),)))
    assert pipeline.prepare(Create("/b/c", b"")) == ErrorTxn(ErrorCode.NO_AUTH)
    pipeline.commit()
    assert pipeline.prepare(SetData("/a", b"")) == ErrorTxn(ErrorCode.NO_AUTH)


def test_aversion_is_checked_against_what_is_outstanding() -> None:
    pipeline = Pipeline()
    pipeline.create("/a")
    pipeline.prepare(SetAcl("/a", OPEN_ACL, 0))
    assert pipeline.prepare(SetAcl("/a", OPEN_ACL, 0)) == ErrorTxn(ErrorCode.BAD_VERSION)
    assert pipeline.prepare(SetAcl("/a", OPEN_ACL, 1)) == SetAclTxn("/a", OPEN_ACL, 2)


def test_auth_becomes_who_asks() -> None:
    pipeline = Pipeline()
    body = pipeline.prepare(Create("/a", b"", 0, TO_AUTH), ids=(Id("ip", "1.2.3.4"), ANN))
    assert body == CreateTxn("/a", b"", False, 1, (Acl(READ, ANN),))


@pytest.mark.parametrize(
    "op",
    [
        Create("/x", b""),
        CreateContainer("/x", b""),
        CreateTtl("/x", b"", 5),
        SetAcl("/ann", OPEN_ACL),
        SetData("/ann", b""),
        Delete("/ann"),
        Multi(()),
    ],
    ids=str,
)
def test_a_link_rule_names_request_and_transaction_alike(op: Write) -> None:
    body = guarded().prepare(op, ids=(ANN,))
    assert Request(SESSION, 1, op).txn_type == body.type


# Containers and TTL znodes.


@pytest.mark.parametrize(
    ("op", "enabled", "error"),
    [
        (CreateTtl("/t", b"", 5), False, ErrorCode.UNIMPLEMENTED),
        (CreateTtl("/t", b"", 0, OPEN_ACL, 6), False, ErrorCode.UNIMPLEMENTED),
        (CreateTtl("/t", b"", 0), True, ErrorCode.BAD_ARGUMENTS),
        (CreateTtl("/t", b"", -1), True, ErrorCode.BAD_ARGUMENTS),
        (CreateTtl("/t", b"", 1 << 40), True, ErrorCode.BAD_ARGUMENTS),
        (CreateTtl("/t", b"", (1 << 40) - 1), True, ErrorCode.OK),
        (CreateTtl("/t", b"", 5, OPEN_ACL, 6), True, ErrorCode.OK),
        (CreateTtl("/t", b"", 5, OPEN_ACL, 0), True, ErrorCode.BAD_ARGUMENTS),
        (Create("/t", b"", 5), False, ErrorCode.UNIMPLEMENTED),
        (Create("/t", b"", 5), True, ErrorCode.BAD_ARGUMENTS),
        (Create("/t", b"", 6), True, ErrorCode.BAD_ARGUMENTS),
        (CreateContainer("/t", b"", OPEN_ACL, 5), True, ErrorCode.BAD_ARGUMENTS),
        (CreateContainer("/t", b"", OPEN_ACL, -1), False, ErrorCode.BAD_ARGUMENTS),
        (CreateContainer("/t", b"", OPEN_ACL, 0), False, ErrorCode.OK),
        (CreateContainer("/t", b""), False, ErrorCode.OK),
    ],
    ids=str,
)
def test_flags_and_time_to_live(op: MultiOp, enabled: bool, error: ErrorCode) -> None:
    """`validateCreateRequest`, `EphemeralType.validateTTL`."""
    assert Pipeline(extended_types_enabled=enabled).write(op).error == error


def test_containers_and_ttl_znodes_are_answered_with_their_stat() -> None:
    pipeline = Pipeline(extended_types_enabled=True)
    for op in (CreateContainer("/c", b""), CreateTtl("/t", b"", 5)):
        applied = pipeline.write(op)
        assert applied.result == CreateResult(op.path, pipeline.stat(op.path))
        assert pipeline.stat(op.path).ephemeral_owner == 0
    sequential = pipeline.write(CreateTtl("/s", b"", 5, OPEN_ACL, 6))
    assert isinstance(sequential.result, CreateResult)
    assert sequential.result.path == "/s0000000002"
    multi = pipeline.write(
        Multi((Create("/x", b"", 0, OPEN_ACL, True), CreateContainer("/y", b"")))
    )
    assert multi.result == MultiResult((PathResult("/x"), CreateResult("/y", pipeline.stat("/y"))))


def test_containers_may_have_children_and_outlive_their_session() -> None:
    pipeline = Pipeline()
    pipeline.write(CreateContainer("/c", b""))
    pipeline.create("/c/x", flags=1)
    assert pipeline.tree.ephemerals == {SESSION: {"/c/x": None}}
    assert list(pipeline.tree.containers) == ["/c"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/zookeeper/quota", ErrorCode.BAD_ARGUMENTS),
        ("/missing", ErrorCode.NO_NODE),
        ("/missing/x", ErrorCode.NO_NODE),
        ("/full", ErrorCode.NOT_EMPTY),
        ("/plain", ErrorCode.BAD_VERSION),
        ("/ephemeral", ErrorCode.BAD_VERSION),
        ("/empty", ErrorCode.OK),
        ("/ttl", ErrorCode.OK),
    ],
)
def test_delete_container(path: str, error: ErrorCode) -> None:
    pipeline = Pipeline(extended_types_enabled=True)
    pipeline.create("/plain")
    pipeline.create("/ephemeral", flags=1)
    for container in ("/full", "/empty"):
        pipeline.write(CreateContainer(container, b"", (Acl(READ, ANYONE), Acl(CREATE, ANYONE))))
    pipeline.write(CreateTtl("/ttl", b"", 5))
    pipeline.prepare(Create("/full/x", b""))
    assert pipeline.prepare(DeleteContainer(path)) == ErrorTxn(ErrorCode.BAD_ARGUMENTS)
    body = pipeline.prepare(DeleteContainer(path), session=LEADER)
    assert body == (ErrorTxn(error) if error else DeleteTxn(path))
    pipeline.commit()
    assert (pipeline.tree.find(path) is None) == (not error or error == ErrorCode.NO_NODE)
    assert pipeline.tree.containers.keys() == {"/full", "/empty", "/ttl"} - {path} | (
        {path} if error == ErrorCode.NOT_EMPTY else set()
    )


def test_failed_multi_takes_back_a_container_and_its_list() -> None:
    pipeline = Pipeline()
    failed = Multi((CreateContainer("/c", b"", (Acl(READ, ANYONE),)), Delete("/missing")))
    pipeline.prepare(failed)
    assert pipeline.prepare(Create("/c", b"")) == CreateTxn("/c", b"", False, 1)
    assert pipeline.prepare(DeleteContainer("/c"), session=LEADER) == ErrorTxn(
        ErrorCode.BAD_VERSION
    )
    assert CONTAINER_TTL < 0
