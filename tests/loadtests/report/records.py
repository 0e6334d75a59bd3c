"""Records for the tests: a whole run with everything in it, and what is left of a poor one."""

from __future__ import annotations

from typing import Any

from orchestrator.race.intervals import wilson

SLOW, LEADER = "slow member", "leader"
DURATION_S = 40


def reader(
    session: str, place: str, mitigation: str, stale: int, n: int = 400, operation: str = "read"
) -> dict[str, Any]:
    """A row of the table with `stale` of `n`."""
    suffix = "" if mitigation == "none" else f", {mitigation}"
    is_noticed = mitigation.startswith(("create", "compare"))
    window = {"median": 51.2, "p95": 55.0, "p99": 61.3, "max": 80.1} if stale else None
    return {
        "name": f"{operation}: {session}, {place}{suffix}",
        "operation": operation,
        "session": session,
        "place": place,
        "mitigation": mitigation,
        "requests": n,
        "stale": stale,
        "ratio": stale / n if n else None,
        "interval": list(wilson(stale, n)) if n else None,
        "acted_upon": 0 if is_noticed else stale,
        "harmful": 7 if mitigation.startswith("delete") else 0,
        "endless": 0,
        "latency_ms": {"p50": 2.5, "p95": 6.0, "p99": 11.0, "max": 40.0} if n else None,
        "window_ms": window,
        "lag_txns": {"median": 3, "p95": 5, "p99": 6, "max": 9} if stale else None,
    }


def record(stale: int = 280, **changes: Any) -> dict[str, Any]:
    """A run of 40 s with a link rule from 10 s on; `stale`: of the unprotected reader."""
    readers = [
        reader("open session", SLOW, "none", stale),
        reader("open session", SLOW, "sync first", 0),
        reader("new global session", SLOW, "none", 0),
        reader("open session", SLOW, "create until it succeeds", 120, operation="create"),
        reader("open session", SLOW, "compare ephemeral_owner", 270),
        reader("open session", SLOW, "delete and re-create", 250, operation="delete"),
        reader("open session", SLOW, "wait one session timeout", 0),
        reader("open session", LEADER, "none", 12),
        reader("new local session", LEADER, "none", 0, n=0),
    ]
    whole = {
        "schema": "lagkeeper-load/1",
        "setup": _setup(),
        "duration_s": float(DURATION_S),
        "readers": readers,
        "void_rounds": {"no mark seen": 3, "session alive at the reconnect": 1},
        "ends": {"silence": 1900, "crash": 1700, "close": 0, "cut": 0},
        "windows": _windows(),
        "audit": {
            "reads": 3190,
            "stale_seen": 932,
            "stale_served": 933,
            "disagreeing": 1,
            "untraced": 10,
            "window_difference_ms": {
                "n": 930,
                "p50": 0.8,
                "p99": 3.9,
                "max": 21.5,
                "within_5_ms": 0.994,
            },
        },
        "storms": [{"t": 30.0, "sessions": 500, "gone_everywhere_ms": 812.5}],
        "samples": [_sample(t, readers) for t in range(1, DURATION_S + 1)],
        "events": [
            {"t": 10.0, "kind": "link set", "text": "3->1 delay=50ms"},
            {"t": 30.0, "kind": "storm", "text": "500 services crashed"},
        ],
        "failures": [],
        "missing": [],
        "verdict": "Most often stale was 'read: open session, slow member': 280 of 400.",
    }
    return {**whole, **changes}


def sweep(values: tuple[str, ...] = ("0", "5", "20", "50", "100")) -> dict[str, Any]:
    """Runs at each value: the higher, the more stale; the last one did not come about."""
    points = [
        {"value": value, "record": record(min(290, 12 * int(value)))} for value in values[:-1]
    ]
    return {
        "schema": "lagkeeper-sweep/1",
        "swept": {"knob": "delay", "unit": "ms", "link": "3->1"},
        "points": [*points, {"value": values[-1], "record": None}],
        "missing": [f"delay={values[-1]}: the ensemble went away"],
        "verdict": "",
    }


def poor() -> dict[str, Any]:
    """What is left of a run that told nothing."""
    return {"schema": "lagkeeper-load/1", "setup": {}, "missing": ["Locust was killed"]}


def _setup() -> dict[str, Any]:
    return {
        "started_at": "2026-01-02T03:04:05.678+00:00",
        "seed": 17,
        "knobs": {"session_timeout_ms": 1000, "readers": "open,new", "link_rules": ["3->1"]},
        "members": [
            {"sid": 1, "address": "127.0.0.1:7001", "role": "follower"},
            {"sid": 3, "address": "127.0.0.1:7003", "role": "leader"},
        ],
        "versions": {"lagkeeper": "0.1.0", "python": "3.11.2"},
        "machine": {"cpus": 2, "platform": "Linux"},
        "users": 210,
        "processes": 1,
    }


def _windows() -> dict[str, Any]:
    bounds = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
    return {
        "W0": {"bounds_ms": bounds, "counts": [900, 80, 10, 0, 0, 0, 0, 0, 0, 0, 0]},
        "W1": {"bounds_ms": bounds, "counts": [0, 30, 400, 500, 60, 10, 0, 0, 0, 0, 0]},
        "W2": {
            "1": {"bounds_ms": bounds, "counts": [0, 0, 0, 0, 0, 0, 40, 900, 55, 4, 1]},
            "3": {"bounds_ms": bounds, "counts": [990, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0]},
        },
    }


def _sample(t: int, readers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "t": float(t),
        "users": min(210, 70 * t),
        "readers": {row["name"]: _seen(t, row["requests"], row["stale"]) for row in readers},
        "sessions": {"alive": 300 + t % 7, "closing": t % 4, "expired": 90 * t},
        "links": [{"link": "3->1", "rule": "delay=50ms", "touched": 120 * t}] if t > 10 else [],
    }


def _seen(t: int, n: int, stale: int) -> list[int]:
    """The rule acts from 10 s on: no stale read before. Nobody reads from 20 to 23 s."""

    def reads_at(second: int) -> int:
        return n * (second if second <= 20 else max(20, second - 3)) // (DURATION_S - 3)

    after = max(0, reads_at(t) - reads_at(10))
    return [reads_at(t), stale * after // max(1, n - reads_at(10))]
