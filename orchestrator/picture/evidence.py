"""What a picture shows of a history: the records of a window of it, and whose story they tell.

Reads the history once more and keeps only what lies in the window, what the session in question
did before, and the read that first came right. Everything else streams by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from client.history import EXPIRED, Event, Operation, Record, Told, Trace, show_zxid
from orchestrator.errors import InvalidInput
from orchestrator.picture.focus import Focus
from orchestrator.picture.messages import LEFT, SENT, TRACES, Message, match_messages
from orchestrator.picture.survey import (
    STEPS,
    Closing,
    Reading,
    StaleRead,
    Survey,
    readings_of,
    survey,
)

# So that the first and the last thing do not stand on the very edge.
MARGIN_MS, MOST_MARGIN_MS = 0.5, 3.0
# What came to rest this late after the read is another story.
LONGEST_MS = 60_000.0
# A znode created so shortly before its session ended is part of the story.
NEAR_MS = 2.0
MOST_SESSIONS = 8
MOST_KEPT = 20_000
MOST_BEFORE = 12
WORTH_A_MARK = STEPS | {"session_connected", "state", "serving", "elected", "local_session_expired"}


@dataclass
class Evidence:
    """`sessions`: those drawn. `subjects`: those whose end is the matter; empty: none is.

    `paths`: the znodes whose state is shown. `left_out`: records of the window not kept, by why.
    """

    survey: Survey
    focus: Focus
    begin_ms: float
    end_ms: float
    stale: StaleRead | None = None
    subjects: list[int] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    marks: list[tuple[int, Trace]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    changes: list[Operation] = field(default_factory=list)
    served: list[Trace] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @cached_property
    def reading_by_number(self) -> dict[int, Reading]:
        """What operations read, by their numbers; of several znodes, the first."""
        return {reading.number: reading for reading in reversed(self.readings)}

    @cached_property
    def served_ms(self) -> dict[tuple[int, int, str], list[float]]:
        """When a member served reads, by (sid, session, path)."""
        found: dict[tuple[int, int, str], list[float]] = {}
        for trace in self.served:
            session_id, path = int(trace.fields.get("session_id", 0)), trace.fields.get("path", "")
            found.setdefault((trace.sid, session_id, str(path)), []).append(trace.at_ms)
        return found

    @cached_property
    def session_by_zxid(self) -> dict[str, int]:
        """Whose end a zxid is."""
        closings = self.survey.closings.values()
        return {closing.zxid: closing.session_id for closing in closings if closing.zxid}

    @cached_property
    def zxids_drawn(self) -> set[str]:
        """The zxids of what drawn sessions wrote, and of their ends."""
        drawn = {
            show_zxid(operation.zxid)
            for operation in self.operations
            if operation.writes and operation.session_id in self.sessions
        }
        ends = self.session_by_zxid.items()
        return drawn | {zxid for zxid, session_id in ends if session_id in self.sessions}

    @property
    def subject(self) -> Closing | None:
        """The end of the session that the picture is about."""
        return self.survey.closings.get(self.subjects[0]) if self.subjects else None


def gather(records: Iterable[Record], focus: Focus) -> Evidence:
    """Look through a history (several times) and keep what the focus shows.

    Raises InvalidInput if the history has not what the focus asks for.
    """
    if iter(records) is records:
        records = list(records)
    found = survey(records)
    if found.begin_ms is None:
        return Evidence(found, focus, 0.0, 0.0)
    evidence = _framed(found, focus)
    _collect(evidence, records)
    return evidence


def _framed(found: Survey, focus: Focus) -> Evidence:
    """Decide on the window and on the sessions."""
    begin_ms = found.begin_ms or 0.0
    if focus.is_whole:
        return Evidence(found, focus, begin_ms - MARGIN_MS, found.end_ms + MARGIN_MS)
    if focus.at_ms is not None:
        if not begin_ms - focus.span_ms <= focus.at_ms <= found.end_ms + focus.span_ms:
            raise InvalidInput(
                f"nothing happened round {focus.at_ms:g} ms: the history goes from"
                f" {begin_ms:.1f} to {found.end_ms:.1f} ms"
            )
        for stale in found.stale:
            if stale.reading.called_ms - 1 <= focus.at_ms <= stale.reading.returned_ms + 1:
                return _round_stale(found, focus, stale)
        span_ms = focus.span_ms
        return Evidence(found, focus, focus.at_ms - span_ms, focus.at_ms + span_ms)
    if focus.session_id:
        return _round_session(found, focus, focus.session_id)
    if focus.stale > len(found.stale):
        raise InvalidInput(f"stale read {focus.stale}: the history shows {len(found.stale)}")
    if found.stale:
        return _round_stale(found, focus, found.stale[max(focus.stale, 1) - 1])
    expired = [told.session_id for told in found.told.values() if told.verdict == EXPIRED]
    ended = [*expired, *found.told, *found.closings]
    if ended:
        return _round_session(found, focus, ended[0])
    return Evidence(found, focus, begin_ms - MARGIN_MS, found.end_ms + MARGIN_MS)


def _round_stale(found: Survey, focus: Focus, stale: StaleRead) -> Evidence:
    evidence = _round_session(found, focus, stale.reading.owner)
    evidence.stale = stale
    evidence.sessions = list(dict.fromkeys((stale.reading.owner, stale.reading.session_id)))
    evidence.paths = [stale.reading.path]
    returned_ms = stale.reading.returned_ms
    last_ms = min(evidence.end_ms, returned_ms + LONGEST_MS)
    evidence.end_ms = max(last_ms, returned_ms + MARGIN_MS)
    return evidence


def _round_session(found: Survey, focus: Focus, session_id: int) -> Evidence:
    closing, told = found.closings.get(session_id), found.told.get(session_id)
    instants = [told.at_ms] if told else []
    if closing is not None:
        steps = (closing.begin_ms, closing.committed_ms, *closing.applied_ms.values())
        instants += [at_ms for at_ms in steps if at_ms is not None]
    session = found.sessions.get(session_id)
    if not instants and session is not None:
        instants = [session.opened_ms]
    if not instants:
        raise InvalidInput(f"the history knows nothing of a session {session_id:#x}")
    begin_ms, end_ms = min(instants), min(max(instants), min(instants) + LONGEST_MS)
    created_ms = found.created_ms.get(session_id, begin_ms)
    if 0 < begin_ms - created_ms < NEAR_MS:
        begin_ms = created_ms
    margin_ms = max(MARGIN_MS, min((end_ms - begin_ms) / 10, MOST_MARGIN_MS))
    return Evidence(
        *(found, focus, begin_ms - MARGIN_MS, end_ms + margin_ms),
        subjects=[session_id],
        sessions=[session_id],
    )


def _collect(evidence: Evidence, records: Iterable[Record]) -> None:
    """One pass over the history. What a session did before its end tells whose znode it is."""
    before: list[Operation] = []
    fresh: Operation | None = None
    ends: list[tuple[int, Trace]] = []
    sent: set[tuple[int, int, int]] = set()
    for order, record in enumerate(records):
        match record:
            case Operation():
                if _is_in(evidence, record.called_ms, record.returned_ms):
                    _keep(evidence, evidence.operations, record, "operations")
                elif (
                    record.session_id in evidence.subjects and record.called_ms < evidence.begin_ms
                ):
                    before = [*before[-MOST_BEFORE + 1 :], record]
                elif _is_fresh(evidence, record) and (
                    fresh is None or record.called_ms < fresh.called_ms
                ):
                    fresh = record
                if _changes(evidence, record):
                    evidence.changes.append(record)
            case Told() if _is_in(evidence, record.at_ms):
                evidence.told.append(record)
            case Event() if _is_in(evidence, record.at_ms):
                _keep(evidence, evidence.events, record, "events")
            case Trace() if _is_in(evidence, record.at_ms) or _is_prelude(evidence, record):
                _take_trace(evidence, ends, order, record)
                if record.kind == SENT:
                    sent.add(_key(record.sid, record))
            case Trace(kind="message_received" | "message_left") if record.at_ms > evidence.end_ms:
                # What was sent in the window and arrived behind it is not lost.
                peer = int(record.fields.get("peer", 0))
                if _key(record.sid if record.kind == LEFT else peer, record) in sent:
                    ends.append((order, record))
            case _:
                pass
    evidence.operations += [op for op in before if op.writes]
    if fresh is not None:
        evidence.operations.append(fresh)
    evidence.operations.sort(key=lambda op: op.called_ms)
    ends.sort(key=lambda each: each[1].at_ms)
    evidence.messages = match_messages(ends)
    _choose_sessions(evidence)
    _choose_readings(evidence)


def _key(sender: int, trace: Trace) -> tuple[int, int, int]:
    peer = int(trace.fields.get("peer", 0))
    receiver = peer if sender == trace.sid else trace.sid
    return sender, receiver, int(trace.fields.get("number", 0))


def _is_in(evidence: Evidence, from_ms: float, to_ms: float | None = None) -> bool:
    return from_ms <= evidence.end_ms and (
        (from_ms if to_ms is None else to_ms) >= evidence.begin_ms
    )


def _keep(
    evidence: Evidence,
    kept: list[object] | list[Operation] | list[Event],
    record: object,
    what: str,
) -> None:
    if len(kept) < MOST_KEPT:
        kept.append(record)  # type: ignore[arg-type]
    else:
        evidence.left_out[what] = evidence.left_out.get(what, 0) + 1


def _is_prelude(evidence: Evidence, trace: Trace) -> bool:
    """Whether the experiment did it while the session in question lived: it set the scene."""
    session = evidence.survey.sessions.get(evidence.subjects[0]) if evidence.subjects else None
    return (
        trace.sid == 0
        and session is not None
        and 0 < session.opened_ms <= trace.at_ms <= evidence.begin_ms
    )


def _is_fresh(evidence: Evidence, record: Operation) -> bool:
    """Whether it is a read of the stale read's session that no longer shows the znode's owner."""
    stale = evidence.stale
    if stale is None or not evidence.end_ms <= record.called_ms <= evidence.end_ms + LONGEST_MS:
        return False
    return record.session_id == stale.reading.session_id and any(
        reading.path == stale.reading.path and reading.owner != stale.reading.owner
        for reading in readings_of(record, with_traces=False)
    )


def _changes(evidence: Evidence, record: Operation) -> bool:
    """Whether it created or deleted one of the znodes shown, as far as those are known yet."""
    return record.called_ms <= evidence.end_ms and any(
        write.kind in ("create", "delete")
        and (write.path in evidence.paths if evidence.paths else write.is_ephemeral)
        and (bool(evidence.paths) or record.session_id in evidence.subjects)
        for write in record.writes
    )


def _take_trace(
    evidence: Evidence, ends: list[tuple[int, Trace]], order: int, trace: Trace
) -> None:
    if trace.kind in TRACES and _matters(evidence, trace):
        ends.append((order, trace))
    elif trace.kind in TRACES:
        _keep(evidence, ends, (order, trace), "messages")  # type: ignore[arg-type]
    elif trace.kind == "read_served":
        _keep(evidence, evidence.served, trace, "reads")  # type: ignore[arg-type]
    elif trace.sid == 0 or trace.kind in WORTH_A_MARK:
        _keep(evidence, evidence.marks, (order, trace), "traces")  # type: ignore[arg-type]


def _matters(evidence: Evidence, trace: Trace) -> bool:
    """Whether a message speaks of the end in question: those are kept, however many there are."""
    zxid = evidence.subject.zxid if evidence.subject is not None else ""
    return (
        trace.kind == LEFT
        or trace.fields.get("session_id") in evidence.subjects
        or bool(zxid and trace.fields.get("zxid") == zxid)
    )


def _choose_sessions(evidence: Evidence) -> None:
    """Whom else to draw: who touched the znodes in question, else all, as far as there is room."""
    _choose_paths(evidence)
    chosen = dict.fromkeys(evidence.sessions)
    others: dict[int, None] = {}
    for operation in evidence.operations:
        touched = {operation.path, *operation.reads, *(w.path for w in operation.writes)}
        session = evidence.survey.sessions.get(operation.session_id)
        has_name = session is not None and bool(session.name)
        if not evidence.subjects or has_name or touched.intersection(evidence.paths):
            chosen.setdefault(operation.session_id)
        else:
            others.setdefault(operation.session_id)
    for told in evidence.told:
        others.setdefault(told.session_id)
    for trace in evidence.served:
        others.setdefault(int(trace.fields.get("session_id", 0)))
    if not evidence.subjects:
        chosen |= others
    wanted = [session_id for session_id in chosen if session_id]
    evidence.sessions = wanted[:MOST_SESSIONS]
    if left := len(wanted) - len(evidence.sessions):
        evidence.left_out["sessions"] = left


def _choose_paths(evidence: Evidence) -> None:
    if evidence.paths:
        return
    paths: dict[str, None] = {}
    for change in (*evidence.changes, *evidence.operations):
        for write in change.writes:
            if write.is_ephemeral and (
                not evidence.subjects or change.session_id in evidence.subjects
            ):
                paths.setdefault(write.path)
    evidence.paths = list(paths)[:2]


def _choose_readings(evidence: Evidence) -> None:
    records: Sequence[Record] = (
        evidence.operations if evidence.survey.has_operations else evidence.served
    )
    evidence.readings = [
        reading
        for record in records
        for reading in readings_of(record, with_traces=True)
        if reading.session_id in evidence.sessions
    ]


def instant_of_service(evidence: Evidence, reading: Reading) -> float:
    """When its member answered: as traced, else halfway between the call and its answer."""
    sid = evidence.survey.sid_of(reading.member)
    for at_ms in evidence.served_ms.get((sid, reading.session_id, reading.path), ()):
        # A history may round its instants.
        if reading.called_ms - 1e-3 <= at_ms <= reading.returned_ms + 1e-3:
            return min(max(at_ms, reading.called_ms), reading.returned_ms)
    return (reading.called_ms + reading.returned_ms) / 2
