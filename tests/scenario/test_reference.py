"""The reference, docs/scenario-files.md: its example plays, and it tells every word there is."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.scenario.lint import check_scenario
from orchestrator.scenario.model import EnsembleSection, Head
from orchestrator.scenario.reading import read_scenario
from orchestrator.scenario.run import run_scenario
from orchestrator.scenario.steps import WORDS, Particulars
from orchestrator.scenario.values import COMPARISONS, EVENT_TYPES, FIELDS, ROLES, TRACES, VERDICTS

REFERENCE = (Path(__file__).parents[2] / "docs" / "scenario-files.md").read_text()


def test_example_of_the_reference_passes() -> None:
    found = re.search(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)
    assert found is not None
    scenario = read_scenario(found[1], "w2-lagging-follower.yaml")
    check_scenario(scenario)
    result = run_scenario(scenario, on="simulator")
    assert [(v.variant, v.verdict, v.harmed) for v in result.variants] == [
        ("plain", "passed", True),
        ("sync", "passed", False),
    ]


def keys_of(kind: type[Particulars]) -> set[str]:
    """The keys that a step has in a file."""
    named = {field.alias or name for name, field in kind.model_fields.items()}
    return named - {kind.shorthand}


def test_reference_tells_every_word() -> None:
    words = {*WORDS, *FIELDS, *ROLES, *VERDICTS, *EVENT_TYPES, *COMPARISONS, *Head.model_fields}
    words |= set(TRACES) | set(EnsembleSection.model_fields).union(*map(keys_of, WORDS.values()))
    told = {w for w in words if re.search(rf"(?<![a-z_]){re.escape(w)}(?![a-z_])", REFERENCE)}
    assert sorted(words - told) == []
