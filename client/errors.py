"""What can go wrong for a client: ZooKeeper's errors, by name and by code.

Owns the mapping between codes and exceptions and the wording of messages. Decides nothing:
codes come from a member's reply or from the session machine.
"""

from __future__ import annotations

from typing import ClassVar


class LagkeeperError(Exception):
    """Base of every error a client raises; by itself an error whose code has no class here.

    `code` is ZooKeeper's (`KeeperException.Code`). `definite` says that the operation surely
    did not happen; when it is False the operation may have happened, or may yet.
    """

    code: int = -1
    definite: bool = False
    word: ClassVar[str] = "SystemError"

    def __init__(self, operation: str = "", path: str = "", detail: str = "") -> None:
        # The arguments stay as they came, so that the error survives pickling.
        super().__init__(operation, path, detail)
        self.operation = operation
        self.path = path
        self.detail = detail
        # What each operation of a failed multi gave, in their order.
        self.results: tuple[object, ...] = ()

    def __str__(self) -> str:
        """Return one line: operation, path, ZooKeeper's name and code, and what else is known."""
        subject = " ".join(part for part in (self.operation, self.path) if part)
        text = f"{self.word} ({self.code})"
        if subject:
            text = f"{subject}: {text}"
        return f"{text}: {self.detail}" if self.detail else text


class RuntimeInconsistencyError(LagkeeperError):
    """Inside a failed multi: an operation behind the one that failed."""

    code = -2
    definite = True
    word = "RuntimeInconsistency"


class ConnectionLossError(LagkeeperError):
    """The connection went before the answer came. An instance may know that nothing was sent."""

    code = -4
    word = "ConnectionLoss"


class MarshallingError(LagkeeperError):
    """The member could not read the request."""

    code = -5
    definite = True
    word = "MarshallingError"


class UnimplementedError(LagkeeperError):
    """The member does not know the operation."""

    code = -6
    definite = True
    word = "Unimplemented"


class OperationTimeoutError(LagkeeperError):
    """The caller's patience ended before the answer came; the request is still under way."""

    code = -7
    word = "OperationTimeout"


class BadArgumentsError(LagkeeperError):
    """What was asked makes no sense; found by the client or by the member."""

    code = -8
    definite = True
    word = "BadArguments"


class NoNodeError(LagkeeperError):
    """The znode, or the parent of the one to create, is not there."""

    code = -101
    definite = True
    word = "NoNode"


class NoAuthError(LagkeeperError):
    """The znode's ACL does not allow it."""

    code = -102
    definite = True
    word = "NoAuth"


class BadVersionError(LagkeeperError):
    """The znode has another version than the expected one."""

    code = -103
    definite = True
    word = "BadVersion"


class NoChildrenForEphemeralsError(LagkeeperError):
    """The parent is ephemeral."""

    code = -108
    definite = True
    word = "NoChildrenForEphemerals"


class NodeExistsError(LagkeeperError):
    """The znode is there already."""

    code = -110
    definite = True
    word = "NodeExists"


class NotEmptyError(LagkeeperError):
    """The znode has children."""

    code = -111
    definite = True
    word = "NotEmpty"


class SessionExpiredError(LagkeeperError):
    """The ensemble has expired the session. The request was not carried out."""

    code = -112
    definite = True
    word = "SessionExpired"


class InvalidACLError(LagkeeperError):
    """The access list is empty, or an entry of it means nobody."""

    code = -114
    definite = True
    word = "InvalidACL"


class AuthFailedError(LagkeeperError):
    """A member refused an identity; the client is over, and its session is left to expire.

    Other operations under way fail with it, too; theirs may have happened.
    """

    code = -115
    word = "AuthFailed"


class SessionMovedError(LagkeeperError):
    """The session has moved to another member meanwhile."""

    code = -118
    definite = True
    word = "SessionMoved"


class NotReadOnlyError(LagkeeperError):
    """The member has no quorum: it serves reads only."""

    code = -119
    definite = True
    word = "NotReadOnly"


class EphemeralOnLocalSessionError(LagkeeperError):
    """A local session that may not be upgraded owns no ephemeral znodes."""

    code = -120
    definite = True
    word = "EphemeralOnLocalSession"


class NoWatcherError(LagkeeperError):
    """There is no watch of this type on the path."""

    code = -121
    definite = True
    word = "NoWatcher"


class ReconfigDisabledError(LagkeeperError):
    """The ensemble does not change its membership while it runs."""

    code = -123
    definite = True
    word = "ReconfigDisabled"


class QuotaExceededError(LagkeeperError):
    """The znode, or what is below it, would be more than its quota allows."""

    code = -125
    definite = True
    word = "QuotaExceeded"


ERRORS_BY_CODE: dict[int, type[LagkeeperError]] = {
    error.code: error for error in LagkeeperError.__subclasses__()
}


def error_for(code: int, operation: str = "", path: str = "", detail: str = "") -> LagkeeperError:
    """Return the exception for a code other than 0; an unknown code keeps its number."""
    error = ERRORS_BY_CODE.get(code, LagkeeperError)(operation, path, detail)
    error.code = code
    return error
