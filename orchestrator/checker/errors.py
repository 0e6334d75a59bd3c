"""ZooKeeper's errors that tell of the tree, by the one spelling that the checker compares."""

from __future__ import annotations

from functools import cache

NO_NODE = "nonode"
NODE_EXISTS = "nodeexists"
BAD_VERSION = "badversion"
NOT_EMPTY = "notempty"
# A write refused with one of these is a transaction of its own, with a zxid in the one order.
ORDERED = {NO_NODE, NODE_EXISTS, BAD_VERSION, NOT_EMPTY, "noauth", "nochildrenforephemerals"}


@cache
def plain(error: str) -> str:
    """`NoNode`, `NO_NODE` and `no_node` are one error."""
    return error.replace("_", "").lower()
