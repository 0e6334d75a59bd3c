"""Which faults, when, for how long, at whom: all of it from one seed. Pure.

The plan names its target by a role or by a roll of dice, since who leads is known only when the
fault comes; so the same seed plans the same faults, whoever leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from orchestrator.errors import InvalidInput

WHAT_IT_DOES = {
    "kill": "kill -9 a member, start it again",
    "pause": "SIGSTOP a member, SIGCONT it",
    "cut": "silence between a member and all others, then heal",
    "one-way-cut": "silence on what a member sends or on what it gets, then heal",
    "delay": "slow some links by up to 200 ms, with jitter",
    "reset": "break every link of a member once",
    "flap": "cut and heal a link, again and again",
    "expire": "expire a client's session",
}
KINDS = tuple(WHAT_IT_DOES)
# These take their member out of the quorum while they last.
DISABLING = frozenset({"kill", "pause", "cut", "one-way-cut"})
LENGTHS_S = {
    "kill": (0.1, 1.5),
    "pause": (0.2, 3.0),
    "cut": (0.3, 3.5),
    "one-way-cut": (0.3, 3.5),
    "delay": (0.5, 3.0),
    "flap": (0.5, 1.5),
}
GAP_S = (0.3, 1.4)
FIRST_S = 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come. `aim`, `peer` and `size` are rolls between 0 and 1 for its details."""

    at_s: float
    kind: str
    lasts_s: float
    is_at_leader: bool
    aim: float
    peer: float
    size: float
    # May take the quorum away: all others wait until a majority is left.
    is_bold: bool


def make_plan(seed: int, duration_s: float, kinds: Sequence[str] = KINDS) -> list[Fault]:
    """The faults of a run, in the order of their times; each kind comes once before any again."""
    rng = Random(seed)
    faults: list[Fault] = []
    at_s = FIRST_S
    deck: list[str] = []
    while True:
        if not deck:
            deck = rng.sample(kinds, len(kinds))
        kind = deck.pop()
        low, high = LENGTHS_S.get(kind, (0.0, 0.0))
        fault = Fault(
            at_s=round(at_s, 3),
            kind=kind,
            lasts_s=round(rng.uniform(low, high), 3),
            is_at_leader=rng.random() < 0.45,
            aim=rng.random(),
            peer=rng.random(),
            size=rng.random(),
            is_bold=rng.random() < 0.06,
        )
        if fault.at_s >= duration_s:
            return faults
        faults.append(fault)
        at_s += rng.uniform(*GAP_S)


def parse_kinds(text: str) -> list[str]:
    """The kinds that `kill,pause` names, each once. Raises InvalidInput."""
    kinds = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidInput(f"--faults: no fault '{kind}'; one of {', '.join(KINDS)}")
    return kinds
