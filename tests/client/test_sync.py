"""The threaded client against fake members, and the same client under gevent."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from client.errors import (
    BadArgumentsError,
    ConnectionLossError,
    NodeExistsError,
    OperationTimeoutError,
    SessionExpiredError,
)
from client.events import SessionEvent, SessionState
from client.line import Answer
from client.ops import Create, Delete, GetData, WatchEvent
from client.sync import Client, connect_once
from client.sync_line import Lines
from tests.client.fake_member import FakeMember, ServerThread, server_thread


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.005)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerThread]:
    """One loop for the fake members of all tests here."""
    with server_thread() as server:
        # The first member makes the threads that gRPC keeps for good.
        warm = FakeMember()
        server.run(warm.start())
        server.run(warm.stop())
        yield server


@pytest.fixture
def member(server: ServerThread) -> Iterator[FakeMember]:
    """A fake member; afterwards no thread of the client is left."""
    before = set(threading.enumerate())
    member = FakeMember()
    server.run(member.start())
    yield member
    server.run(member.stop())
    until(lambda: not set(threading.enumerate()) - before)


def test_every_operation(member: FakeMember) -> None:
    with Client(member.address) as client:
        assert client.create("/a", b"1") == "/a"
        assert client.create("/a/n-", sequential=True) == "/a/n-0000000000"
        stat = client.set("/a", None)
        assert client.get("/a") == (None, stat)
        assert client.exists("/missing") is None
        assert client.children("/a") == ["n-0000000000"]
        assert client.sync() == "/"
        client.delete("/a/n-0000000000")
        assert client.multi(Create("/b"), Delete("/b")) == ["/b", None]
        with pytest.raises(NodeExistsError, match="create /a"):
            client.create("/a")
        with pytest.raises(BadArgumentsError, match="begins with"):
            client.get("a")
        assert client.last_zxid == member.store.zxid


def test_a_watcher_may_use_the_client(member: FakeMember) -> None:
    seen: list[tuple[WatchEvent, bytes | None]] = []
    with Client(member.address) as client:

        def on_event(event: WatchEvent) -> None:
            seen.append((event, client.get(event.path)[0]))

        client.exists("/a", watch=on_event)
        client.create("/a", b"new")
        until(lambda: seen)
    assert seen == [(WatchEvent(1, "/a"), b"new")]


def test_a_watcher_that_raises_does_not_stop_the_next(
    member: FakeMember, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[object] = []

    def bad(event: WatchEvent) -> None:
        raise ValueError(event.path)

    with Client(member.address) as client:
        client.exists("/a", watch=bad)
        client.exists("/a", watch=seen.append)
        client.create("/a")
        until(lambda: seen)
    assert "ValueError: /a" in caplog.text


def test_a_watcher_may_close_the_last_client(member: FakeMember) -> None:
    client = Client(member.address).start()
    client.exists("/a", watch=lambda _: client.close())
    client.create("/a")
    until(lambda: client.state is SessionState.CLOSED)
    assert not member.store.sessions


def test_many_threads_share_one_client(member: FakeMember) -> None:
    with Client(member.address) as client, ThreadPoolExecutor(8) as pool:
        paths = [f"/t{n}" for n in range(200)]
        assert list(pool.map(client.create, paths)) == paths
        assert sorted(client.children("/")) == sorted(path[1:] for path in paths)


def test_pipelined_replies_come_in_order(member: FakeMember) -> None:
    with Client(member.address) as client:
        pending = [client.submit(GetData("/")) for _ in range(1000)]
        assert [one.result(5).xid for one in pending] == list(range(1, 1001))
        assert all(one.done() for one in pending)


def test_patience_ends_without_an_answer(member: FakeMember) -> None:
    with Client(member.address) as client:
        member.swallow = {"create"}
        pending = client.submit(Create("/a"))
        with pytest.raises(OperationTimeoutError, match="create /a") as caught:
            pending.result(0.05)
        assert not caught.value.definite
        until(lambda: member.heard_ops("create"))


def test_a_session_moves_to_another_member(server: ServerThread, member: FakeMember) -> None:
    other = FakeMember(member.store)
    server.run(other.start())
    events: list[SessionEvent] = []
    addresses = [member.address, other.address]
    with Client(addresses, 3000, first=1, listener=events.append) as client:
        session_id = client.session_id
        assert client.member == other.address
        server.run(other.stop())
        until(lambda: client.member == member.address)
        assert client.session_id == session_id
        assert client.get("/")[0] == b""
    connected, lost = SessionEvent.CONNECTED, SessionEvent.DISCONNECTED
    assert events == [connected, lost, connected, SessionEvent.CLOSED]


def test_idle_clients_are_kept_alive_by_one_thread(member: FakeMember) -> None:
    member.store.expires = True
    with Lines() as lines:
        before = threading.active_count()
        clients = [Client(member.address, 600, lines=lines).start() for _ in range(50)]
        # A line's receiver, gRPC's two for it, and the timers.
        assert threading.active_count() - before <= 4
        ids = {client.session_id for client in clients}
        until(lambda: len(member.heard_ops("ping")) >= 200)
        assert set(member.store.sessions) == ids
        for client in clients:
            client.close()


def test_expiry_is_seen_by_the_client_and_by_others(
    server: ServerThread, member: FakeMember
) -> None:
    member.store.expires = True
    gone: list[object] = []
    with Client(member.address) as observer:
        victim = Client(member.address, 100).start()
        identity = (victim.session_id, victim.password)
        victim.create("/e", ephemeral=True)
        observer.exists("/e", watch=gone.append)
        victim.go_silent()
        until(lambda: gone)
        assert gone == [WatchEvent(2, "/e")]
        assert connect_once(member.address, *identity, 100).answer is Answer.EXPIRED
        with pytest.raises(SessionExpiredError):
            Client(member.address, session=identity).start()
        with pytest.raises(ConnectionLossError, match="the client is closed") as caught:
            victim.create("/e")
        assert caught.value.definite
        victim.close()


def test_connect_once_tells_valid_refused_and_unreachable_apart(
    server: ServerThread, member: FakeMember
) -> None:
    with Client(member.address) as client:
        session = (client.session_id, client.password, 4000)
        verdict = connect_once(member.address, *session)
        assert (verdict.answer, verdict.session_id) == (Answer.VALID, client.session_id)
        refused = connect_once(member.address, *session, last_zxid=1 << 60)
        assert refused.answer is Answer.REFUSED
    server.run(member.stop())
    with pytest.raises(ConnectionLossError, match="refused"):
        connect_once(member.address, *session)
    server.run(member.start())


def test_members_that_are_not_there_are_named(server: ServerThread, member: FakeMember) -> None:
    server.run(member.stop())
    with pytest.raises(ConnectionLossError) as caught:
        Client(member.address, connect_timeout_ms=200).start()
    assert f"no session within 200 ms; members: {member.address} (Connection refused" in str(
        caught.value
    )
    server.run(member.start())


def test_a_line_that_breaks_tells_its_connections(server: ServerThread, member: FakeMember) -> None:
    client = Client(member.address, 2000).start()
    server.run(member.stop())
    until(lambda: client.state is SessionState.CONNECTING)
    assert client.member is None
    server.run(member.start())
    until(lambda: client.state is SessionState.CONNECTED)
    assert client.exists("/") is not None
    client.close()


GEVENT = """
from gevent import monkey; monkey.patch_all()
import grpc.experimental.gevent; grpc.experimental.gevent.init_gevent()
import sys, threading, gevent
from client.sync import Client, connect_once
address, count = sys.argv[1], int(sys.argv[2])
clients = [Client(address, 2000, connect_timeout_ms=20000) for _ in range(count)]
def together(function):
    jobs = [gevent.spawn(function, client) for client in clients]
    gevent.joinall(jobs, raise_error=True, timeout=30)
together(lambda client: client.start())
clients[0].create("/a", b"x")
together(lambda client: client.get("/a"))
gevent.sleep(2.4)
together(lambda client: client.set("/a", b"y"))
print(len({client.session_id for client in clients}), clients[0].get("/a")[1].version)
silent = clients[0]
silent.go_silent()
gevent.sleep(2.4)
print(connect_once(address, silent.session_id, silent.password, 2000).answer.value)
together(lambda client: client.close())
print(sorted(t.name for t in threading.enumerate() if "lagkeeper" in t.name))
"""


def test_hundreds_of_greenlets_keep_their_sessions() -> None:
    serve = [sys.executable, "-m", "tests.client.fake_member"]
    with subprocess.Popen(
        serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = f"127.0.0.1:{int(process.stdout.readline())}"
        done = subprocess.run(
            [sys.executable, "-c", GEVENT, address, "300"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert process.stdin is not None
        process.stdin.close()
    assert done.stdout.splitlines() == ["300 300", "expired", "[]"], done.stderr
