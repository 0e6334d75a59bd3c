"""A member's settings. ZooKeeper's knobs keep their names; lengths of time are in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class MemberConfig:
    """Fixed for the life of a process.

    Invariants: `sid` is in exactly one of `voters` and `observers`;
    0 < min_session_timeout_ms <= max_session_timeout_ms; `snap_count`,
    `container_check_interval_ms` and `container_max_per_minute` are above 0.
    """

    sid: int
    voters: tuple[int, ...]
    observers: tuple[int, ...] = ()
    tick_time_ms: int = 2000
    init_limit: int = 10
    sync_limit: int = 5
    min_session_timeout_ms: int = 4000
    max_session_timeout_ms: int = 40000
    local_sessions_enabled: bool = False
    local_sessions_upgrading_enabled: bool = False
    finalize_wait_ms: int = 200
    # Transactions between two snapshots, at most (`snapCount`).
    snap_count: int = 100_000
    # Whether a member without a quorum serves reads (`readonlymode.enabled`).
    read_only_mode_enabled: bool = False
    # How often containers and TTL znodes are looked through, how many may go in a minute, and after
    # which time a container goes that never had a child (0: never).
    container_check_interval_ms: int = 60_000
    container_max_per_minute: int = 10_000
    container_max_never_used_interval_ms: int = 0
    # What /zookeeper/config tells of the ensemble, in ZooKeeper's "server.N=" lines; made from the
    # members' ids if it is empty.
    membership: str = ""
    # Whether hard quotas refuse writes (`zookeeper.enforceQuota`).
    enforce_quota: bool = False
    # Whether znodes may have a time to live (`zookeeper.extendedTypesEnabled`).
    extended_types_enabled: bool = False
    # Who may do everything, as an id of scheme digest ("user:hash"); empty: nobody.
    super_digest: str = ""
    # Wall clock minus the clock that `now_ms` reads; for the times in Stat, and since when a TTL
    # znode is idle.
    wall_offset_ms: float = 0.0

    @property
    def is_observer(self) -> bool:
        """Whether this member neither votes nor acknowledges."""
        return self.sid in self.observers

    @property
    def peers(self) -> tuple[int, ...]:
        """Every other member, voters first."""
        return tuple(s for s in self.voters + self.observers if s != self.sid)

    @property
    def quorum_config(self) -> bytes:
        """The content of /zookeeper/config: the first configuration, which never changes."""
        lines = self.membership.splitlines() or [
            f"server.{sid}=127.0.0.1:0:0:{'observer' if sid in self.observers else 'participant'}"
            for sid in sorted(self.voters + self.observers)
        ]
        return "\n".join((*lines, "version=0")).encode()
