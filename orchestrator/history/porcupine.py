"""Histories as Porcupine's operations: one JSON array, which a Go program decodes as it stands.

Pure. `Input` is {Path, Kind, Value, Expected}, `Output` {Ok, Value}; times are nanoseconds. An
operation of unknown outcome returns at the end of all time, and is not Ok: it may have happened.
What surely failed changed nothing, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from client.history import FAILED, UNKNOWN
from orchestrator.history.registers import READ, Registers
from orchestrator.history.spans import moments

NEVER = 2**63 - 1


def operations(found: Registers, path: str | None) -> Iterator[dict[str, Any]]:
    """Yield one for each access that may have had an effect or shows one, by its return."""
    chosen = [
        access
        for access in found.accesses
        if access.outcome != FAILED
        and not (access.kind == READ and access.outcome == UNKNOWN)
        and path in (None, access.path)
    ]
    began: dict[int, int] = {}
    for moment in moments(chosen):
        access = moment.span
        if not moment.is_end:
            began[id(access)] = moment.at_ns
            continue
        is_known = access.outcome != UNKNOWN
        yield {
            "ClientId": moment.process,
            "Input": {
                "Path": access.path,
                "Kind": access.kind,
                "Value": None if access.kind == READ else access.value,
                "Expected": access.expected,
            },
            "Call": began.pop(id(access)),
            "Output": {"Ok": is_known, "Value": access.value if access.kind == READ else None},
            "Return": moment.at_ns if is_known else NEVER,
        }
