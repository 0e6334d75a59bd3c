"""What is asked of a load experiment is checked before anything starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.load.plan import Plan, SweepSpec, check, check_rules, parse_sweep

PLAN = Plan(
    settings={"members": 3},
    directory=None,
    addresses="",
    users=10,
    spawn_rate=5.0,
    duration_s=5,
    processes=1,
    classes=(),
    rules=(),
    knobs=(),
    sweep=None,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delay=0,5,20", SweepSpec("delay", ("0", "5", "20"), "leader->slow")),
        ("delay=0ms, 2.5ms", None),
        ("delay=0ms,2.5ms", SweepSpec("delay", ("0", "2.5"), "leader->slow")),
        ("*->1 delay=5", SweepSpec("delay", ("5",), "*->1")),
        ("1->2,1->3 delay=5", SweepSpec("delay", ("5",), "1->2,1->3")),
        ("session_timeout=500,1000", SweepSpec("session-timeout", ("500", "1000"))),
        ("users=10,20", SweepSpec("users", ("10", "20"))),
        ("told-by=mark,poll", SweepSpec("told-by", ("mark", "poll"))),
        ("delay", None),
        ("delay=", None),
        ("=5", None),
        ("delay=1,,2", None),
        ("delay=1,1", None),
        ("delay=soon", None),
        ("delay=-1", None),
        ("delay=nan", None),
        ("users=0,5", None),
        ("users=1.5", None),
        ("3->1 users=5", None),
        ("tick_time=100,200", None),
        ("", None),
    ],
)
def test_sweep_is_read_or_refused(text: str, expected: SweepSpec | None) -> None:
    if expected is not None:
        assert parse_sweep(text) == expected
        return
    with pytest.raises(InvalidInput, match="--sweep"):
        parse_sweep(text)


def test_roles_stand_for_sids() -> None:
    rules = check_rules(["leader->slow delay=5ms", "slow->*,2->3 hold"], [1, 2, 3], 3, 1)
    assert rules == ["3->1 delay=5ms", "1->*,2->3 hold"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rules": ("leader->9 delay=5ms",)}, "--link 'leader->9 delay=5ms': "),
        ({"rules": ("leader->slow dely=5ms",)}, "not a rule's word"),
        ({"rules": ("leader->slow",)}, "--link 'leader->slow': "),
        ({"knobs": ("--mitigations", "prayer")}, "--mitigations: no mitigation 'prayer'"),
        ({"knobs": ("--readers", "blind")}, "--readers: no reader kind 'blind'"),
        ({"knobs": ("--frobnicate", "3")}, "no option or knob '--frobnicate'"),
        ({"knobs": ("--lifetime", "x")}, "--lifetime: invalid float value: 'x'"),
        ({"knobs": ("--shape", "round")}, "--shape: invalid choice: 'round'"),
        ({"knobs": ("--record", "record.json")}, "--record: the record goes into the report's"),
        ({"classes": ("Service",)}, "no class 'Service'; known are ServiceUser"),
        ({"sweep": SweepSpec("session-timeout", ("1", "-3"))}, "--session-timeout: must be above"),
        ({"sweep": SweepSpec("nothing", ("1",))}, "no option or knob '--nothing'"),
        ({"sweep": SweepSpec("delay", ("1",), "1->7")}, "--link '1->7 delay=1ms'"),
        ({"settings": {"members": 0}}, "--members: "),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(replace(PLAN, **change))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_point_differs_in_its_knob_only() -> None:
    check(PLAN)
    plan = replace(PLAN, sweep=parse_sweep("delay=5,20"), rules=("1->2 hold",))
    assert plan.at("20") == replace(plan, rules=("1->2 hold", "leader->slow delay=20ms"))
    plan = replace(PLAN, sweep=parse_sweep("users=5,20"))
    assert plan.at("20") == replace(plan, users=20)
    plan = replace(PLAN, sweep=parse_sweep("lifetime=5,20"), knobs=("--seed", "3"))
    assert plan.at("20").knobs == ("--seed", "3", "--lifetime", "20")
