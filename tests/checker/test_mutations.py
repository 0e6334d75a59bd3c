"""Sound histories of simulated chaos are called sound, and what is planted in them is found."""

from __future__ import annotations

import pytest

from client.history import History
from orchestrator.checker.check import Demands, check
from orchestrator.checker.rules import RULES
from tests.checker.campaign import PROMISES, judge
from tests.checker.facts import copy
from tests.checker.mutations import MUTATIONS
from tests.checker.simulated import record

SEEDS = range(1000, 1005)


@pytest.fixture(scope="module")
def histories() -> dict[int, History]:
    return {seed: record(seed, has_traces=seed % 2 == 0) for seed in SEEDS}


def test_no_sound_history_is_called_wrong_and_no_mutation_is_missed(
    histories: dict[int, History],
) -> None:
    planted: set[str] = set()
    for seed, history in histories.items():
        tally = judge(history, f"seed {seed}", seed, len(MUTATIONS))
        assert tally.false_alarms == []
        assert tally.missed == []
        planted |= set(tally.planted)
    assert planted == {mutation.name for mutation in MUTATIONS}


def test_sound_histories_hold_what_the_rules_look_at(histories: dict[int, History]) -> None:
    """A rule that finds nothing to examine would call everything sound."""
    totals: dict[str, int] = {}
    for history in histories.values():
        for property_, counts in check(history, PROMISES).examined.items():
            for what, count in counts.items():
                totals[f"{property_}: {what}"] = totals.get(f"{property_}: {what}", 0) + count
    assert [what for what, count in totals.items() if not count] == []


def test_every_rule_is_broken_by_some_mutation() -> None:
    caught = {rule for mutation in MUTATIONS for rule in mutation.caught_by}
    assert caught == set(RULES)


def test_a_history_cut_off_anywhere_is_unknown_not_wrong(histories: dict[int, History]) -> None:
    """What was under way at the cut is missing in it, and may have happened."""
    history = copy(histories[SEEDS[0]])
    by_outcome = sorted(history.operations, key=lambda op: op.answered or 1 << 62)
    for share in (0.1, 0.5, 0.9):
        cut = copy(history)
        kept = {op.number for op in by_outcome[: int(share * len(by_outcome))]}
        cut.operations = [op for op in cut.operations if op.number in kept]
        last = max(op.answered for op in cut.operations)
        cut.events = [event for event in cut.events if event.answered <= last]
        cut.members, cut.is_complete = [], False
        verdict = check(cut, Demands(allows_stale=True))
        assert verdict.anomalies == []
        assert verdict.verdict == "unknown"


def test_the_same_seed_gives_the_same_history(histories: dict[int, History]) -> None:
    seed = SEEDS[1]
    again = record(seed, has_traces=seed % 2 == 0)
    assert again.operations == histories[seed].operations
    assert again.events == histories[seed].events
