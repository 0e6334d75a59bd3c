"""A verdict as a text for people. Owns the wording alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from client.history import History, Operation
from orchestrator.checker.anomalies import Anomaly, Evidence, show
from orchestrator.checker.check import Demands, Verdict
from orchestrator.checker.freshness import Freshness
from orchestrator.checker.rules import FRESHNESS, PROPERTIES, RULES

MOST_SHOWN = 10
MOST_OF_A_RULE = 5
_WIDTH = max(map(len, PROPERTIES)) + 2
CAUTION = (
    "a sync is no barrier on a leader, nor where a deposed leader has not noticed yet;"
    " only a write is"
)


def verdict_text(name: str, history: History, verdict: Verdict, demands: Demands) -> str:
    """The whole of it: what was looked at, each property, each anomaly with its proof."""
    lines = [f"{name}: {summary(history)}"]
    for property_, counts in verdict.examined.items():
        found = verdict.of(property_)
        looked_at = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        word = _word(property_, found, demands, looked_at=any(counts.values()))
        lines.append(f"  {property_:<{_WIDTH}}{word:<11}{looked_at}")
        if property_ == FRESHNESS:
            lines += [f"  {'':<{_WIDTH + 11}}{line}" for line in freshness_lines(verdict.freshness)]
    lines += stale_lines(verdict, demands)
    lines += anomaly_lines(verdict.anomalies, name)
    lines += [f"in doubt: {doubt}" for doubt in verdict.doubts]
    lines.append(_last_line(verdict))
    return "\n".join(lines)


def summary(history: History) -> str:
    """How large a history is, and whose."""
    operations = history.operations
    began = min((op.called_ms for op in operations), default=0.0)
    ended = max((op.returned_ms or op.called_ms for op in operations), default=0.0)
    clients = len({op.client for op in operations})
    source = f", by {history.header.source}" if history.header.source else ""
    return (
        f"{len(operations):,} operations of {clients:,} clients in {len(history.sessions):,}"
        f" sessions over {_span(ended - began)}{source}"
    )


def _span(length_ms: float) -> str:
    return f"{length_ms / 1000:,.1f} s" if length_ms >= 1000 else f"{length_ms:.0f} ms"


def _word(property_: str, found: Sequence[Anomaly], demands: Demands, *, looked_at: bool) -> str:
    if found:
        return f"{len(found):,} wrong"
    if not looked_at:
        return "-"
    is_asked = demands.max_lag is not None or demands.is_fresh_after_sync
    return "measured" if property_ == FRESHNESS and not is_asked else "valid"


def freshness_lines(freshness: Freshness) -> list[str]:
    """How far reads were behind, which is no anomaly unless asked for."""
    if not freshness.reads:
        return []
    lines = [f"{freshness.behind:,} of {freshness.reads:,} reads lag behind what was acknowledged"]
    if freshness.behind:
        shares = ((0.5, "p50"), (0.99, "p99"), (1.0, "most"))
        by = ", ".join(f"{name} {freshness.lag(share)}" for share, name in shares)
        since = ", ".join(f"{name} {freshness.lag_ms(share):.1f}" for share, name in shares)
        lines.append(f"by {by} transactions; for {since} ms")
    if freshness.stale_synced:
        lines.append(
            f"{freshness.stale_synced:,} of {freshness.synced:,} right behind a sync do, too"
            f" ({CAUTION})"
        )
    return lines


def stale_lines(verdict: Verdict, demands: Demands) -> list[str]:
    """The stale reads of ephemerals, by window and reader."""
    if not verdict.stale:
        return []
    by_class = Counter((anomaly.window, anomaly.reader) for anomaly in verdict.stale)
    allowed = ", allowed here" if demands.allows_stale else ""
    lines = [
        f"{len(verdict.stale):,} stale: ephemerals shown after a program knew that their session"
        f" is over (ZooKeeper promises this: no{allowed})"
    ]
    for (window, reader), count in sorted(by_class.items()):
        lines.append(f"  {count:6,}  {window}, read by {reader}")
    return lines


def anomaly_lines(anomalies: Sequence[Anomaly], name: str = "") -> list[str]:
    """The first anomalies of each rule, with what proves them. `name`: the history's file."""
    by_rule: dict[str, list[Anomaly]] = {}
    for anomaly in anomalies:
        by_rule.setdefault(anomaly.rule, []).append(anomaly)
    lines = []
    each = min(MOST_OF_A_RULE, max(1, MOST_SHOWN // max(1, len(by_rule))))
    for rule, found in by_rule.items():
        promise = "yes" if RULES[rule].is_promised else "no"
        lines.append(
            f"{RULES[rule].property}: {rule} ({RULES[rule].text});"
            f" ZooKeeper promises this: {promise}"
        )
        for anomaly in found[:each]:
            window = f" [{anomaly.window}]" if anomaly.window else ""
            lines.append(f"  {anomaly.text}{window}")
            lines += [f"    {show(evidence)}" for evidence in anomaly.proof]
            if name and anomaly.proof:
                at_ms = instant_of(anomaly.proof[-1])
                lines.append(f"    see: orchestrator trace show {name} --around {at_ms:.1f}")
        if len(found) > each:
            lines.append(f"  and {len(found) - each:,} more")
    return lines


def instant_of(evidence: Evidence) -> float:
    """When it began, in milliseconds of the history's clock."""
    return evidence.called_ms if isinstance(evidence, Operation) else evidence.at_ms


def _last_line(verdict: Verdict) -> str:
    if verdict.anomalies:
        by_rule = Counter(anomaly.rule for anomaly in verdict.anomalies)
        named = ", ".join(f"{rule} ({count:,})" for rule, count in by_rule.items())
        broken = sum(1 for anomaly in verdict.anomalies if anomaly.is_promised)
        promises = (
            f"{broken:,} break what ZooKeeper promises"
            if broken
            else ("none of them breaks what ZooKeeper promises")
        )
        return f"ANOMALY: {named}; {promises}"
    if verdict.doubts:
        return "UNKNOWN: no rule is broken, but not all could be judged"
    return f"VALID: none of the {len(RULES)} rules is broken"
