"""Transactions: what the leader made of a request. Idempotent, totally ordered by zxid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from nodes.core.errors import ErrorCode
from nodes.core.requests import OPEN_ACL, Acl

# The `ttl_ms` of a container: it goes when its last child has gone.
CONTAINER_TTL = -1


@dataclass(slots=True)
class CreateTxn:
    """Create `path`; `parent_cversion` is the parent's stored cversion after it.

    `ttl_ms` is 0 for a znode that stays, CONTAINER_TTL, or how long it may be idle and empty.
    """

    type: ClassVar[str] = "create"
    path: str
    data: bytes | None
    is_ephemeral: bool
    parent_cversion: int
    acl: tuple[Acl, ...] = OPEN_ACL
    ttl_ms: int = 0


@dataclass(slots=True)
class DeleteTxn:
    """Delete `path`."""

    type: ClassVar[str] = "delete"
    path: str


@dataclass(slots=True)
class SetDataTxn:
    """Replace the data of `path`; `version` is the version after it."""

    type: ClassVar[str] = "setData"
    path: str
    data: bytes | None
    version: int


@dataclass(slots=True)
class SetAclTxn:
    """Replace the access list of `path`; `aversion` is the aversion after it."""

    type: ClassVar[str] = "setACL"
    path: str
    acl: tuple[Acl, ...]
    aversion: int


@dataclass(slots=True)
class CheckTxn:
    """A check that held, inside a multi. Changes nothing."""

    type: ClassVar[str] = "check"
    path: str


@dataclass(slots=True)
class ErrorTxn:
    """A write that failed: it takes a zxid and is logged like any other."""

    type: ClassVar[str] = "error"
    error: ErrorCode


@dataclass(slots=True)
class MultiTxn:
    """Several changes at once. If the multi failed, every body is an ErrorTxn."""

    type: ClassVar[str] = "multi"
    bodies: tuple[CreateTxn | DeleteTxn | SetDataTxn | CheckTxn | ErrorTxn, ...]


@dataclass(slots=True)
class CreateSessionTxn:
    """A new session with this timeout."""

    type: ClassVar[str] = "createSession"
    timeout_ms: int


@dataclass(slots=True)
class CloseSessionTxn:
    """The end of a session, with the ephemeral znodes it deletes."""

    type: ClassVar[str] = "closeSession"
    paths: tuple[str, ...]


TxnBody = (
    CreateTxn
    | DeleteTxn
    | SetDataTxn
    | SetAclTxn
    | CheckTxn
    | ErrorTxn
    | MultiTxn
    | CreateSessionTxn
    | CloseSessionTxn
)


@dataclass(slots=True)
class Txn:
    """A body with its header (ZooKeeper's `TxnHeader`): who asked, when, and its place."""

    session_id: int
    cxid: int
    zxid: int
    time_ms: int
    body: TxnBody


@dataclass(slots=True)
class ZnodeImage:
    """A znode in a snapshot; `cversion` is the stored value, the number of child creates.

    `ttl_ms` as in CreateTxn.
    """

    path: str
    data: bytes | None
    czxid: int
    mzxid: int
    pzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    acl: tuple[Acl, ...] = OPEN_ACL
    ttl_ms: int = 0


@dataclass(slots=True)
class Snapshot:
    """The whole replicated state as of `zxid`: znodes (parents first), sessions with timeouts.

    One that a disk gives back may be fuzzy: parts of it may be newer, and only replaying the log
    from `zxid` on makes it a state that ever was.
    """

    zxid: int
    znodes: tuple[ZnodeImage, ...]
    sessions: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Recovered:
    """What a member finds on its disk: epochs, the newest snapshot, the log behind it.

    Invariant: the zxids of `txns` grow and are all greater than the snapshot's.
    A fresh disk has epochs 0, no snapshot and no txns.
    """

    accepted_epoch: int = 0
    current_epoch: int = 0
    snapshot: Snapshot | None = None
    txns: tuple[Txn, ...] = field(default=())
