"""What members say to each other. Packets keep ZooKeeper's names; `kind` is what link rules match.

Some packets also know the type of the transaction they speak of (`txn_type`), so that a
rule can name `COMMIT[closeSession]`. It is the sender's knowledge and does not travel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from nodes.core.requests import Id, Op
from nodes.core.txns import Snapshot, Txn


class ServerState(IntEnum):
    """A member's state, with ZooKeeper's numbers on the wire."""

    LOOKING = 0
    FOLLOWING = 1
    LEADING = 2
    OBSERVING = 3


@dataclass(slots=True)
class Notification:
    """Election: the sender's vote and state."""

    kind: ClassVar[str] = "NOTIFICATION"
    state: ServerState
    leader: int
    zxid: int
    election_epoch: int
    peer_epoch: int


@dataclass(slots=True)
class FollowerInfo:
    """Discovery: a follower greets the leader with the newest epoch it has accepted."""

    kind: ClassVar[str] = "FOLLOWERINFO"
    accepted_epoch: int


@dataclass(slots=True)
class ObserverInfo:
    """Discovery: an observer greets the leader."""

    kind: ClassVar[str] = "OBSERVERINFO"
    accepted_epoch: int


@dataclass(slots=True)
class LeaderInfo:
    """Discovery: the leader's new epoch."""

    kind: ClassVar[str] = "LEADERINFO"
    epoch: int


@dataclass(slots=True)
class AckEpoch:
    """Discovery: epoch accepted. `current_epoch` -1: it had been accepted before, do not count."""

    kind: ClassVar[str] = "ACKEPOCH"
    current_epoch: int
    last_zxid: int


@dataclass(slots=True)
class Diff:
    """Synchronization: the transactions that follow complete the learner's history."""

    kind: ClassVar[str] = "DIFF"
    zxid: int


@dataclass(slots=True)
class Trunc:
    """Synchronization: forget every transaction behind `zxid`."""

    kind: ClassVar[str] = "TRUNC"
    zxid: int


@dataclass(slots=True)
class Snap:
    """Synchronization: forget everything, here is the whole state."""

    kind: ClassVar[str] = "SNAP"
    snapshot: Snapshot


@dataclass(slots=True)
class NewLeader:
    """Synchronization: the history is complete; `zxid` is epoch:0."""

    kind: ClassVar[str] = "NEWLEADER"
    zxid: int


@dataclass(slots=True)
class UpToDate:
    """Synchronization: a quorum follows; start serving."""

    kind: ClassVar[str] = "UPTODATE"
    zxid: int


# Of requests whose transaction is not named after them.
_TXN_TYPES = {
    "CreateContainer": "create",
    "CreateTtl": "create",
    "DeleteContainer": "delete",
    "SetAcl": "setACL",
}


@dataclass(slots=True)
class Request:
    """A client's request, forwarded to the leader. `cxid` is the client's xid.

    `ids` are who the client has shown to be (ZooKeeper's authinfo).
    """

    kind: ClassVar[str] = "REQUEST"
    session_id: int
    cxid: int
    op: Op
    ids: tuple[Id, ...] = ()

    @property
    def txn_type(self) -> str:
        """The type of the transaction that it asks for, e.g. `createSession`; or `sync`."""
        name = type(self.op).__name__
        return _TXN_TYPES.get(name) or name[0].lower() + name[1:]


@dataclass(slots=True)
class Proposal:
    """Broadcast: log this transaction and acknowledge it."""

    kind: ClassVar[str] = "PROPOSAL"
    txn: Txn

    @property
    def txn_type(self) -> str:
        """The transaction's type."""
        return self.txn.body.type


@dataclass(slots=True)
class Ack:
    """Broadcast: the transaction is on this member's disk (or, for epoch:0, NEWLEADER is)."""

    kind: ClassVar[str] = "ACK"
    zxid: int
    txn_type: str = field(default="", compare=False)


@dataclass(slots=True)
class Commit:
    """Broadcast: a quorum has logged it; apply it."""

    kind: ClassVar[str] = "COMMIT"
    zxid: int
    txn_type: str = field(default="", compare=False)


@dataclass(slots=True)
class Inform:
    """Broadcast, to observers: a committed transaction."""

    kind: ClassVar[str] = "INFORM"
    txn: Txn

    @property
    def txn_type(self) -> str:
        """The transaction's type."""
        return self.txn.body.type


@dataclass(slots=True)
class Ping:
    """Liveness. The learner's answer carries (session_id, timeout_ms) of the touched sessions."""

    kind: ClassVar[str] = "PING"
    touches: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Revalidate:
    """Sessions, learner to leader: is this one alive?"""

    kind: ClassVar[str] = "REVALIDATE"
    session_id: int
    timeout_ms: int


@dataclass(slots=True)
class Revalidated:
    """Sessions, leader to learner: the verdict, bound to no order with any commit."""

    kind: ClassVar[str] = "REVALIDATE"
    session_id: int
    is_valid: bool


@dataclass(slots=True)
class SyncPacket:
    """Leader to learner: your oldest pending sync stands here in the order of commits."""

    kind: ClassVar[str] = "SYNC"


@dataclass(slots=True)
class Fin:
    """The connection between a learner and its leader ends, as a TCP FIN would."""

    kind: ClassVar[str] = "FIN"


# What a learner's connection begins with.
GREETINGS = (FollowerInfo, ObserverInfo)

Message = (
    Notification
    | FollowerInfo
    | ObserverInfo
    | LeaderInfo
    | AckEpoch
    | Diff
    | Trunc
    | Snap
    | NewLeader
    | UpToDate
    | Request
    | Proposal
    | Ack
    | Commit
    | Inform
    | Ping
    | Revalidate
    | Revalidated
    | SyncPacket
    | Fin
)
