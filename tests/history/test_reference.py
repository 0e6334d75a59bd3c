"""`docs/histories.md` says what the code does: its example is a history, its tables name all."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from client import history
from client.history import History, Line
from client.recorded_ops import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "histories.md").read_text(encoding="utf-8")


def test_the_example_is_a_history() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    read = History.read(example.encode().splitlines(keepends=True))
    assert read.is_complete
    assert [op.number for op in read.operations] == [1, 2, 3]
    # Nothing in it is left at its default, nothing is misspelt: it is what we would write.
    assert "".join(
        msgspec.json.encode({name: record}).decode() + "\n"
        for name, record in zip(
            ["history", "session", "operation", "operation", "operation", "end"],
            read.records(),
            strict=True,
        )
    ) == str(example)


@pytest.mark.parametrize(
    "record",
    [
        *(history.Header, history.Operation, history.Write, history.Seen, history.Session),
        *(history.Told, history.Event, history.Member, history.Trace, history.End),
    ],
)
def test_every_field_is_described(record: type[msgspec.Struct]) -> None:
    fields = record.__struct_fields__
    assert [field for field in fields if f"`{field}`" not in PAGE] == []


def test_every_record_and_kind_has_its_place() -> None:
    assert [name for name in Line.__struct_fields__ if f"`{name}`" not in PAGE] == []
    assert [kind for kind in KINDS.values() if f"`{kind}`" not in PAGE] == []
