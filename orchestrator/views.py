"""What an ensemble's view says: who leads, what changed, rows for people, objects for programs.

Pure functions over GetEnsembleResponse. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lagkeeper.v1.admin_pb2 import LinkStatus
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse, MemberView

from nodes.core.zxid import show_zxid
from orchestrator.rules import show_wire_rule

MEMBER_COLUMNS = (
    "member",
    "process",
    "state",
    "phase",
    "zxid",
    "sessions",
    "connections",
    "address",
)
LINK_COLUMNS = ("link", "rule", "touched", "waiting", "sent")


def leader_of(view: GetEnsembleResponse) -> int | None:
    """The member that leads: of several that think so, the one in the latest epoch."""
    leading = [
        (member.status.epoch, member.sid)
        for member in view.members
        if member.status.state == "LEADING" and member.status.is_serving
    ]
    return max(leading)[1] if leading else None


def connect_string(view: GetEnsembleResponse) -> str:
    """All addresses with commas, for clients of this project."""
    return ",".join(member.address for member in view.members)


def zookeeper_hosts(view: GetEnsembleResponse) -> str:
    """All addresses of ZooKeeper's own protocol with commas, as its clients take them."""
    return ",".join(member.zk_address for member in view.members)


def zookeeper_tls_hosts(view: GetEnsembleResponse) -> str:
    """The same over TLS; empty if there is none."""
    return ",".join(member.zk_tls_address for member in view.members if member.zk_tls_address)


def connect_lines(view: GetEnsembleResponse) -> list[str]:
    """What to connect to, a line for each protocol."""
    lines = [f"connect  {connect_string(view)}", f"zookeeper  {zookeeper_hosts(view)}"]
    if hosts := zookeeper_tls_hosts(view):
        lines.append(f"zookeeper over TLS  {hosts}")
    lines.append(f"metrics  {' '.join(member.metrics_url for member in view.members)}")
    return lines


def member_rows(view: GetEnsembleResponse) -> list[tuple[str, ...]]:
    """A row of MEMBER_COLUMNS for each member; '-' where it does not answer."""
    return [_member_row(member) for member in view.members]


def _member_row(member: MemberView) -> tuple[str, ...]:
    process = _process(member)
    if not member.HasField("status"):
        return (str(member.sid), process, "-", "-", "-", "-", "-", member.address)
    status = member.status
    sessions = str(status.global_sessions)
    if status.local_sessions:
        sessions += f" + {status.local_sessions} local"
    if status.closing_sessions:
        sessions += f", {status.closing_sessions} closing"
    if status.closing_is_held:
        sessions += ", closing held"
    return (
        str(member.sid),
        process,
        status.state,
        status.phase,
        show_zxid(status.last_zxid),
        sessions,
        str(status.connections),
        member.address,
    )


def link_rows(view: GetEnsembleResponse, *, with_idle: bool = False) -> list[tuple[str, ...]]:
    """A row of LINK_COLUMNS for each rule, and for links on which rules of the past had effect.

    `with_idle`: for every other link too.
    """
    rows: list[tuple[str, ...]] = []
    for link in _links(view):
        name = f"{link.sender}->{link.receiver}"
        if not link.is_connected:
            name += " (down)"
        counts = (str(link.waiting), str(link.sent))
        rows += [(name, show_wire_rule(r.rule), str(r.touched), *counts) for r in link.rules]
        if link.touched_before:
            rows.append((name, "(before)", str(link.touched_before), *counts))
        elif with_idle and not link.rules:
            rows.append((name, "-", "0", *counts))
    return rows


def describe_changes(before: GetEnsembleResponse, after: GetEnsembleResponse) -> Iterator[str]:
    """A line for every change that people want to know: processes, states, rules; not traffic."""
    for old, new in zip(before.members, after.members, strict=True):
        if (old.process, old.pid) != (new.process, new.pid):
            why = f": {new.last_error}" if new.last_error else ""
            yield f"member {new.sid}: {_process(new)}{why}"
        if _role(old) != _role(new):
            yield f"member {new.sid}: {_role(new)}"
    # A member that does not answer tells of no rules; that does not take them off.
    answering = _answering(before) & _answering(after)
    old_rules, new_rules = _rules(before, answering), _rules(after, answering)
    for name, rule in sorted(old_rules - new_rules):
        yield f"link {name}: off: {rule}"
    for name, rule in sorted(new_rules - old_rules):
        yield f"link {name}: {rule}"


def as_json(view: GetEnsembleResponse) -> dict[str, Any]:
    """The view as plain data, all fields present, 64-bit numbers as numbers."""
    return {
        "connect": connect_string(view),
        "zookeeper": zookeeper_hosts(view),
        "zookeeper_tls": zookeeper_tls_hosts(view),
        "leader": leader_of(view),
        "directory": view.directory,
        "pid": view.pid,
        "members": [_member_json(member) for member in view.members],
        "links": links_json(view),
    }


def links_json(view: GetEnsembleResponse) -> list[dict[str, Any]]:
    """Every link with its rules and what they touched."""
    return [
        {
            "link": f"{link.sender}->{link.receiver}",
            "is_connected": link.is_connected,
            "sent": link.sent,
            "waiting": link.waiting,
            "rules": [
                {"rule": show_wire_rule(rule.rule), "touched": rule.touched} for rule in link.rules
            ],
            "touched_before": link.touched_before,
        }
        for link in _links(view)
    ]


def _member_json(member: MemberView) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "sid": member.sid,
        "address": member.address,
        "zk_address": member.zk_address,
        "zk_tls_address": member.zk_tls_address,
        "metrics_url": member.metrics_url,
        "process": member.process,
        "pid": member.pid or None,
        "exit_code": member.exit_code if member.HasField("exit_code") else None,
        "last_error": member.last_error,
        "status": None,
    }
    if member.HasField("status"):
        status = member.status
        plain["status"] = {
            field.name: _plain(getattr(status, field.name))
            for field in status.DESCRIPTOR.fields
            if field.name not in ("links", "sid")
        }
    return plain


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else list(value)


def _links(view: GetEnsembleResponse) -> Iterator[LinkStatus]:
    for member in view.members:
        yield from member.status.links


def _answering(view: GetEnsembleResponse) -> set[int]:
    return {member.sid for member in view.members if member.HasField("status")}


def _rules(view: GetEnsembleResponse, senders: set[int]) -> set[tuple[str, str]]:
    return {
        (f"{link.sender}->{link.receiver}", show_wire_rule(rule.rule))
        for link in _links(view)
        if link.sender in senders
        for rule in link.rules
    }


def _role(member: MemberView) -> str:
    if not member.HasField("status"):
        return "silent"
    status = member.status
    return f"{status.state}, {status.phase}" + (", serving" if status.is_serving else "")


def _process(member: MemberView) -> str:
    if member.HasField("exit_code") and member.process == "exited":
        return f"exited ({member.exit_code})"
    return member.process
