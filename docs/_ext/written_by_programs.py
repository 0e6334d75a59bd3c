"""Makes a site of pages that are written for a code host.

Fills in the marks `<!-- written by: NAME -->` with what programs say of themselves, points links
out of docs/ into the site, shows a `<picture>` as the theme wants its light and its dark half, and
gives each folder's index its pages as children. Writes no file: what is not committed cannot be
stale.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import command_line
import configuration
import protocol
from sphinx.application import Sphinx

WRITERS: dict[str, Callable[[], str]] = {
    "command-line": command_line.as_markdown,
    "configuration": configuration.as_markdown,
    "protocol": protocol.as_markdown,
}
_MARK = re.compile(r"<!-- written by: ([\w-]+) -->")

_CHILDREN = """

```{toctree}
:hidden:
:glob:

*
```
"""

_PICTURE = re.compile(
    r"""<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*"""
    r"""<img src="(?P<light>[^"]+)" alt="(?P<alt>[^"]*)">\s*</picture>"""
)
_HALVES = """```{{image}} {light}
:alt: {alt}
:class: only-light
```

```{{image}} {dark}
:alt: {alt}
:class: only-dark
```"""

# Files above docs/ that are pages of the site; on a code host the links are good as they stand.
PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
_LINK = re.compile(r"\]\((?P<up>(?:\.\./)+)(?P<name>[A-Z]+\.md)(?P<anchor>#[\w-]+)?\)")


def on_source_read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Change the text of a page that was read."""
    source[0] = _MARK.sub(lambda mark: WRITERS[mark[1]](), source[0])
    source[0] = _PICTURE.sub(lambda picture: _HALVES.format(**picture.groupdict()), source[0])
    depth = docname.count("/")

    def into_site(link: re.Match[str]) -> str:
        page = PAGES.get(link["name"])
        if page is None or link["up"].count("../") != depth + 1:
            return link[0]
        return f"]({'../' * depth}{page}{link['anchor'] or ''})"

    source[0] = _LINK.sub(into_site, source[0])
    if docname.endswith("/index"):
        source[0] += _CHILDREN


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
