"""Serving without a quorum: reads only, of what this member had applied or logged
(`ReadOnlyZooKeeperServer`, `ReadOnlyRequestProcessor`).

Lives while a member looks for a leader, and only if that is configured. Its sessions are local,
and end with it. It votes for nobody and writes nothing.
"""

from __future__ import annotations

from nodes.core.commit import ClientRequest, Connection, needs_leader
from nodes.core.context import Context
from nodes.core.errors import ErrorCode
from nodes.core.replica import Replica
from nodes.core.requests import Sync
from nodes.core.server import Server


class ReadOnly:
    """The role in which `server` serves. Invariant: nothing waits for a commit here."""

    def __init__(self, context: Context, replica: Replica) -> None:
        self.server = Server(context, replica, self, is_read_only=True)
        context.trace("serving_read_only")

    def touch(self, session_id: int, timeout_ms: int) -> bool:
        """No global session is served here."""
        return False

    def revalidate(self, connection: Connection) -> None:
        """Whatever is not local to this server has expired, for all that it knows."""
        self.server.finish_setup(connection, is_valid=False)

    def process(self, request: ClientRequest) -> None:
        """Answer at once; what only a leader could do is refused."""
        if type(request.op) is Sync or needs_leader(request.op):
            request.error = ErrorCode.NOT_READ_ONLY
        self.server.admit(request, needs_commit=False)

    def on_session_created(self, session_id: int, timeout_ms: int) -> None:
        """Nothing is committed here."""

    def on_session_closed(self, session_id: int) -> None:
        """Nothing is committed here."""
