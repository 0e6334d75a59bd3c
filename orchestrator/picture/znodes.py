"""Which member still has a znode, and since when it has not: stretches and windows of a scene.

A change of a znode reaches a member when it applies it: by its own trace (the end of a session),
else by the COMMIT it got or sent. What was there long before the window was there on all.
"""

from __future__ import annotations

from dataclasses import dataclass

from client.history import OK
from orchestrator.picture.evidence import Evidence
from orchestrator.picture.names import Names
from orchestrator.picture.scene import AFTER, MEMBER, TOLD, At, Band, Scene, Stretch, show_ms

_COMMITS = ("COMMIT", "INFORM")
_SHORT = {"W0": "not submitted", "W1": "not committed", "W2": "not applied"}


@dataclass(slots=True)
class Change:
    """A znode created (with its owner) or gone, by the transaction `zxid`."""

    zxid: int
    path: str
    is_there: bool
    owner: int
    known_ms: float
    closes: int = 0


def draw_znodes(scene: Scene, evidence: Evidence, names: Names) -> None:
    """A row of stretches for each member and znode."""
    for path in evidence.paths:
        changes = _changes_of(evidence, path)
        for lane in scene.lanes:
            if lane.kind == MEMBER:
                scene.stretches += _stretches(evidence, names, lane.sid, path, changes)


def _changes_of(evidence: Evidence, path: str) -> list[Change]:
    """In the order of their zxids."""
    changes: dict[int, Change] = {}
    for operation in evidence.changes:
        if operation.outcome != OK or operation.returned_ms is None:
            continue
        for write in operation.writes:
            if write.path == path and write.kind in ("create", "delete"):
                is_there = write.kind == "create"
                owner = operation.session_id if is_there and write.is_ephemeral else 0
                changes[operation.zxid] = Change(
                    *(operation.zxid, path, is_there, owner, operation.returned_ms)
                )
    owners = {change.owner for change in changes.values()} | _owners_seen(evidence, path)
    for session_id in owners - {0}:
        closing = evidence.survey.closings.get(session_id)
        if closing is not None and closing.zxid:
            zxid = _parse_zxid(closing.zxid)
            known_ms = closing.committed_ms or closing.begin_ms or 0.0
            changes[zxid] = Change(zxid, path, False, 0, known_ms, closes=session_id)
    return sorted(changes.values(), key=lambda change: change.zxid)


def _owners_seen(evidence: Evidence, path: str) -> set[int]:
    return {reading.owner for reading in evidence.readings if reading.path == path}


def _parse_zxid(text: str) -> int:
    epoch, _, counter = text.partition(":")
    return (int(epoch) << 32) + int(counter or 0)


def _stretches(
    evidence: Evidence, names: Names, sid: int, path: str, changes: list[Change]
) -> list[Stretch]:
    lane = f"m{sid}"
    is_there, owner = _at_first(evidence, path, changes)
    begin: At | None = None
    drawn: list[Stretch] = []
    for change in changes:
        at = _applied_at(evidence, sid, change)
        if at is not None and at[0] < _first_ms(evidence):
            is_there, owner = change.is_there, change.owner
            continue
        drawn += _stretch(evidence, names, lane, path, begin, at, is_there, owner)
        if at is None:
            return drawn
        begin, is_there, owner = at, change.is_there, change.owner
    return [*drawn, *_stretch(evidence, names, lane, path, begin, None, is_there, owner)]


def _first_ms(evidence: Evidence) -> float:
    """The first instant drawn: of the window, or of what its session did before."""
    return min([evidence.begin_ms, *(op.called_ms for op in evidence.operations)])


def _at_first(evidence: Evidence, path: str, changes: list[Change]) -> tuple[bool, int]:
    """Whether it was there before the first change that is known: a closing takes it away."""
    first = changes[0] if changes else None
    if first is not None:
        return not first.is_there, first.closes
    reading = next((r for r in evidence.readings if r.path == path), None)
    return (reading.is_there, reading.owner) if reading is not None else (False, 0)


def _stretch(
    evidence: Evidence,
    names: Names,
    lane: str,
    path: str,
    begin: At | None,
    end: At | None,
    is_there: bool,
    owner: int,
) -> list[Stretch]:
    """One, or two: from the instant on at which its owner was told, a znode is overdue."""
    told = evidence.survey.told.get(owner)
    whose = f", {names.session(owner)}'s" if owner else ""
    state = f"there{whose}" if is_there else "not there"
    tip = f"{path} on member {lane[1:]}: {state}"
    if not is_there or told is None or (end is not None and end[0] <= told.at_ms):
        return [Stretch(lane, path, begin, end, is_there, False, tip)]
    over = (told.at_ms, TOLD)
    if evidence.survey.closings.get(owner) is None:
        # Nobody traced the end of its session: from now on nothing is known of it.
        return [Stretch(lane, path, begin, over, is_there, False, tip)]
    late = f"{tip}, though its owner was told “{told.verdict}”"
    if begin is not None and begin[0] >= told.at_ms:
        return [Stretch(lane, path, begin, end, is_there, True, late)]
    return [
        Stretch(lane, path, begin, over, is_there, False, tip),
        Stretch(lane, path, over, end, is_there, True, late),
    ]


def _applied_at(evidence: Evidence, sid: int, change: Change) -> At | None:
    """When a member applied a change; None: not in this window."""
    if change.closes:
        for order, trace in evidence.marks:
            if (
                trace.kind == "close_applied"
                and trace.sid == sid
                and trace.fields.get("session_id") == change.closes
            ):
                return trace.at_ms, float(order)
        return None
    shown = f"{change.zxid >> 32}:{change.zxid & 0xFFFFFFFF}"
    for message in evidence.messages:
        if message.zxid == shown and message.packet in _COMMITS:
            if message.receiver == sid and message.received_ms is not None:
                return message.received_ms, float(message.received_order)
            if message.sender == sid and message.sent_ms is not None:
                return message.sent_ms, float(message.sent_order)
    return change.known_ms, AFTER


def draw_windows(scene: Scene, evidence: Evidence) -> None:
    """The windows of every session whose end is the matter; of all that ended, if none is."""
    wanted = evidence.subjects or list(evidence.survey.closings)
    steps: dict[tuple[str, int, int], At] = {}
    for order, trace in evidence.marks:
        session_id = int(trace.fields.get("session_id", 0))
        if trace.kind.startswith("close_") and session_id in wanted:
            key = trace.kind, session_id, trace.sid if trace.kind == "close_applied" else 0
            steps.setdefault(key, (trace.at_ms, float(order)))
    for session_id in wanted:
        _draw_windows_of(scene, session_id, steps)


def _draw_windows_of(scene: Scene, session_id: int, steps: dict[tuple[str, int, int], At]) -> None:
    marked = steps.get(("close_marked", session_id, 0))
    submitted = steps.get(("close_submitted", session_id, 0))
    committed = steps.get(("close_committed", session_id, 0))
    if marked is not None:
        text = "marked closing, closeSession not submitted yet"
        scene.bands.append(_band("W0", "", marked, submitted, text))
    if submitted is not None:
        text = "closeSession on its way, not committed yet"
        scene.bands.append(_band("W1", "", submitted, committed, text))
    if committed is None:
        return
    for lane in scene.lanes:
        if lane.kind == MEMBER:
            applied = steps.get(("close_applied", session_id, lane.sid))
            if applied is None or applied[0] > committed[0]:
                text = f"committed, not applied on member {lane.sid} yet"
                scene.bands.append(_band("W2", lane.key, committed, applied, text))


def _band(window: str, lane: str, begin: At, end: At | None, text: str) -> Band:
    lasts = "to the end of the picture" if end is None else f"for {show_ms(end[0] - begin[0])}"
    span = f", {show_ms(end[0] - begin[0])}" if end is not None else ""
    long = f"{window}: {_SHORT[window]}{span}"
    return Band(
        *(window, lane, begin, end, long, window + span), tip=f"window {window}: {text}, {lasts}"
    )
