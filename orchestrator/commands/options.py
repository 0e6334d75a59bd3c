"""Options that several commands share, and how they answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Directory = Annotated[
    Path, typer.Option("--dir", help="The ensemble's directory.", metavar="DIR", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
DEFAULT_DIRECTORY = Path(".lagkeeper")


def answer(as_json: bool, text: str, values: dict[str, Any]) -> None:
    """Print the result: a text for people, or the values for programs."""
    sys.stdout.write((json.dumps(values) if as_json else text) + "\n")
    sys.stdout.flush()
