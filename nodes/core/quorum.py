"""What counts as a quorum: strictly more than half of the voters (`QuorumMaj`)."""

from __future__ import annotations

from collections.abc import Collection


def is_quorum(sids: Collection[int], voters: Collection[int]) -> bool:
    """Whether the voters among `sids` are a majority; observers never count."""
    # Most who ask have heard of too few in any case: one look instead of many.
    if 2 * len(sids) <= len(voters):
        return False
    return 2 * sum(1 for sid in voters if sid in sids) > len(voters)
