"""The operations of the threaded client, in ZooKeeper's words.

`client.aio_ops` has the same for asyncio. Owns the methods: each makes an operation,
submits it and reads the reply, and raises the typed errors of `client.errors`. How an operation
is sent is the client's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from client.acl import OPEN_ACL, Acl, Id
from client.ops import (
    AclResult,
    AddWatch,
    Auth,
    ChildrenResult,
    CreateContainer,
    CreateResult,
    DataResult,
    Delete,
    Exists,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    IdsResult,
    MultiResult,
    NumberResult,
    PathResult,
    PathsResult,
    Reconfig,
    Reply,
    SetAcl,
    SetData,
    Stat,
    StatResult,
    Sync,
    UserOp,
    WatcherType,
    WatchMode,
    WhoAmI,
    WriteOp,
)
from client.replies import (
    Created,
    MultiValue,
    Read,
    Watcher,
    as_acl,
    check_reply,
    make_create,
    make_create_ttl,
    make_multi,
    make_multi_read,
    make_remove_watches,
    multi_values,
    read_values,
    result_of,
    stat_or_none,
)

ReadPart = GetData | GetChildren


class Outcome(Protocol):
    """An operation under way."""

    def result(self, timeout: float | None = None) -> Reply:
        """Return the reply, whatever error code it carries."""


class Operations(ABC):
    """What a session can be asked for."""

    @abstractmethod
    def submit(self, op: UserOp, watcher: Watcher | None = None) -> Outcome:
        """Send an operation without waiting for its reply."""

    # Writes

    def create(
        self,
        path: str,
        data: bytes | None = b"",
        ephemeral: bool = False,
        sequential: bool = False,
        *,
        acl: Iterable[Acl] = OPEN_ACL,
    ) -> str:
        """Create a znode; return its path, with the counter if it is sequential."""
        op = make_create(path, data, ephemeral, sequential, acl)
        return result_of(op, self.submit(op).result(), PathResult).path

    def create2(
        self,
        path: str,
        data: bytes | None = b"",
        ephemeral: bool = False,
        sequential: bool = False,
        *,
        acl: Iterable[Acl] = OPEN_ACL,
    ) -> Created:
        """Create a znode as `create` does; return its path and its stat."""
        op = make_create(path, data, ephemeral, sequential, acl, with_stat=True)
        result = result_of(op, self.submit(op).result(), CreateResult)
        return result.path, result.stat

    def create_container(
        self, path: str, data: bytes | None = b"", *, acl: Iterable[Acl] = OPEN_ACL
    ) -> Created:
        """Create a znode that goes, some time after its last child has gone."""
        op = CreateContainer(path, data, as_acl(acl))
        result = result_of(op, self.submit(op).result(), CreateResult)
        return result.path, result.stat

    def create_ttl(
        self,
        path: str,
        ttl_ms: int,
        data: bytes | None = b"",
        sequential: bool = False,
        *,
        acl: Iterable[Acl] = OPEN_ACL,
    ) -> Created:
        """Create a znode that goes when it had no child and no change for `ttl_ms`.

        UnimplementedError unless the ensemble was told to allow it.
        """
        op = make_create_ttl(path, ttl_ms, data, sequential, acl)
        result = result_of(op, self.submit(op).result(), CreateResult)
        return result.path, result.stat

    def delete(self, path: str, version: int = -1) -> None:
        """Delete a znode without children."""
        op = Delete(path, version)
        check_reply(op, self.submit(op).result())

    def set(self, path: str, data: bytes | None, version: int = -1) -> Stat:
        """Replace a znode's data; return its new stat."""
        op = SetData(path, data, version)
        return result_of(op, self.submit(op).result(), StatResult).stat

    def set_acl(self, path: str, acl: Iterable[Acl], version: int = -1) -> Stat:
        """Replace a znode's access list; `version` is compared with its aversion."""
        op = SetAcl(path, as_acl(acl), version)
        return result_of(op, self.submit(op).result(), StatResult).stat

    def multi(self, *ops: WriteOp | Iterable[WriteOp]) -> list[MultiValue]:
        """Do several writes as one transaction; return a path, a stat, both or None for each.

        Raises the error of the one that failed, with what each gave in its `results`.
        """
        op = make_multi(ops)
        return multi_values(op, result_of(op, self.submit(op).result(), MultiResult).results)

    def reconfig(
        self,
        joining: str | None = None,
        leaving: str | None = None,
        new_members: str | None = None,
        config_id: int = -1,
    ) -> tuple[bytes | None, Stat]:
        """Change the membership; ReconfigDisabledError, as by a ZooKeeper that may not."""
        op = Reconfig(joining, leaving, new_members, config_id)
        result = result_of(op, self.submit(op).result(), DataResult)
        return result.data, result.stat

    # Reads

    def get(self, path: str, watch: Watcher | None = None) -> tuple[bytes | None, Stat]:
        """Return a znode's data and stat."""
        op = GetData(path, watch is not None)
        result = result_of(op, self.submit(op, watch).result(), DataResult)
        return result.data, result.stat

    def exists(self, path: str, watch: Watcher | None = None) -> Stat | None:
        """Return a znode's stat, None if it is not there; the watch is set either way."""
        op = Exists(path, watch is not None)
        return stat_or_none(op, self.submit(op, watch).result())

    def children(self, path: str, watch: Watcher | None = None) -> list[str]:
        """Return the names of a znode's children."""
        op = GetChildren(path, watch is not None)
        return list(result_of(op, self.submit(op, watch).result(), ChildrenResult).names)

    def get_acl(self, path: str) -> tuple[list[Acl], Stat]:
        """Return a znode's access list and stat; who may not change it sees no password's hash."""
        op = GetAcl(path)
        result = result_of(op, self.submit(op).result(), AclResult)
        return list(result.acl), result.stat

    def get_ephemerals(self, prefix: str = "/") -> list[str]:
        """Return the paths of this session's ephemeral znodes that begin with `prefix`."""
        op = GetEphemerals(prefix)
        return list(result_of(op, self.submit(op).result(), PathsResult).paths)

    def get_all_children_number(self, path: str) -> int:
        """Return how many znodes are below a path, at any depth."""
        op = GetAllChildrenNumber(path)
        return result_of(op, self.submit(op).result(), NumberResult).number

    def multi_read(self, *ops: ReadPart | Iterable[ReadPart]) -> list[Read]:
        """Do several reads of one state of the tree, without watches.

        Gives for each data and stat, or the names of children, or the error that it met.
        """
        op = make_multi_read(ops)
        return read_values(op, result_of(op, self.submit(op).result(), MultiResult).results)

    def sync(self, path: str = "/") -> str:
        """Let the member catch up with the leader; return the path given."""
        op = Sync(path)
        return result_of(op, self.submit(op).result(), PathResult).path

    # Identities

    def add_auth(self, scheme: str, auth: bytes) -> None:
        """Add an identity to the session, such as `add_auth("digest", b"user:password")`.

        It is told to each member that the session is connected to from now on, before anything
        else. If one refuses it, the client is over (AuthFailedError), as ZooKeeper's is.
        """
        op = Auth(scheme, auth)
        check_reply(op, self.submit(op).result())

    def who_am_i(self) -> list[Id]:
        """Return scheme and user of each identity that the member takes this connection for."""
        op = WhoAmI()
        return list(result_of(op, self.submit(op).result(), IdsResult).ids)

    # Watches

    def add_watch(
        self, path: str, watcher: Watcher, mode: WatchMode = WatchMode.PERSISTENT
    ) -> None:
        """Set a watch that stays when it fires, on a znode that need not exist.

        PERSISTENT tells of the znode and its children, PERSISTENT_RECURSIVE of the creation,
        change and deletion of everything below it, too. It outlives a reconnect, but is never
        told what happened before it.
        """
        op = AddWatch(path, mode)
        check_reply(op, self.submit(op, watcher).result())

    def remove_watches(
        self, path: str, watcher: Watcher | None = None, kind: WatcherType = WatcherType.ANY
    ) -> None:
        """Forget one watcher of a path, or all of them; NoWatcherError if there is none.

        Those forgotten are told so, with an event of a type such as DATA_WATCH_REMOVED.
        """
        op = make_remove_watches(path, watcher, kind)
        check_reply(op, self.submit(op, watcher).result())
