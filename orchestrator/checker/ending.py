"""What must be so at the end of a history: all is there, all serve, no ephemeral is left over."""

from __future__ import annotations

from collections.abc import Iterator

from client.history import LIVING, LOST, OK, History, Operation, show_zxid
from orchestrator.checker import rules
from orchestrator.checker.anomalies import Anomaly


def check_end(history: History) -> Iterator[Anomaly]:
    """The final reads reach behind every acknowledged write, and show no orphaned ephemeral."""
    final = [op for op in history.operations if op.is_final and op.zxid]
    if not final:
        return
    writes = [op for op in history.operations if op.writes and op.outcome == OK]
    latest = max(writes, key=lambda op: op.zxid, default=None)
    behind = (op for op in final if latest is not None and op.zxid < latest.zxid)
    if latest is not None and (operation := next(behind, None)) is not None:
        text = f"{operation.member} ends before {show_zxid(latest.zxid)}"
        yield Anomaly(rules.LOST, text, [latest, operation])
    for operation in final:
        yield from _check_owner(history, operation)


def _check_owner(history: History, operation: Operation) -> Iterator[Anomaly]:
    for seen in operation.seen:
        owner = seen.ephemeral_owner if seen is not None else 0
        if not owner:
            continue
        session = history.sessions.get(owner)
        if session is None or session.end != LIVING:
            end = session.end if session else "not one of this run"
            text = f"{operation.path} is there on {operation.member}; its session is {end}"
            told = [told for told in history.told if told.session_id == owner]
            yield Anomaly(rules.FOLLOW, text, [*told[:1], operation])


def check_members(history: History) -> Iterator[Anomaly]:
    """Every member and every client came back, and the members are equal."""
    for member in history.members:
        if member.process != "running" or not member.is_serving:
            stands = "does not serve" if member.process == "running" else f"has {member.process}"
            text = f"member {member.sid} {stands} {member.last_error}".rstrip()
            yield Anomaly(rules.SERVING, text)
    for session in history.sessions.values():
        if session.end == LOST:
            text = f"no member answers client {session.client} any more"
            yield Anomaly(rules.SERVING, text)
    serving = [member for member in history.members if member.is_serving]
    if len({(member.last_zxid, member.digest) for member in serving}) > 1:
        shown = ", ".join(
            f"member {m.sid} {m.digest[:12]} at {show_zxid(m.last_zxid)}" for m in serving
        )
        yield Anomaly(rules.EQUAL, shown)
