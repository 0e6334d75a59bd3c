"""Follows every link within the checkout, in all of its Markdown, as a code host would.

    python docs/_ext/check_links.py [FOLDER]

Sphinx follows those of the site; this looks at README and its neighbours, too, at pictures in HTML,
and at headings of files outside docs/. Links that lead out into the world are
`make check-links`' business.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

SKIPPED = {"_build", "_ext", "artefacts", "node_modules"}
_HTML = re.compile(r"""\b(?:href|src|srcset)\s*=\s*["']([^"'\s]+)""", re.IGNORECASE)
_NOT_IN_SLUG = re.compile(r"[^\w\- ]")
# Their headings come from somewhere else, when the site is built; Sphinx checks those.
_FILLED_IN = ("<!-- written by:", "```{include}", "```{eval-rst}")


def main() -> int:
    """Print every broken link; exit status 1 if there is one."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    pages = list(markdown_below(root))
    broken = [line for page in pages for line in broken_in(page, root)]
    for line in broken:
        sys.stderr.write(f"{line}\n")
    if not pages:
        sys.stderr.write(f"no Markdown below {root}\n")
        return 1
    sys.stdout.write(f"{len(pages)} pages, {len(broken)} broken links\n")
    return 1 if broken else 0


def markdown_below(root: Path) -> Iterator[Path]:
    """Every Markdown file, but what is hidden or generated."""
    for path in sorted(root.rglob("*.md")):
        parts = path.relative_to(root).parts
        if not any(part.startswith(".") or part in SKIPPED for part in parts):
            yield path


def broken_in(page: Path, root: Path) -> Iterator[str]:
    """A line for each link of a page that leads nowhere."""
    for number, target in links(page.read_text()):
        problem = problem_of(target, page, root)
        if problem:
            yield f"{page.relative_to(root)}:{number}: {target}: {problem}"


def problem_of(target: str, page: Path, root: Path) -> str:
    """What is wrong with a link; empty if nothing is, or if it leads out into the world."""
    url = urlsplit(target)
    if url.scheme or url.netloc:
        return ""
    path = (page.parent / unquote(url.path)).resolve() if url.path else page
    if url.path.startswith("/") or not path.is_relative_to(root):
        return "leads out of the checkout; write it relative to this page"
    if not path.exists():
        return "no such file"
    if url.fragment and path.suffix == ".md":
        text = path.read_text()
        is_filled_in = any(mark in text for mark in _FILLED_IN)
        if not is_filled_in and unquote(url.fragment) not in anchors(path):
            return "no such heading there"
    return ""


def links(text: str) -> Iterator[tuple[int, str]]:
    """(line, target) of links and pictures, in Markdown and in HTML within it."""
    for block in _parse(text):
        line = block.map[0] + 1 if block.map else 0
        for token in [block, *(block.children or [])]:
            for name in ("href", "src"):
                if token.type in ("link_open", "image") and name in token.attrs:
                    yield line, str(token.attrs[name])
            if token.type in ("html_block", "html_inline"):
                yield from ((line, found) for found in _HTML.findall(token.content))


@cache
def anchors(page: Path) -> frozenset[str]:
    """What headings of a page are called in links to them."""
    return frozenset(_slugs(_headings(_parse(page.read_text()))))


def _parse(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _headings(tokens: list[Token]) -> Iterator[str]:
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            yield "".join(
                child.content for child in inline.children or [] if child.type != "html_inline"
            )


def _slugs(headings: Iterable[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for heading in headings:
        slug = _NOT_IN_SLUG.sub("", heading.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        yield f"{slug}-{count}" if count else slug


if __name__ == "__main__":
    sys.exit(main())
