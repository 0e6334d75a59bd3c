"""What operations give, as messages of `client.proto`. One way only: a member reads no results."""

from __future__ import annotations

from typing import assert_never

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from lagkeeper.v1 import client_pb2

from nodes.core import requests as core

AnyResult = (
    core.PathResult
    | core.CreateResult
    | core.StatResult
    | core.DataResult
    | core.ChildrenResult
    | core.AclResult
    | core.PathsResult
    | core.NumberResult
    | core.IdsResult
    | core.MultiResult
    | core.ErrorResult
)


def fill_result(out: client_pb2.Result, result: AnyResult) -> None:
    """Write `result` into `out`."""
    match result:
        case core.DataResult():
            if result.data is not None:
                out.data.data = result.data
            _fill_stat(out.data.stat, result.stat)
        case core.PathResult():
            out.path = result.path
        case core.StatResult():
            _fill_stat(out.stat, result.stat)
        case core.ChildrenResult():
            out.children.names.extend(result.names)
            _fill_stat(out.children.stat, result.stat)
        case core.CreateResult():
            out.create.path = result.path
            _fill_stat(out.create.stat, result.stat)
        case core.ErrorResult():
            out.error = result.error
        case core.MultiResult():
            out.multi.SetInParent()
            for part in result.results:
                slot = out.multi.results.add()
                if part is not None:
                    fill_result(slot, part)
        case _:
            _fill_rare_result(out, result)


def _fill_rare_result(
    out: client_pb2.Result,
    result: core.AclResult | core.PathsResult | core.NumberResult | core.IdsResult,
) -> None:
    match result:
        case core.AclResult():
            fill_acl(out.acl.acl, result.acl)
            _fill_stat(out.acl.stat, result.stat)
        case core.PathsResult():
            out.paths.SetInParent()
            out.paths.paths.extend(result.paths)
        case core.NumberResult():
            out.number = result.number
        case core.IdsResult():
            out.ids.SetInParent()
            for who in result.ids:
                out.ids.ids.add(scheme=who.scheme, id=who.id)
        case _:
            assert_never(result)


def fill_acl(
    out: RepeatedCompositeFieldContainer[client_pb2.Acl], acl: tuple[core.Acl, ...]
) -> None:
    """Append the entries of an access list to `out`."""
    for entry in acl:
        slot = out.add(perms=entry.perms)
        slot.id.scheme = entry.id.scheme
        slot.id.id = entry.id.id


def _fill_stat(out: client_pb2.Stat, stat: core.Stat) -> None:
    out.SetInParent()
    out.czxid = stat.czxid
    out.mzxid = stat.mzxid
    out.ctime = stat.ctime
    out.mtime = stat.mtime
    out.version = stat.version
    out.cversion = stat.cversion
    out.aversion = stat.aversion
    out.ephemeral_owner = stat.ephemeral_owner
    out.data_length = stat.data_length
    out.num_children = stat.num_children
    out.pzxid = stat.pzxid
