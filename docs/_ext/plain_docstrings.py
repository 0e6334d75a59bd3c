"""Lets autodoc read the project's docstrings, which are plain text and no reStructuredText.

An indented passage is code, and nothing else is markup but `names`.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_SPECIAL = re.compile(r"(?<!\\)([*|_])")
_NAME = re.compile(r"(`[^`]*`)")


def on_docstring(
    app: Sphinx, what: str, name: str, subject: object, options: object, lines: list[str]
) -> None:
    """Escape what would be markup, and mark indented passages as code."""
    written: list[str] = []
    is_code = False
    for line in lines:
        if line.startswith("    "):
            if not is_code:
                written += ["", "::", ""]
            is_code = True
            written.append(line)
        else:
            is_code = is_code and not line
            written.append(_escaped(line))
    lines[:] = written


def _escaped(line: str) -> str:
    parts = _NAME.split(line)
    return "".join(part if part.startswith("`") else _SPECIAL.sub(r"\\\1", part) for part in parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", on_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
