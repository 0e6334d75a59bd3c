"""The records of a history survive their file, and several histories become one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.history import (
    EXPIRED,
    FAILED,
    OK,
    UNKNOWN,
    Event,
    Header,
    History,
    HistoryError,
    Member,
    Operation,
    Seen,
    Session,
    Told,
    Trace,
    Write,
)
from client.merging import merge

ids = st.integers(-(2**63), 2**63 - 1)
numbers = st.integers(0, 2**40)
times = st.integers(0, 10**12).map(lambda us: us / 1000)
texts = st.text(max_size=9)
outcomes = st.sampled_from([OK, FAILED, UNKNOWN])
writes = st.builds(
    Write, texts, texts, texts, st.integers(-1, 9), st.booleans(), st.booleans(), st.booleans()
)
seens = st.builds(Seen, numbers, numbers, numbers, ids, st.none() | texts)
operations = st.builds(
    Operation,
    number=numbers,
    client=numbers,
    session_id=ids,
    kind=texts,
    path=texts,
    called_ms=times,
    writes=st.lists(writes, max_size=2).map(tuple),
    outcome=outcomes,
    error=texts,
    answered=numbers,
    returned_ms=st.none() | times,
    member=texts,
    zxid=numbers,
    seen=st.lists(st.none() | seens, max_size=2).map(tuple),
    names=st.lists(texts, max_size=2).map(tuple),
    watch=texts,
    reads=st.lists(texts, max_size=2).map(tuple),
    is_final=st.booleans(),
)
sessions = st.builds(Session, ids, numbers, texts, times, numbers, texts, st.booleans())
fields = st.dictionaries(texts, ids | texts | st.booleans() | times, max_size=2)
histories = st.builds(
    History,
    operations=st.lists(operations, max_size=3, unique_by=lambda operation: operation.number).map(
        lambda found: sorted(found, key=lambda operation: operation.number)
    ),
    sessions=st.lists(sessions, max_size=2).map(lambda found: {s.session_id: s for s in found}),
    members=st.lists(
        st.builds(Member, numbers, texts, st.booleans(), numbers, texts, texts), max_size=2
    ),
    told=st.lists(st.builds(Told, ids, numbers, times, texts, texts), max_size=2),
    events=st.lists(
        st.builds(Event, ids, numbers, times, texts, texts, numbers, texts), max_size=2
    ),
    traces=st.lists(st.builds(Trace, times, numbers, texts, fields), max_size=2),
    header=st.builds(Header, clock=texts, source=texts),
    is_complete=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(histories)
def test_a_history_reads_back_as_it_was_written(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.jsonl"
        history.save(file)
        assert History.load(file) == history
        # One record a line, whatever stands in it.
        assert len(file.read_bytes().splitlines()) == sum(1 for _ in history.records())


def test_only_what_is_not_the_default_is_written() -> None:
    operation = Operation(1, 1, 7, "get", "/a", 2.5)
    assert msgspec.json.decode(msgspec.json.encode(operation)) == {
        "number": 1,
        "client": 1,
        "session_id": 7,
        "kind": "get",
        "path": "/a",
        "called_ms": 2.5,
    }


def operation(number: int, called_ms: float, answered: int, returned_ms: float | None) -> Operation:
    return Operation(
        number,
        1,
        1,
        "get",
        f"/{called_ms:g}",
        called_ms,
        answered=answered,
        returned_ms=returned_ms,
    )


def test_histories_of_several_processes_become_one() -> None:
    one = History(
        [operation(1, 10, 2, 30), operation(2, 20, 1, 25)],
        {7: Session(7, 1)},
        events=[Event(7, 1, 26.0, "created", "/x", 1)],
        told=[Told(7, 1, 40.0, EXPIRED)],
        header=Header(source="load test"),
    )
    other = History(
        [operation(1, 15, 1, 22), operation(2, 16, 0, None)],
        {7: Session(7, 1, EXPIRED), 8: Session(8, 1)},
        told=[Told(7, 1, 35.0, EXPIRED)],
        header=Header(source="load test"),
    )
    merged = merge([one, other])
    assert merged.is_complete
    assert merged.header.source == "load test"
    shown = [(op.number, op.client, op.path, op.answered) for op in merged.operations]
    assert shown == [(1, 1, "/10", 3), (2, 2, "/15", 1), (3, 2, "/16", 0), (4, 1, "/20", 2)]
    # Still right behind the outcome of the operation at 20, and before that of the one at 10.
    assert [event.answered for event in merged.events] == [2]
    assert {session.session_id: session.end for session in merged.sessions.values()} == {
        7: EXPIRED,
        8: "living",
    }
    assert [(told.client, told.at_ms) for told in merged.told] == [(2, 35.0), (1, 40.0)]


def test_clients_of_a_merged_history_are_no_longer_alike() -> None:
    histories = [History([operation(1, at_ms, 1, at_ms)]) for at_ms in (1.0, 2.0, 3.0)]
    assert [op.client for op in merge(histories).operations] == [1, 2, 3]


def test_a_merged_history_is_complete_only_if_all_are() -> None:
    assert not merge([History(), History(is_complete=False)]).is_complete


def test_virtual_times_are_of_one_history_alone() -> None:
    with pytest.raises(HistoryError, match="the host's own clock"):
        merge([History(header=Header(clock="virtual")), History()])
