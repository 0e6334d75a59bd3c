"""The asyncio client against fake members."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from client.aio import AsyncClient, connect_once
from client.aio_line import Lines
from client.errors import (
    BadArgumentsError,
    BadVersionError,
    ConnectionLossError,
    NodeExistsError,
    NoNodeError,
    SessionExpiredError,
)
from client.events import SessionEvent, SessionState
from client.line import Answer
from client.ops import Check, Create, Delete, GetData, SetData, WatchEvent
from tests.client.fake_member import FakeMember, FakeStore

Test = Callable[..., Coroutine[Any, Any, None]]


def in_loop(test: Test) -> Callable[..., None]:
    """Run a test in a loop of its own, and fail it if a task of the client survives."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        async def checked() -> None:
            await asyncio.wait_for(test(**fixtures), 20)
            left = {task.get_name() for task in asyncio.all_tasks()}
            assert not [name for name in left if name.startswith("lagkeeper line")]

        asyncio.run(checked())

    return run


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


@in_loop
async def test_every_operation() -> None:
    async with FakeMember() as member, AsyncClient(member.address) as client:
        assert await client.create("/a", b"1") == "/a"
        assert await client.create("/a/n-", sequential=True) == "/a/n-0000000000"
        stat = await client.set("/a", None)
        assert stat.version == 1
        assert await client.get("/a") == (None, stat)
        assert await client.exists("/missing") is None
        assert await client.children("/a") == ["n-0000000000"]
        assert await client.sync("/a") == "/a"
        await client.create("/e", ephemeral=True)
        owner = await client.exists("/e")
        assert owner is not None
        assert owner.ephemeral_owner == client.session_id
        await client.delete("/a/n-0000000000")
        assert client.last_zxid == member.store.zxid
        assert client.member == member.address


@in_loop
async def test_errors_are_typed() -> None:
    async with FakeMember() as member, AsyncClient(member.address) as client:
        await client.create("/a")
        with pytest.raises(NodeExistsError, match=r"create /a: NodeExists \(-110\)"):
            await client.create("/a")
        with pytest.raises(BadVersionError):
            await client.set("/a", b"", version=9)
        with pytest.raises(NoNodeError):
            await client.get("/missing")
        with pytest.raises(BadArgumentsError):
            await client.get("missing")
        reply = await client.submit(GetData("/missing"))
        assert (reply.error, reply.result, reply.zxid) == (-101, None, member.store.zxid)


@in_loop
async def test_multi_gives_a_value_for_each_or_names_the_one_that_failed() -> None:
    async with FakeMember() as member, AsyncClient(member.address) as client:
        values = await client.multi(Create("/a"), SetData("/a", b"x"), Check("/a"), Delete("/a"))
        path, stat, *rest = values
        assert path == "/a"
        assert getattr(stat, "version", None) == 1
        assert rest == [None, None]
        with pytest.raises(NoNodeError, match=r"multi\[1\] delete /b") as caught:
            await client.multi([Create("/c"), Delete("/b"), Create("/d")])
        assert [getattr(result, "error", None) for result in caught.value.results] == [0, -101, -2]


@in_loop
async def test_a_watch_reaches_another_client_before_its_next_reply() -> None:
    seen: list[object] = []
    async with FakeMember() as member, AsyncClient(member.address) as writer:
        async with AsyncClient(member.address) as reader:
            await reader.exists("/a", watch=seen.append)
            await writer.create("/a")
            await reader.get("/a")
            assert seen == [WatchEvent(1, "/a")]
            await reader.children("/", watch=seen.append)
        assert len(member.streams) == 1, "both clients share one line"


@in_loop
async def test_a_watcher_that_raises_harms_nobody() -> None:
    caught: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, c: caught.append(c["exception"]))

    def bad(event: WatchEvent) -> None:
        raise ValueError(event.path)

    async with FakeMember() as member, AsyncClient(member.address) as client:
        await client.exists("/a", watch=bad)
        await client.create("/a")
        assert (await client.get("/a"))[0] == b""
    # gRPC's poller may complain here about the loop of an earlier test.
    assert [str(error) for error in caught if isinstance(error, ValueError)] == ["/a"]


@in_loop
async def test_a_broken_line_is_replaced_and_the_session_goes_on_elsewhere() -> None:
    store = FakeStore()
    events: list[SessionEvent] = []
    seen: list[object] = []
    async with FakeMember(store) as first, FakeMember(store) as second:
        members = [first.address, second.address]
        async with AsyncClient(members, 3000, listener=events.append) as client:
            session_id = client.session_id
            await client.create("/a")
            await client.get("/a", watch=seen.append)
            await first.stop()
            await until(lambda: client.member == second.address)
            assert client.session_id == session_id
            assert (await client.get("/a"))[0] == b""
            (set_watches,) = second.heard_ops("set_watches")
            assert list(set_watches.set_watches.data) == ["/a"]
            await second.stop()
            await first.start()
            await until(lambda: client.member == first.address)
        await second.start()
    connected, lost = SessionEvent.CONNECTED, SessionEvent.DISCONNECTED
    assert events == [connected, lost, connected, lost, connected, SessionEvent.CLOSED]


@in_loop
async def test_what_is_under_way_when_the_connection_goes_may_have_happened() -> None:
    async with FakeMember() as member, AsyncClient(member.address, 3000) as client:
        member.swallow = {"create"}
        pending = client.submit(Create("/a"))
        await until(lambda: member.heard_ops("create"))
        member.close_connections()
        with pytest.raises(ConnectionLossError, match=r"create /a.*may have happened") as caught:
            await pending
        assert not caught.value.definite
        assert await client.exists("/a") is None


@in_loop
async def test_a_mute_member_is_left_after_the_read_timeout() -> None:
    store = FakeStore()
    async with (
        FakeMember(store) as first,
        FakeMember(store) as second,
        AsyncClient([first.address, second.address], 1500) as client,
    ):
        first.is_mute = True
        started = time.monotonic()
        await until(lambda: client.member == second.address)
        assert time.monotonic() - started > 0.5
        assert first.heard_ops("ping")


@in_loop
async def test_a_refusing_member_is_passed_over() -> None:
    store = FakeStore()
    async with FakeMember(store) as first, FakeMember(store) as second:
        first.refusals = 100
        async with AsyncClient([first.address, second.address]) as client:
            assert client.member == second.address


@in_loop
async def test_members_that_are_not_there_are_named() -> None:
    async with FakeMember() as gone:
        pass
    async with FakeMember() as refusing:
        refusing.refusals = 10**6
        client = AsyncClient([gone.address, refusing.address], connect_timeout_ms=300)
        with pytest.raises(ConnectionLossError) as caught:
            await client.start()
        text = str(caught.value)
        assert "no session within 300 ms" in text
        assert f"{gone.address} (Connection refused" in text
        assert f"{refusing.address} (closed by the member)" in text
        assert client.state is SessionState.CLOSED


@in_loop
async def test_an_expired_session_is_told_so() -> None:
    events: list[SessionEvent] = []
    async with FakeMember() as member, AsyncClient(member.address, listener=events.append) as one:
        identity = (one.session_id, one.password)
        member.store.end_session(one.session_id)
        member.close_connections()
        await until(lambda: one.state is SessionState.EXPIRED)
        with pytest.raises(SessionExpiredError):
            await one.create("/a")
        with pytest.raises(SessionExpiredError, match=r"connect: SessionExpired"):
            await AsyncClient(member.address, session=identity).start()
    assert events[-1] is SessionEvent.EXPIRED


@in_loop
async def test_a_session_can_be_resumed_by_another_client() -> None:
    async with FakeMember() as member:
        one = await AsyncClient(member.address).start()
        await one.create("/e", ephemeral=True)
        await one.go_silent()
        await one.close()
        identity = (one.session_id, one.password)
        async with AsyncClient(member.address, session=identity) as two:
            stat = await two.exists("/e")
            assert stat is not None
            assert stat.ephemeral_owner == two.session_id == identity[0]
        assert "/e" not in member.store.znodes


@in_loop
async def test_silence_with_the_connection_kept_sends_nothing_more() -> None:
    async with FakeMember() as member, Lines() as lines:
        member.store.expires = True
        silent = await AsyncClient(member.address, 150, lines=lines).start()
        await silent.go_silent(keep_connection=True)
        heard = len(member.heard)
        await until(lambda: silent.session_id not in member.store.sessions)
        assert len(member.heard) == heard
        member.close_connections()
        await until(lambda: silent.state is SessionState.CLOSED)
        await silent.close()


@in_loop
async def test_connect_once_tells_valid_expired_and_refused_apart() -> None:
    async with FakeMember() as member, AsyncClient(member.address) as client:
        session = (client.session_id, client.password, 4000)
        verdict = await connect_once(member.address, *session)
        assert (verdict.answer, verdict.timeout_ms) == (Answer.VALID, 10_000)
        ahead = await connect_once(member.address, *session, last_zxid=1 << 60)
        assert ahead.answer is Answer.REFUSED
        unknown = await connect_once(member.address, 99, b"", 4000)
        assert unknown.answer is Answer.EXPIRED
        member.is_mute = True
        with pytest.raises(ConnectionLossError, match="no answer"):
            await connect_once(member.address, *session, wait_ms=50)
        member.is_mute = False
    with pytest.raises(ConnectionLossError, match="refused"):
        await connect_once(member.address, *session)


@in_loop
async def test_a_cancelled_wait_leaves_the_others_alone() -> None:
    async with FakeMember() as member, AsyncClient(member.address) as client:
        first, second = client.submit(GetData("/")), client.submit(GetData("/"))
        first.cancel()
        assert (await second).error == 0


@in_loop
async def test_one_line_carries_five_thousand_sessions() -> None:
    async with FakeMember() as member, Lines() as lines:
        clients = [AsyncClient(member.address, 30_000, lines=lines) for _ in range(5000)]
        await asyncio.gather(*(client.start() for client in clients))
        assert len({client.session_id for client in clients}) == 5000
        replies = await asyncio.gather(*(client.submit(GetData("/")) for client in clients))
        assert {reply.error for reply in replies} == {0}
        assert len(member.streams) == 1
        await asyncio.gather(*(client.close() for client in clients))
        assert not member.store.sessions


@in_loop
async def test_a_pipelining_client_gets_its_replies_in_order() -> None:
    async with FakeMember() as member, AsyncClient(member.address) as client:
        await client.create("/a")
        pending = [client.submit(SetData("/a", b"%d" % n)) for n in range(2000)]
        replies = await asyncio.gather(*pending)
        assert [reply.xid for reply in replies] == list(range(2, 2002))
        assert [reply.zxid for reply in replies] == sorted(reply.zxid for reply in replies)
