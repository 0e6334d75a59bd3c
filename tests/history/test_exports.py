"""Histories in the forms of other checkers, read back by a reader and a search of our own."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.history import EXPIRED, FAILED, OK, UNKNOWN, History, Operation, Seen, Told, Write
from orchestrator.errors import InvalidInput
from orchestrator.history.edn import Keyword, edn
from orchestrator.history.jepsen import (
    register_lines,
    registers_of,
    transaction_lines,
    transactions_of,
)
from orchestrator.history.porcupine import NEVER, operations
from tests.checker.simulated import record
from tests.history.invented import Tree
from tests.history.registers_by_hand import Step, is_linearizable, read_edn

PATHS = ["/a", "/b"]
seeds = st.integers(0, 10_000)


def invented(seed: int, *, is_fresh: bool = True, count: int = 14) -> History:
    return Tree(Random(seed), is_fresh=is_fresh).run(count, PATHS)


def jepsen(history: History, path: str | None = None) -> list[dict[str, Any]]:
    found = registers_of(history, None)
    return [read_edn(line) for line in register_lines(found, path)]


def elle(history: History) -> list[dict[str, Any]]:
    return [read_edn(line) for line in transaction_lines(transactions_of(history))]


def porcupine(history: History, path: str | None = None) -> list[dict[str, Any]]:
    found = operations(registers_of(history, None), path)
    return [json.loads(json.dumps(operation)) for operation in found]


def pairs(lines: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each invocation with its completion, as Jepsen pairs them: by process."""
    open_ones: dict[int, dict[str, Any]] = {}
    crashed: set[int] = set()
    found = []
    for index, line in enumerate(lines):
        assert line[":index"] == index
        process = line[":process"]
        assert process not in crashed
        if line[":type"] == ":invoke":
            assert process not in open_ones
            open_ones[process] = line
        else:
            found.append((open_ones.pop(process), line))
            if line[":type"] == ":info":
                crashed.add(process)
    assert open_ones == {}
    times = [line[":time"] for line in lines]
    assert times == sorted(times)
    return found


def steps_of_jepsen(lines: list[dict[str, Any]]) -> list[Step]:
    steps = []
    for begin, end in pairs(lines):
        assert begin[":f"] == end[":f"]
        kind, value = end[":f"][1:], end[":value"]
        expected = None
        if kind == "cas":
            expected, value = value
        if kind != "read":
            assert begin[":value"] == end[":value"]
        is_known = end[":type"] != ":info"
        if end[":type"] == ":fail" or (kind == "read" and not is_known):
            continue
        returned = end[":time"] if is_known else float("inf")
        steps.append(Step(begin[":time"], returned, kind, value, expected, is_known))
    return steps


def steps_of_porcupine(found: list[dict[str, Any]]) -> list[Step]:
    return [
        Step(
            operation["Call"],
            operation["Return"],
            operation["Input"]["Kind"],
            operation["Output" if operation["Input"]["Kind"] == "read" else "Input"]["Value"],
            operation["Input"]["Expected"],
            operation["Output"]["Ok"],
        )
        for operation in found
    ]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_sound_histories_stay_sound(seed: int) -> None:
    history = invented(seed)
    accessed = {access.path for access in registers_of(history, None).accesses}
    for path in accessed:
        assert is_linearizable(steps_of_jepsen(jepsen_of(history, path)))
        assert is_linearizable(steps_of_porcupine(porcupine(history, path)))


def jepsen_of(history: History, path: str) -> list[dict[str, Any]]:
    return [read_edn(line) for line in register_lines(registers_of(history, path), path)]


@pytest.mark.parametrize("seed", range(1, 5))
def test_what_a_simulated_ensemble_does_stays_sound(seed: int) -> None:
    """Crashes, lost outcomes, ephemerals, sequential names. Reads but the last may lag."""
    history = record(seed)
    pairs(elle(history))
    history.operations = [op for op in history.operations if op.writes or op.is_final]
    found = registers_of(history, None)
    assert found.foreign == []
    paths = {access.path for access in found.accesses}
    assert len(paths) > 10
    for path in paths:
        steps = [read_edn(line) for line in register_lines(found, path)]
        assert is_linearizable(steps_of_jepsen(steps)), path
        assert is_linearizable(steps_of_porcupine(list(operations(found, path)))), path


def test_stale_reads_show_in_the_exports() -> None:
    rejected = 0
    for seed in range(40):
        history = invented(seed, is_fresh=False)
        for path in {access.path for access in registers_of(history, None).accesses}:
            one = is_linearizable(steps_of_jepsen(jepsen_of(history, path)))
            assert one == is_linearizable(steps_of_porcupine(porcupine(history, path)))
            rejected += not one
    assert rejected > 20


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_every_write_of_a_register_is_there_with_its_outcome(seed: int) -> None:
    history = invented(seed)
    ends = {OK: ":ok", FAILED: ":fail", UNKNOWN: ":info"}
    expected = [
        (op.writes[-1].path, op.writes[-1].value or None, ends[op.outcome])
        for op in history.operations
        if op.writes
    ]
    found = []
    for _, end in pairs(jepsen(history)):
        path, value = end[":value"]
        if end[":f"] == ":cas":
            value = value[1]
        if end[":f"] != ":read":
            found.append((path, value, end[":type"]))
    for each in expected:
        found.remove(each)
    # What is left: ephemerals may go by themselves, at any time.
    assert all(value is None and end == ":info" for _, value, end in found)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_transactions_read_what_was_written_before(seed: int) -> None:
    """No aborted read, no read from the future: a serial order explains what Elle is given."""
    lines = elle(invented(seed, count=30))
    writers: dict[tuple[str, str], dict[str, Any]] = {}
    for begin, end in pairs(lines):
        for kind, path, value in end[":value"]:
            if kind == ":w":
                assert (path, value) not in writers, "a value is written twice"
                writers[path, value] = {"begin": begin, "end": end}
    for begin, end in pairs(lines):
        assert [part[:2] for part in begin[":value"]] == [part[:2] for part in end[":value"]]
        for kind, path, value in end[":value"]:
            if kind == ":r" and end[":type"] == ":ok" and value is not None:
                writer = writers[path, value]
                assert writer["end"][":type"] != ":fail"
                assert writer["begin"][":time"] <= end[":time"]


def operation(number: int, outcome: str = OK, **fields: Any) -> Operation:
    values: dict[str, Any] = {"client": 1, "session_id": 1, "kind": "get", "path": "/a"} | fields
    values |= {"called_ms": number * 10.0, "outcome": outcome}
    values.setdefault("returned_ms", number * 10.0 + 5)
    return Operation(number=number, answered=number, **values)


def create(number: int, path: str, value: str, outcome: str = OK, **flags: Any) -> Operation:
    write = Write("create", path, value, **flags)
    zxid = number if outcome == OK else 0
    return operation(number, outcome, kind="create", path=path, writes=(write,), zxid=zxid)


def get(number: int, path: str, value: str | None, **fields: Any) -> Operation:
    if value is None:
        return operation(number, FAILED, path=path, error="NoNode", zxid=number)
    shown = None if fields.get("kind") == "exists" else value
    return operation(number, path=path, seen=(Seen(1, 1, 0, 0, shown),), zxid=number, **fields)


def test_a_conditional_set_is_a_cas_of_the_value_that_its_version_had() -> None:
    conditional = operation(
        2, kind="set", writes=(Write("set", "/a", "2", 0),), seen=(Seen(1, 2, 1),), zxid=2
    )
    history = History([create(1, "/a", "1"), conditional])
    assert [line[":value"] for line in jepsen(history, "/a")[1::2]] == [[None, "1"], ["1", "2"]]
    assert elle(history)[-1][":value"] == [[":r", "/a", "1"], [":w", "/a", "2"]]


def test_operations_under_way_at_once_are_of_different_processes() -> None:
    history = History([get(1, "/a", None, returned_ms=40.0) for _ in range(1)])
    history.operations[0].returned_ms = 40.0
    history.operations.append(get(2, "/a", None))
    history.operations.append(get(5, "/a", None))
    assert [line[":process"] for line in jepsen(history)] == [0, 1, 1, 0, 0, 0]


def test_what_never_returned_returns_at_the_end_of_time() -> None:
    lost = create(1, "/a", "1", UNKNOWN)
    lost.returned_ms = None
    (found,) = porcupine(History([lost]))
    assert (found["Return"], found["Output"]["Ok"]) == (NEVER, False)
    assert NEVER == 9223372036854775807


def test_a_sequential_create_of_unknown_outcome_is_found_by_its_value() -> None:
    lost = create(1, "/a-", "1", UNKNOWN, is_sequential=True)
    history = History([lost, get(2, "/a-0000000003", "1")])
    assert {line[":value"][0] for line in jepsen(history)} == {"/a-0000000003"}
    unseen = History([create(1, "/a-", "1", UNKNOWN, is_sequential=True), get(2, "/b", None)])
    assert {line[":value"][0] for line in jepsen(unseen)} == {"/b"}


def test_values_from_outside_are_left_out_and_named() -> None:
    history = History([get(1, "/old", "x"), create(2, "/new", "1"), get(3, "/new", "1")])
    assert registers_of(history, None).foreign == ["/old"]
    assert {line[":value"][0] for line in jepsen(history)} == {"/new"}
    with pytest.raises(InvalidInput, match=r"--path /old: .* values that nobody in it wrote"):
        registers_of(history, "/old")
    with pytest.raises(InvalidInput, match=r"--path /none: .* not in it"):
        registers_of(history, "/none")


def test_an_ephemeral_may_go_by_itself() -> None:
    def steps(**flags: Any) -> list[Step]:
        history = History([create(1, "/a", "1", **flags), get(2, "/a", None)])
        return steps_of_jepsen(jepsen_of(history, "/a"))

    assert is_linearizable(steps(is_ephemeral=True))
    assert is_linearizable(steps(may_vanish=True))
    assert not is_linearizable(steps())


@pytest.mark.parametrize("kind", ["get", "exists"])
@pytest.mark.parametrize(("told_ms", "is_sound"), [(28.0, False), (32.0, True), (45.0, True)])
def test_a_znode_shown_after_the_verdict_is_rejected(
    kind: str, told_ms: float, is_sound: bool
) -> None:
    """The race: the read goes from 30 to 35 ms."""
    read = get(3, "/a", "1", kind=kind)
    history = History([create(1, "/a", "1", is_ephemeral=True), read])
    history.told = [Told(1, 1, told_ms, EXPIRED), Told(1, 2, told_ms + 1, EXPIRED)]
    assert is_linearizable(steps_of_jepsen(jepsen_of(history, "/a"))) == is_sound
    assert is_linearizable(steps_of_porcupine(porcupine(history, "/a"))) == is_sound
    # Whoever registers there meanwhile is no contradiction.
    history.operations.insert(1, create(2, "/a", "2"))
    assert not is_linearizable(steps_of_jepsen(jepsen_of(history, "/a")))
    history.operations[2].seen = (Seen(2, 2, 0, 0, "2"),)
    assert is_linearizable(steps_of_jepsen(jepsen_of(history, "/a")))


def test_elle_is_told_of_no_nothing_that_came_later() -> None:
    """For Elle nil comes before all writes; a znode that was deleted shows it behind them."""
    delete = operation(3, kind="delete", writes=(Write("delete", "/a"),), zxid=3)
    history = History(
        [get(1, "/b", None), create(2, "/a", "1"), delete, get(4, "/a", None), get(5, "/a", "1")]
    )
    assert [line[":value"] for line in elle(history)[1::2]] == [
        [[":r", "/b", None]],
        [[":w", "/a", "1"]],
        [[":r", "/a", "1"]],
    ]


def test_elle_is_given_no_value_twice() -> None:
    history = History([create(1, "/a", ""), create(2, "/a", "", FAILED)])
    assert [line[":type"] for line in elle(history)] == [":invoke", ":ok"]
    history.operations.append(create(3, "/a", ""))
    with pytest.raises(InvalidInput, match="operations 1 and 3 both write '' to /a"):
        transactions_of(history)


def test_several_reads_at_once_are_one_transaction() -> None:
    both = operation(
        3,
        kind="multi_read",
        path="",
        reads=("/a", "/b", "/c"),
        seen=(Seen(1, 1, 0, 0, "1"), Seen(2, 2, 0, 0, "2"), None),
    )
    history = History([create(1, "/a", "1"), create(2, "/b", "2"), both])
    assert elle(history)[-1][":value"] == [[":r", "/a", "1"], [":r", "/b", "2"]]
    assert len(jepsen(history)) == 8


names = st.sampled_from(["r", "w", "rw-register", "f"])
texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.integers() | texts | names.map(Keyword),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(names, parts, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(values)
def test_edn_reads_back(value: Any) -> None:
    def plain(value: Any) -> Any:
        match value:
            case Keyword():
                return f":{value.name}"
            case dict():
                return {f":{key}": plain(part) for key, part in value.items()}
            case list():
                return [plain(part) for part in value]
        return value

    text = edn(value)
    assert "\n" not in text
    assert read_edn(text) == plain(value)


def test_clients_get_numbers_without_gaps() -> None:
    found = porcupine(invented(3))
    by_client: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for each in found:
        by_client[each["ClientId"]].append((each["Call"], each["Return"]))
    assert sorted(by_client) == list(range(len(by_client)))
    for spans in by_client.values():
        spans.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
