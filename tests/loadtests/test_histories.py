"""The histories of a load test's processes, and the one file that is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.history import History
from client.ops import Exists
from loadtests.histories import begin_history, forget_parts, merge_histories
from loadtests.knobs import SetupError


def write(path: Path, worker: int | None) -> None:
    writer = begin_history(path, worker)
    assert writer is not None
    writer.answered(writer.invoked(1, 1, Exists("/")), lambda _: None)
    writer.close()


def test_without_a_file_there_is_none(tmp_path: Path) -> None:
    assert begin_history(None, 1) is None
    assert merge_histories(None) is None


def test_a_process_alone_writes_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, None)
    assert merge_histories(path) is None
    assert len(History.load(path).operations) == 1


def test_workers_write_parts_that_become_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    for worker in (0, 1, 10):
        write(path, worker)
    assert merge_histories(path) is None
    assert [file.name for file in tmp_path.iterdir()] == ["run.jsonl"]
    assert [op.client for op in History.load(path).operations] == [1, 2, 3]


def test_a_part_that_is_broken_stays_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, 0)
    part = tmp_path / "run.jsonl.worker-1"
    part.write_text("what?\n")
    said = merge_histories(path)
    assert said is not None
    assert f"{part}, line 1: " in said
    assert part.exists()
    assert not path.exists()


def test_parts_of_a_test_that_was_killed_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, 3)
    forget_parts(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(SetupError, match=r"--history: cannot write /none/run\.jsonl"):
        begin_history(Path("/none/run.jsonl"), None)
