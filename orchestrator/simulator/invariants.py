"""The names of what must hold in every run, and the exception that says which one does not."""

from __future__ import annotations

from enum import Enum


class Invariant(Enum):
    """The first eight are those of ZooKeeper's TLA+ specification of Zab, under its names.

    "Delivers" means there, and here: applies on a member that serves.
    """

    LEADERSHIP = "leadership"
    PREFIX_CONSISTENCY = "prefix consistency"
    INTEGRITY = "integrity"
    AGREEMENT = "agreement"
    TOTAL_ORDER = "total order"
    LOCAL_PRIMARY_ORDER = "local primary order"
    GLOBAL_PRIMARY_ORDER = "global primary order"
    PRIMARY_INTEGRITY = "primary integrity"
    DURABILITY = "what is delivered is on the disks of a quorum"
    ACKNOWLEDGED = "acknowledged writes survive"
    SESSION_FIFO = "per-session FIFO"
    ZXID_ORDER = "zxids seen by a session never go back"
    READS = "a read shows the state of its zxid"
    LIVE_OWNER = "an ephemeral's owner is a live session"
    CLOSED_OWNER = "no ephemeral outlives its closeSession"
    EXPIRY = "the leader alone expires sessions"
    OPENING = "a session opens through a committed createSession"
    SAME_TREE = "a tree is what the delivered transactions make of it"
    RECOVERY = "the ensemble serves again after the faults"
    CORE = "the core's own invariants"


class Violation(AssertionError):
    """An invariant does not hold; `detail` says how it shows."""

    def __init__(self, invariant: Invariant, detail: str) -> None:
        super().__init__(f"{invariant.value}: {detail}")
        self.invariant = invariant
        self.detail = detail


def show_zxid(zxid: int) -> str:
    """Return `epoch:counter`."""
    return f"{zxid >> 32}:{zxid & 0xFFFFFFFF}"
