"""The check of links: good ones pass, and each kind of broken link is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "docs" / "_ext" / "check_links.py"
OTHER = "# Other page\n\n## Two words, `code`\n\n## Two words, `code`\n"
GOOD = """# Page

[file](folder/other.md) [heading](folder/other.md#two-words-code)
[second](folder/other.md#two-words-code-1)
[here](#page) [out](https://example.org/none) ![picture](folder/a.png) [folder](folder)

<picture><source srcset="folder/a.png"><img src="folder/a.png"></picture>

    [code](is/no.link)
"""


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CHECK, folder], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.md").write_text(OTHER)
    (tmp_path / "folder" / "a.png").write_bytes(b"")
    return tmp_path


def test_links_that_lead_somewhere_pass(folder: Path) -> None:
    (folder / "page.md").write_text(GOOD)
    done = check(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 pages, 0 broken links\n"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("[file](folder/none.md)", "folder/none.md"),
        ("[heading](folder/other.md#three-words)", "folder/other.md#three-words"),
        ("[third](folder/other.md#two-words-code-2)", "folder/other.md#two-words-code-2"),
        ("[here](#nowhere)", "#nowhere"),
        ("| a |\n|---|\n| [cell](none.md) |", "none.md"),
        ("![picture](none.png)", "none.png"),
        ('<picture><img src="none.png"></picture>', "none.png"),
        ("[rooted](/folder/other.md)", "/folder/other.md"),
        ("[above](../other.md)", "../other.md"),
    ],
)
def test_a_broken_link_is_named_with_its_page(folder: Path, text: str, target: str) -> None:
    (folder / "page.md").write_text(f"# Page\n\n{text}\n")
    done = check(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("page.md:")
    assert f" {target}: " in done.stderr


def test_a_folder_without_pages_is_refused(tmp_path: Path) -> None:
    assert check(tmp_path).returncode == 1
