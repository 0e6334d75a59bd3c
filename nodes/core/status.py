"""What a member tells of itself to operators."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.core.messages import ServerState


@dataclass(slots=True)
class Status:
    """A snapshot of a member's own view; another member may see it differently."""

    sid: int
    state: ServerState
    phase: str
    is_serving: bool
    leader: int | None
    epoch: int
    last_zxid: int
    last_logged_zxid: int
    global_sessions: int
    local_sessions: int
    closing_sessions: int
    connections: int
    znodes: int
    ephemerals: int
    watches: int
    outstanding_proposals: int
    synced_learners: tuple[int, ...]
    closing_is_held: bool
    # Of this member's clients: waiting for a commit, or behind one that does.
    outstanding_requests: int
    # On the leader: learners connected, and syncs that wait for a proposal.
    learners: int
    pending_syncs: int
    # Bytes of paths and data.
    approximate_data_size: int
    # Looking for a leader, and serving reads meanwhile; that is not serving.
    is_read_only: bool = False
