"""What a client says is what a member hears, and what a member answers is what a client hears.

The two sides share no code but the messages of client.proto.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lagkeeper.v1 import client_pb2 as pb

from client import ops
from client.acl import OPEN_ACL, Acl, Id
from client.codec import MalformedFrame, decode, encode
from nodes.client_codec import decode_op, decode_session, fill_server_frame
from nodes.core import effects, requests
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectRequested
from orchestrator.simulator.clients import to_client, to_member
from tests.nodes import strategies as some

IDS = st.builds(Id, some.TEXTS, some.TEXTS)
ACLS = st.just(OPEN_ACL) | st.lists(st.builds(Acl, some.INT32, IDS), max_size=3).map(tuple)
# Of each operation: what its fields may be.
PARTS: dict[type, Any] = {
    ops.Create: (some.TEXTS, some.DATA, some.COUNT, ACLS, st.booleans()),
    ops.CreateContainer: (some.TEXTS, some.DATA, ACLS, some.COUNT),
    ops.CreateTtl: (some.TEXTS, some.DATA, some.INT64, ACLS, some.COUNT),
    ops.Delete: (some.TEXTS, some.INT32),
    ops.SetData: (some.TEXTS, some.DATA, some.INT32),
    ops.Check: (some.TEXTS, some.INT32),
}


def build(fields: dict[type, Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.builds(kind, *of) for kind, of in fields.items()))


READ_PARTS = st.builds(ops.GetData, some.TEXTS) | st.builds(ops.GetChildren, some.TEXTS)
WATCHER_TYPES = st.sampled_from(ops.WatcherType)
FIELDS: dict[type, Any] = PARTS | {
    ops.Multi: (st.lists(build(PARTS), max_size=3).map(tuple),),
    ops.SetAcl: (some.TEXTS, ACLS, some.INT32),
    ops.Reconfig: (some.NAMES, some.NAMES, some.NAMES, some.INT64),
    ops.GetData: (some.TEXTS, st.booleans()),
    ops.Exists: (some.TEXTS, st.booleans()),
    ops.GetChildren: (some.TEXTS, st.booleans()),
    ops.GetAcl: (some.TEXTS,),
    ops.GetEphemerals: (some.TEXTS,),
    ops.GetAllChildrenNumber: (some.TEXTS,),
    ops.WhoAmI: (),
    ops.MultiRead: (st.lists(READ_PARTS, max_size=3).map(tuple),),
    ops.Sync: (some.TEXTS,),
    ops.AddWatch: (some.TEXTS, st.sampled_from(ops.WatchMode)),
    ops.CheckWatches: (some.TEXTS, WATCHER_TYPES),
    ops.RemoveWatches: (some.TEXTS, WATCHER_TYPES),
    ops.Auth: (some.TEXTS, st.binary(max_size=9)),
    ops.Ping: (),
    ops.CloseSession: (),
    ops.SetWatches: (some.INT64, *[some.PATHS] * 5),
}
OPS = build(FIELDS)


@given(some.INT32, OPS)
def test_a_member_hears_the_operation_that_the_client_sends(xid: int, op: ops.Op) -> None:
    (frame,) = pb.ConnectRequest.FromString(encode(3, ops.Request(xid, op))).frames
    assert (frame.connection, frame.request.xid) == (3, xid)
    assert decode_op(frame.request) == to_member(op)


def test_every_operation_is_among_those_tried() -> None:
    assert set(FIELDS) == set(get_args(ops.Op))


def test_a_member_hears_how_the_client_presents_itself() -> None:
    request = ops.SessionRequest(5, 6000, -7, b"p", can_be_read_only=True)
    (frame,) = pb.ConnectRequest.FromString(encode(3, request)).frames
    assert decode_session(9, frame.session, "here") == ConnectRequested(
        9, 5, 6000, -7, b"p", "here", can_be_read_only=True
    )


CORE_STAT = requests.Stat(*range(1, 12))
CORE_ACL = (requests.Acl(5, requests.Id("digest", "me:x")),)
PLAIN_RESULTS: list[Any] = [
    None,
    requests.PathResult("/a"),
    requests.CreateResult("/a", CORE_STAT),
    requests.StatResult(CORE_STAT),
    requests.DataResult(None, CORE_STAT),
    requests.DataResult(b"", CORE_STAT),
    requests.ChildrenResult((), CORE_STAT),
    requests.ChildrenResult(("b", "a"), CORE_STAT),
]


@pytest.mark.parametrize(
    "result",
    [
        *PLAIN_RESULTS,
        requests.AclResult(CORE_ACL, CORE_STAT),
        requests.AclResult((), CORE_STAT),
        requests.PathsResult(("/b", "/a")),
        requests.PathsResult(()),
        requests.NumberResult(0),
        requests.IdsResult((requests.Id("ip", "::1"),)),
        requests.IdsResult(()),
        requests.MultiResult(()),
        requests.MultiResult((*PLAIN_RESULTS, requests.ErrorResult(ErrorCode.NO_AUTH))),
    ],
)
def test_a_client_hears_the_result_that_the_member_gives(result: requests.Result) -> None:
    out = pb.ServerFrame()
    fill_server_frame(out, 4, effects.Reply(1, 2, 3, ErrorCode.OK, result))
    got = decode(pb.ServerFrame.FromString(out.SerializeToString()))
    assert got == ops.Reply(2, 3, 0, to_client(result))


def test_a_client_hears_whether_the_member_is_read_only() -> None:
    out = pb.ServerFrame()
    fill_server_frame(out, 4, effects.ConnectReply(1, 7, 9, b"p", is_read_only=True))
    assert decode(out) == ops.SessionResponse(9, 7, b"p", is_read_only=True)


@pytest.mark.parametrize("kind", ["acl", "paths", "ids", "multi"])
def test_a_multi_answered_with_what_is_no_part_is_malformed(kind: str) -> None:
    out = pb.ServerFrame()
    part = out.reply.result.multi.results.add()
    getattr(part, kind).SetInParent()
    with pytest.raises(MalformedFrame, match=f"a multi's answer with {kind} in it"):
        decode(out)
