"""`trace record` on real members: what it writes is a history, and draws the end of a session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.history import Trace
from client.sync import Client
from orchestrator.ensemble import Ensemble
from orchestrator.picture import draw
from orchestrator.picture.files import HistoryFile
from orchestrator.picture.focus import Focus
from orchestrator.picture.messages import match_messages

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    directory = tmp_path_factory.mktemp("traced") / "ensemble"
    limits: dict[str, Any] = {"init_limit": 200, "sync_limit": 100}
    with Ensemble(members=3, tick_time_ms=50, directory=directory, **limits) as started:
        yield started


@contextmanager
def recording(ensemble: Ensemble, out: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A `trace record` of its own process; ended, whatever happens."""
    where = ["--dir", str(ensemble.config.directory), "--out", str(out)]
    command = [sys.executable, "-m", "orchestrator", "trace", "record", *where, *more, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_written(file: Path, what: bytes, times: int = 1) -> None:
    """A recording is written out a few times a second."""
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_bytes().count(what) < times:
        assert time.monotonic() < deadline, f"{what!r} is not in {file}"
        time.sleep(0.05)


def ensemble_sids(ensemble: Ensemble) -> list[int]:
    return [member.sid for member in ensemble.status().members]


def end_of_a_session(ensemble: Ensemble) -> int:
    """Expire a session by the operator's order; every member has applied it on return."""
    with Client(ensemble.members, timeout_ms=10_000) as client:
        session_id = client.session_id
        client.create("/short-lived", b"", ephemeral=True)
        ensemble.expire(session_id)
        ensemble.wait_until(lambda now: all(m.status.ephemerals == 0 for m in now.members), 30)
    return session_id


def test_what_is_recorded_until_ctrl_c_draws_the_end_of_a_session(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    file = tmp_path / "run.jsonl"
    with recording(ensemble, file, "--messages") as process:
        # Members ping each other all the time: the recording has begun.
        for sid in ensemble_sids(ensemble):
            wait_until_written(file, f'"sid":{sid},"kind":"message_sent"'.encode())
        session_id = end_of_a_session(ensemble)
        wait_until_written(file, b"close_applied", 3)
        os.kill(process.pid, signal.SIGINT)
        said = json.loads(process.communicate(timeout=60)[0])
        assert process.returncode == 0
    assert said["lost"] == 0

    traces = [record for record in HistoryFile(file) if isinstance(record, Trace)]
    assert len(traces) == said["traces"]
    messages = match_messages(enumerate(sorted(traces, key=lambda trace: trace.at_ms)))
    closing = [m for m in messages if m.title in ("PROPOSAL[closeSession]", "COMMIT[closeSession]")]
    whole = [m for m in closing if m.sent_ms is not None and m.received_ms is not None]
    assert len(whole) == 4
    assert all(m.sent_ms <= m.received_ms for m in whole)  # type: ignore[operator]

    drawn = draw(HistoryFile(file), Focus(session_id=session_id))
    assert drawn.heading.startswith("The end of session ")
    assert "declared session " in drawn.sentences[0]
    assert "COMMIT[closeSession]" in drawn.page


def test_for_ends_by_itself_and_without_messages_there_are_none(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    file = tmp_path / "run.jsonl"
    with recording(ensemble, file, "--for", "300ms") as process:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert json.loads(out)["file"] == str(file)
    text = file.read_text(encoding="utf-8")
    assert "message_" not in text
    assert text.splitlines()[-1] == '{"end":{"operations":0}}'
