"""The ensemble that an experiment starts can keep what its knobs promise."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.load.plan import ensemble_config, parse_sweep
from orchestrator.load.runner import own_settings
from tests.orchestrator.load.test_plan import PLAN


def test_every_session_timeout_of_a_sweep_holds() -> None:
    sweep = parse_sweep("session-timeout=100,60000")
    config = ensemble_config(own_settings(replace(PLAN, sweep=sweep)))
    low, high = config.session_timeouts_ms
    assert low <= 100
    assert high >= 60_000


def test_tick_time_is_one_for_both() -> None:
    config = ensemble_config(own_settings(replace(PLAN, knobs=("--tick-time", "50"))))
    assert config.tick_time_ms == 50
