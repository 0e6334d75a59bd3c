"""Records that are none are refused in one line; records of poor runs are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.record import Recorder
from loadtests.report.schema import BadRecord, Record, Sweep, parse, read
from loadtests.stale_reads import Kind, Observation
from tests.loadtests.report.records import poor, reader, record, sweep


def test_what_the_load_test_records_is_read() -> None:
    recorder = Recorder(seed=3, knobs={"readers": "open"})
    kind = Kind("open session", "slow member")
    recorder.counts.add(kind, Observation(True, 51.0, 2.5, 3))
    recorder.sample(5, {"alive": 7, "closing": 1, "expired": 2}, [])
    recorder.note("storm", "all of them")
    found = parse(json.loads(json.dumps(recorder.snapshot())), "here")
    assert isinstance(found, Record)
    assert found.readers[0].window_ms is not None
    assert found.readers[0].window_ms.median == 51.0
    assert found.samples[0].readers == {kind.name: (1, 1)}
    assert found.samples[0].sessions["alive"] == 7


def test_run_and_sweep_are_told_apart() -> None:
    assert isinstance(parse(record(), "here"), Record)
    assert isinstance(parse(poor(), "here"), Record)
    assert isinstance(parse(sweep(), "here"), Sweep)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no key 'schema'"),
        ({"schema": ["x"]}, "its schema is ['x']"),
        ({"schema": "lagkeeper-load/2"}, "its schema is 'lagkeeper-load/2'"),
        ({**poor(), "readers": [{**reader("s", "p", "none", 1), "requests": -1}]}, "requests"),
        ({**poor(), "duration_s": float("nan")}, "duration_s"),
        ({**poor(), "samples": [{"t": "soon"}]}, "samples.0.t"),
    ],
)
def test_what_is_no_record_is_refused(values: Any, said: str) -> None:
    with pytest.raises(BadRecord) as caught:
        parse(values, "run.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("run.json")
    assert "\n" not in str(caught.value)


def test_file_or_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps(record()))
    assert read(tmp_path) == read(tmp_path / "record.json")
    for text, said in (("{", "is not JSON"), ("[" * 100_000, "is not JSON")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BadRecord, match=said):
            read(tmp_path / "bad.json")
    with pytest.raises(BadRecord, match=r"cannot read .*: No such file"):
        read(tmp_path / "none.json")
