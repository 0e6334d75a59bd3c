"""What a run of chaos came to, as a text for people and as an object for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from client.history import FAILED, OK, UNKNOWN
from orchestrator.chaos.nemesis import Deed
from orchestrator.chaos.plan import WHAT_IT_DOES
from orchestrator.chaos.runner import Report, Setup
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.rules import RULES
from orchestrator.checker.schema import anomaly_json
from orchestrator.checker.text import anomaly_lines


def announce(setup: Setup) -> str:
    """What the run may do, before it begins."""
    ensemble = f"{setup.members} members"
    if setup.observers:
        ensemble += f" and {setup.observers} observers"
    lines = [
        f"chaos on {ensemble} for {setup.duration_s:g} s with seed {setup.seed};"
        f" {setup.clients} clients, at most {setup.per_second:g} operations a second",
        "it may:",
        *(f"  {kind:<12} {WHAT_IT_DOES[kind]}" for kind in setup.kinds),
    ]
    return "\n".join(lines)


def figures(report: Report) -> dict[str, Any]:
    """What happened, in numbers."""
    history = report.history
    did = Counter(deed.kind for deed in report.deeds if deed.touched)
    reads = sum(1 for op in history.operations if not op.writes and op.outcome == OK)
    return {
        "faults": did.total(),
        "faults_by_kind": dict(sorted(did.items())),
        "faults_that_did_nothing": sum(1 for deed in report.deeds if not deed.touched),
        "faults_left_out": report.left_out,
        "messages_touched": sum(d.touched for d in report.deeds if is_counting_messages(d)),
        "writes_acknowledged": history.count(OK),
        "writes_refused": history.count(FAILED),
        "writes_unknown": history.count(UNKNOWN),
        "reads": reads,
        "sessions": len(history.sessions),
        "epochs": len({op.zxid >> 32 for op in history.operations if op.zxid}),
        "took_s": round(report.took_s, 1),
    }


def is_counting_messages(deed: Deed) -> bool:
    """Whether what a fault touched is messages, and not a process, a session or a link."""
    return deed.kind in ("cut", "one-way-cut", "delay", "flap")


def verdict_text(report: Report) -> str:
    """The last lines: figures, then what was judged."""
    numbers = figures(report)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in numbers["faults_by_kind"].items())
    lines = [
        f"faults    {numbers['faults']}: {by_kind or 'none'}",
        f"          {numbers['faults_that_did_nothing']} did nothing,"
        f" {numbers['faults_left_out']} found no room;"
        f" {numbers['messages_touched']} messages touched",
        f"writes    {numbers['writes_acknowledged']} acknowledged,"
        f" {numbers['writes_refused']} refused, {numbers['writes_unknown']} of unknown outcome",
        f"reads     {numbers['reads']}, in {numbers['sessions']} sessions,"
        f" over {numbers['epochs']} epochs",
        violations_text(report.violations, _history_of(report)),
    ]
    if report.directory:
        lines.append(f"members' files and the history are in {report.directory}")
    return "\n".join(lines)


def _history_of(report: Report) -> str:
    """Where the history is kept of a run that found something; pictures are drawn of it."""
    return f"{report.directory}/history.jsonl" if report.directory else ""


def violations_text(violations: list[Anomaly], history: str = "") -> str:
    """The verdict alone; `history`: the file that proves it."""
    if not violations:
        return f"SOUND: none of the {len(RULES)} rules is broken"
    by_rule = Counter(violation.rule for violation in violations)
    named = ", ".join(f"{rule} ({n})" for rule, n in by_rule.items())
    return "\n".join([f"VIOLATED: {named}", *anomaly_lines(violations, history)])


def as_json(report: Report) -> dict[str, Any]:
    """Everything but the history."""
    setup = asdict(report.setup)
    return {
        "is_sound": not report.violations,
        "setup": {**setup, "kinds": list(report.setup.kinds)},
        "figures": figures(report),
        "faults": [asdict(deed) for deed in report.deeds],
        "rules": list(RULES),
        "violations": violations_json(report.violations),
        "directory": report.directory,
    }


def violations_json(violations: list[Anomaly]) -> list[dict[str, Any]]:
    """Each with its proof, as records and as lines."""
    return [anomaly_json(violation) for violation in violations]
