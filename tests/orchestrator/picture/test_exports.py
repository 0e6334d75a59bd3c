"""Exports, read back by readers that know nothing of how they were written."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from typing import Any

import pytest

from client.history import Record
from orchestrator.picture.build import build
from orchestrator.picture.evidence import gather
from orchestrator.picture.exports.mermaid import write_mermaid
from orchestrator.picture.exports.perfetto import write_perfetto
from orchestrator.picture.exports.shiviz import write_shiviz
from orchestrator.picture.focus import Focus
from orchestrator.picture.scene import Scene
from tests.orchestrator.picture.stories import READER, VICTIM, w2_story


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return w2_story().records


@pytest.fixture(scope="module")
def scene(records: list[Record]) -> Scene:
    return build(gather(records, Focus()))[0]


def perfetto(records: list[Record]) -> list[dict[str, Any]]:
    out = io.StringIO()
    written = write_perfetto(records, out)
    events: list[dict[str, Any]] = json.loads(out.getvalue())["traceEvents"]
    assert len(events) == written
    return events


def test_perfetto_each_event_has_what_its_phase_needs(records: list[Record]) -> None:
    needs = {
        **{"M": {"name", "pid", "args"}, "X": {"name", "ts", "dur", "pid", "tid"}},
        **{"i": {"name", "ts", "pid", "tid", "s"}, "s": {"cat", "name", "id", "ts", "pid", "tid"}},
        **{"f": {"cat", "name", "id", "ts", "pid", "tid", "bp"}},
        **{phase: {"cat", "name", "id", "ts", "pid", "tid"} for phase in "be"},
    }
    for event in perfetto(records):
        assert needs[event["ph"]] <= set(event)


def test_perfetto_flows_join_slices_of_the_two_members(records: list[Record]) -> None:
    events = perfetto(records)
    slices = {(e["pid"], e["tid"], e["ts"]) for e in events if e["ph"] == "X"}
    starts = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert set(starts) == set(ends) == {"3>1#1", "1>3#1", "3>2#1", "3>1#2", "3>1#3"}
    for flow, start in starts.items():
        end = ends[flow]
        assert (start["cat"], start["name"]) == (end["cat"], end["name"])
        assert start["ts"] < end["ts"]
        for each in (start, end):
            assert (each["pid"], each["tid"], each["ts"]) in slices


def test_perfetto_spans_begin_and_end(records: list[Record]) -> None:
    events = [e for e in perfetto(records) if e["ph"] in "be"]
    phases: dict[tuple[str, str], list[str]] = {}
    for event in sorted(events, key=lambda event: (event["ts"], event["ph"] == "e")):
        phases.setdefault((event["cat"], event["id"]), []).append(event["ph"])
    assert all(found == ["b", "e"] for found in phases.values())
    assert Counter(cat for cat, _ in phases) == {"operation": 3, "window": 2, "kept": 1}


def test_perfetto_every_track_is_named_once(records: list[Record]) -> None:
    events = perfetto(records)
    used = {(e["pid"], e["tid"]) for e in events if e["ph"] != "M"}
    named = [(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"]
    assert len(named) == len(set(named))
    assert set(named) == used


def shiviz(scene: Scene) -> list[tuple[str, dict[str, int], str]]:
    """Parse as ShiViz does: by the expression of the first line, over all that follows."""
    out = io.StringIO()
    written = write_shiviz(scene, out)
    parser, delimiter, log = out.getvalue().split("\n", 2)
    assert delimiter == ""
    found = re.findall(parser.replace("(?<", "(?P<"), log)
    events = [(host, json.loads(clock), event) for host, clock, event in found]
    assert len(events) == written == len(log.strip().split("\n")) / 2
    return events


def test_shiviz_a_hosts_own_clock_counts_its_events(scene: Scene) -> None:
    counts: Counter[str] = Counter()
    for host, clock, _ in shiviz(scene):
        counts[host] += 1
        assert clock[host] == counts[host]
    assert set(counts) == {"victim", "reader", "member-1", "member-2", "member-3"}


def test_shiviz_clocks_never_fall_and_know_nothing_of_the_future(scene: Scene) -> None:
    last: dict[str, dict[str, int]] = {}
    for host, clock, _ in shiviz(scene):
        before = last.get(host, {})
        assert all(clock.get(name, 0) >= count for name, count in before.items())
        for name, count in clock.items():
            assert name == host or count <= last[name][name]
        last[host] = clock


def test_shiviz_the_stale_read_does_not_know_of_the_verdict(scene: Scene) -> None:
    events = shiviz(scene)
    (stale,) = [clock for host, clock, text in events if host == "reader" and "STALE" in text]
    (applied,) = [
        clock for host, clock, text in events if host == "member-1" and text.startswith("applies")
    ]
    (committed,) = [clock for _, clock, text in events if text.startswith("commits")]
    assert stale.get("member-3", 0) < committed["member-3"] <= applied["member-3"]


# A statement ends at a semicolon that is not the end of a character's code.
_TEXT = r"(?:[^;#\n]|#\d+;)*"
_NAMES = rf"(?:participant|actor) \w+ as {_TEXT}"
_GRAMMAR = re.compile(rf" {{4}}(?:{_NAMES}|Note over \w+: {_TEXT}|\w+(?:->>|-->>|-x)\w+: {_TEXT})$")


def mermaid(scene: Scene) -> list[str]:
    out = io.StringIO()
    write_mermaid(scene, out)
    head, *lines = out.getvalue().splitlines()
    assert head == "sequenceDiagram"
    return lines


def test_mermaid_every_line_is_one_of_the_grammar(scene: Scene) -> None:
    lines = mermaid(scene)
    assert [line for line in lines if not _GRAMMAR.match(line)] == []
    declared = {line.split()[1] for line in lines if " as " in line}
    used = {name for line in lines for name in re.findall(r"\bL\d+\b", line.split(":")[0])}
    assert used <= declared


def test_mermaid_tells_the_race_in_its_order(scene: Scene) -> None:
    text = "\n".join(mermaid(scene))
    order = [
        *("commits 1:8", "holds back COMMIT[closeSession]", "told: expired", "STALE: still there"),
        *("held 63.8 ms", "gone"),
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)


@pytest.mark.parametrize("path", ["/a;b", "/a#b;", "/end", "/a: b\nend", "/-->>x"])
def test_mermaid_hostile_paths_stay_text(path: str) -> None:
    story = w2_story()
    story.exists(103.2, READER, 2, 1, path, VICTIM)
    scene = build(gather(story.records, Focus(is_whole=True)))[0]
    lines = mermaid(scene)
    assert [line for line in lines if not _GRAMMAR.match(line)] == []


def test_perfetto_of_a_window_has_nothing_else(records: list[Record]) -> None:
    out = io.StringIO()
    write_perfetto(records, out, 102.5, 104.0)
    events = [e for e in json.loads(out.getvalue())["traceEvents"] if e["ph"] != "M"]
    assert [e["name"] for e in events] == ["exists /lock"] * 2
