"""What a member knows of sessions, ephemerals and watches, for operators who want it all."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.core.replica import Replica
from nodes.core.server import Server
from nodes.core.sessions import SessionTracker
from nodes.core.watches import WatchesSummary

Buckets = tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(slots=True)
class Dump:
    """A copy, at one instant, of what ZooKeeper's words dump, wchs, wchc and wchp show.

    `sessions`: the replicated ones with their timeouts; `expiry`: on the leader, when which of
    them are due unless they are heard from; the local ones are due on this member.
    """

    sessions: dict[int, int]
    expiry: Buckets | None
    local_sessions: dict[int, int]
    local_expiry: Buckets
    ephemerals: dict[int, tuple[str, ...]]
    session_of: dict[int, int]
    watches: WatchesSummary
    watches_by_connection: dict[int, tuple[str, ...]]
    watches_by_path: dict[str, tuple[int, ...]]


def dump_of(replica: Replica, server: Server, tracker: SessionTracker | None) -> Dump:
    """Copy it all; `tracker` is the leader's."""
    local = server.local_sessions
    local_sessions = local.sessions if local is not None else {}
    return Dump(
        sessions=dict(replica.sessions),
        expiry=tracker.buckets() if tracker is not None else None,
        local_sessions={session: it.timeout_ms for session, it in local_sessions.items()},
        local_expiry=local.buckets() if local is not None else (),
        ephemerals={owner: tuple(paths) for owner, paths in replica.tree.ephemerals.items()},
        session_of={number: it.session_id for number, it in server.connections.items()},
        watches=server.watches.summary(),
        watches_by_connection=server.watches.by_connection(),
        watches_by_path=server.watches.by_path(),
    )
