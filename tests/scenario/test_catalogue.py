"""The catalogue: each file comes to the verdicts it names, and its page names the same.

A page has a section "Mitigations" with a table `| cure | verdict | why | price |`. Its rows are
the file's variants, in the file's order: the cure begins with the variant's name as code, and the
verdict is `harmed` or `holds`.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.scenario.batch import Batch
from orchestrator.scenario.run import RunResult, load_scenario, run_scenario

_ROOT = Path(__file__).parents[2]
FILES = sorted((_ROOT / "orchestrator/scenario/catalogue").glob("*.yaml"))
_PAGES = _ROOT / "docs/scenarios"
_SECTION = re.compile(r"^## Mitigations$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| `([a-z0-9-]+)`[^|]*\| *\**(harmed|holds)\** *\|", re.MULTILINE)

# One of each window, and one of none, all on one ensemble; `make test-scenarios` plays them all.
ON_PROCESSES = ("w0-sync-is-not-enough", "w1-told-before-commit", "moved-session")

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def _variants(path: Path) -> list[tuple[str, str]]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    variants = document.get("variants") or {"plain": {}}
    verdicts = {True: "harmed", False: "holds"}
    return [(name, verdicts[bool(v.get("harmed"))]) for name, v in variants.items()]


@each_file
def test_page_of_a_scenario_has_its_variants_with_the_same_verdicts(path: Path) -> None:
    page = (_PAGES / f"{path.stem}.md").read_text()
    section = _SECTION.search(page)
    assert section is not None, "the page has no section 'Mitigations'"
    assert _ROW.findall(section[1]) == _variants(path)


@each_file
def test_page_says_what_is_known_and_how_to_run_it(path: Path) -> None:
    page = (_PAGES / f"{path.stem}.md").read_text()
    assert "\n## Known and reconstructed\n" in page
    assert f"orchestrator scenario run {path.stem}" in page


def test_index_names_every_scenario_and_no_other() -> None:
    named = re.findall(r"^\| \[`([a-z0-9-]+)`\]\(\1\.md\)", (_PAGES / "index.md").read_text(), re.M)
    assert sorted(named) == [path.stem for path in FILES]


@each_file
def test_scenario_comes_to_its_verdicts_in_virtual_time(path: Path) -> None:
    assert _shown(run_scenario(load_scenario(path.stem), "simulator")) == _promised(path.stem)


@pytest.mark.processes
def test_scenarios_come_to_the_same_verdicts_on_processes() -> None:
    scenarios = [load_scenario(name) for name in ON_PROCESSES]
    assert len({scenario.head.ensemble for scenario in scenarios}) == 1
    results: list[RunResult] = []
    asyncio.run(Batch(scenarios, ("processes",)).run(results.append))
    assert {r.scenario: _shown(r) for r in results} == {n: _promised(n) for n in ON_PROCESSES}


def _shown(result: RunResult) -> dict[str, tuple[str, bool]]:
    """What came of each variant, with the reason where it is none that was promised."""
    shown = {}
    for variant in result.variants:
        is_fine = variant.verdict == "passed"
        shown[variant.variant] = (variant.verdict if is_fine else variant.why, variant.harmed)
    return shown


def _promised(name: str) -> dict[str, tuple[str, bool]]:
    variants = load_scenario(name).head.variants
    return {variant: ("passed", told.harmed) for variant, told in variants.items()}
