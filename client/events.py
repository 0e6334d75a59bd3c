"""What can happen to a client's session, and what its machine wants done.

Events are past participles and things that arrived; effects are imperatives, carried out in
order. Tokens and watchers are the caller's own objects; the machine only hands them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from client.ops import Reply, Request, SessionRequest, SessionResponse, UserOp, WatchEvent


class SessionState(Enum):
    """Where a session stands, as its client knows; only the leader decides expiry."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    EXPIRED = "expired"
    CLOSED = "closed"
    AUTH_FAILED = "auth failed"


class SessionEvent(Enum):
    """What a listener is told."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    EXPIRED = "expired"
    CLOSED = "closed"
    AUTH_FAILED = "auth failed"


@dataclass(slots=True)
class Started:
    """Begin to connect. The first event, exactly once."""


@dataclass(slots=True)
class DeadlineReached:
    """The instant that `Session.deadline()` named has come."""


@dataclass(slots=True)
class Received:
    """A frame arrived on a connection, in the order in which the member sent it."""

    connection: int
    frame: SessionResponse | Reply | WatchEvent


@dataclass(slots=True)
class Lost:
    """A connection is gone: the member closed it, or the line under it broke."""

    connection: int


@dataclass(slots=True)
class Submitted:
    """The program asks for an operation; ends in one Complete or Fail with this token."""

    token: Any
    op: UserOp
    watcher: Any = None


@dataclass(slots=True)
class CloseRequested:
    """The program ends the session; ends in one Announce(CLOSED) unless it is over already."""


@dataclass(slots=True)
class Silenced:
    """The program drops out without a word: no more pings, the session is left to expire."""

    keep_connection: bool


Event = Started | DeadlineReached | Received | Lost | Submitted | CloseRequested | Silenced


@dataclass(slots=True)
class Open:
    """Open a connection to a member with this first frame; ends in Received or Lost."""

    connection: int
    member: int
    request: SessionRequest


@dataclass(slots=True)
class Send:
    """Send a request on a connection."""

    connection: int
    request: Request


@dataclass(slots=True)
class Drop:
    """Drop a connection. Nothing that still arrives on it counts, and no Lost follows."""

    connection: int


@dataclass(slots=True)
class Complete:
    """Hand over the reply to a submitted operation."""

    token: Any
    reply: Reply


@dataclass(slots=True)
class Fail:
    """A submitted operation gets no reply; `definite`: it surely did not happen."""

    token: Any
    op: UserOp
    code: int
    definite: bool
    detail: str


@dataclass(slots=True)
class Fire:
    """Tell these watchers of an event."""

    watchers: tuple[Any, ...]
    event: WatchEvent


@dataclass(slots=True)
class Announce:
    """Tell the listener about the session itself."""

    event: SessionEvent


Effect = Open | Send | Drop | Complete | Fail | Fire | Announce
