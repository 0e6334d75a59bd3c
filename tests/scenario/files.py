"""Scenarios for tests: written as steps, read as files are."""

from __future__ import annotations

from textwrap import indent

from orchestrator.scenario.lint import check_scenario
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.reading import Problem, ScenarioProblems, read_scenario
from orchestrator.scenario.run import run_scenario
from orchestrator.scenario.verdicts import VariantResult

HEAD = """\
name: tried
title: A scenario of a test
about: As short as it can be.
"""
# The number of the line behind `steps:`, if nothing is added to the head.
FIRST = 5


def text_of(steps: str, more: str = "") -> str:
    """A file with these steps, and more at its top level."""
    return f"{HEAD}{more}steps:\n{indent(steps.strip(), '  ')}\n"


def scenario_of(steps: str, more: str = "") -> Scenario:
    """The scenario of such a file, as it is checked before it is played."""
    scenario = read_scenario(text_of(steps, more), "tried.yaml")
    check_scenario(scenario)
    return scenario


def problems_of(text: str) -> list[Problem]:
    """What is wrong with a file."""
    try:
        check_scenario(read_scenario(text, "tried.yaml"))
    except ScenarioProblems as problems:
        return problems.problems
    return []


def play(steps: str, more: str = "", seed: int = 1) -> VariantResult:
    """Play the only variant in virtual time."""
    (result,) = run_scenario(scenario_of(steps, more), on="simulator", seed=seed).variants
    return result
