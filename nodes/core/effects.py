"""What a member wants done. Imperatives. A shell carries them out, in order, without a decision.

The disk is first in, first out: PersistEpochs, Persist, TruncateLog, PersistSnapshot and
WriteSnapshotPart take effect in the order in which they were asked for, and each ends in exactly
one event.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.core.errors import ErrorCode
from nodes.core.messages import Message
from nodes.core.requests import Result
from nodes.core.txns import Snapshot, Txn, ZnodeImage


@dataclass(slots=True)
class Send:
    """Send over the link `self->peer`. Silently lost while the link is not connected."""

    peer: int
    connection: int
    message: Message


@dataclass(slots=True)
class Persist:
    """Append to the log and sync it; ends in Persisted."""

    txn: Txn


@dataclass(slots=True)
class PersistEpochs:
    """Write both epochs and sync them; ends in EpochsPersisted."""

    accepted_epoch: int
    current_epoch: int


@dataclass(slots=True)
class TruncateLog:
    """Cut the log behind `zxid` and read everything back; ends in LogTruncated.

    Snapshots that hold anything behind `zxid` go too, and an older one takes their place.
    """

    zxid: int


@dataclass(slots=True)
class PersistSnapshot:
    """Replace log and snapshots by this state; ends in SnapshotPersisted."""

    snapshot: Snapshot


@dataclass(slots=True)
class WriteSnapshotPart:
    """Add to the snapshot that began after `zxid`; ends in SnapshotPartWritten.

    The first part begins it, with the last one it is synced and counts. Being fuzzy, it is worth
    nothing without the log from `zxid` up to the last part's `last_zxid`. TruncateLog and
    PersistSnapshot put an end to one that is not complete.
    """

    zxid: int
    last_zxid: int
    znodes: tuple[ZnodeImage, ...]
    sessions: tuple[tuple[int, int], ...]
    is_last: bool


@dataclass(slots=True)
class ConnectReply:
    """Answer a connect. `session_id` and `timeout_ms` 0 mean: that session is expired."""

    connection: int
    session_id: int
    timeout_ms: int
    password: bytes
    is_read_only: bool = False


@dataclass(slots=True)
class Reply:
    """Answer a request; `zxid` is the last one applied after it."""

    connection: int
    xid: int
    zxid: int
    error: ErrorCode
    result: Result


@dataclass(slots=True)
class Notify:
    """Tell a connection that a watch fired; `type` is ZooKeeper's event type."""

    connection: int
    type: int
    path: str


@dataclass(slots=True)
class CloseConnection:
    """Close a client's connection, behind everything sent on it before."""

    connection: int


@dataclass(slots=True)
class Trace:
    """Something worth telling; `fields` are plain values with stable names."""

    kind: str
    fields: dict[str, int | str | bool]


Effect = (
    Send
    | Persist
    | PersistEpochs
    | TruncateLog
    | PersistSnapshot
    | WriteSnapshotPart
    | ConnectReply
    | Reply
    | Notify
    | CloseConnection
    | Trace
)
