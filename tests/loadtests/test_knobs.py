"""The knobs: what comes out of a command line, and what is refused, in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from loadtests.knobs import SetupError, add_knobs, read_knobs
from loadtests.readers import OPEN_SESSION, SLOW

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser


def parser() -> ArgumentParser:
    made = ArgumentParser()
    add_knobs(cast("LocustArgumentParser", made))
    return made


def test_defaults_are_some_of_every_kind_and_the_directory_of_up() -> None:
    knobs = read_knobs(parser().parse_args([]))
    assert {reader.role for reader in knobs.readers} == {"slow", "follower", "leader"}
    assert len({reader.mitigation for reader in knobs.readers}) == 4
    assert knobs.ends == {"silence": 1.0, "crash": 1.0}
    assert (knobs.members, knobs.directory) == ((), Path(".lagkeeper"))
    assert (knobs.stale_json, knobs.record) == (None, None)


def test_lists_are_split() -> None:
    options = parser().parse_args(
        [
            *("--members", "a:1, b:2", "--readers", "open", "--mitigations", "sync,none"),
            *("--ends", "cut=0.5,close", "--link-rule", "3->1 hold; 3->2 delay=5ms"),
        ]
    )
    knobs = read_knobs(options)
    assert knobs.members == ("a:1", "b:2")
    assert [(reader.session, reader.role) for reader in knobs.readers] == [(OPEN_SESSION, SLOW)] * 2
    assert knobs.ends == {"cut": 0.5, "close": 1.0}
    assert knobs.link_rules == ("3->1 hold", "3->2 delay=5ms")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--readers", "open,nonsense"], "--readers: no reader kind 'nonsense'"),
        (["--readers", ","], "--readers: name at least one"),
        (["--mitigations", "sync,hope"], "--mitigations: no mitigation 'hope'; known are none"),
        (["--readers", "open+hope"], "--mitigations: no mitigation 'hope'"),
        (["--session-timeout", "0"], "--session-timeout: must be above 0"),
        (["--lifetime", "-1"], "--lifetime: must be above 0"),
        (["--lifetime", "nan"], "--lifetime: must be above 0"),
        (["--ends", "sleep=1"], "--ends: no end 'sleep'; known are silence, crash, close, cut"),
        (["--ends", "crash=often"], "--ends: 'crash=often': the weight is no number"),
        (["--ends", "crash=-1"], "--ends: 'crash=-1': a weight is 0 or more"),
        (["--ends", "crash=0"], "--ends: name at least one"),
        (["--victim-member", "third"], "--victim-member: 'third' is no sid and none of leader"),
        (["--storm-percent", "101"], "--storm-percent: at most 100"),
        (["--record", "/nonexistent/record.json"], "--record: cannot write"),
        (["--stale-json", "/nonexistent/stale.json"], "--stale-json: cannot write"),
        (["--stale-json", "/"], "--stale-json: cannot write"),
        (["--reconnect-after", "-1"], "--reconnect-after: must not be below 0"),
    ],
)
def test_nonsense_is_refused_with_its_place(arguments: list[str], complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        read_knobs(parser().parse_args(arguments))


def test_every_knob_is_explained() -> None:
    for action in parser()._actions:
        assert action.help


SHOW_FORM = """
import json, sys
from locust.argument_parser import ui_extra_args_dict
import loadtests.locustfile
print(json.dumps(ui_extra_args_dict(["--tick-time", "50"])))
"""


def test_the_web_ui_shows_every_knob_with_its_value_and_help() -> None:
    # In a process of its own, since Locust patches the one that imports it.
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_FORM], capture_output=True, text=True, timeout=60, check=True
    )
    form = json.loads(shown.stdout)
    assert set(form) == {action.dest for action in parser()._actions} - {"help"}
    assert form["tick_time"]["default_value"] == 50
    assert form["told_by"]["choices"] == ["mark", "poll"]
    assert form["shape"]["choices"] == ["steady", "ramp", "storm", "restart"]
    assert all(knob["help_text"] for knob in form.values())
