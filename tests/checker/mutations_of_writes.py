"""What may be wrong with writes."""

from __future__ import annotations

from client.history import FAILED, OK
from orchestrator.checker import rules
from tests.checker.facts import Facts, show
from tests.checker.planting import (
    ANSWERS,
    late_gets,
    mutation,
    swap_zxids,
)


@mutation(rules.LOST)
def an_acknowledged_set_is_lost(facts: Facts) -> bool:
    for write in facts.writes("set"):
        last, before = facts.last(write.path, 1 << 62)
        finals = facts.finals(write.path)
        is_last = last is not None and last.operation is write
        if is_last and finals and before is not None and before.state is not None:
            for final in finals:
                show(final, before.state)
            return True
    return False


@mutation(rules.LOST)
def a_multi_is_torn(facts: Facts) -> bool:
    for operation in facts.operations():
        if operation.kind == "multi" and operation.outcome == OK:
            for write in operation.writes:
                finals = facts.finals(write.path)
                if write.kind == "create" and finals and write.path not in facts.unsure:
                    for final in finals:
                        show(final, None)
                    return all(final.session_id != operation.session_id for final in finals)
    return False


@mutation(rules.VERSIONS)
def an_acknowledged_set_never_was(facts: Facts) -> bool:
    for write in facts.writes("set"):
        effects = facts.effects[write.path]
        place = next(i for i, effect in enumerate(effects) if effect.operation is write)
        following = effects[place + 1] if place + 1 < len(effects) else None
        if (
            following is not None
            and following.write.kind == "set"
            and following.operation.kind == "set"
            and not facts.is_owned(write.path)
        ):
            facts.remove(write)
            return True
    return False


@mutation(rules.VERSIONS)
def an_acknowledged_delete_never_was(facts: Facts) -> bool:
    for write in facts.writes("delete"):
        if facts.is_owned(write.path):
            continue
        following = [e for e in facts.effects[write.path] if e.zxid > write.zxid]
        if following and following[0].write.kind == "create":
            facts.remove(write)
            return True
    return False


@mutation(rules.VERSIONS)
def a_version_is_left_out(facts: Facts) -> bool:
    for write in facts.writes("set"):
        (seen,) = write.seen
        if seen is not None and not facts.is_owned(write.path):
            seen.version += 1
            return True
    return False


@mutation(rules.REAL_TIME)
def two_writes_swap_zxids(facts: Facts) -> bool:
    writes = [op for op in facts.operations() if op.outcome == OK and op.kind in ("set", "create")]
    for first in writes:
        for second in writes:
            if first.until_ms < second.called_ms and first.session_id != second.session_id:
                swap_zxids(first, second)
                return True
    return False


@mutation(rules.ORDER, rules.BACK, rules.IMAGE)
def a_sessions_writes_swap_zxids(facts: Facts) -> bool:
    for operations in facts.of_client.values():
        writes = [op for op in operations if op.outcome == OK and op.kind in ("set", "create")]
        if len(writes) > 1 and writes[0].session_id:
            place = facts.rng.randrange(len(writes) - 1)
            swap_zxids(writes[place], writes[place + 1])
            return True
    return False


@mutation(rules.ORDER)
def two_sessions_write_at_one_zxid(facts: Facts) -> bool:
    writes = [op for op in facts.operations() if op.outcome == OK and op.kind == "set"]
    for other in writes[1:]:
        if other.session_id != writes[0].session_id:
            other.zxid = writes[0].zxid
            return True
    return False


@mutation(rules.ORDER)
def a_session_is_answered_in_another_order(facts: Facts) -> bool:
    for operations in facts.of_client.values():
        answered = [op for op in operations if op.zxid and op.session_id]
        if len(answered) > 1:
            place = facts.rng.randrange(len(answered) - 1)
            first, second = answered[place : place + 2]
            first.answered, second.answered = second.answered, first.answered
            return True
    return False


@mutation(rules.ONE_ZXID)
def a_write_is_shown_at_another_zxid(facts: Facts) -> bool:
    for read, seen in late_gets(facts):
        last, _ = facts.last(read.path, read.zxid)
        if last is not None and last.zxid == seen.mzxid and last.write.value == seen.value:
            seen.mzxid = read.zxid
            return True
    return False


@mutation(rules.NOWHERE)
def a_value_comes_from_nowhere(facts: Facts) -> bool:
    for read, seen in late_gets(facts):
        seen.mzxid, seen.value = read.zxid, "nobody's"
        return True
    return False


@mutation(rules.REFUSED)
def a_refused_write_is_seen(facts: Facts) -> bool:
    refused = [
        op
        for op in facts.operations()
        if op.kind == "set" and op.outcome == FAILED and op.path not in facts.unsure
    ]
    for write in refused:
        for read, seen in late_gets(facts):
            if read.path == write.path:
                seen.mzxid, seen.value = read.zxid, write.writes[0].value
                return True
    return False


@mutation(*ANSWERS)
def a_write_is_refused_for_the_right_version(facts: Facts) -> bool:
    for write in facts.operations():
        if write.kind == "set" and write.error == "BadVersion" and write.path not in facts.unsure:
            last, _ = facts.last(write.path, write.zxid)
            if last is not None and last.state is not None and not facts.is_owned(write.path):
                write.writes[0].version = last.state.version
                return True
    return False


@mutation(*ANSWERS)
def a_create_is_refused_without_a_parent_that_is_there(facts: Facts) -> bool:
    for write in facts.operations():
        if write.kind == "create" and write.error == "NodeExists" and write.zxid:
            write.error = "NoNode"
            return True
    return False
