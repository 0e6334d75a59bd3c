"""A verdict as JSON, in a form that stays as it is: new keys may come, none go or change."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

from client.history import Event, History, Operation
from orchestrator.checker.anomalies import Anomaly, Evidence, show
from orchestrator.checker.check import ANOMALY, DOUBTFUL, VALID, Demands, Verdict
from orchestrator.checker.freshness import Freshness
from orchestrator.checker.rules import RULES

VERSION = 1
MOST_LISTED = 1000
EXIT_STATUS = {VALID: 0, ANOMALY: 1, DOUBTFUL: 2}


def as_json(name: str, history: History, verdict: Verdict, demands: Demands) -> dict[str, Any]:
    """The whole of it; of the anomalies the first thousand, each with its proof."""
    return {
        "version": VERSION,
        "history": name,
        "verdict": verdict.verdict,
        "exit_status": EXIT_STATUS[verdict.verdict],
        "operations": len(history.operations),
        "sessions": len(history.sessions),
        "source": history.header.source,
        "demands": {
            "allow_stale": demands.allows_stale,
            "max_lag": demands.max_lag,
            "fresh_after_sync": demands.is_fresh_after_sync,
        },
        "properties": {
            property_: {"anomalies": len(verdict.of(property_)), "examined": counts}
            for property_, counts in verdict.examined.items()
        },
        "anomalies_by_rule": Counter(anomaly.rule for anomaly in verdict.anomalies),
        "anomalies": [anomaly_json(anomaly) for anomaly in verdict.anomalies[:MOST_LISTED]],
        "stale": _stale_json(verdict.stale),
        "freshness": _freshness_json(verdict.freshness),
        "doubts": verdict.doubts,
    }


def anomaly_json(anomaly: Anomaly) -> dict[str, Any]:
    """One anomaly. `proof` has the records as they stand in the history."""
    return {
        "property": RULES[anomaly.rule].property,
        "rule": anomaly.rule,
        "zookeeper_promises_this": anomaly.is_promised,
        "text": anomaly.text,
        "window": anomaly.window,
        "reader": anomaly.reader,
        "proof": [_record(evidence) for evidence in anomaly.proof],
        "lines": [show(evidence) for evidence in anomaly.proof],
    }


def _record(evidence: Evidence) -> dict[str, Any]:
    match evidence:
        case Operation():
            name = "operation"
        case Event():
            name = "event"
        case _:
            name = "told"
    return {name: json.loads(msgspec.json.encode(evidence))}


def _stale_json(stale: list[Anomaly]) -> dict[str, Any]:
    by_class = Counter((anomaly.window, anomaly.reader) for anomaly in stale)
    return {
        "count": len(stale),
        "by_class": [
            {"window": window, "reader": reader, "count": count}
            for (window, reader), count in sorted(by_class.items())
        ],
    }


def _freshness_json(freshness: Freshness) -> dict[str, Any]:
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        "reads": freshness.reads,
        "behind": freshness.behind,
        "lag_transactions": {name: freshness.lag(share) for name, share in shares.items()},
        "lag_ms": {name: round(freshness.lag_ms(share), 3) for name, share in shares.items()},
        "behind_sync": freshness.synced,
        "behind_sync_but_stale": freshness.stale_synced,
    }
