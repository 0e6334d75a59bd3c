"""The same seed plans the same faults; every kind comes."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.chaos.plan import KINDS, make_plan, parse_kinds
from orchestrator.errors import InvalidInput


def test_a_seed_plans_the_same_again_and_another_does_not() -> None:
    assert make_plan(7, 60) == make_plan(7, 60)
    assert make_plan(7, 60) != make_plan(8, 60)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    shorter = make_plan(7, 20)
    assert make_plan(7, 60)[: len(shorter)] == shorter


@pytest.mark.parametrize("seed", range(5))
def test_a_minute_has_room_for_every_kind_and_more_than_twenty_faults(seed: int) -> None:
    plan = make_plan(seed, 60)
    counts = Counter(fault.kind for fault in plan)
    assert len(plan) > 40
    assert set(counts) == set(KINDS)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert any(fault.is_at_leader for fault in plan)
    times = [fault.at_s for fault in plan]
    assert times == sorted(times)
    assert times[-1] < 60


def test_only_the_chosen_kinds_are_planned() -> None:
    plan = make_plan(1, 30, ["kill", "reset"])
    assert {fault.kind for fault in plan} == {"kill", "reset"}


def test_kinds_are_read_from_a_list() -> None:
    assert parse_kinds("pause, kill,pause") == ["pause", "kill"]
    with pytest.raises(InvalidInput, match="no fault 'burn'"):
        parse_kinds("kill,burn")
