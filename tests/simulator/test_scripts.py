"""The interaction scripts in `scripts/` print what is written below their commands."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.simulator.interaction import play
from tests.simulator.stage import ScriptError

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_prints_what_is_expected(script: Path, is_rewriting: bool) -> None:
    expected = script.read_text()
    printed = play(expected, name=script.name)
    if is_rewriting:
        script.write_text(printed)
        return
    diff = difflib.unified_diff(
        expected.splitlines(), printed.splitlines(), "expected", "printed", lineterm=""
    )
    assert printed == expected, "\n".join(diff)


def test_a_script_that_expects_something_else_differs() -> None:
    script = "add-members 3\n----\nok\n\nrun until serving\n----\n1 leads\n"
    assert play(script, name="bad") != script


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("frobnicate 3", "bad:4: unknown command 'frobnicate'"),
        ("read c1 /a", "bad:4: no client 'c1'"),
        ("hold 1->7", "bad:4: '1->7': no member '7'"),
        ("run until cows-come-home", "bad:4: run until what?"),
    ],
)
def test_a_malformed_command_is_named_with_its_line(command: str, complaint: str) -> None:
    with pytest.raises(ScriptError) as caught:
        play(f"add-members 3\n----\n\n{command}\n----\n", name="bad")
    assert complaint in str(caught.value)
