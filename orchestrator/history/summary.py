"""What is in a history, in numbers: for people and for programs. Pure; judges nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from client.history import FAILED, OK, UNKNOWN, History

_OUTCOMES = (OK, FAILED, UNKNOWN)


def summary(history: History) -> dict[str, Any]:
    """Operations by kind and outcome, sessions by their end, members, and the time from first to
    last.
    """
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    members: Counter[str] = Counter()
    times: list[float] = []
    for operation in history.operations:
        kinds[operation.kind][operation.outcome] += 1
        if operation.member:
            members[operation.member] += 1
        times += (operation.called_ms, operation.returned_ms or operation.called_ms)
    zxids = [operation.zxid for operation in history.operations if operation.zxid]
    return {
        "source": history.header.source,
        "clock": history.header.clock,
        "is_complete": history.is_complete,
        "operations": len(history.operations),
        "by_kind": {
            kind: {outcome: counts[outcome] for outcome in _OUTCOMES}
            for kind, counts in sorted(kinds.items())
        },
        "errors": dict(Counter(op.error for op in history.operations if op.error).most_common()),
        "clients": len({operation.client for operation in history.operations}),
        "sessions": len(history.sessions),
        "sessions_by_end": dict(Counter(s.end for s in history.sessions.values()).most_common()),
        "told": dict(Counter(told.verdict for told in history.told).most_common()),
        "watch_events": len(history.events),
        "traces": len(history.traces),
        "answers_by_member": dict(sorted(members.items())),
        "members_at_the_end": len(history.members),
        "epochs": sorted({zxid >> 32 for zxid in zxids}),
        "span_ms": round(max(times) - min(times), 3) if times else 0.0,
    }


def summary_text(found: dict[str, Any]) -> str:
    """The same, as lines."""
    epochs = found["epochs"]
    lines = [
        f"history     {found['source'] or 'of unknown source'}, {found['clock']} clock,"
        f" {'complete' if found['is_complete'] else 'CUT OFF: more may have happened'}",
        f"span        {found['span_ms'] / 1000:.3f} s,"
        f" epochs {f'{epochs[0]} to {epochs[-1]}' if epochs else 'none'}",
        f"operations  {found['operations']} by {found['clients']} clients",
    ]
    width = max(map(len, found["by_kind"]), default=0)
    for kind, counts in found["by_kind"].items():
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        lines.append(f"  {kind:<{width}}  {told}")
    for title, name in (
        ("errors", "errors"),
        ("sessions", "sessions_by_end"),
        ("told", "told"),
        ("answers", "answers_by_member"),
    ):
        if found[name]:
            told = ", ".join(f"{count} {what}" for what, count in found[name].items())
            lines.append(f"{title:<11} {told}")
    lines.append(f"also        {found['watch_events']} watch events, {found['traces']} traces")
    return "\n".join(lines)
