"""What a member measures: ZooKeeper's own values under its own names, and the windows of expiries.

Gathers when somebody asks, from counters that are there anyway; lengths of time come from the
traces. Formats nothing: `nodes.exposition` does it for Prometheus, the four-letter words for mntr.
Belongs to the event loop: what `gather` returns is a copy that any thread may read.
"""

from __future__ import annotations

import resource
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nodes.core.config import MemberConfig
from nodes.core.counters import Latency
from nodes.core.messages import ServerState
from nodes.core.status import Status
from nodes.core.zxid import show_zxid
from nodes.driver import Driver
from nodes.rules import show_rule
from nodes.storage import Storage
from nodes.timer import monotonic_ms
from nodes.traces import Record, TraceFields
from nodes.transport import Transport

Key = TypeVar("Key", int, str)

WINDOW_BOUNDS_S = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
WINDOWS = ("W0", "W1", "W2")
# Closings that never end here: a deposed leader's, or of history applied before serving.
_MAX_OPEN = 50_000


@dataclass(slots=True)
class Histogram:
    """Lengths by upper bound; `counts` has one more than WINDOW_BOUNDS_S."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(WINDOW_BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, length_s: float) -> None:
        """Count a length."""
        self.counts[bisect_left(WINDOW_BOUNDS_S, length_s)] += 1
        self.total_s += length_s


class Timings:
    """Watches a member's traces: counts what is rare, times what begins and ends.

    W0 and W1 are known to the leader, of sessions that it expired. W2 is each member's own, of
    every closeSession that it applies while it serves: from the leader's commit, which the commit
    itself tells (`note_commit`), to the application here.
    """

    def __init__(self, sid: int) -> None:
        self.windows = {window: Histogram() for window in WINDOWS}
        self.looking_count = 0
        self.diff_count = 0
        self.snap_count = 0
        self.sessions_expired = 0
        self.local_sessions_expired = 0
        self.election_time = Latency()
        self.follower_sync_time = Latency()
        self.observer_sync_time = Latency()
        self.snapshottime = Latency()
        self.serving_since_ms: float | None = None
        self._sid = sid
        self._looking_since_ms = 0.0
        self._elected_ms = 0.0
        self._snapshot_since_ms = 0.0
        self._marked: dict[int, float] = {}
        self._submitted: dict[int, float] = {}
        self._committed: dict[str, float] = {}
        self._handlers: dict[str, Callable[[float, TraceFields], None]] = {
            "state": self._on_state,
            "serving": self._on_serving,
            "learner_synchronizing": self._on_learner_synchronizing,
            "close_marked": self._on_marked,
            "close_submitted": self._on_submitted,
            "close_committed": self._on_committed,
            "close_applied": self._on_applied,
            "local_session_expired": self._on_local_session_expired,
            "snapshot_started": self._on_snapshot_started,
            "snapshot_ended": self._on_snapshot_ended,
        }

    def add(self, record: Record) -> None:
        """Take a trace."""
        at_ms, kind, fields = record
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(at_ms, fields)

    def note_commit(self, zxid: int, committed_ms: float) -> None:
        """The leader committed this closeSession at that instant."""
        _put(self._committed, show_zxid(zxid), committed_ms)

    def _on_state(self, at_ms: float, fields: TraceFields) -> None:
        if fields["state"] == "LOOKING":
            self.looking_count += 1
            self._looking_since_ms = at_ms
            self.serving_since_ms = None
            for instants in (self._marked, self._submitted):
                instants.clear()
        else:
            self._elected_ms = at_ms
            self.election_time.add(round(at_ms - self._looking_since_ms))

    def _on_serving(self, at_ms: float, fields: TraceFields) -> None:
        self.serving_since_ms = at_ms
        if fields["state"] != "LEADING":
            is_observer = fields["state"] == "OBSERVING"
            time = self.observer_sync_time if is_observer else self.follower_sync_time
            time.add(round(at_ms - self._elected_ms))

    def _on_learner_synchronizing(self, at_ms: float, fields: TraceFields) -> None:
        # The learner traces it, too; ZooKeeper counts on the leader. TRUNC counts as DIFF there.
        if fields["learner"] != self._sid:
            self.snap_count += fields["mode"] == "SNAP"
            self.diff_count += fields["mode"] != "SNAP"

    def _on_marked(self, at_ms: float, fields: TraceFields) -> None:
        self.sessions_expired += 1
        _put(self._marked, int(fields["session_id"]), at_ms)

    def _on_submitted(self, at_ms: float, fields: TraceFields) -> None:
        session_id = int(fields["session_id"])
        self._end("W0", self._marked.pop(session_id, None), at_ms)
        _put(self._submitted, session_id, at_ms)

    def _on_committed(self, at_ms: float, fields: TraceFields) -> None:
        self._end("W1", self._submitted.pop(int(fields["session_id"]), None), at_ms)
        _put(self._committed, str(fields["zxid"]), at_ms)

    def _on_applied(self, at_ms: float, fields: TraceFields) -> None:
        self._end("W2", self._committed.pop(str(fields["zxid"]), None), at_ms)

    def _end(self, window: str, began_ms: float | None, ended_ms: float) -> None:
        if began_ms is not None:
            self.windows[window].add((ended_ms - began_ms) / 1000)

    def _on_local_session_expired(self, at_ms: float, fields: TraceFields) -> None:
        self.local_sessions_expired += 1

    def _on_snapshot_started(self, at_ms: float, fields: TraceFields) -> None:
        self._snapshot_since_ms = at_ms

    def _on_snapshot_ended(self, at_ms: float, fields: TraceFields) -> None:
        self.snapshottime.add(round(at_ms - self._snapshot_since_ms))


@dataclass(slots=True)
class ZookeeperValues:
    """ZooKeeper's values by its names, those of `mntr` without the `zk_`.

    A summary is a count and a sum, of milliseconds where it is of time. Values of a leader alone
    are there on the leader alone, as in ZooKeeper.
    """

    gauges: dict[str, float]
    counters: dict[str, int]
    summaries: dict[str, tuple[int, float]]


@dataclass(slots=True)
class LinkValues:
    """A link that this member sends on; `touched` by rule, of rules taken off under "off"."""

    name: str
    is_connected: bool
    waiting: int
    sent_by_kind: dict[str, int]
    touched: dict[str, int]


@dataclass(slots=True)
class Gathered:
    """All that a member measures, at one instant."""

    status: Status
    zookeeper: ZookeeperValues
    links: list[LinkValues]
    windows: dict[str, Histogram]
    sessions_expired: int
    local_sessions_expired: int
    disk_delay_s: float


class Metrics:
    """One per process. Everything here is called on the event loop."""

    def __init__(
        self, config: MemberConfig, driver: Driver, transport: Transport, storage: Storage
    ) -> None:
        self.timings = Timings(config.sid)
        self._voters = config.voters
        self._driver = driver
        self._transport = transport
        self._storage = storage
        driver.traces.watch(self.timings)
        transport.watch_commits(self.timings.note_commit)

    def gather(self) -> Gathered:
        """Everything, as it is now."""
        timings = self.timings
        # Once: it looks at every session.
        status = self._driver.member.status()
        return Gathered(
            status=status,
            zookeeper=self._zookeeper(status),
            links=[self._link(peer) for peer in sorted(self._transport.outbound)],
            windows={
                name: Histogram(list(window.counts), window.total_s)
                for name, window in timings.windows.items()
            },
            sessions_expired=timings.sessions_expired,
            local_sessions_expired=timings.local_sessions_expired,
            disk_delay_s=self._storage.disk_delay_ms / 1000,
        )

    def zookeeper(self) -> ZookeeperValues:
        """ZooKeeper's own values."""
        return self._zookeeper(self._driver.member.status())

    def _zookeeper(self, status: Status) -> ZookeeperValues:
        gauges = self._gauges(status)
        if status.state is ServerState.LEADING and status.is_serving:
            gauges |= self._leader_gauges(status)
        return ZookeeperValues(gauges, self._counters(), self._summaries())

    def _gauges(self, status: Status) -> dict[str, float]:
        requests = self._driver.member.counters.requests
        return {
            "avg_latency": round(requests.latency.average_ms, 4),
            "min_latency": requests.latency.min_ms,
            "max_latency": requests.latency.max_ms,
            "packets_received": requests.packets_received,
            "packets_sent": requests.packets_sent,
            "num_alive_connections": status.connections,
            "outstanding_requests": status.outstanding_requests,
            "znode_count": status.znodes,
            "watch_count": status.watches,
            "ephemerals_count": status.ephemerals,
            "approximate_data_size": status.approximate_data_size,
            "open_file_descriptor_count": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "max_file_descriptor_count": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "global_sessions": status.global_sessions,
            "local_sessions": status.local_sessions,
            "quorum_size": len(self._voters),
            "uptime": self._uptime_ms(),
        }

    def _leader_gauges(self, status: Status) -> dict[str, float]:
        followers = sum(sid in self._voters for sid in status.synced_learners)
        return {
            "learners": status.learners,
            "synced_followers": followers,
            "synced_observers": len(status.synced_learners) - followers,
            "pending_syncs": status.pending_syncs,
            "leader_uptime": self._uptime_ms(),
        }

    def _uptime_ms(self) -> int:
        since_ms = self.timings.serving_since_ms
        return 0 if since_ms is None else round(monotonic_ms() - since_ms)

    def _counters(self) -> dict[str, int]:
        counters, timings = self._driver.member.counters, self.timings
        return {
            "connection_request_count": counters.connection_request_count,
            "connection_revalidate_count": counters.connection_revalidate_count,
            "connection_drop_count": counters.connection_drop_count,
            "revalidate_count": counters.revalidate_count,
            "stale_sessions_expired": timings.sessions_expired + timings.local_sessions_expired,
            "proposal_count": counters.proposal_count,
            "commit_count": counters.commit_count,
            "learner_proposal_received_count": counters.learner_proposal_received_count,
            "learner_commit_received_count": counters.learner_commit_received_count,
            "looking_count": timings.looking_count,
            "diff_count": timings.diff_count,
            "snap_count": timings.snap_count,
        }

    def _summaries(self) -> dict[str, tuple[int, float]]:
        counters, timings, storage = self._driver.member.counters, self.timings, self._storage
        lengths = {
            "proposal_latency": counters.proposal_latency,
            "quorum_ack_latency": counters.quorum_ack_latency,
            "propagation_latency": counters.propagation_latency,
            "election_time": timings.election_time,
            "follower_sync_time": timings.follower_sync_time,
            "observer_sync_time": timings.observer_sync_time,
            "snapshottime": timings.snapshottime,
        }
        return {
            "fsynctime": (storage.syncs, storage.sync_s * 1000),
            "sync_processor_batch_size": (storage.syncs, storage.synced_txns),
            **{name: (length.count, length.total_ms) for name, length in lengths.items()},
        }

    def _link(self, peer: int) -> LinkValues:
        outbound = self._transport.outbound[peer]
        link = outbound.link
        touched = {show_rule(active.rule): active.touched for active in link.rules}
        return LinkValues(
            name=f"{self._transport.sid}->{peer}",
            is_connected=outbound.connected.is_set(),
            waiting=link.waiting,
            sent_by_kind=dict(link.sent_by_kind),
            touched={**touched, "off": link.touched_before},
        )


def _put(instants: dict[Key, float], key: Key, at_ms: float) -> None:
    """Remember an instant; of too many, the oldest are forgotten."""
    if len(instants) >= _MAX_OPEN:
        del instants[next(iter(instants))]
    instants[key] = at_ms
