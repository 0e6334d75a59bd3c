"""The methods of both clients: which operation each makes, and what it makes of the reply."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import pytest

from client import aio_ops, ops, sync_ops
from client.acl import ANYONE, OPEN_ACL, READ_ACL, Acl, Id
from client.errors import BadArgumentsError, LagkeeperError, NoAuthError
from client.replies import Watcher
from client.validation import validate

STAT = ops.Stat(*range(11))


class Scripted:
    """Answers whatever it is asked with one reply, and remembers what that was."""

    def __init__(self, result: ops.Result, error: int = 0) -> None:
        self.reply = ops.Reply(1, 2, error, result)
        self.asked: list[tuple[ops.UserOp, Watcher | None]] = []

    def result(self, timeout: float | None = None) -> ops.Reply:
        return self.reply


class SyncClient(Scripted, sync_ops.Operations):
    """The threaded client's methods."""

    def submit(self, op: ops.UserOp, watcher: Watcher | None = None) -> sync_ops.Outcome:
        self.asked.append((op, watcher))
        return self


class AioClient(Scripted, aio_ops.Operations):
    """The asyncio client's methods."""

    def submit(self, op: ops.UserOp, watcher: Watcher | None = None) -> Awaitable[ops.Reply]:
        self.asked.append((op, watcher))
        return self._answer()

    async def _answer(self) -> ops.Reply:
        return self.reply


def on_both(result: ops.Result, method: str, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    """Return operation, watcher and value, which must be the same on both clients."""
    threaded, asynchronous = SyncClient(result), AioClient(result)
    value = getattr(threaded, method)(*args, **kwargs)
    assert asyncio.run(getattr(asynchronous, method)(*args, **kwargs)) == value
    assert asynchronous.asked == threaded.asked
    ((op, watcher),) = threaded.asked
    validate(op)
    return op, watcher, value


def watcher(event: ops.WatchEvent) -> None:
    raise AssertionError


def public(operations: type) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(method).parameters)
        for name, method in vars(operations).items()
        if not name.startswith("_") and inspect.isfunction(method)
    }


def test_both_clients_have_the_same_methods() -> None:
    assert public(sync_ops.Operations) == public(aio_ops.Operations)
    assert set(TRIED) | {"submit"} == set(public(sync_ops.Operations))


CREATED = ops.CreateResult("/a0", STAT)
ACL = [Acl(1, ANYONE)]
Case = tuple[tuple[Any, ...], dict[str, Any], ops.Result, ops.Op, Any, Any]
CASES: list[tuple[str, Case]] = [
    (
        "create",
        (
            ("/a", b"x", True, True),
            {"acl": ACL},
            ops.PathResult("/a0"),
            ops.Create("/a", b"x", 3, READ_ACL),
            None,
            "/a0",
        ),
    ),
    ("create", (("/a",), {}, ops.PathResult("/a"), ops.Create("/a", b"", 0), None, "/a")),
    (
        "create2",
        (("/a",), {}, CREATED, ops.Create("/a", b"", 0, with_stat=True), None, ("/a0", STAT)),
    ),
    (
        "create_container",
        (("/a", None), {}, CREATED, ops.CreateContainer("/a", None), None, ("/a0", STAT)),
    ),
    (
        "create_ttl",
        (
            ("/a", 900),
            {"sequential": True},
            CREATED,
            ops.CreateTtl("/a", b"", 900, OPEN_ACL, 6),
            None,
            ("/a0", STAT),
        ),
    ),
    ("delete", (("/a", 3), {}, None, ops.Delete("/a", 3), None, None)),
    ("set", (("/a", b"x"), {}, ops.StatResult(STAT), ops.SetData("/a", b"x"), None, STAT)),
    (
        "set_acl",
        (("/a", ACL, 2), {}, ops.StatResult(STAT), ops.SetAcl("/a", READ_ACL, 2), None, STAT),
    ),
    (
        "multi",
        (
            ([ops.Check("/a"), ops.CreateContainer("/b")],),
            {},
            ops.MultiResult((None, CREATED)),
            ops.Multi((ops.Check("/a"), ops.CreateContainer("/b"))),
            None,
            [None, ("/a0", STAT)],
        ),
    ),
    (
        "reconfig",
        (
            (),
            {"leaving": "3"},
            ops.DataResult(b"", STAT),
            ops.Reconfig(None, "3"),
            None,
            (b"", STAT),
        ),
    ),
    (
        "get",
        (
            ("/a", watcher),
            {},
            ops.DataResult(b"", STAT),
            ops.GetData("/a", True),
            watcher,
            (b"", STAT),
        ),
    ),
    ("exists", (("/a",), {}, ops.StatResult(STAT), ops.Exists("/a"), None, STAT)),
    (
        "children",
        (
            ("/a", watcher),
            {},
            ops.ChildrenResult(("b",), STAT),
            ops.GetChildren("/a", True),
            watcher,
            ["b"],
        ),
    ),
    (
        "get_acl",
        (("/a",), {}, ops.AclResult(READ_ACL, STAT), ops.GetAcl("/a"), None, (ACL, STAT)),
    ),
    (
        "get_ephemerals",
        ((), {}, ops.PathsResult(("/b",)), ops.GetEphemerals("/"), None, ["/b"]),
    ),
    (
        "get_all_children_number",
        (("/a",), {}, ops.NumberResult(7), ops.GetAllChildrenNumber("/a"), None, 7),
    ),
    (
        "multi_read",
        (
            (ops.GetData("/a"), ops.GetChildren("/b")),
            {},
            ops.MultiResult((ops.DataResult(None, STAT), ops.ChildrenResult((), STAT))),
            ops.MultiRead((ops.GetData("/a"), ops.GetChildren("/b"))),
            None,
            [(None, STAT), []],
        ),
    ),
    ("sync", ((), {}, ops.PathResult("/"), ops.Sync("/"), None, "/")),
    ("add_auth", (("digest", b"a:b"), {}, None, ops.Auth("digest", b"a:b"), None, None)),
    (
        "who_am_i",
        ((), {}, ops.IdsResult((Id("ip", "::1"),)), ops.WhoAmI(), None, [Id("ip", "::1")]),
    ),
    (
        "add_watch",
        (
            ("/a", watcher),
            {},
            None,
            ops.AddWatch("/a", ops.WatchMode.PERSISTENT),
            watcher,
            None,
        ),
    ),
    (
        "remove_watches",
        (("/a",), {}, None, ops.RemoveWatches("/a", ops.WatcherType.ANY), None, None),
    ),
    (
        "remove_watches",
        (
            ("/a", watcher),
            {"kind": ops.WatcherType.DATA},
            None,
            ops.CheckWatches("/a", ops.WatcherType.DATA),
            watcher,
            None,
        ),
    ),
]
TRIED = [method for method, _ in CASES]


@pytest.mark.parametrize(("method", "case"), CASES, ids=TRIED)
def test_what_each_method_asks_for_and_returns(method: str, case: Case) -> None:
    args, kwargs, result, op, with_watcher, value = case
    assert on_both(result, method, *args, **kwargs) == (op, with_watcher, value)


def test_the_errors_of_a_multi_read_are_values() -> None:
    parts = (ops.GetData("/a"), ops.GetChildren("/b"))
    results = ops.MultiResult((ops.ErrorResult(-102), None))
    refused, nothing = SyncClient(results).multi_read(*parts)
    assert isinstance(refused, NoAuthError)
    assert str(nothing) == "multiRead[1] getChildren /b: SystemError (-1): answered with NoneType"


def test_an_answer_of_another_kind_is_named() -> None:
    with pytest.raises(LagkeeperError, match=r"getACL /a: .*the member answered with StatResult"):
        SyncClient(ops.StatResult(STAT)).get_acl("/a")


@pytest.mark.parametrize("acl", [5, "open", [None]])
def test_what_is_no_access_list_is_refused_with_one_line(acl: Any) -> None:
    client = SyncClient(None)
    with pytest.raises(LagkeeperError):
        client.create("/a", acl=acl)
    ((op, _),) = client.asked
    with pytest.raises(BadArgumentsError, match=r"acl is a tuple|is not an Acl"):
        validate(op)
