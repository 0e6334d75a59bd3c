"""The page: whole in itself, escaped, and in plain words; and the commands that make it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.history import Operation, write_record
from orchestrator.cli import build as build_cli
from orchestrator.errors import InvalidInput
from orchestrator.picture import Focus, draw, picture
from tests.orchestrator.picture.stories import READER, VICTIM, Story, w2_story


class Reader(HTMLParser):
    """Which elements a page has, and where it would load something from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_a_page_needs_nothing_else() -> None:
    page = picture(w2_story().records)
    reader = read(page)
    assert reader.loads == []
    assert "url(http" not in page
    assert {"svg", "title", "desc", "style", "script"} <= set(reader.tags)


def test_the_caption_tells_the_race_in_order() -> None:
    drawn = draw(w2_story().records)
    assert drawn.heading == "A stale read in window W2: /lock outlives victim's session"
    words = " ".join(drawn.sentences)
    order = [
        *("Member 3, the leader, declared victim's session expired", "committed at +1.00 ms"),
        *("Victim was told “expired” by member 3", "members 2 and 3 had applied it"),
        *("but member 1 had not", "Reader asked member 1 for /lock", "that is the stale read"),
        *("the link 3→1 held its COMMIT for 63.8 ms", "It came right 64.0 ms after the commit"),
        "the next read of reader found /lock gone",
    ]
    places = [words.index(each) for each in order]
    assert places == sorted(places)


def test_the_caption_follows_the_records() -> None:
    """Nothing held, nobody fresh, W1: none of W2's sentences."""
    story = Story()
    story.session(VICTIM, 1, 3)
    story.session(READER, 2, 1)
    story.closing(VICTIM, {"marked": 100.0, "submitted": 100.2, "proposed": 100.3}, {})
    story.told(101.0, VICTIM, 1, 3)
    story.exists(102.0, READER, 2, 1, "/lock", VICTIM)
    drawn = draw(story.records)
    words = " ".join(drawn.sentences)
    assert drawn.heading.startswith("A stale read in window W1")
    assert "it was not committed in this history" in words
    assert "on its way by then, but not committed" in words
    assert "held" not in words
    assert "came right" not in words


@pytest.mark.parametrize("path", ["/<script>alert(1)</script>", '/"onload="x', "/a&b", "/]]>"])
def test_whatever_stands_in_a_record_is_text(path: str) -> None:
    story = Story()
    story.session(VICTIM, 1, 3, "<b>victim</b>")
    story.session(READER, 2, 1, '"reader')
    story.told(101.0, VICTIM, 1, 3)
    story.exists(102.0, READER, 2, 1, path, VICTIM)
    story.trace(101.5, 0, "note", text="<img src=x onerror=alert(1)>")
    reader = read(picture(story.records, about="<h1>"))
    assert reader.tags.count("script") == 1
    assert not {"b", "img"}.intersection(reader.tags)
    assert reader.tags.count("h1") == 1
    assert reader.loads == []


def history_file(path: Path, story: Story) -> Path:
    with path.open("wb") as out:
        for record in story.records:
            write_record(record, out)
    return path


def test_show_writes_the_page_and_says_what_it_shows(tmp_path: Path) -> None:
    file = history_file(tmp_path / "run.jsonl", w2_story())
    done = CliRunner().invoke(build_cli("trace"), ["trace", "show", str(file), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["stale_reads"] == 1
    assert said["heading"] in Path(said["page"]).read_text(encoding="utf-8").replace("&#39;", "'")


@pytest.mark.parametrize("form", ["perfetto", "shiviz", "mermaid"])
def test_export_writes_beside_the_history(tmp_path: Path, form: str) -> None:
    file = history_file(tmp_path / "run.jsonl", w2_story())
    done = CliRunner().invoke(build_cli("trace"), ["trace", "export", str(file), "--to", form])
    assert done.exit_code == 0, done.output
    count, name = re.match(r"(\d+) events in (.*)", done.output).groups()  # type: ignore[union-attr]
    assert int(count) > 10
    assert Path(name).stat().st_size > 500


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["show", "{file}", "--around", "stale:7"], "the history shows 1"),
        (["show", "{file}", "--around", "dawn"], "unknown; one of"),
        (["show", "{file}", "--session", "12"], "hexadecimal"),
        (["show", "{file}", "--session", "0x1", "--around", "whole"], "give one"),
        (["show", "{none}"], "No such file"),
        (["show", "{text}"], "JSON is malformed"),
        (["show", "{file}", "--out", "{none}/page.html"], "No such file"),
        (["export", "{text}", "--to", "mermaid"], "JSON is malformed"),
        (["record", "--out", "{none}", "--for", "soon"], "a length of time is expected"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], what: str) -> None:
    text = tmp_path / "readme.md"
    text.write_text("# not a history\n", encoding="utf-8")
    names = {
        "file": str(history_file(tmp_path / "run.jsonl", w2_story())),
        **{"none": str(tmp_path / "nothing"), "text": str(text)},
    }
    given = ["trace", *(argument.format(**names) for argument in arguments)]
    done = CliRunner().invoke(build_cli("trace"), given)
    assert isinstance(done.exception, InvalidInput)
    assert what in str(done.exception)
    assert "\n" not in str(done.exception)


def test_operations_that_never_returned_are_drawn() -> None:
    story = w2_story()
    story.records.append(Operation(9, 2, READER, "get", "/lock", 103.5, member="1"))
    page = picture(story.records, Focus())
    assert "get /lock" in page
