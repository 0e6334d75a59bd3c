"""What can happen to a member. Past participles, and things that arrived."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.core.messages import Message
from nodes.core.requests import Op
from nodes.core.txns import Recovered


@dataclass(slots=True)
class Started:
    """The process is up: begin looking for a leader. The first event, exactly once."""


@dataclass(slots=True)
class DeadlineReached:
    """The instant that `Member.deadline()` named has come."""


@dataclass(slots=True)
class Received:
    """A packet arrived over the link `peer->self`, in the order in which it was sent."""

    peer: int
    connection: int
    message: Message


@dataclass(slots=True)
class PeerConnected:
    """The link `self->peer` is open: what is sent from now on arrives or the link breaks."""

    peer: int


@dataclass(slots=True)
class PeerLost:
    """A link from or to `peer` broke: a suffix of what was sent is lost.

    Nothing can be sent to `peer` until PeerConnected. When only the link from `peer` breaks, the
    shell delivers PeerLost and then PeerConnected at once, as the transport and the simulator do.
    """

    peer: int


@dataclass(slots=True)
class Persisted:
    """Everything in the log up to `zxid` is on disk. Answers one Persist."""

    zxid: int


@dataclass(slots=True)
class EpochsPersisted:
    """Answers PersistEpochs."""

    accepted_epoch: int
    current_epoch: int


@dataclass(slots=True)
class LogTruncated:
    """Answers TruncateLog: the log behind the zxid is gone, this is what the disk holds now.

    None: the disk has no state as old as that, and has cut nothing.
    """

    recovered: Recovered | None


@dataclass(slots=True)
class SnapshotPersisted:
    """Answers PersistSnapshot: the disk holds this state and an empty log behind it."""

    zxid: int


@dataclass(slots=True)
class SnapshotPartWritten:
    """Answers WriteSnapshotPart: the disk can take the next one; the last one is synced."""

    zxid: int


@dataclass(slots=True)
class ConnectRequested:
    """A client opened a connection and asks for a session (0: a new one).

    `address` is the client's host, its first identity (scheme ip); `can_be_read_only` is
    ZooKeeper's readOnly: the client puts up with a member that has no quorum.
    """

    connection: int
    last_zxid_seen: int
    timeout_ms: int
    session_id: int
    password: bytes
    address: str = ""
    can_be_read_only: bool = False


@dataclass(slots=True)
class Submitted:
    """A client's request arrived on its connection."""

    connection: int
    xid: int
    op: Op


@dataclass(slots=True)
class ConnectionLost:
    """A client's connection is gone; its session lives on."""

    connection: int


@dataclass(slots=True)
class ExpireRequested:
    """An operator wants this session expired now, as if its bucket had come due."""

    session_id: int


@dataclass(slots=True)
class ClosingHeld:
    """An operator stalls the expiry thread between marking and submitting (window W0)."""


@dataclass(slots=True)
class ClosingReleased:
    """The expiry thread goes on."""


@dataclass(slots=True)
class ReadTracingSet:
    """Somebody begins to listen to `read_served`, or nobody does any more."""

    is_on: bool


Event = (
    Started
    | DeadlineReached
    | Received
    | PeerConnected
    | PeerLost
    | Persisted
    | EpochsPersisted
    | LogTruncated
    | SnapshotPersisted
    | SnapshotPartWritten
    | ConnectRequested
    | Submitted
    | ConnectionLost
    | ExpireRequested
    | ClosingHeld
    | ClosingReleased
    | ReadTracingSet
)
