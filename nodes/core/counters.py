"""What a member counts as it goes, for operators: plain numbers under ZooKeeper's names.

Nothing in the core reads them: no decision depends on a count. They belong to the process, as in
ZooKeeper, and outlive its roles.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Latency:
    """Lengths of time in whole milliseconds, as ZooKeeper counts them; all 0 before the first."""

    count: int = 0
    total_ms: int = 0
    min_ms: int = 0
    max_ms: int = 0

    def add(self, length_ms: int) -> None:
        """Count a length; clocks of two members may make it a little negative, which is 0."""
        self.count += 1
        if length_ms <= 0:  # as of nearly every read
            self.min_ms = 0
            return
        self.total_ms += length_ms
        if self.count == 1 or length_ms < self.min_ms:
            self.min_ms = length_ms
        # Not max(): a call costs as much as all the rest, and every write pays it.
        self.max_ms = length_ms if length_ms > self.max_ms else self.max_ms

    @property
    def average_ms(self) -> float:
        """The mean; 0 before the first."""
        return self.total_ms / self.count if self.count else 0.0


@dataclass(slots=True)
class RequestStats:
    """ZooKeeper's ServerStats: what `stat`, `srvr` and `mntr` show and `srst` sets to nothing.

    `packets_sent` is counted by the shell that carries answers to clients. `latency` is that of
    requests, from their arrival to their reply.
    """

    packets_received: int = 0
    packets_sent: int = 0
    latency: Latency = field(default_factory=Latency)

    def reset(self) -> None:
        """Count from nothing again."""
        self.packets_received = self.packets_sent = 0
        self.latency = Latency()


@dataclass(slots=True)
class Counters:
    """One per member. `requests` may be reset; everything else only grows.

    From a transaction's time on the leader: `proposal_latency` to its arrival at a learner,
    `quorum_ack_latency` to a quorum of acknowledgements, `propagation_latency` to its application
    on this member.
    """

    requests: RequestStats = field(default_factory=RequestStats)
    connection_request_count: int = 0
    connection_revalidate_count: int = 0
    connection_drop_count: int = 0
    revalidate_count: int = 0
    proposal_count: int = 0
    commit_count: int = 0
    learner_proposal_received_count: int = 0
    learner_commit_received_count: int = 0
    proposal_latency: Latency = field(default_factory=Latency)
    propagation_latency: Latency = field(default_factory=Latency)
    quorum_ack_latency: Latency = field(default_factory=Latency)
