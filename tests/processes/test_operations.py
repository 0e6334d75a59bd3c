"""ZooKeeper's whole operation set against real members, as a program uses it."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from lagkeeper.v1 import client_pb2 as pb
from lagkeeper.v1.client_pb2_grpc import ClientServiceStub

from client.acl import (
    ADMIN,
    ALL,
    ANYONE,
    CREATOR_ALL_ACL,
    READ,
    READ_ACL,
    Acl,
    Id,
    digest_id,
)
from client.errors import (
    AuthFailedError,
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NoNodeError,
    NotReadOnlyError,
    NoWatcherError,
    ReconfigDisabledError,
    UnimplementedError,
)
from client.events import SessionState
from client.ops import (
    Create,
    CreateContainer,
    Delete,
    GetChildren,
    GetData,
    WatcherType,
    WatchEvent,
    WatchMode,
)
from client.sync import Client
from client.watches import EventType
from orchestrator.ensemble import Ensemble
from tests.wire.raw import four_letters

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 30
RECURSIVE = WatchMode.PERSISTENT_RECURSIVE


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    with Ensemble(members=3, read_only_mode_enabled=True) as ensemble:
        yield ensemble


@pytest.fixture
def client(ensemble: Ensemble) -> Iterator[Client]:
    """A session on a member that need not be the leader."""
    with Client(ensemble.members, first=1) as client:
        yield client


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()

    def __call__(self, event: WatchEvent) -> None:
        self.events.put(event)

    def next(self) -> tuple[EventType, str]:
        event = self.events.get(timeout=PATIENCE_S)
        return EventType(event.type), event.path


def until(what: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)


def test_words_that_clients_and_scripts_need_are_answered_without_being_asked_for(
    ensemble: Ensemble,
) -> None:
    """`FourLetterCommands.isEnabled`: isro where there is a read-only mode, srvr always."""
    host, _, port = ensemble.zk_address(1).rpartition(":")
    address = (host, int(port))
    assert four_letters(address, "isro") == "rw"
    assert four_letters(address, "srvr").startswith("Zookeeper version: ")
    assert four_letters(address, "ruok").startswith("ruok is not executed")


def test_create2_gives_the_stat(client: Client) -> None:
    path, stat = client.create2("/c2-", b"abc", sequential=True)
    assert path.startswith("/c2-")
    assert stat == client.get(path)[1]
    assert (stat.data_length, stat.version) == (3, 0)


def test_containers_and_ttl_as_the_ensemble_allows(client: Client) -> None:
    path, stat = client.create_container("/box", b"x")
    assert (path, stat.ephemeral_owner) == ("/box", 0)
    with pytest.raises(UnimplementedError):
        client.create_ttl("/brief", 1000)
    with pytest.raises(ReconfigDisabledError):
        client.reconfig(joining="server.9=nowhere:1:2")


def test_an_access_list_protects_from_others(ensemble: Ensemble, client: Client) -> None:
    client.add_auth("digest", b"me:secret")
    client.create("/mine", b"private", acl=CREATOR_ALL_ACL)
    assert client.get_acl("/mine")[0] == [Acl(ALL, digest_id("me", "secret"))]
    with Client(ensemble.members) as stranger:
        for forbidden in (
            lambda: stranger.get("/mine"),
            lambda: stranger.set("/mine", b""),
            lambda: stranger.create("/mine/below"),
            lambda: stranger.set_acl("/mine", READ_ACL),
            lambda: stranger.get_acl("/mine"),
        ):
            with pytest.raises(NoAuthError):
                forbidden()
        # ZooKeeper 3.8.0 asks nobody who only wants to know whether it exists.
        assert stranger.exists("/mine") is not None
        stranger.add_auth("digest", b"me:secret")
        assert stranger.get("/mine")[0] == b"private"
    readable = (Acl(READ | ADMIN, ANYONE),)
    assert client.set_acl("/mine", readable, version=0).aversion == 1
    with pytest.raises(BadVersionError):
        client.set_acl("/mine", readable, version=0)
    with pytest.raises(NoAuthError):
        client.set("/mine", b"")


def test_a_password_s_hash_is_shown_to_nobody_else(ensemble: Ensemble, client: Client) -> None:
    owner = digest_id("me", "secret")
    client.create("/shown", acl=(Acl(ALL, owner), *READ_ACL))
    assert client.get_acl("/shown")[0] == [Acl(ALL, Id("digest", "me:x")), *READ_ACL]


@pytest.mark.parametrize("acl", [(), (Acl(ALL, Id("nonsense", "x")),), CREATOR_ALL_ACL])
def test_a_list_that_means_nobody_is_invalid(client: Client, acl: tuple[Acl, ...]) -> None:
    with pytest.raises(InvalidACLError):
        client.create("/invalid", acl=acl)


def test_a_refused_identity_ends_the_client(ensemble: Ensemble) -> None:
    with Client(ensemble.members) as client:
        with pytest.raises(AuthFailedError):
            client.add_auth("nonsense", b"x")
        assert client.state is SessionState.AUTH_FAILED
        with pytest.raises(AuthFailedError):
            client.get("/")


def test_identities_and_persistent_watches_outlive_a_reconnect(ensemble: Ensemble) -> None:
    heard = Heard()
    with Client(ensemble.members, first=2) as client, Client(ensemble.members) as other:
        client.add_auth("digest", b"me:secret")
        client.create("/kept", acl=(*CREATOR_ALL_ACL, Acl(ALL, Id("ip", "127.0.0.1"))))
        client.create("/secret", b"s", acl=CREATOR_ALL_ACL)
        client.add_watch("/kept", heard, RECURSIVE)
        other.create("/kept/1")
        assert heard.next() == (EventType.NODE_CREATED, "/kept/1")
        before = client.member
        ensemble.kill(3)
        until(lambda: client.member not in (None, before))
        assert {who.scheme for who in client.who_am_i()} == {"ip", "digest"}
        assert client.get("/secret")[0] == b"s"
        other.create("/kept/2")
        assert heard.next() == (EventType.NODE_CREATED, "/kept/2")
        ensemble.start(3)


def test_watches_are_removed_one_by_one_or_all(client: Client) -> None:
    one, other = Heard(), Heard()
    client.create("/watched")
    for watcher in (one, other):
        client.add_watch("/watched", watcher)
    client.remove_watches("/watched", one)
    assert one.next() == (EventType.PERSISTENT_WATCH_REMOVED, "/watched")
    client.set("/watched", b"x")
    assert other.next() == (EventType.NODE_DATA_CHANGED, "/watched")
    client.remove_watches("/watched")
    assert other.next() == (EventType.PERSISTENT_WATCH_REMOVED, "/watched")
    client.set("/watched", b"y")
    assert one.events.empty()
    assert other.events.empty()
    with pytest.raises(NoWatcherError):
        client.remove_watches("/watched", kind=WatcherType.DATA)


def test_news_of_a_znode_one_may_not_read_are_not_told(client: Client) -> None:
    heard = Heard()
    client.create("/closed", acl=(Acl(ALL & ~READ, ANYONE),))
    client.exists("/closed", heard)
    client.add_watch("/", heard, RECURSIVE)
    client.set("/closed", b"x")
    client.create("/open-to-all")
    assert heard.next() == (EventType.NODE_CREATED, "/open-to-all")


def test_many_reads_at_once(client: Client) -> None:
    client.create("/many", b"data")
    client.create("/many/child")
    data, names, missing = client.multi_read(
        GetData("/many"), GetChildren("/many"), GetData("/not-there")
    )
    assert isinstance(data, tuple)
    assert data[0] == b"data"
    assert names == ["child"]
    assert isinstance(missing, NoNodeError)
    assert str(missing) == "multiRead[2] getData /not-there: NoNode (-101)"


def test_a_multi_creates_all_kinds(client: Client) -> None:
    plain, container, gone = client.multi(
        Create("/multi"), CreateContainer("/multi-box"), Delete("/multi")
    )
    assert plain == "/multi"
    assert isinstance(container, tuple)
    assert container[0] == "/multi-box"
    assert gone is None


def test_what_belongs_to_the_session_and_what_is_below(client: Client) -> None:
    client.create("/own")
    for name in ("a", "b"):
        client.create(f"/own/{name}", ephemeral=True)
    assert sorted(client.get_ephemerals("/own")) == ["/own/a", "/own/b"]
    assert client.get_ephemerals("/elsewhere") == []
    assert client.get_all_children_number("/own") == 2
    with pytest.raises(NoNodeError):
        client.get_all_children_number("/not-there")


def test_a_request_that_cannot_be_read_is_answered_in_its_turn(ensemble: Ensemble) -> None:
    """No client of this library says such things; a member must survive those who do."""
    bad_multi = pb.Request(xid=1)
    bad_multi.multi.ops.add().get_data.path = "/"
    watch = pb.Request(xid=2, add_watch=pb.AddWatch(path="/", mode=9))
    said = [bad_multi, watch, pb.Request(xid=3, ping=pb.Ping()), pb.Request(xid=4)]
    session = pb.ClientFrame(connection=1, session=pb.SessionRequest(timeout_ms=5000))
    requests = [pb.ClientFrame(connection=1, request=request) for request in said]
    heard: list[pb.ServerFrame] = []
    is_over = threading.Event()

    def speak() -> Iterator[pb.ConnectRequest]:
        yield pb.ConnectRequest(frames=[session, *requests])
        is_over.wait(PATIENCE_S)

    with grpc.insecure_channel(ensemble.members[0]) as channel:
        for response in ClientServiceStub(channel).Connect(speak(), timeout=PATIENCE_S):
            heard += response.frames
            if heard[-1].WhichOneof("frame") == "disconnect":
                is_over.set()
    codes = [(frame.reply.xid, frame.reply.error) for frame in heard[1:-1]]
    assert codes == [(1, -5), (2, -5), (3, 0), (4, -6)]


def run_example(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_example_of_an_access_list(ensemble: Ensemble) -> None:
    said = run_example("access_list.py", ",".join(ensemble.members))
    assert "the stranger reads b'v1'\n" in said
    assert "NoAuth (-102)\n" in said
    assert said.endswith("digest me, writes: version 1\n")


def test_the_example_of_a_persistent_watch(ensemble: Ensemble) -> None:
    command = [sys.executable, str(EXAMPLES / "persistent_watch.py")]
    with (
        Client(ensemble.members) as writer,
        subprocess.Popen(
            [*command, ensemble.members[0], "/followed", "--seconds", "3"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("watching /followed on ")
        writer.create("/followed")
        writer.create("/followed/below")
        writer.delete("/followed/below")
        assert process.stdout.read().splitlines() == [
            "NODE_CREATED /followed",
            "NODE_CREATED /followed/below",
            "NODE_DELETED /followed/below",
            "PERSISTENT_WATCH_REMOVED /followed",
        ]
    assert process.returncode == 0


def test_a_member_without_a_quorum_serves_reads_to_those_who_put_up_with_it(
    ensemble: Ensemble,
) -> None:
    heard = Heard()
    with Client(ensemble.members) as client:
        client.create("/still-there", b"x")
        # Into the log of the one that will be left.
        with Client(ensemble.members[0]) as witness:
            witness.sync()
    for sid in (2, 3):
        ensemble.kill(sid)
    with Client(ensemble.members, can_be_read_only=True, connect_timeout_ms=20_000) as client:
        assert client.is_read_only
        assert client.get("/still-there")[0] == b"x"
        with pytest.raises(NotReadOnlyError):
            client.create("/not-now")
        client.add_watch("/", heard, RECURSIVE)
        for sid in (2, 3):
            ensemble.start(sid)
        until(lambda: not client.is_read_only and client.state is SessionState.CONNECTED)
        # A new session, since none of a read-only member is known elsewhere; the watch is kept.
        client.create("/now")
        assert heard.next() == (EventType.NODE_CREATED, "/now")
