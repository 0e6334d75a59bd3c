"""From evidence to a scene: what each record becomes in a picture.

Decides what a thing is called; places nothing. Messages between members are `traffic`'s.
"""

from __future__ import annotations

import re

from client.history import OK, Event, Operation, Told, Trace
from orchestrator.picture.evidence import Evidence, instant_of_service
from orchestrator.picture.names import Names, lay_lanes, name_sessions
from orchestrator.picture.scene import (
    AFTER,
    BEFORE,
    SERVED,
    TOLD,
    Arrow,
    At,
    Down,
    Mark,
    Remark,
    Scene,
    show_moment,
)
from orchestrator.picture.survey import STEPS, Reading
from orchestrator.picture.traffic import draw_message
from orchestrator.picture.znodes import draw_windows, draw_znodes

CALLS = "calls of clients"
# Of a scenario's steps, those that are not seen in the lanes already.
TELLING_STEPS = frozenset(
    {
        *("silence", "crash", "drop", "expire", "hold", "release", "delay", "clear", "cut", "heal"),
        *("isolate", "rejoin", "reset", "hold_closing", "release_closing", "wait"),
    }
)
SHORT_STEPS = {"close_marked": "marks it closing", "close_submitted": "submits it"}
DOWN_WORDS = {"crashed": "crashed", "kill": "killed", "killed": "killed"}
PAUSE_WORDS = {"paused": "paused", "pause": "paused"}
UP_WORDS = frozenset({"started", "start", "restarted", "resumed", "resume", "resume_member"})


def build(evidence: Evidence) -> tuple[Scene, Names]:
    """Make the scene of what was gathered."""
    names = name_sessions(evidence)
    scene = Scene(lanes=lay_lanes(evidence, names), sessions=dict(names.sessions))
    scene.zero_ms = _zero_ms(evidence)
    for order, trace in evidence.marks:
        _draw_trace(scene, evidence, names, order, trace)
    for told in evidence.told:
        _draw_told(scene, evidence, names, told)
    for event in evidence.events:
        _draw_event(scene, names, event)
    for operation in evidence.operations:
        if operation.session_id in evidence.sessions:
            _draw_operation(scene, evidence, names, operation)
    if not evidence.survey.has_operations:
        for reading in evidence.readings:
            _draw_served(scene, evidence, names, reading)
    for message in evidence.messages:
        draw_message(scene, evidence, message)
    draw_windows(scene, evidence)
    draw_znodes(scene, evidence, names)
    return scene, names


def _zero_ms(evidence: Evidence) -> float:
    closing = evidence.subject
    if closing is not None and closing.begin_ms is not None:
        return closing.begin_ms
    return max(evidence.begin_ms, evidence.survey.begin_ms or 0.0)


# Members' traces.


def _draw_trace(scene: Scene, evidence: Evidence, names: Names, order: int, trace: Trace) -> None:
    at = (trace.at_ms, float(order))
    if trace.sid == 0:
        _draw_experiment(scene, at, trace)
        return
    session_id = int(trace.fields.get("session_id", 0))
    if session_id and session_id not in evidence.sessions:
        return
    text = _trace_text(trace, names, session_id)
    if text:
        look = "step" if trace.kind in STEPS else "state"
        tip = _tip(
            f"{evidence.survey.member(trace.sid)}: {trace.kind}", scene, trace.at_ms, trace.fields
        )
        short = SHORT_STEPS.get(trace.kind, "")
        scene.marks.append(Mark(f"m{trace.sid}", at, text, look, tip, session_id, short))


def _trace_text(trace: Trace, names: Names, session_id: int) -> str:
    zxid, who = trace.fields.get("zxid", ""), names.session(session_id)
    match trace.kind:
        case "close_marked":
            return f"marks {who} closing"
        case "close_submitted":
            return "submits closeSession"
        case "close_proposed":
            return f"proposes it: {zxid}"
        case "close_committed":
            return f"commits {zxid}"
        case "close_applied":
            return f"applies {zxid}"
        case "session_connected":
            return "" if trace.fields.get("is_valid") else "answers “expired”"
        case "state":
            return str(trace.fields.get("state", ""))
        case "serving":
            return f"serves, epoch {trace.fields.get('epoch', '?')}"
        case "elected":
            return f"votes: {trace.fields.get('leader', '?')} leads"
        case _:
            return trace.kind.replace("_", " ")


def _draw_experiment(scene: Scene, at: At, trace: Trace) -> None:
    """The experiment's own doings: members that go and come, rules, notes."""
    fields = trace.fields
    sid = int(fields.get("member", fields.get("sid", 0)) or 0)
    lane = f"m{sid}"
    if sid and (trace.kind in DOWN_WORDS or trace.kind in PAUSE_WORDS):
        word = {**DOWN_WORDS, **PAUSE_WORDS}[trace.kind]
        scene.downs.append(Down(lane, at, None, word))
        scene.marks.append(Mark(lane, at, word, "down", f"the experiment: member {sid} {word}"))
        return
    if sid and trace.kind in UP_WORDS:
        down = next((d for d in reversed(scene.downs) if d.lane == lane and d.end is None), None)
        if down is not None:
            down.end = at
        elif trace.kind.startswith(("start", "restart")):
            scene.downs.append(Down(lane, None, at, "down"))
        word = "goes on" if trace.kind.startswith("resume") else "started"
        scene.marks.append(Mark(lane, at, word, "state", f"the experiment: member {sid} {word}"))
        return
    words = " ".join(str(value) for value in fields.values() if not isinstance(value, bool))
    if trace.kind == "step":
        if words.partition(" ")[0] in TELLING_STEPS:
            scene.remarks.append(Remark(at, _step_text(words), "note"))
        return
    text = words if trace.kind == "note" else f"{trace.kind.replace('_', ' ')} {words}".strip()
    scene.remarks.append(Remark(at, text, "note"))


def _step_text(words: str) -> str:
    """A scenario's step without what only its file needs: keys, and its line."""
    step = re.sub(r" \(line \d+\)$", "", words)
    step = re.sub(r" (expect|as|background)=.*$", "", step)
    return re.sub(r"\b(link|session|text)=", "", step).removesuffix(" true")


# Programs.


def _draw_told(scene: Scene, evidence: Evidence, names: Names, told: Told) -> None:
    if told.session_id not in evidence.sessions:
        return
    lane, at = names.lane_of_session[told.session_id], (told.at_ms, TOLD)
    who = names.session(told.session_id)
    sid = evidence.survey.sid_of(told.member)
    by = f" by {evidence.survey.member(sid)}" if sid else ""
    tip = f"{who} is told{by}: {told.verdict}\nat {show_moment(scene, told.at_ms)}"
    scene.marks.append(Mark(lane, at, f"told: {told.verdict}", "told", tip, told.session_id))
    answered = _answered_at(evidence, told)
    if answered is not None:
        member = f"m{sid}"
        scene.arrows.append(
            Arrow(
                *(member, lane, answered, None, at, "", "", "answer told", CALLS, tip),
                session=told.session_id,
                says=f"told: {told.verdict}",
            )
        )
    if told.session_id in evidence.subjects and told == evidence.survey.told.get(told.session_id):
        gone = " and ".join(map(names.path, evidence.paths)) or "its znodes"
        text = f"From here on {names.program(told.session_id)} knows that its session is over:"
        text += f" whoever asks later should find {gone} gone."
        scene.remarks.append(Remark(at, text, "told", lane))


def _answered_at(evidence: Evidence, told: Told) -> At | None:
    """When the member gave the answer that told it, if that was traced."""
    sid = evidence.survey.sid_of(told.member)
    answers = [
        (trace.at_ms, float(order))
        for order, trace in evidence.marks
        if trace.kind == "session_connected"
        and trace.sid == sid
        and trace.fields.get("session_id") == told.session_id
        and trace.fields.get("is_valid") is False
        and trace.at_ms <= told.at_ms
    ]
    return max(answers, default=None)


def _draw_event(scene: Scene, names: Names, event: Event) -> None:
    lane = names.lane_of_session.get(event.session_id)
    if lane is None:
        return
    tip = f"watch event {event.type} {event.path}\nat {show_moment(scene, event.at_ms)}"
    at = (event.at_ms, AFTER)
    scene.marks.append(
        Mark(lane, at, f"event: {event.type} {event.path}", "event", tip, event.session_id)
    )


def _draw_operation(scene: Scene, evidence: Evidence, names: Names, operation: Operation) -> None:
    """A call to its member and the answer back; a member that is not known makes it a mark."""
    client = names.lane_of_session[operation.session_id]
    member = f"m{evidence.survey.sid_of(operation.member)}"
    called = (operation.called_ms, BEFORE)
    what = f"{operation.kind} {names.path(operation.path)}".strip()
    tip = _operation_tip(scene, names, operation)
    reading = evidence.reading_by_number.get(operation.number)
    look, answer = _answer_of(evidence, names, operation, reading)
    returned_ms = operation.returned_ms
    if scene.lane(member) is None or returned_ms is None:
        scene.marks.append(Mark(client, called, what, "event", tip, operation.session_id))
        if returned_ms is not None:
            at = (returned_ms, AFTER)
            scene.marks.append(Mark(client, at, answer, look, tip, operation.session_id))
        return
    served_ms = (
        instant_of_service(evidence, reading)
        if reading is not None
        else (operation.called_ms + returned_ms) / 2
    )
    served = (served_ms, AFTER)
    back = (returned_ms, AFTER)
    arrive = (served_ms, SERVED)
    call = Arrow(client, member, called, None, arrive, what, operation.kind, "call", CALLS, tip)
    reply = Arrow(member, client, served, None, back, "", "", f"answer {look}", CALLS, tip)
    call.session = reply.session = operation.session_id
    reply.says = answer
    scene.arrows += (call, reply)
    scene.marks.append(Mark(client, back, answer, look, tip, operation.session_id))
    if look == "stale" and reading is not None:
        scene.remarks.append(
            Remark(back, _stale_sentence(evidence, names, reading), "stale", client)
        )


def _answer_of(
    evidence: Evidence, names: Names, operation: Operation, reading: Reading | None
) -> tuple[str, str]:
    """How an answer looks, and what it says."""
    if operation.outcome != OK and reading is None:
        return "event", f"{operation.error or operation.outcome}".replace("_", " ")
    if operation.kind == "children":
        return "event", ", ".join(operation.names) or "none"
    if reading is None:
        return "event", "ok" if operation.kind != "sync" else "synced"
    if reading.is_there:
        told = evidence.survey.told.get(reading.owner)
        if told is not None and reading.called_ms >= told.at_ms:
            return "stale", "STALE: still there"
        owner = f", {names.session(reading.owner)}'s" if reading.owner else ""
        return "event", f"there{owner}"
    is_of_subject = reading.path in evidence.paths
    return ("fresh" if is_of_subject else "event"), "gone" if is_of_subject else "not there"


def _stale_sentence(evidence: Evidence, names: Names, reading: Reading) -> str:
    told = evidence.survey.told[reading.owner]
    sid = evidence.survey.sid_of(reading.member)
    member = evidence.survey.member(sid)
    return (
        f"Stale read: asked {names.after(reading.called_ms - told.at_ms)}"
        f" {names.program(reading.owner)} was told “{told.verdict}”, {member} still shows"
        f" {names.path(reading.path)}, the znode of the session that is over."
    )


def _draw_served(scene: Scene, evidence: Evidence, names: Names, reading: Reading) -> None:
    """A read known from its member's trace alone."""
    told = evidence.survey.told.get(reading.owner)
    is_stale = told is not None and reading.called_ms >= told.at_ms
    who = names.session(reading.session_id)
    shown = f"{names.session(reading.owner)}'s" if reading.owner else "there"
    text = f"read {names.path(reading.path)}: {shown if reading.is_there else 'gone'}"
    look = "stale" if is_stale else "event" if reading.is_there else "fresh"
    if is_stale:
        text = f"STALE: {names.path(reading.path)} still there"
    tip = f"{who} reads {reading.path}\nat {show_moment(scene, reading.called_ms)}"
    lane, member = names.lane_of_session[reading.session_id], f"m{reading.member}"
    at = (reading.called_ms, AFTER)
    short = "STALE" if is_stale else "read"
    scene.marks.append(Mark(member, at, text, look, tip, reading.session_id, short))
    if is_stale:
        scene.remarks.append(Remark(at, _stale_sentence(evidence, names, reading), "stale", lane))


def _operation_tip(scene: Scene, names: Names, operation: Operation) -> str:
    lines = [
        f"{names.session(operation.session_id)}: {operation.kind} {operation.path}",
        f"called at {show_moment(scene, operation.called_ms)}",
    ]
    if operation.returned_ms is not None:
        lines.append(f"answered at {show_moment(scene, operation.returned_ms)}")
    lines.append(f"outcome {operation.outcome} {operation.error}".rstrip())
    if operation.zxid:
        lines.append(f"zxid {operation.zxid >> 32}:{operation.zxid & 0xFFFFFFFF}")
    for seen in operation.seen:
        if seen is not None:
            owner = f", owner {names.session(seen.ephemeral_owner)}" if seen.ephemeral_owner else ""
            lines.append(f"shows version {seen.version}{owner}")
    lines.append(f"session {operation.session_id:#x}, member {operation.member or '?'}")
    return "\n".join(lines)


def _tip(head: str, scene: Scene, at_ms: float, fields: dict[str, int | str | bool | float]) -> str:
    lines = [head, f"at {show_moment(scene, at_ms)}"]
    for name, value in fields.items():
        shown = f"{value:#x}" if name == "session_id" and isinstance(value, int) else value
        lines.append(f"{name} {shown}")
    return "\n".join(lines)
