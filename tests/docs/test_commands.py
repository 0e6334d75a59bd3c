"""Every command line that a page shows is one that the program knows, with options it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md")])
# In a block of code behind a prompt or indented, or within a line between backticks.
_LINE = re.compile(r"^(?: {4}|\$ )(orchestrator .*)$|`(orchestrator [^`]*)`", re.MULTILINE)
_ENDS = {"&&", "||", "|", ";", ">", "&"}


def commands_in(page: Path) -> Iterator[str]:
    """What pages show; a backslash at the end of a line joins the next."""
    for match in _LINE.finditer(page.read_text().replace("\\\n", " ")):
        yield match[1] or match[2]


def problem_of(line: str, program: Any) -> str:
    """What the program would not know of a command line; empty if it knows all."""
    try:
        words = shlex.split(line, comments=True)[1:]
    except ValueError as error:
        return str(error)
    command = program
    for word in words:
        if word in _ENDS:
            break
        if word.startswith("-"):
            known = {name for option in command.params for name in option.opts} | {"--help", "-h"}
            # `load` hands what it does not know to the load test.
            takes_others = bool(command.context_settings.get("ignore_unknown_options"))
            if word.partition("=")[0] not in known and not takes_others:
                return f"{command.name} has no {word}"
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
        elif hasattr(command, "commands") and word.islower():
            return f"{command.name} has no command {word}"
        if word.endswith(";"):
            break
    return ""


@pytest.fixture(scope="module")
def program() -> Any:
    return typer.main.get_command(cli.build(None))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("orchestrator up --detach --dir /tmp/lab", ""),
        ("orchestrator link hold '3->1' --only 'COMMIT[closeSession]' # until release", ""),
        ("orchestrator COMMAND --help", ""),
        ("orchestrator link squeeze '3->1'", "link has no command squeeze"),
        ("orchestrator race --sideways", "race has no --sideways"),
        ("orchestrator link hold '3->1", "No closing quotation"),
    ],
)
def test_what_the_program_does_not_know_is_told(line: str, problem: str, program: Any) -> None:
    assert problem_of(line, program) == problem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_a_page_are_known(page: Path, program: Any) -> None:
    wrong = {line: problem for line in commands_in(page) if (problem := problem_of(line, program))}
    assert wrong == {}


def test_pages_show_commands() -> None:
    assert sum(len(list(commands_in(page))) for page in PAGES) > 100
