"""Who may import whom: read from the sources, so that a slip fails before it becomes a habit."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"nodes", "client", "orchestrator", "loadtests"}
# What of the standard library would make the core depend on more than its events.
IMPURE = {"time", "random", "os", "socket", "threading", "asyncio", "logging", "io", "pathlib"}

# A package, and what none of its files may import.
FORBIDDEN = [
    ("nodes", {"client", "orchestrator", "loadtests"}),
    ("client", {"nodes", "orchestrator", "loadtests"}),
    ("loadtests", {"nodes"}),
    ("orchestrator/checker", {"nodes"}),
    ("examples", {"nodes"}),
]


def imported(source: str) -> Iterator[str]:
    """The dotted names of all modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import relative to its file hides where it goes"
            yield node.module or ""


def imports_of(folder: str) -> Iterator[tuple[str, str]]:
    """(file, module) of everything imported below a folder."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for module in imported(path.read_text()):
            yield str(path.relative_to(ROOT)), module


def is_allowed_in_core(module: str) -> bool:
    """The pure standard library and the core itself."""
    top = module.partition(".")[0]
    if top == "nodes":
        return module.startswith("nodes.core")
    return top in sys.stdlib_module_names and top not in IMPURE


def test_core_imports_only_itself_and_the_pure_standard_library() -> None:
    found = list(imports_of("nodes/core"))
    assert len(found) > 100
    assert [pair for pair in found if not is_allowed_in_core(pair[1])] == []


@pytest.mark.parametrize(("folder", "forbidden"), FORBIDDEN)
def test_package_keeps_to_its_side(folder: str, forbidden: set[str]) -> None:
    found = imports_of(folder)
    assert [pair for pair in found if pair[1].partition(".")[0] in forbidden] == []


def test_simulator_takes_of_nodes_only_the_core_and_the_link_rules() -> None:
    allowed = ("nodes.core", "nodes.links", "nodes.rules")
    found = [pair for pair in imports_of("orchestrator/simulator") if pair[1].startswith("nodes")]
    assert found
    assert [pair for pair in found if not pair[1].startswith(allowed)] == []


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import os.path", ["os.path"]),
        ("from random import Random", ["random"]),
        ("def late():\n    import time as t", ["time"]),
        ("if TYPE_CHECKING:\n    from client import session", ["client"]),
    ],
)
def test_no_way_to_import_is_overlooked(source: str, modules: list[str]) -> None:
    assert list(imported(source)) == modules


@pytest.mark.parametrize("module", ["time", "os.path", "grpc", "nodes.storage", "client.session"])
def test_core_is_refused_what_is_not_pure(module: str) -> None:
    assert not is_allowed_in_core(module)
