"""What a member answers to addWatch, checkWatches, removeWatches and setWatches2."""

from __future__ import annotations

import pytest

from nodes.core.acl import READ, digest_id
from nodes.core.effects import CloseConnection, Effect, Notify, Reply
from nodes.core.errors import ErrorCode
from nodes.core.messages import Commit, Proposal
from nodes.core.requests import (
    Acl,
    AddWatch,
    Auth,
    CheckWatches,
    Exists,
    GetChildren,
    Id,
    Malformed,
    Op,
    RemoveWatches,
    SetWatches,
)
from nodes.core.tree import EventType
from nodes.core.txns import CreateTxn, DeleteTxn, SetDataTxn, TxnBody

from .bench import SESSION, Bench, following, replies, txn, with_session

PERSISTENT, RECURSIVE = 0, 1
CHILDREN, DATA, ANY = 1, 2, 3
OK, NO_WATCHER, MARSHALLING_ERROR = 0, -121, -5


def commit(bench: Bench, body: TxnBody) -> list[Effect]:
    """A change that nobody here has asked for is committed."""
    change = txn((bench.member.status().last_zxid & 0xFFFF) + 1, body, session=SESSION + 9)
    bench.receive(3, Proposal(change))
    return bench.receive(3, Commit(change.zxid))


@pytest.mark.parametrize(
    ("ops", "error"),
    [
        ([AddWatch("/missing", PERSISTENT)], OK),
        ([AddWatch("/", RECURSIVE)], OK),
        ([AddWatch("/", 2)], MARSHALLING_ERROR),
        ([AddWatch("/", -1)], MARSHALLING_ERROR),
        ([CheckWatches("/", ANY)], NO_WATCHER),
        ([RemoveWatches("/", ANY)], NO_WATCHER),
        ([AddWatch("/", PERSISTENT), CheckWatches("/", 0)], MARSHALLING_ERROR),
        ([AddWatch("/", PERSISTENT), RemoveWatches("/", 4)], MARSHALLING_ERROR),
        ([AddWatch("/", RECURSIVE), CheckWatches("/", CHILDREN)], OK),
        ([AddWatch("/", RECURSIVE), RemoveWatches("/", DATA)], OK),
        ([Exists("/a", watch=True), CheckWatches("/a", DATA)], OK),
        ([Exists("/a", watch=True), CheckWatches("/a", CHILDREN)], NO_WATCHER),
        ([GetChildren("/", watch=True), RemoveWatches("/", DATA)], NO_WATCHER),
        ([GetChildren("/", watch=True), RemoveWatches("/", CHILDREN)], OK),
        ([AddWatch("a", 0), CheckWatches("a", ANY)], MARSHALLING_ERROR),
        ([AddWatch("a", 0), RemoveWatches("a", ANY)], OK),
        ([AddWatch("", 0), CheckWatches("", ANY)], NO_WATCHER),
        ([AddWatch("", 0), RemoveWatches("", ANY)], OK),
        ([AddWatch("/", 0), RemoveWatches("/", ANY), RemoveWatches("/", ANY)], NO_WATCHER),
    ],
)
def test_codes_of_the_watch_operations(ops: list[Op], error: int) -> None:
    bench = following()
    connection = with_session(bench)
    answers = [answer for op in ops for answer in replies(bench.submit(connection, 7, op))]
    assert len(answers) == len(ops)
    assert answers[-1] == (7, error)


def test_a_refused_mode_sets_no_watch() -> None:
    bench = following()
    bench.submit(with_session(bench), 1, AddWatch("/", 7))
    assert bench.member.status().watches == 0


def test_a_persistent_watch_is_told_of_every_commit() -> None:
    bench = following()
    connection = with_session(bench)
    bench.submit(connection, 1, AddWatch("/", RECURSIVE))
    told = [
        *commit(bench, CreateTxn("/a", b"", False, 1)),
        *commit(bench, SetDataTxn("/a", b"", 1)),
        *commit(bench, DeleteTxn("/a")),
    ]
    assert told == [
        Notify(connection, EventType.NODE_CREATED, "/a"),
        Notify(connection, EventType.NODE_DATA_CHANGED, "/a"),
        Notify(connection, EventType.NODE_DELETED, "/a"),
    ]


def test_who_may_read_is_asked_of_the_connection_as_it_is_now() -> None:
    bench = following()
    connection = with_session(bench)
    owner = Id("digest", digest_id("me:secret"))
    commit(bench, CreateTxn("/a", b"", False, 1, acl=(Acl(READ, owner),)))
    bench.submit(connection, 1, AddWatch("/a", PERSISTENT))
    assert commit(bench, SetDataTxn("/a", b"", 1)) == []
    bench.submit(connection, -4, Auth("digest", b"me:secret"))
    assert commit(bench, SetDataTxn("/a", b"", 2)) == [
        Notify(connection, EventType.NODE_DATA_CHANGED, "/a")
    ]


def test_what_was_missed_is_told_to_those_too_who_may_not_read() -> None:
    """`DataTree.setWatches` filters nothing, in Debian's build neither."""
    bench = following()
    connection = with_session(bench)
    commit(bench, CreateTxn("/a", b"", False, 1, acl=(Acl(READ, Id("digest", "x:y")),)))
    effects = bench.submit(connection, -8, SetWatches(0, data=("/a",), persistent=("/a",)))
    assert [type(effect) for effect in effects] == [Notify, Reply]
    assert bench.member.status().watches == 2


@pytest.mark.parametrize("closes", [False, True])
def test_what_could_not_be_read_is_answered_in_its_turn(closes: bool) -> None:
    bench = following()
    connection = with_session(bench)
    op = Malformed(ErrorCode.UNIMPLEMENTED if closes else ErrorCode.MARSHALLING_ERROR, closes)
    effects = bench.submit(connection, 9, op)
    assert isinstance(effects[0], Reply)
    assert (effects[0].xid, effects[0].error) == (9, op.error)
    assert effects[1:] == [CloseConnection(connection)] * closes
