"""The judge shares no code with the judged, nor with the clients: it knows only their histories."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import orchestrator.checker

(FOLDER,) = orchestrator.checker.__path__
# How a verdict is shown is no part of coming to it.
SHOWN = {"command.py", "schema.py", "text.py"}
JUDGING = sorted(path for path in Path(FOLDER).glob("*.py") if path.name not in SHOWN)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", JUDGING, ids=lambda path: path.stem)
def test_the_judge_knows_only_histories(path: Path) -> None:
    others = {name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith("orchestrator.checker")} <= {
        "client.history"
    }
