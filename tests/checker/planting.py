"""Ways to plant an anomaly in a sound history: their catalogue, and what they share.

Each returns whether it found a place where what it plants is an anomaly beyond doubt: one that no
write of unknown outcome and no end of a session could explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from client.history import OK, Operation, Seen, Session
from orchestrator.checker import rules
from orchestrator.checker.check import Demands
from tests.checker.facts import Facts, is_get, show

Plant = Callable[[Facts], bool]
# An answer that cannot be is named by what else it breaks.
ANSWERS = {rules.PREFIX, rules.RYW, rules.FOLLOW, rules.LOST}


@dataclass(frozen=True, slots=True)
class Mutation:
    """A way to plant an anomaly, and the rules of which one must catch it."""

    name: str
    caught_by: frozenset[str]
    plant: Plant
    demands: Demands


MUTATIONS: list[Mutation] = []


EVERYTHING = Demands()


def mutation(*caught_by: str, demands: Demands = EVERYTHING) -> Callable[[Plant], Plant]:
    """Put a way into the catalogue."""

    def add(plant: Plant) -> Plant:
        name = plant.__name__.replace("_", " ")
        MUTATIONS.append(Mutation(name, frozenset(caught_by), plant, demands))
        return plant

    return add


def swap_zxids(first: Operation, second: Operation) -> None:
    first.zxid, second.zxid = second.zxid, first.zxid
    for operation in (first, second):
        for seen in operation.seen:
            if seen is not None:
                seen.mzxid = operation.zxid


def mzxid(read: Operation) -> int:
    return read.seen[0].mzxid if read.seen and read.seen[0] is not None else 0


def late_gets(facts: Facts) -> Iterator[tuple[Operation, Seen]]:
    """Reads at a zxid at which their znode was not written, later than what they show."""
    for read in facts.operations():
        seen = read.seen[0] if is_get(read) else None
        if seen is None or read.path in facts.unsure:
            continue
        is_late = read.zxid > max(seen.mzxid, facts.first_zxid)
        if is_late and not facts.is_written_at(read.path, read.zxid):
            yield read, seen


def neighbours(facts: Facts) -> Iterator[tuple[Operation, Operation]]:
    """Operations of one session that follow each other, both answered."""
    clients = list(facts.of_client.items())
    facts.rng.shuffle(clients)
    for (session_id, _), operations in clients:
        answered = [op for op in operations if op.zxid]
        if session_id:
            yield from pairwise(answered)


def new_reader(facts: Facts, at_ms: float, zxid: int) -> Operation:
    """One more program, whose member is as far as that zxid."""
    operations = facts.history.operations
    number = max(op.number for op in operations) + 1
    answered = max(op.answered for op in operations) + 1
    facts.history.sessions[number] = Session(number, number)
    read = Operation(number, number, number, "sync", "/", at_ms, outcome=OK, answered=answered)
    read.returned_ms, read.zxid, read.member = at_ms + 1, zxid, "1"
    operations.append(read)
    return read


def add_reader(facts: Facts, *, is_synced: bool) -> bool:
    """Somebody who reads at the end, through a member far behind."""
    end_ms = max(op.returned_ms or 0.0 for op in facts.history.operations) + 1
    path, effects = max(facts.effects.items(), key=lambda item: len(item[1]))
    effect = next(effect for effect in effects if effect.state is not None)
    reader = new_reader(facts, end_ms, effect.zxid)
    if is_synced:
        sync, reader = reader, new_reader(facts, end_ms + 2, effect.zxid)
        reader.client, reader.session_id = sync.client, sync.session_id
    reader.kind, reader.path = "get", path
    show(reader, effect.state)
    behind = {e.zxid for es in facts.effects.values() for e in es if e.zxid > effect.zxid}
    return len(behind) > 5
