"""A record as the page gets it, with whatever a name or a rule might carry."""

from __future__ import annotations

import json
from typing import Any

from loadtests.record import MemberSetup, Recorder, Storm
from loadtests.stale_reads import Kind, Observation

OPEN = Kind("open session", "slow member")
SYNC = Kind("open session", "slow member", "sync first")
LEADER = Kind("open session", "leader")
HOSTILE = "<img src=x onerror=\"document.body.id='owned'\">"


def record(hostile: str = "") -> dict[str, Any]:
    """Forty seconds: a rule from the 20th on, and stale reads with it; `hostile` in all texts."""
    kinds = [OPEN, SYNC, LEADER]
    if hostile:
        kinds.append(Kind(f"session {hostile}", f"place {hostile}", f"cure {hostile}"))
    windows = {"bounds_ms": [1, 2, 5, 10, 20, 50, 100], "counts": [0, 3, 9, 4, 0, 0, 0, 0]}
    recorder = Recorder(
        seed=1,
        knobs={},
        members=[MemberSetup(sid=1, address="127.0.0.1:1", role=f"leader{hostile}")],
        windows=lambda: {"W0": windows, "W1": windows, "W2": {"1": windows, "2": windows}},
        storms=[Storm(t=30.0, sessions=12, gone_everywhere_ms=87.5)],
    )
    for second in range(40):
        is_delayed = second >= 20
        for kind in kinds:
            is_stale = is_delayed and kind == OPEN
            recorder.counts.add(kind, Observation(is_stale, 50.0 if is_stale else None, 1.5, 3))
        rule = {"link": "3->1", "rule": f"delay=50ms{hostile}", "touched": 10 * second}
        recorder.sample(
            users=21,
            sessions={"alive": 40, "closing": 1, "expired": 2 * second},
            links=[rule] if is_delayed else [],  # type: ignore[list-item]
        )
        recorder.samples[-1]["t"] = second + 0.5
    recorder.note("link set", f"3->1: delay=50ms {hostile}")
    recorder.counts.add_void(f"error {hostile}")
    recorder.lack(f"member 2 did not answer {hostile}")
    # What goes over the wire.
    values: dict[str, Any] = json.loads(json.dumps(recorder.snapshot()))
    values["duration_s"] = 40.0
    values["events"][0]["t"] = 20.0
    values["ends"] = {"silence": 40, "crash": 0, "close": 2, "cut": 0}
    values["verdict"] += hostile
    return values


def links(hostile: str = "") -> dict[str, Any]:
    """What the route of links answers."""
    rules = [{"rule": f"delay=50ms{hostile}", "touched": 200}]
    return {
        "members": [{"sid": 1, "address": f"127.0.0.1:1{hostile}", "role": f"leader{hostile}"}],
        "links": [{"link": "3->1", "is_connected": True, "waiting": 2, "rules": rules}],
    }
