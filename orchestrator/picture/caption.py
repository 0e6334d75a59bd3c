"""The race in a few plain sentences, made of what the records say and nothing else."""

from __future__ import annotations

from client.history import Told
from orchestrator.picture.evidence import Evidence, instant_of_service
from orchestrator.picture.names import Names
from orchestrator.picture.scene import show_ms
from orchestrator.picture.survey import Closing, Reading, StaleRead


def caption(evidence: Evidence, names: Names) -> list[str]:
    """Three to five sentences: the end, who was told, the read, why, and when it came right."""
    if not evidence.subjects:
        return _plain_caption(evidence)
    session_id = evidence.subjects[0]
    closing = evidence.survey.closings.get(session_id)
    told = evidence.survey.told.get(session_id)
    who = names.possessive(session_id)
    said = [_how_it_ended(evidence, who, closing)]
    if told is not None:
        said.append(_who_was_told(evidence, names.program(session_id), told, closing))
    if evidence.stale is not None:
        said.append(_what_was_read(evidence, names, who, evidence.stale))
        said.append(_why(evidence, evidence.stale.reading, closing))
    elif told is not None:
        said.append(_what_was_found(evidence, names, told))
    said.append(_when_it_came_right(evidence, names, closing))
    return [sentence for sentence in said if sentence]


def title(evidence: Evidence, names: Names) -> str:
    """What the picture shows, as a heading."""
    stale = evidence.stale
    if stale is not None:
        window = window_of(evidence, stale)
        reading = stale.reading
        head = f"A stale read in window {window}" if window else "A stale read"
        return f"{head}: {names.path(reading.path)} outlives {names.possessive(reading.owner)}"
    if evidence.subjects:
        return f"The end of {names.possessive(evidence.subjects[0])}"
    return "What members and clients said to each other"


def window_of(evidence: Evidence, stale: StaleRead) -> str:
    """Which window the read fell into; empty if the traces do not say."""
    closing = evidence.survey.closings.get(stale.reading.owner)
    if closing is None:
        return ""
    sid = evidence.survey.sid_of(stale.reading.member)
    return closing.window_at(sid, instant_of_service(evidence, stale.reading))


def _plain_caption(evidence: Evidence) -> list[str]:
    if evidence.survey.begin_ms is None:
        return ["The history is empty."]
    span = show_ms(evidence.end_ms - evidence.begin_ms)
    kept = sum(1 for message in evidence.messages if message.is_kept)
    said = [
        f"{span} of the history: {_count(len(evidence.operations), 'operation')} of clients and"
        f" {_count(len(evidence.messages), 'message')} between members."
    ]
    if kept:
        said.append(f"Rules of links kept {_count(kept, 'message')} back.")
    if evidence.survey.stale:
        number = _count(len(evidence.survey.stale), "stale read")
        said.append(f"The whole history shows {number}.")
    return said


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _how_it_ended(evidence: Evidence, who: str, closing: Closing | None) -> str:
    if closing is None or closing.begin_ms is None:
        return f"No member traced the end of {who}: its steps are not known."
    leader = f"member {closing.leader}, the leader,"
    zero_ms = closing.begin_ms
    if closing.marked_ms is None:
        begin = f"{who} ends: {leader} made a closeSession of it ({closing.zxid})"
    else:
        begin = f"{leader} declared {who} expired"
        if closing.submitted_ms is None:
            return _upper(f"{begin}, but never submitted its closeSession in this history.")
        begin += f" and {_later(closing.submitted_ms - zero_ms)}submitted its closeSession"
        begin += f" ({closing.zxid})" if closing.zxid else ""
        begin += ", the transaction that removes its znodes"
    if closing.committed_ms is None:
        return _upper(f"{begin}: it was not committed in this history.")
    return _upper(f"{begin}; it was committed at {closing.committed_ms - zero_ms:+.2f} ms.")


def _later(span_ms: float) -> str:
    return f"{show_ms(span_ms)} later " if span_ms >= 0.01 else "at once "


def _who_was_told(evidence: Evidence, who: str, told: Told, closing: Closing | None) -> str:
    sid = evidence.survey.sid_of(told.member)
    by = f" by {evidence.survey.member(sid)}" if sid else ""
    zero_ms = closing.begin_ms if closing is not None else None
    when = f" at {told.at_ms - zero_ms:+.2f} ms" if zero_ms is not None else ""
    begin = f"{_upper(who)} was told “{told.verdict}”{by}{when}"
    if closing is None:
        return f"{begin}."
    if closing.submitted_ms is None or told.at_ms < closing.submitted_ms:
        return f"{begin}: the closeSession had not even been submitted by then."
    if closing.committed_ms is None or told.at_ms < closing.committed_ms:
        return f"{begin}: the closeSession was on its way by then, but not committed."
    has = [sid for sid, at_ms in sorted(closing.applied_ms.items()) if at_ms <= told.at_ms]
    lacks = sorted(evidence.survey.sids - set(has))
    if not lacks:
        return f"{begin}: every member had applied the closeSession by then."
    done = f"{_members(has)} had applied it" if has else "no member had applied it"
    lacking = f"{done}, but {_members(lacks)} had not"
    return f"{begin}: the closeSession was committed by then and {lacking}."


def _members(sids: list[int]) -> str:
    shown = " and ".join(", ".join(map(str, sids)).rsplit(", ", 1))
    return f"member{'' if len(sids) == 1 else 's'} {shown}"


def _what_was_read(evidence: Evidence, names: Names, who: str, stale: StaleRead) -> str:
    reading = stale.reading
    sid = evidence.survey.sid_of(reading.member)
    reader = names.program(reading.session_id)
    after = names.after(reading.called_ms - stale.told.at_ms)
    member = evidence.survey.member(sid)
    return (
        f"{_upper(reader)} asked {member} for {names.path(reading.path)} {after} that, and was"
        f" shown the znode of {who}, which nobody should see any more: that is the stale read."
    )


def _what_was_found(evidence: Evidence, names: Names, told: Told) -> str:
    """No read was stale: what the first one after the verdict was answered, and how late."""
    for reading in evidence.readings:
        if reading.path in evidence.paths and reading.called_ms >= told.at_ms:
            sid = evidence.survey.sid_of(reading.member)
            shown = "was shown a znode of another" if reading.is_there else "found it gone"
            member = evidence.survey.member(sid)
            return (
                f"{_upper(names.program(reading.session_id))} asked {member} for"
                f" {names.path(reading.path)} {names.after(reading.called_ms - told.at_ms)} that"
                f" and {shown}: it was answered {show_ms(reading.returned_ms - reading.called_ms)}"
                " later."
            )
    return ""


def _why(evidence: Evidence, reading: Reading, closing: Closing | None) -> str:
    if closing is None:
        return ""
    sid = evidence.survey.sid_of(reading.member)
    served_ms = instant_of_service(evidence, reading)
    match closing.window_at(sid, served_ms):
        case "W0":
            return (
                "No member could have known better: the closeSession had no place in the order of"
                " transactions yet, so that even a sync before the read would not have helped."
            )
        case "W1" if successor := _successor(evidence, closing, served_ms):
            return (
                f"Member {successor} had been elected leader meanwhile and knew nothing of that"
                " closeSession: the verdict is forgotten, and the session may live on."
            )
        case "W1":
            return (
                f"Member {sid} answered from its own tree, which changes only when the closeSession"
                " is committed and applied there."
            )
        case "W2":
            return _why_it_lagged(evidence, closing, sid)
        case _:
            return "By the traces that member had applied the closeSession: they do not explain it."


def _successor(evidence: Evidence, closing: Closing, before_ms: float) -> int:
    """Who leads by then instead of the leader that began the closing; 0: nobody."""
    for _, trace in evidence.marks:
        if (
            trace.kind == "serving"
            and trace.fields.get("state") == "LEADING"
            and trace.sid != closing.leader
            and (closing.begin_ms or 0.0) < trace.at_ms < before_ms
        ):
            return trace.sid
    return 0


def _why_it_lagged(evidence: Evidence, closing: Closing, sid: int) -> str:
    told = f"Member {sid} answers reads from its own tree and had not heard of the commit yet"
    for message in evidence.messages:
        if (
            message.receiver == sid
            and message.packet in ("COMMIT", "INFORM")
            and message.zxid == closing.zxid
        ):
            link = f"the link {message.sender}→{sid}"
            if message.is_kept and message.sent_ms is not None and message.left_ms is not None:
                lasted = show_ms(message.left_ms - message.sent_ms)
                return f"{told}: {link} held its {message.packet} for {lasted}."
            if message.is_kept:
                return f"{told}: {link} held its {message.packet}."
            return f"{told}: its {message.packet} was still on {link}."
    return f"{told}."


def _when_it_came_right(evidence: Evidence, names: Names, closing: Closing | None) -> str:
    if closing is None or closing.committed_ms is None:
        return ""
    stale = evidence.stale
    late = evidence.survey.sid_of(stale.reading.member) if stale else 0
    if not late:
        late = max(closing.applied_ms, key=lambda sid: closing.applied_ms[sid], default=0)
    applied_ms = closing.applied_ms.get(late)
    if applied_ms is None:
        return f"Member {late} did not apply the closeSession in this history." if late else ""
    after = show_ms(applied_ms - closing.committed_ms)
    gone = " and ".join(map(names.path, evidence.paths)) or "its ephemeral znodes"
    right = f"It came right {after} after the commit, when member {late} applied the closeSession"
    fresh = _first_fresh(evidence, applied_ms)
    if fresh is None:
        return f"{right} and {gone} was gone there, too."
    reader = names.program(fresh.session_id)
    return f"{right}; the next read of {reader} found {gone} gone."


def _first_fresh(evidence: Evidence, after_ms: float) -> Reading | None:
    stale = evidence.stale
    if stale is None:
        return None
    return next(
        (
            reading
            for reading in evidence.readings
            if reading.path == stale.reading.path
            and reading.session_id == stale.reading.session_id
            and reading.returned_ms >= after_ms
            and reading.owner != stale.reading.owner
        ),
        None,
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
