"""The record: complete at any moment, honest about what it lacks, one file or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_type_hints

import pytest

from loadtests.record import ENDS, Record, Recorder, Sessions, verdict_on
from loadtests.stale_reads import Kind, Observation

OPEN = Kind("open session", "slow member")
SYNCED = Kind("open session", "slow member", "sync first")
WRONG = Kind("open session", "slow member", "delete and re-create", "delete")
NOBODY = Sessions(alive=0, closing=0, expired=0)


def recorder_with(kind: Kind, stale: int, n: int) -> Recorder:
    recorder = Recorder(seed=7, knobs={"shape": "steady"})
    for number in range(n):
        recorder.counts.add(kind, Observation(number < stale, 40.0 if number < stale else None))
    return recorder


def test_every_key_of_the_schema_is_there_from_the_first_moment() -> None:
    snapshot = Recorder(seed=7, knobs={}).snapshot()
    assert set(snapshot) == set(get_type_hints(Record))
    assert json.loads(json.dumps(snapshot)) == snapshot
    assert snapshot["ends"] == dict.fromkeys(ENDS, 0)
    assert snapshot["windows"] == {}


def test_sample_has_the_counts_of_its_moment() -> None:
    recorder = recorder_with(OPEN, 1, 2)
    recorder.sample(3, NOBODY, [])
    recorder.counts.add(OPEN, Observation(True, 40.0))
    recorder.sample(2, NOBODY, [])

    first, second = recorder.snapshot()["samples"]
    assert first["readers"] == {OPEN.name: [2, 1]}
    assert second["readers"] == {OPEN.name: [3, 2]}
    assert first["t"] <= second["t"]
    assert recorder.snapshot()["setup"]["users"] == 3, "as many as there ever were"


def test_nothing_is_taken_down_after_the_end() -> None:
    recorder = recorder_with(OPEN, 0, 1)
    recorder.end()
    before = recorder.snapshot()
    recorder.sample(5, NOBODY, [])
    recorder.note("storm", "too late")
    assert recorder.snapshot() == before


def test_what_is_missing_is_said_once() -> None:
    recorder = Recorder(seed=7, knobs={})
    for _ in range(2):
        recorder.lack("the ensemble went away after 12 s")
    assert recorder.snapshot()["missing"] == ["the ensemble went away after 12 s"]


def test_saved_file_is_the_snapshot_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    recorder = recorder_with(OPEN, 1, 2)
    recorder.end()
    recorder.save(tmp_path / "record.json")
    assert json.loads((tmp_path / "record.json").read_text()) == recorder.snapshot()
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_busiest_process_is_shown_with_its_mean() -> None:
    recorder = Recorder(seed=7, knobs={})
    for percent in (20.0, 40.0):
        recorder.note_cpu(percent)
    machine = recorder.snapshot()["setup"]["machine"]
    assert machine["locust_cpu_percent"] == {"mean": 30.0, "max": 40.0}


def test_verdict_names_the_worst_with_ratio_number_and_interval() -> None:
    recorder = recorder_with(OPEN, 17, 20)
    recorder.counts.add(SYNCED, Observation(False))
    verdict = recorder.snapshot()["verdict"]
    assert f"'{OPEN.name}': 17 of 20 reads, ratio 0.850 (95 % interval 0.640-0.948)" in verdict
    assert "1 of 2 kinds were never stale" in verdict


def test_verdict_without_a_stale_read_says_of_how_many() -> None:
    recorder = recorder_with(OPEN, 0, 20)
    recorder.counts.add(SYNCED, Observation(False))
    verdict = recorder.snapshot()["verdict"]
    assert verdict.startswith("No stale read in 21 reads of 2 kinds")
    assert "0 of 1 reads, ratio 0.000 (95 % interval 0.000-0.793)" in verdict


def test_verdict_tells_of_harm() -> None:
    recorder = Recorder(seed=7, knobs={})
    recorder.counts.add(WRONG, Observation(False, is_harmful=True))
    assert "1 times a living owner's znode was deleted" in recorder.snapshot()["verdict"]


def test_run_without_an_answer_says_nothing() -> None:
    assert verdict_on([]).startswith("No reader got as far as an answer")


@pytest.mark.parametrize("package", ["lagkeeper", "python", "grpcio", "locust"])
def test_versions_are_there(package: str) -> None:
    assert Recorder(seed=7, knobs={}).snapshot()["setup"]["versions"][package]
