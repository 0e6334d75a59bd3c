"""What may be wrong with ephemerals, with watches, and at the end."""

from __future__ import annotations

import msgspec

from client.history import OK, Event, Operation, Seen
from orchestrator.checker import rules
from tests.checker.facts import Facts, is_absent, show
from tests.checker.planting import (
    ANSWERS,
    mutation,
    new_reader,
)

# Ephemerals.


@mutation(rules.FOLLOW)
def an_ephemeral_is_gone_while_its_session_lives(facts: Facts) -> bool:
    for create in facts.writes("create"):
        last, _ = facts.last(create.path, 1 << 62)
        finals = facts.finals(create.path)
        is_last = last is not None and last.operation is create
        if is_last and create.writes[0].is_ephemeral and facts.lives(create.session_id) and finals:
            for final in finals:
                show(final, None)
            return True
    return False


@mutation(rules.FOLLOW)
def an_ephemeral_outlives_its_session(facts: Facts) -> bool:
    for create in facts.writes("create"):
        if create.writes[0].is_ephemeral and not facts.lives(create.session_id):
            for final in facts.finals(create.path):
                show(final, Seen(create.zxid, create.zxid, 0, create.session_id, "?"))
                return True
    return False


@mutation(*ANSWERS)
def an_ephemeral_comes_back(facts: Facts) -> bool:
    for create in facts.writes("create"):
        if not create.writes[0].is_ephemeral:
            continue
        gone = [op for op in facts.history.operations if op.path == create.path and is_absent(op)]
        gone = sorted((op for op in gone if op.zxid > create.zxid), key=lambda op: op.zxid)
        if len(gone) > 1:
            state = Seen(create.zxid, create.zxid, 0, create.session_id, create.writes[0].value)
            show(gone[-1], state)
            return True
    return False


@mutation(rules.STALE)
def an_ephemeral_is_shown_after_the_verdict(facts: Facts) -> bool:
    for told in facts.history.told:
        for create in facts.writes("create"):
            if create.session_id == told.session_id and create.writes[0].is_ephemeral:
                seen = Seen(create.zxid, create.zxid, 0, told.session_id)
                read = new_reader(facts, told.at_ms + 1, create.zxid)
                read.kind, read.path, read.seen = "exists", create.path, (seen,)
                return True
    return False


# Watches.


@mutation(rules.FIRST)
def an_event_comes_behind_the_reply_that_shows_its_change(facts: Facts) -> bool:
    found = late_event(facts)
    if found is None:
        return False
    event, reply = found
    event.answered = reply.answered
    return True


@mutation(rules.FIRST)
def an_event_never_comes(facts: Facts) -> bool:
    found = late_event(facts)
    if found is None:
        return False
    facts.history.events = [event for event in facts.history.events if event is not found[0]]
    return True


@mutation(rules.ONCE)
def a_watch_fires_twice(facts: Facts) -> bool:
    for event in facts.events():
        if not is_heard_from_above(facts, event):
            place = facts.history.events.index(event)
            facts.history.events.insert(place, msgspec.structs.replace(event))
            return True
    return False


@mutation(rules.WATCHED)
def an_event_tells_of_what_nobody_watches(facts: Facts) -> bool:
    for event in facts.events():
        if not is_heard_from_above(facts, event):
            event.path = "/elsewhere"
            return True
    return False


# The end.


@mutation(rules.LOST)
def a_member_ends_behind(facts: Facts) -> bool:
    last = max(op.zxid for op in facts.history.operations if op.writes and op.outcome == OK)
    for operation in facts.operations():
        if operation.is_final and operation.kind == "sync":
            operation.zxid = last - 1
            return True
    return False


@mutation(rules.SERVING)
def a_member_does_not_come_back(facts: Facts) -> bool:
    facts.rng.choice(facts.history.members).is_serving = False
    return True


@mutation(rules.EQUAL)
def a_member_differs(facts: Facts) -> bool:
    facts.rng.choice(facts.history.members).digest = "another"
    return True


def late_event(facts: Facts) -> tuple[Event, Operation] | None:
    """An event, and the first reply behind it that shows what its watch had to tell of."""
    for event in facts.events():
        client = (event.session_id, event.client)
        if event.type == "children" or facts.lasting_paths(client):
            continue
        operations = sorted(facts.of_client[client], key=lambda op: op.answered)
        left = left_watch(operations, event)
        others = [e for e in facts.history.events if e.path == event.path and e is not event]
        if left is None or any(
            (e.session_id, e.client) == client and e.answered >= left.answered for e in others
        ):
            continue
        changes = [e.zxid for e in facts.effects[event.path] if e.zxid > left.zxid]
        for reply in operations:
            is_behind = reply.answered > event.answered and reply.zxid
            if is_behind and changes and reply.zxid >= changes[0] and reply.session_id:
                return event, reply
    return None


def left_watch(operations: list[Operation], event: Event) -> Operation | None:
    """The data watch which an event used up: the first one left since the one before it."""
    left = [op for op in operations if op.path == event.path and op.watch]
    if not left or any(op.watch != "data" for op in left):
        return None
    return left[0] if left[0].answered <= event.answered else None


def is_heard_from_above(facts: Facts, event: Event) -> bool:
    return bool(facts.lasting_paths((event.session_id, event.client)))
