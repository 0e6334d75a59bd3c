"""What clients ask for and what they are given, before and after the protocol has decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from nodes.core.errors import ErrorCode

EPHEMERAL = 1
SEQUENTIAL = 2
CONTAINER_FLAGS = 4


@dataclass(slots=True, frozen=True)
class Id:
    """Who somebody is: ZooKeeper's scheme (world, digest, ip, super, auth) and id in it."""

    scheme: str
    id: str


@dataclass(slots=True, frozen=True)
class Acl:
    """An entry of an access list.

    `perms` is ZooKeeper's bit set: READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16.
    """

    perms: int
    id: Id


OPEN_ACL = (Acl(31, Id("world", "anyone")),)


@dataclass(slots=True)
class Create:
    """Create a znode; `flags` is ZooKeeper's bit set of EPHEMERAL and SEQUENTIAL.

    `with_stat` is ZooKeeper's create2: its result has the stat, too.
    """

    path: str
    data: bytes | None
    flags: int = 0
    acl: tuple[Acl, ...] = OPEN_ACL
    with_stat: bool = False


@dataclass(slots=True)
class CreateContainer:
    """Create a znode that goes, some time after its last child has gone."""

    path: str
    data: bytes | None
    acl: tuple[Acl, ...] = OPEN_ACL
    flags: int = CONTAINER_FLAGS


@dataclass(slots=True)
class CreateTtl:
    """Create a znode that goes when it had no child and no change for `ttl_ms`; flags 5 or 6."""

    path: str
    data: bytes | None
    ttl_ms: int
    acl: tuple[Acl, ...] = OPEN_ACL
    flags: int = 5


@dataclass(slots=True)
class Delete:
    """Delete a znode that has the given version (-1: any) and no children."""

    path: str
    version: int = -1


@dataclass(slots=True)
class SetData:
    """Replace the data of a znode that has the given version (-1: any)."""

    path: str
    data: bytes | None
    version: int = -1


@dataclass(slots=True)
class Check:
    """Inside a multi: fail unless the znode has the given version (-1: any)."""

    path: str
    version: int = -1


@dataclass(slots=True)
class SetAcl:
    """Replace the access list of a znode whose aversion is `version` (-1: any)."""

    path: str
    acl: tuple[Acl, ...]
    version: int = -1


@dataclass(slots=True)
class DeleteContainer:
    """Delete an empty container or TTL znode; made by the leader, refused from clients."""

    path: str


@dataclass(slots=True)
class Reconfig:
    """Change the membership: answered with RECONFIG_DISABLED, as by a server without it."""

    joining: str | None = None
    leaving: str | None = None
    new_members: str | None = None
    config_id: int = -1


MultiOp = Create | CreateContainer | CreateTtl | Delete | SetData | Check


@dataclass(slots=True)
class Multi:
    """Several writes as one transaction."""

    ops: tuple[MultiOp, ...]


@dataclass(slots=True)
class GetData:
    """Read data and stat; `watch` sets a one-shot data watch."""

    path: str
    watch: bool = False


@dataclass(slots=True)
class Exists:
    """Read the stat; `watch` sets a one-shot exist watch, on a missing znode too."""

    path: str
    watch: bool = False


@dataclass(slots=True)
class GetChildren:
    """Read the children's names and the stat; `watch` sets a one-shot child watch."""

    path: str
    watch: bool = False


@dataclass(slots=True)
class GetAcl:
    """Read the access list and the stat."""

    path: str


@dataclass(slots=True)
class GetEphemerals:
    """Read the paths of this session's ephemeral znodes that begin with `prefix`."""

    prefix: str


@dataclass(slots=True)
class GetAllChildrenNumber:
    """Count the descendants."""

    path: str


@dataclass(slots=True)
class WhoAmI:
    """Tell who this connection counts as."""


@dataclass(slots=True)
class MultiRead:
    """Several reads, each with its own result or error."""

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
    """Set a watch that stays; a `mode` that is no WatchMode is refused."""

    path: str
    mode: int


@dataclass(slots=True)
class CheckWatches:
    """Fail unless there is a watch of this type on `path`; `type` is a WatcherType or refused."""

    path: str
    type: int


@dataclass(slots=True)
class RemoveWatches:
    """Forget this connection's watches of this type on `path`; `type` as in CheckWatches."""

    path: str
    type: int


@dataclass(slots=True)
class SetWatches:
    """Set watches again after a reconnect; what changed after `relative_zxid` fires at once.

    With persistent ones it is ZooKeeper's setWatches2.
    """

    relative_zxid: int
    data: tuple[str, ...] = ()
    exist: tuple[str, ...] = ()
    child: tuple[str, ...] = ()
    persistent: tuple[str, ...] = ()
    persistent_recursive: tuple[str, ...] = ()


@dataclass(slots=True)
class Auth:
    """Add an identity to the connection. Answered out of turn, never touches the session."""

    scheme: str
    auth: bytes


@dataclass(slots=True)
class Malformed:
    """A request that could not be read, of whatever kind: answered with `error` in its turn.

    `closes`: the connection is closed behind the answer.
    """

    error: ErrorCode
    closes: bool = False


@dataclass(slots=True)
class Sync:
    """Let the member catch up with the leader; `path` is only echoed."""

    path: str


@dataclass(slots=True)
class Ping:
    """Keep the session alive."""


@dataclass(slots=True)
class CreateSession:
    """Replicate a new session; made by a member on a connect, never sent by a client."""

    timeout_ms: int


@dataclass(slots=True)
class CloseSession:
    """End the session: asked by its client, or by the leader when it expired."""


@dataclass(slots=True)
class MalformedWrite:
    """A write that could not be read. Takes a zxid, as a write that fails, for its refusal."""


Write = (
    MultiOp
    | SetAcl
    | DeleteContainer
    | Reconfig
    | Multi
    | CreateSession
    | CloseSession
    | MalformedWrite
)
Read = (
    GetData
    | Exists
    | GetChildren
    | GetAcl
    | GetEphemerals
    | GetAllChildrenNumber
    | WhoAmI
    | MultiRead
    | AddWatch
    | CheckWatches
    | RemoveWatches
    | SetWatches
    | Malformed
    | Ping
)
Op = Write | Read | Sync | Auth


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
    """Inside a multi or multiRead: the code of one operation that failed."""

    error: ErrorCode


@dataclass(slots=True)
class MultiResult:
    """Of multi and multiRead: one for each operation, `None` where there is nothing to say."""

    results: tuple[
        PathResult | CreateResult | StatResult | DataResult | ChildrenResult | ErrorResult | None,
        ...,
    ]


Result = (
    PathResult
    | CreateResult
    | StatResult
    | DataResult
    | ChildrenResult
    | AclResult
    | PathsResult
    | NumberResult
    | IdsResult
    | MultiResult
    | None
)
