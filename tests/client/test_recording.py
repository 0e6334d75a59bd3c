"""Histories that clients write: against fake members, and by the session machine alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from client.aio import AsyncClient
from client.errors import ConnectionLossError, NodeExistsError, SessionExpiredError
from client.events import Received, SessionState, Submitted
from client.history import (
    CLOSED,
    EXPIRED,
    FAILED,
    LIVING,
    OK,
    SILENT,
    UNKNOWN,
    Event,
    History,
    HistoryError,
    Operation,
    Told,
    Trace,
)
from client.ops import Create, Exists, GetData, PathResult, Reply, SessionResponse, SetData
from client.recording import HistoryWriter
from client.session import Session
from client.sync import Client
from tests.client.fake_member import FakeMember, server_thread
from tests.client.test_aio import in_loop, until

PASSWORD = bytes(16)


def shown(history: History) -> list[tuple[str, str, str]]:
    return [(op.kind, op.outcome, op.error) for op in history.operations]


@in_loop
async def test_a_session_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    async with FakeMember() as member:
        with HistoryWriter(file, source="a test") as writer:
            async with AsyncClient(member.address, history=writer) as client:
                session_id = client.session_id
                await client.create("/a", b"1")
                with pytest.raises(NodeExistsError):
                    await client.create("/a", b"2")
                await client.get("/a", watch=lambda _: None)
                await client.set("/a", b"3")
                assert await client.exists("/none") is None
    history = History.load(file)
    assert history.is_complete
    assert history.header.source == "a test"
    assert shown(history) == [
        ("create", OK, ""),
        ("create", FAILED, "NodeExists"),
        ("get", OK, ""),
        ("set", OK, ""),
        ("exists", FAILED, "NoNode"),
    ]
    assert [op.number for op in history.operations] == [1, 2, 3, 4, 5]
    assert [op.answered for op in history.operations] == [1, 2, 3, 4, 5]
    for op in history.operations:
        assert (op.member, op.session_id, op.client) == (member.address, session_id, 1)
        assert op.zxid > 0
        assert op.returned_ms is not None
        assert op.called_ms <= op.returned_ms
    (session,) = history.sessions.values()
    assert (session.session_id, session.end, session.timeout_ms) == (session_id, CLOSED, 10_000)
    (told,) = history.told
    assert told == Told(session_id, 1, told.at_ms, CLOSED, member.address)
    (event,) = history.events
    # Behind the answer that left the watch, before that of the write which fired it.
    assert event == Event(session_id, 1, event.at_ms, "changed", "/a", 3, member.address)


@in_loop
async def test_what_is_under_way_at_the_end_is_unknown(tmp_path: Path) -> None:
    async with FakeMember() as member, AsyncClient(member.address) as warm:
        await warm.create("/a")
        member.swallow.add("set_data")
        kept, file = HistoryWriter(), tmp_path / "history.jsonl"
        written = HistoryWriter(file)
        for writer in (kept, written):
            async with AsyncClient(member.address, history=writer) as client:
                await client.get("/a")
                lost = client.submit(SetData("/a", b"1"))
                writer.close()
                # Nothing behind the end is recorded, not even the outcome of what was before it.
                member.close_connections()
                with pytest.raises(ConnectionLossError):
                    await lost
                await client.get("/a")
        for history in (kept.history, History.load(file)):
            assert history.is_complete
            assert shown(history) == [("get", OK, ""), ("set", UNKNOWN, "")]
            done, pending = history.operations
            assert (pending.answered, pending.returned_ms, done.answered) == (0, None, 1)
            assert [session.end for session in history.sessions.values()] == [LIVING]


@in_loop
async def test_a_lost_connection_makes_writes_unknown_and_reads_failed() -> None:
    writer = HistoryWriter()
    async with FakeMember() as member, AsyncClient(member.address, history=writer) as client:
        member.swallow.update(("set_data", "get_data"))
        lost = [client.submit(SetData("/", b"1")), client.submit(GetData("/"))]
        await until(lambda: len(member.heard_ops("get_data")) == 1)
        member.close_connections()
        await asyncio.gather(*lost, return_exceptions=True)
        assert shown(writer.history) == [
            ("set", UNKNOWN, "ConnectionLoss"),
            ("get", FAILED, "ConnectionLoss"),
        ]
        assert all(op.answered and op.returned_ms for op in writer.history.operations)
        # It may still take effect, for all that anybody knows.
        assert writer.history.operations[0].until_ms == float("inf")


@in_loop
async def test_a_program_is_told_of_its_expiry() -> None:
    writer = HistoryWriter()
    async with FakeMember() as member:
        async with AsyncClient(member.address, history=writer) as client:
            first = client.session_id
            member.store.end_session(first)
            member.close_connections()
            await until(lambda: client.state is SessionState.EXPIRED)
            with pytest.raises(SessionExpiredError):
                await client.submit(Exists("/"))
        assert shown(writer.history) == [("exists", FAILED, "SessionExpired")]
        assert writer.history.sessions[first].end == EXPIRED
        (told,) = writer.history.told
        assert (told.session_id, told.verdict, told.member) == (first, EXPIRED, member.address)


@in_loop
async def test_a_silent_session_is_over_when_its_program_is_told_so() -> None:
    writer = HistoryWriter()
    program = writer.program(7)
    async with FakeMember() as member:
        client = await AsyncClient(member.address, history=program).start()
        await client.go_silent()
        await client.close()
        session = writer.history.sessions[client.session_id]
        assert (session.end, session.client, writer.history.told) == (SILENT, 7, [])
        program.told(client.session_id, EXPIRED, "elsewhere")
        assert session.end == EXPIRED
        assert [(t.client, t.verdict, t.member) for t in writer.history.told] == [
            (7, EXPIRED, "elsewhere")
        ]


@in_loop
async def test_a_closing_without_an_answer_leaves_the_session_to_expire() -> None:
    writer = HistoryWriter()
    async with FakeMember() as member:
        client = await AsyncClient(member.address, history=writer).start()
        member.swallow.add("close_session")
        closing = asyncio.create_task(client.close())
        await until(lambda: member.heard_ops("close_session"))
        member.close_connections()
        await closing
        assert writer.history.sessions[client.session_id].end == SILENT
        assert writer.history.told == []


@in_loop
async def test_a_session_handed_over_lives_on_with_another_client() -> None:
    writer = HistoryWriter()
    async with FakeMember() as member:
        first = await AsyncClient(member.address, history=writer).start()
        await first.go_silent()
        same = (first.session_id, first.password)
        async with AsyncClient(member.address, session=same, history=writer):
            session = writer.history.sessions[first.session_id]
            assert (session.client, session.end) == (2, LIVING)
        assert writer.history.sessions[first.session_id].end == CLOSED
        await first.close()


def test_many_threads_write_one_history(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    with server_thread() as server:
        member = FakeMember()
        server.run(member.start())
        writer = HistoryWriter(file)
        clients = [Client(member.address, history=writer).start() for _ in range(3)]

        def work(client: Client) -> None:
            for _ in range(40):
                pending = [client.submit(Exists("/")) for _ in range(5)]
                for each in pending:
                    each.result(5)

        threads = [threading.Thread(target=work, args=(c,)) for c in clients for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
        writer.close()
        server.run(member.stop())
    history = History.load(file)
    operations = history.operations
    assert history.is_complete
    assert [op.number for op in operations] == list(range(1, 1201))
    assert sorted(op.answered for op in operations) == list(range(1, 1201))
    assert [op.called_ms for op in operations] == sorted(op.called_ms for op in operations)
    by_answer = sorted(operations, key=lambda op: op.answered)
    returned = [op.until_ms for op in by_answer]
    assert returned == sorted(returned)
    for number in (1, 2, 3):
        answers = [op.answered for op in operations if op.client == number]
        # Numbered as they were sent: a member answers a session in its order.
        assert answers == sorted(answers)


@in_loop
async def test_a_full_disk_is_told_at_the_end_and_not_to_the_client() -> None:
    writer = HistoryWriter("/dev/full")
    async with FakeMember() as member, AsyncClient(member.address, history=writer) as client:
        await asyncio.gather(*(client.submit(Exists("/" + "x" * 1000)) for _ in range(400)))
        with pytest.raises(OSError, match="No space left"):
            writer.close()
        await client.get("/")


def test_an_operation_belongs_to_the_session_that_answered_it() -> None:
    """Asked for before there was one."""
    writer, machine, clock = HistoryWriter(), Session(1, 1000), iter(range(100))
    recording = writer.join(["member 1"])
    for event in (
        Submitted("token", Create("/a")),
        Received(1, SessionResponse(1000, 99, PASSWORD)),
        Received(1, Reply(1, 5, 0, PathResult("/a"))),
    ):
        if machine.connection == 0:
            machine.connection, machine._is_open = 1, True
        recording.before(machine, event)
        recording.after(machine, machine.step(event, next(clock)))
    (operation,) = writer.history.operations
    assert (operation.session_id, operation.member, operation.zxid) == (99, "member 1", 5)


def test_times_are_of_the_clock_that_the_writer_is_given() -> None:
    now = iter([5.0, 9.5])
    writer = HistoryWriter(clock="virtual", now_ms=lambda: next(now))
    operation = writer.invoked(1, 1, Exists("/"))
    writer.answered(operation, lambda _: None)
    assert (operation.called_ms, operation.returned_ms) == (5.0, 9.5)
    assert writer.history.header.clock == "virtual"


# Reading


def written(tmp_path: Path) -> Path:
    file = tmp_path / "history.jsonl"
    with HistoryWriter(file) as writer:
        writer.add(Trace(1.0, 0, "kill", {"what": "member 1"}))
        writer.answered(writer.invoked(1, 1, Exists("/")), lambda _: None)
    return file


def test_a_process_that_is_killed_leaves_what_it_saw(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    now = iter([10.0, 11.0, 20.0, 21.0, 1100.0, 1101.0, 1200.0, 1201.0])
    with HistoryWriter(file, now_ms=lambda: next(now)) as writer:
        assert History.load(file).operations == []
        for _ in range(4):
            writer.answered(writer.invoked(1, 1, Exists("/")), lambda _: None)
        history = History.load(file)
    assert [op.called_ms for op in history.operations] == [10.0, 20.0, 1100.0]
    assert not history.is_complete


@pytest.mark.parametrize("cut", [1, 10, 25, 60])
def test_a_history_that_was_cut_off_says_so(tmp_path: Path, cut: int) -> None:
    file = written(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    history = History.load(file)
    # But for the last line's end, which says nothing.
    assert history.is_complete == (cut == 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [b"#!/bin/sh\n", *lines], "line 1: JSON is malformed"),
        (lambda lines: lines[1:], "line 1: a history begins with"),
        (lambda _: [], "line 1: a history begins with"),
        (lambda lines: [b'{"history": {"version": 9}}\n', *lines[1:]], "line 1: version 9 is not"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "line 2: a second beginning"),
        (lambda lines: [lines[0], b"{}\n", *lines[1:]], "line 2: 0 records in a line"),
        (lambda lines: [*lines[:2], b'{"told": {}}\n', *lines[2:]], "line 3: Object missing"),
        (
            lambda lines: [*lines[:2], b'{"op": {}}\n', *lines[2:]],
            "line 3: Object contains unknown",
        ),
        (lambda lines: [*lines[:2], b"\xff\n", *lines[2:]], "line 3: JSON is malformed"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    file = written(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(change(lines)))
    with pytest.raises(HistoryError) as raised:
        History.load(file)
    assert f"{file}, {said}" in str(raised.value)


def test_operations_are_read_in_the_order_of_their_invocations(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    with HistoryWriter(file) as writer:
        first = writer.invoked(1, 1, Exists("/"))
        second = writer.invoked(1, 1, Exists("/"))

        def fill(operation: Operation) -> None:
            operation.outcome = OK

        writer.answered(second, fill)
        writer.answered(first, fill)
    assert b'"number":2' in file.read_bytes().splitlines()[1]
    history = History.load(file)
    assert [(op.number, op.answered) for op in history.operations] == [(1, 2), (2, 1)]
