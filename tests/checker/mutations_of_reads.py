"""What may be wrong with reads."""

from __future__ import annotations

from client.history import OK
from orchestrator.checker import rules
from orchestrator.checker.check import Demands
from tests.checker.facts import Facts, show
from tests.checker.planting import (
    ANSWERS,
    add_reader,
    mutation,
    mzxid,
    neighbours,
)


@mutation(rules.RYW)
def a_session_misses_its_own_write(facts: Facts) -> bool:
    for read in facts.gets():
        last, before = facts.last(read.path, read.zxid)
        if (
            last is not None
            and before is not None
            and before.state is not None
            and last.state is not None
            and last.operation.session_id == read.session_id
            and mzxid(read) == last.zxid
        ):
            show(read, before.state)
            return True
    return False


@mutation(rules.PREFIX)
def a_session_sees_less_than_its_zxid(facts: Facts) -> bool:
    for read in facts.gets():
        last, before = facts.last(read.path, read.zxid)
        if (
            last is not None
            and before is not None
            and before.state is not None
            and last.state is not None
            and last.operation.session_id != read.session_id
            and mzxid(read) == last.zxid
        ):
            show(read, before.state)
            return True
    return False


@mutation(rules.PREFIX, rules.RYW)
def a_read_shows_the_future(facts: Facts) -> bool:
    for read in facts.gets():
        later = [e for e in facts.effects[read.path] if e.zxid > read.zxid and e.state is not None]
        if later and facts.last(read.path, read.zxid)[0] is not None:
            show(read, later[0].state)
            return True
    return False


@mutation(*ANSWERS)
def a_read_shows_another_value(facts: Facts) -> bool:
    for read in facts.gets():
        last, _ = facts.last(read.path, read.zxid)
        seen = read.seen[0]
        if last is not None and seen is not None and last.zxid == seen.mzxid:
            others = [op for op in facts.writes("set") if op.path == read.path]
            other = next((op for op in others if op.writes[0].value != seen.value), None)
            if other is not None:
                seen.value = other.writes[0].value
                return True
    return False


@mutation(*ANSWERS)
def an_ephemeral_changes_its_owner(facts: Facts) -> bool:
    for read in facts.operations():
        if read.kind in ("get", "exists") and read.outcome == OK and not read.is_final:
            last, _ = facts.last(read.path, read.zxid)
            seen = read.seen[0]
            if last is None or seen is None or last.zxid != seen.mzxid:
                continue
            if seen.ephemeral_owner:
                seen.ephemeral_owner += 1
                return True
    return False


@mutation(*ANSWERS)
def a_list_leaves_a_child_out(facts: Facts) -> bool:
    for read in facts.operations():
        if read.kind == "children" and read.outcome == OK:
            for name in read.names:
                path = f"{read.path}/{name}"
                last, _ = facts.last(path, read.zxid)
                if last is not None and path not in facts.unsure and not facts.is_owned(path):
                    read.names = tuple(other for other in read.names if other != name)
                    return True
    return False


@mutation(rules.NOWHERE)
def a_list_shows_a_child_of_nobody(facts: Facts) -> bool:
    for read in facts.operations():
        if read.kind == "children" and read.outcome == OK:
            read.names = (*read.names, "ghost")
            return True
    return False


@mutation(rules.BACK)
def a_session_goes_back(facts: Facts) -> bool:
    for before, after in neighbours(facts):
        if before.member == after.member and not after.writes:
            after.zxid = before.zxid - 1
            return True
    return False


@mutation(rules.IMAGE)
def a_session_sees_an_older_state_after_a_move(facts: Facts) -> bool:
    for before, after in neighbours(facts):
        if before.member != after.member and not after.writes:
            after.zxid = before.zxid - 1
            return True
    return False


@mutation(rules.LAG, demands=Demands(allows_stale=True, max_lag=5))
def a_read_lags(facts: Facts) -> bool:
    return add_reader(facts, is_synced=False)


@mutation(rules.SYNCED, demands=Demands(allows_stale=True, is_fresh_after_sync=True))
def a_read_behind_a_sync_lags(facts: Facts) -> bool:
    return add_reader(facts, is_synced=True)
