"""Keeps what explains a failed test: the members' traces, their picture, states and logs.

Reads only; the ensemble stays as the test left it. What cannot be had (the ensemble is gone, a disk
is full) is said instead, since a failure's report must not fail itself.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from client.history import End, Header, Record, write_record
from orchestrator.errors import OrchestratorError
from orchestrator.picture import write_picture
from orchestrator.pytest_plugin.pool import Lease
from orchestrator.views import as_json

NAME_LENGTH = 150
# What members trace arrives a moment later.
STRAGGLERS_S = 0.05


def keep(lease: Lease, directory: Path) -> str:
    """Write a directory for the test below `directory`. Returns what to say in its report.

    Once for each test: a fixture that fails after it must not replace what the failure left.
    """
    place = directory / _name(lease.test)
    if lease.is_kept:
        return f"kept in {place} already"
    lease.is_kept = True
    said = [f"kept in {place}:"]
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        said += _write_traces(lease, place)
        said += _write_states(lease, place)
    except OSError as error:
        said.append(f"  no more, since {error}")
    return "\n".join(said)


def _write_traces(lease: Lease, place: Path) -> Iterator[str]:
    time.sleep(STRAGGLERS_S)
    traces = lease.recorder.traces(lease.began_ms)
    records: list[Record] = [Header(source=lease.test), *traces, End(operations=0)]
    with (place / "history.jsonl").open("wb") as out:
        for record in records:
            write_record(record, out)
    try:
        write_picture(place / "picture.html", records, about=lease.test)
        yield "  picture.html   what happened, drawn; open it in a browser"
    except OrchestratorError as error:
        yield f"  no picture: {error}"
    yield f"  history.jsonl  {len(traces)} traces of the members; 'orchestrator trace' draws them"


def _write_states(lease: Lease, place: Path) -> Iterator[str]:
    try:
        status = lease.ensemble.status()
    except OrchestratorError as error:
        yield f"  no states and logs: {error}"
        return
    (place / "status.json").write_text(json.dumps(as_json(status), indent=2) + "\n")
    yield "  status.json    members and links as the test left them"
    home = Path(status.directory)
    for log in sorted(home.glob("**/*.log")):
        name = log.name if log.parent == home else f"{log.parent.name}.log"
        shutil.copyfile(log, place / name)
    yield "  *.log          what members and their keeper wrote"


def _name(test: str) -> str:
    """A test's id as the name of a directory."""
    return re.sub(r"[^\w.\[\]-]+", "-", test)[-NAME_LENGTH:].strip("-")
