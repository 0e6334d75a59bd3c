"""Chrome's JSON trace events, which ui.perfetto.dev and chrome://tracing open. Streams.

A track for each member and client. What two things may overlap on (operations, windows, messages
kept back) are async spans; an end of a message is a slice of a microsecond, since a flow, the arrow
between two ends, has to begin and end in slices.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from client.history import Event, Operation, Record, Session, Told, Trace, show_zxid

MEMBERS, CLIENTS = 1, 2
_DUR_US = 1.0
# (trace that begins it, that ends it)
_WINDOWS = {"W0": ("close_marked", "close_submitted"), "W1": ("close_submitted", "close_committed")}


def write_perfetto(
    records: Iterable[Record], out: TextIO, begin_ms: float = 0.0, end_ms: float = float("inf")
) -> int:
    """Write the events of a window of a history; return how many."""
    written = 0
    out.write('{"displayTimeUnit":"ms","traceEvents":[')
    for event in _events(records, begin_ms, end_ms):
        out.write(("," if written else "") + "\n" + json.dumps(event, separators=(",", ":")))
        written += 1
    out.write("\n]}\n")
    return written


def _events(records: Iterable[Record], begin_ms: float, end_ms: float) -> Iterator[dict[str, Any]]:
    yield _meta("process_name", MEMBERS, 0, "members")
    yield _meta("process_name", CLIENTS, 0, "clients")
    named: set[tuple[int, int]] = set()
    for record in records:
        at_ms = _instant_of(record)
        if at_ms is None or not begin_ms <= at_ms <= end_ms:
            continue
        for event in _of(record):
            track = event["pid"], event["tid"]
            if track not in named:
                named.add(track)
                yield _meta("thread_name", *track, _track_name(*track))
            yield event


def _instant_of(record: Record) -> float | None:
    match record:
        case Operation():
            return record.called_ms
        case Trace() | Told() | Event():
            return record.at_ms
        case Session():
            return record.opened_ms or None
        case _:
            return None


def _track_name(pid: int, tid: int) -> str:
    if pid == MEMBERS:
        return f"member {tid}" if tid else "the experiment"
    return f"client {tid}"


def _meta(name: str, pid: int, tid: int, value: str) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "ts": 0, "args": {"name": value}}


def _of(record: Record) -> Iterator[dict[str, Any]]:
    match record:
        case Operation():
            yield from _operation(record)
        case Trace():
            yield from _trace(record)
        case Told():
            args = {"session": f"{record.session_id:#x}", "member": record.member}
            yield _instant(CLIENTS, record.client, f"told: {record.verdict}", record.at_ms, args)
        case Event():
            args = {"session": f"{record.session_id:#x}"}
            name = f"event: {record.type} {record.path}"
            yield _instant(CLIENTS, record.client, name, record.at_ms, args)
        case _:
            pass


def _instant(pid: int, tid: int, name: str, at_ms: float, args: dict[str, Any]) -> dict[str, Any]:
    return {
        **{"ph": "i", "s": "t", "cat": "event", "name": name, "pid": pid, "tid": tid},
        **{"ts": at_ms * 1000, "args": args},
    }


def _span(
    phase: str,
    pid: int,
    tid: int,
    cat: str,
    name: str,
    key: str,
    at_ms: float,
    args: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        **{"ph": phase, "cat": cat, "name": name, "id": key, "pid": pid, "tid": tid},
        **{"ts": at_ms * 1000, "args": args or {}},
    }


def _operation(operation: Operation) -> Iterator[dict[str, Any]]:
    name = f"{operation.kind} {operation.path}".strip()
    args = {
        "session": f"{operation.session_id:#x}",
        "outcome": f"{operation.outcome} {operation.error}".strip(),
        "member": operation.member,
        "zxid": show_zxid(operation.zxid),
    }
    place = (CLIENTS, operation.client, "operation", name, f"op{operation.number}")
    yield _span("b", *place, operation.called_ms, args)
    if operation.returned_ms is not None:
        yield _span("e", *place, operation.returned_ms)


def _trace(trace: Trace) -> Iterator[dict[str, Any]]:
    args: dict[str, Any] = {
        name: f"{value:#x}" if name in ("session_id", "ephemeral_owner") else value
        for name, value in trace.fields.items()
    }
    match trace.kind:
        case "message_sent" | "message_received":
            yield from _message(trace, args)
        case "message_left":
            number, peer = trace.fields.get("number", 0), trace.fields.get("peer", 0)
            key = f"{trace.sid}>{peer}#{number}"
            yield _span("e", MEMBERS, trace.sid, "kept", "kept back", key, trace.at_ms)
        case _:
            yield _instant(MEMBERS, trace.sid, trace.kind, trace.at_ms, args)
    session_id = trace.fields.get("session_id", 0)
    for window, (begins, ends) in _WINDOWS.items():
        place = (MEMBERS, trace.sid, "window", window, f"{window}-{session_id:x}")
        if trace.kind == begins:
            yield _span("b", *place, trace.at_ms, args)
        elif trace.kind == ends:
            yield _span("e", *place, trace.at_ms)


def _message(trace: Trace, args: dict[str, Any]) -> Iterator[dict[str, Any]]:
    peer, number = args.get("peer", 0), args.get("number", 0)
    is_sent = trace.kind == "message_sent"
    title = str(args.get("packet", "?"))
    if args.get("txn_type"):
        title += f"[{args['txn_type']}]"
    link = f"{trace.sid}>{peer}" if is_sent else f"{peer}>{trace.sid}"
    at_us = trace.at_ms * 1000
    name = f"{title} to {peer}" if is_sent else f"{title} from {peer}"
    track = {"pid": MEMBERS, "tid": trace.sid, "ts": at_us}
    yield {"ph": "X", "cat": "message", "name": name, "dur": _DUR_US, "args": args, **track}
    if number:
        # By the category, the name and the id the two ends of a flow find each other.
        flow = {"cat": "message", "name": "message", "id": f"{link}#{number}", **track}
        yield {"ph": "s", **flow} if is_sent else {"ph": "f", "bp": "e", **flow}
    if args.get("is_kept"):
        place = (MEMBERS, trace.sid, "kept", "kept back", f"{link}#{number}")
        yield _span("b", *place, trace.at_ms, {"message": title, "to": peer})
