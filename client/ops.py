"""What a client asks for and what it is given: plain data with ZooKeeper's names.

Owns the operations, their results and the frames of a connection. Knows nothing of protobuf:
`client.codec` translates; `client.validation` checks what a caller passes in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from client.acl import OPEN_ACL, Acl, Id

EPHEMERAL = 1
SEQUENTIAL = 2
CONTAINER_FLAGS = 4
TTL_FLAGS = 5
TTL_SEQUENTIAL_FLAGS = 6
PING_XID = -2
AUTH_XID = -4
SET_WATCHES_XID = -8
MAX_XID = 0x7FFFFFFF


@dataclass(slots=True)
class Create:
    """Create a znode; `flags` is ZooKeeper's bit set of EPHEMERAL and SEQUENTIAL.

    `with_stat` is ZooKeeper's create2: its result has the stat, too.
    """

    name: ClassVar[str] = "create"
    path: str
    data: bytes | None = b""
    flags: int = 0
    acl: tuple[Acl, ...] = OPEN_ACL
    with_stat: bool = False


@dataclass(slots=True)
class CreateContainer:
    """Create a znode that goes, some time after its last child has gone."""

    name: ClassVar[str] = "createContainer"
    path: str
    data: bytes | None = b""
    acl: tuple[Acl, ...] = OPEN_ACL
    flags: int = CONTAINER_FLAGS


@dataclass(slots=True)
class CreateTtl:
    """Create a znode that goes when it had no child and no change for `ttl_ms`.

    `flags` is TTL_FLAGS or TTL_SEQUENTIAL_FLAGS. Members refuse it unless they were told to
    allow it, as ZooKeeper's do.
    """

    name: ClassVar[str] = "createTTL"
    path: str
    data: bytes | None
    ttl_ms: int
    acl: tuple[Acl, ...] = OPEN_ACL
    flags: int = TTL_FLAGS


@dataclass(slots=True)
class Delete:
    """Delete a znode that has the given version (-1: any) and no children."""

    name: ClassVar[str] = "delete"
    path: str
    version: int = -1


@dataclass(slots=True)
class SetData:
    """Replace the data of a znode that has the given version (-1: any)."""

    name: ClassVar[str] = "setData"
    path: str
    data: bytes | None
    version: int = -1


@dataclass(slots=True)
class Check:
    """Inside a multi: fail unless the znode has the given version (-1: any)."""

    name: ClassVar[str] = "check"
    path: str
    version: int = -1


@dataclass(slots=True)
class SetAcl:
    """Replace the access list of a znode whose aversion is `version` (-1: any)."""

    name: ClassVar[str] = "setACL"
    path: str
    acl: tuple[Acl, ...]
    version: int = -1


@dataclass(slots=True)
class Reconfig:
    """Change the membership; members refuse it, as ZooKeeper's do unless told to allow it."""

    name: ClassVar[str] = "reconfig"
    path: ClassVar[str] = ""
    joining: str | None = None
    leaving: str | None = None
    new_members: str | None = None
    config_id: int = -1


WriteOp = Create | CreateContainer | CreateTtl | Delete | SetData | Check


@dataclass(slots=True)
class Multi:
    """Several writes as one transaction."""

    name: ClassVar[str] = "multi"
    path: ClassVar[str] = ""
    ops: tuple[WriteOp, ...]


@dataclass(slots=True)
class GetData:
    """Read data and stat; `watch` sets a one-shot data watch."""

    name: ClassVar[str] = "getData"
    path: str
    watch: bool = False


@dataclass(slots=True)
class Exists:
    """Read the stat; `watch` sets a one-shot exist watch, on a missing znode too."""

    name: ClassVar[str] = "exists"
    path: str
    watch: bool = False


@dataclass(slots=True)
class GetChildren:
    """Read the children's names and the stat; `watch` sets a one-shot child watch."""

    name: ClassVar[str] = "getChildren"
    path: str
    watch: bool = False


@dataclass(slots=True)
class GetAcl:
    """Read the access list and the stat."""

    name: ClassVar[str] = "getACL"
    path: str


@dataclass(slots=True)
class GetEphemerals:
    """Read the paths of this session's ephemeral znodes that begin with `prefix`."""

    name: ClassVar[str] = "getEphemerals"
    prefix: str = "/"

    @property
    def path(self) -> str:
        """What errors name."""
        return self.prefix


@dataclass(slots=True)
class GetAllChildrenNumber:
    """Count the descendants."""

    name: ClassVar[str] = "getAllChildrenNumber"
    path: str


@dataclass(slots=True)
class WhoAmI:
    """Tell who this connection counts as."""

    name: ClassVar[str] = "whoAmI"
    path: ClassVar[str] = ""


@dataclass(slots=True)
class MultiRead:
    """Several reads, each with its own result or error. They set no watch."""

    name: ClassVar[str] = "multiRead"
    path: ClassVar[str] = ""
    ops: tuple[GetData | GetChildren, ...]


class WatchMode(IntEnum):
    """Of addWatch, with ZooKeeper's numbers."""

    PERSISTENT = 0
    PERSISTENT_RECURSIVE = 1


class WatcherType(IntEnum):
    """Of checkWatches and removeWatches, with ZooKeeper's numbers."""

    CHILDREN = 1
    DATA = 2
    ANY = 3


@dataclass(slots=True)
class AddWatch:
    """Set a watch that stays when it fires; the znode need not exist."""

    name: ClassVar[str] = "addWatch"
    path: str
    mode: WatchMode


@dataclass(slots=True)
class CheckWatches:
    """Fail unless there is a watch of this type on `path`.

    Submitted with a watcher, it forgets that one here, and leaves the member's watch alone.
    """

    name: ClassVar[str] = "checkWatches"
    path: str
    type: WatcherType = WatcherType.ANY


@dataclass(slots=True)
class RemoveWatches:
    """Forget this session's watches of this type on `path`, here and on the member."""

    name: ClassVar[str] = "removeWatches"
    path: str
    type: WatcherType = WatcherType.ANY


@dataclass(slots=True)
class Auth:
    """Add an identity to the session: to each of its connections, the next ones too."""

    name: ClassVar[str] = "auth"
    path: ClassVar[str] = ""
    scheme: str
    auth: bytes


@dataclass(slots=True)
class Sync:
    """Let the member catch up with the leader; `path` is only echoed."""

    name: ClassVar[str] = "sync"
    path: str = "/"


@dataclass(slots=True)
class Ping:
    """Keep the session alive. Sent by the session machine only."""

    name: ClassVar[str] = "ping"
    path: ClassVar[str] = ""


@dataclass(slots=True)
class CloseSession:
    """End the session. Sent by the session machine only."""

    name: ClassVar[str] = "closeSession"
    path: ClassVar[str] = ""


@dataclass(slots=True)
class SetWatches:
    """Set watches again after a reconnect. Sent by the session machine only."""

    name: ClassVar[str] = "setWatches"
    path: ClassVar[str] = ""
    relative_zxid: int
    data: tuple[str, ...] = ()
    exist: tuple[str, ...] = ()
    child: tuple[str, ...] = ()
    persistent: tuple[str, ...] = ()
    persistent_recursive: tuple[str, ...] = ()


WatchOp = AddWatch | CheckWatches | RemoveWatches
ReadOp = (
    GetData
    | Exists
    | GetChildren
    | GetAcl
    | GetEphemerals
    | GetAllChildrenNumber
    | WhoAmI
    | MultiRead
    | Sync
)
UserOp = WriteOp | SetAcl | Reconfig | Multi | ReadOp | WatchOp | Auth
Op = UserOp | Ping | CloseSession | SetWatches


@dataclass(slots=True)
class Stat:
    """A znode's metadata, with ZooKeeper's names; times in wall clock milliseconds."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    num_children: int
    pzxid: int


@dataclass(slots=True)
class PathResult:
    """Of create (the final path) and sync (the path echoed)."""

    path: str


@dataclass(slots=True)
class CreateResult:
    """Of create2, createContainer and createTTL."""

    path: str
    stat: Stat


@dataclass(slots=True)
class StatResult:
    """Of exists, setData and setACL."""

    stat: Stat


@dataclass(slots=True)
class DataResult:
    """Of getData."""

    data: bytes | None
    stat: Stat


@dataclass(slots=True)
class ChildrenResult:
    """Of getChildren; the names are in no order that means anything."""

    names: tuple[str, ...]
    stat: Stat


@dataclass(slots=True)
class AclResult:
    """Of getACL."""

    acl: tuple[Acl, ...]
    stat: Stat


@dataclass(slots=True)
class PathsResult:
    """Of getEphemerals."""

    paths: tuple[str, ...]


@dataclass(slots=True)
class NumberResult:
    """Of getAllChildrenNumber."""

    number: int


@dataclass(slots=True)
class IdsResult:
    """Of whoAmI: scheme and user of each identity."""

    ids: tuple[Id, ...]


@dataclass(slots=True)
class ErrorResult:
    """Of one operation in a failed multi (0 for those before the failure), or in a multiRead."""

    error: int


PartResult = PathResult | CreateResult | StatResult | DataResult | ChildrenResult | ErrorResult


@dataclass(slots=True)
class MultiResult:
    """Of multi and multiRead: one for each operation, `None` where there is nothing to say."""

    results: tuple[PartResult | None, ...]


Result = PartResult | AclResult | PathsResult | NumberResult | IdsResult | MultiResult | None


@dataclass(slots=True)
class SessionRequest:
    """The first frame of a connection; `session_id` 0 asks for a new session."""

    last_zxid_seen: int
    timeout_ms: int
    session_id: int = 0
    password: bytes = b""
    can_be_read_only: bool = False


@dataclass(slots=True)
class Request:
    """An operation under the number that its Reply will carry."""

    xid: int
    op: Op


@dataclass(slots=True)
class Disconnect:
    """The connection ends; from a member, this is the last frame on it."""


@dataclass(slots=True)
class SessionResponse:
    """The answer to SessionRequest; `timeout_ms` 0 says that the session is expired.

    `is_read_only`: the member has no quorum, and serves nothing but reads.
    """

    timeout_ms: int
    session_id: int
    password: bytes
    is_read_only: bool = False


@dataclass(slots=True)
class Reply:
    """The answer to a Request; `zxid` is the last one its member had applied after it."""

    xid: int
    zxid: int
    error: int
    result: Result


@dataclass(slots=True)
class WatchEvent:
    """A watch that fired; `type` is one of `client.watches.EventType`."""

    type: int
    path: str


ClientFrame = SessionRequest | Request | Disconnect
ServerFrame = SessionResponse | Reply | WatchEvent | Disconnect
