"""`orchestrator report`: files in, files out; what is no record is one line and status 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli import build
from orchestrator.errors import InvalidInput
from tests.loadtests.report.records import record, sweep


def report(*words: str | Path) -> None:
    build("report")(["report", *map(str, words)], standalone_mode=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(record()))
    (tmp_path / "b.json").write_text(json.dumps(record(100)))
    (tmp_path / "sweep.json").write_text(json.dumps(sweep()))
    return tmp_path


@pytest.mark.parametrize("name", ["a.json", "sweep.json"])
def test_report_of_a_record_can_be_reported_again(here: Path, name: str) -> None:
    report("make", name, "--out", "out")
    assert sorted(file.name for file in (here / "out").iterdir()) == [
        "record.json",
        "report.html",
        "table.csv",
    ]
    report("make", "out", "--out", "again")
    for file in (here / "out").iterdir():
        assert (here / "again" / file.name).read_bytes() == file.read_bytes()
    assert json.loads((here / "out/record.json").read_text()) == json.loads(
        (here / name).read_text()
    )


def test_report_goes_to_a_directory_of_its_own(here: Path) -> None:
    report("make", "a.json")
    report("make", "a.json")
    assert len(list((here / "reports").glob("*/report.html"))) == 2


def test_comparison_is_shown_and_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report("compare", "a.json", "b.json", "--out", "both.html")
    shown = capsys.readouterr().out
    assert "-0.509 to -0.385" in shown
    assert "1 of 9 rows differ" in shown
    assert "-0.509 to -0.385" in (here / "both.html").read_text()
    report("compare", "a.json", "b.json", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["difference"] == pytest.approx(-0.45)
    assert Path(found["page"]).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("make", "none.json"), "cannot read none.json: No such file"),
        (("make", "bad.json"), "bad.json is not JSON"),
        (("make", "other.json"), "is no record of a load run"),
        (("make", "a.json", "--out", "a.json/x"), "--out: cannot make a.json/x"),
        (("compare", "a.json", "other.json"), "other.json is no record"),
        (("compare", "a.json", "a.json", "--out", "a.json/x.html"), "--out: cannot write"),
    ],
)
def test_bad_input_is_one_line(here: Path, words: tuple[str, ...], said: str) -> None:
    (here / "bad.json").write_text("{")
    (here / "other.json").write_text('{"schema": "other"}')
    with pytest.raises(InvalidInput) as caught:
        report(*words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_report_is_not_written_over(here: Path) -> None:
    report("make", "a.json", "--out", "out")
    with pytest.raises(InvalidInput, match="holds a report already"):
        report("make", "b.json", "--out", "out")
