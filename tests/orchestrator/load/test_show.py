"""What is shown of a load experiment besides its table."""

from __future__ import annotations

from pathlib import Path

from loadtests.report.schema import Record, Sweep
from orchestrator.load.show import audit_lines, result_json
from tests.loadtests.report.records import record, sweep


def test_second_count_is_shown_where_it_was_asked_for() -> None:
    counted = Record.model_validate(record())
    assert counted.audit is not None
    (line,) = audit_lines(counted)
    assert f"{counted.audit.reads} reads" in line
    assert f"{counted.audit.stale_served} served stale" in line
    shown = result_json(Path("out"), counted, [], [])
    assert shown["audit"]["stale_seen"] == counted.audit.stale_seen

    uncounted = Record.model_validate(record(audit={}))
    assert audit_lines(uncounted) == []
    assert result_json(Path("out"), uncounted, [], [])["audit"] is None


def test_second_count_of_a_sweep_names_its_points() -> None:
    found = Sweep.model_validate(sweep(("0", "5", "20")))
    assert [line.partition(": ")[0] for line in audit_lines(found)] == ["delay=0", "delay=5"]
    points = result_json(Path("out"), found, [], [])["points"]
    assert [point["audit"] is not None for point in points] == [True, True, False]
