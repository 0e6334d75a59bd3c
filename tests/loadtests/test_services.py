"""The four ends of a service, against a member that does what the test says and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from client.recording import HistoryWriter, Program
from loadtests.close_marks import Closing, lag_of, read_zxid
from loadtests.rival import Rival
from loadtests.services import Registry, Service, Void, open_service
from tests.client.fake_member import FakeMember, ServerThread, server_thread

TIMEOUT_MS = 600


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.005)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerThread]:
    with server_thread() as server:
        yield server


@pytest.fixture
def member(server: ServerThread) -> Iterator[FakeMember]:
    member = FakeMember()
    server.run(member.start())
    yield member
    server.run(member.stop())


class Leader:
    """Expires and marks what the test names."""

    def __init__(self, server: ServerThread, member: FakeMember) -> None:
        self._server = server
        self._member = member
        self.closings: dict[int, Closing] = {}
        self.history: Program | None = None

    def open(self, end: str) -> Service:
        return open_service(
            self._member.address, "/service", TIMEOUT_MS, end, self._closing, self.history
        )

    def expire(self, service: Service) -> None:
        session_id = service.session_id
        self._server.call(lambda: self._member.store.end_session(session_id))
        self.closings[session_id].marked.set()

    def mark_without_expiring(self, service: Service) -> None:
        self.closings[service.session_id].marked.set()

    def _closing(self, session_id: int) -> Closing:
        return self.closings.setdefault(session_id, Closing())


@pytest.fixture
def leader(server: ServerThread, member: FakeMember) -> Leader:
    return Leader(server, member)


def test_service_is_registered_under_its_own_session(leader: Leader, member: FakeMember) -> None:
    service = leader.open("crash")
    assert service.is_alive()
    assert member.store.znodes["/service"].stat.ephemeral_owner == service.session_id
    service.client.close()


@pytest.mark.parametrize("end", ["silence", "crash"])
def test_program_that_fell_silent_is_told_by_presenting_its_id(leader: Leader, end: str) -> None:
    service = leader.open(end)
    service.go_down(end)
    assert not service.is_alive()
    leader.expire(service)
    told = service.learn(0.0, None)
    assert (told.session_id, told.path) == (service.session_id, "/service")
    assert service.is_over.is_set()
    service.client.close()


def test_silence_keeps_the_connection_and_a_crash_breaks_it(
    leader: Leader, member: FakeMember
) -> None:
    hangs, crashes = leader.open("silence"), None
    hangs.go_down("silence")
    connections = [stream.sessions for stream in member.streams]
    assert sum(map(len, connections)) == 1
    leader.expire(hangs)
    crashes = leader.open("crash")
    crashes.go_down("crash")
    until(lambda: [f for f in member.heard if f.HasField("disconnect")])
    hangs.client.close()
    crashes.client.close()


@pytest.mark.parametrize("end", ["silence", "crash", "cut", "close"])
def test_a_history_tells_when_its_program_was_told(
    server: ServerThread, member: FakeMember, end: str
) -> None:
    writer = HistoryWriter()
    leader = Leader(server, member)
    leader.history = writer.program(1)
    service = leader.open(end)
    service.go_down(end)
    if end != "close":
        leader.expire(service)
    told = service.learn(0.0, None)
    (recorded,) = writer.history.told
    assert (recorded.session_id, recorded.client) == (told.session_id, 1)
    assert recorded.verdict == ("closed" if end == "close" else "expired")
    assert recorded.at_ms <= told.at * 1000
    assert writer.history.sessions[told.session_id].end == recorded.verdict
    service.client.close()


def test_closed_connection_is_no_answer_so_the_program_asks_again(
    leader: Leader, member: FakeMember
) -> None:
    service = leader.open("crash")
    service.go_down("crash")
    member.refusals = 2
    leader.expire(service)
    assert service.learn(0.0, None).session_id == service.session_id
    assert member.refusals == 0
    service.client.close()


def test_session_that_lives_is_void(leader: Leader) -> None:
    service = leader.open("crash")
    service.go_down("crash")
    leader.mark_without_expiring(service)
    with pytest.raises(Void, match="session valid at the reconnect"):
        service.learn(0.0, None)
    service.client.close()


def test_polling_program_waits_out_its_time_and_needs_no_mark(leader: Leader) -> None:
    service = leader.open("crash")
    service.go_down("crash")
    leader.expire(service)
    leader.closings[service.session_id].marked.clear()
    assert service.went_down_at is not None
    told = service.learn(0.0, 0.2)
    assert told.at - service.went_down_at >= 0.2
    service.client.close()


def test_close_is_told_by_its_reply(leader: Leader, member: FakeMember) -> None:
    service = leader.open("close")
    service.go_down("close")
    service.learn(0.0, None)
    assert "/service" not in member.store.znodes
    service.client.close()


def test_close_without_a_reply_tells_nothing(
    server: ServerThread, leader: Leader, member: FakeMember
) -> None:
    service = leader.open("close")
    member.swallow = {"close_session"}
    service.go_down("close")
    closing = threading.Timer(0.2, lambda: server.call(member.close_connections))
    closing.start()
    with pytest.raises(Void, match="no reply to the closing"):
        service.learn(0.0, None)
    closing.join()


def test_cut_client_says_nothing_hears_nothing_and_is_told_once_mended(
    leader: Leader, member: FakeMember
) -> None:
    service = leader.open("cut")
    service.go_down("cut")
    heard = len(member.heard)
    # Long enough for its pings, for its giving up the connection, and for new attempts.
    threading.Event().wait(TIMEOUT_MS * 2 / 1000)
    assert len(member.heard) == heard
    assert not service.heard_expired.is_set()
    leader.expire(service)
    service.learn(0.0, None)
    assert service.heard_expired.is_set()
    service.client.close()


def test_cutting_one_client_leaves_the_others_alone(leader: Leader, member: FakeMember) -> None:
    service = leader.open("cut")
    rival = Rival(member.address, TIMEOUT_MS)
    service.go_down("cut")
    rival.contend("/service")
    assert not rival.lost_its_znode()
    leader.expire(service)
    service.learn(0.0, None)
    service.client.close()
    rival.close()


def test_rival_registers_as_soon_as_the_path_is_free(leader: Leader, member: FakeMember) -> None:
    service = leader.open("crash")
    rival = Rival(member.address, TIMEOUT_MS)
    rival.contend("/service")
    service.go_down("crash")
    leader.expire(service)
    until(lambda: "/service" in member.store.znodes)
    assert not rival.lost_its_znode()
    owner = member.store.znodes["/service"].stat.ephemeral_owner
    assert owner not in (0, service.session_id)
    service.client.close()
    rival.close()


def test_rival_notices_that_its_znode_was_taken_away(
    server: ServerThread, leader: Leader, member: FakeMember
) -> None:
    service = leader.open("crash")
    rival = Rival(member.address, TIMEOUT_MS)
    rival.contend("/service")
    leader.expire(service)
    until(lambda: "/service" in member.store.znodes)
    server.call(lambda: member.store.delete("/service"))
    assert rival.lost_its_znode()
    service.client.close()
    rival.close()


def test_storm_strikes_once(leader: Leader) -> None:
    service = leader.open("close")
    service.go_down("crash")
    service.go_down("close")
    assert service.end == "crash"
    assert service.woken.is_set()
    service.client.close()


def test_last_touch_is_heard_before_the_crash(leader: Leader, member: FakeMember) -> None:
    service = leader.open("silence")
    service.touch()
    service.go_down("crash")
    until(lambda: [f for f in member.heard if f.HasField("disconnect")])
    *_, touch, end = member.heard
    assert (touch.request.WhichOneof("op"), end.HasField("disconnect")) == ("exists", True)
    service.client.close()


def test_registry_forgets_what_is_gone_and_nothing_else(leader: Leader) -> None:
    registry = Registry(remember_s=-1.0)
    service = leader.open("crash")
    others = [
        Service(service.client, "", f"/{n}", "crash", Closing(), None, 0.0, threading.Event())
        for n in range(3)
    ]
    for known in (service, *others):
        registry.add(known)
    registry.let_go(others[1])
    registry.let_go(service)
    random = Random(1)
    assert {registry.pick(random) for _ in range(100)} == {others[0], others[2]}
    assert len(registry) == 2
    service.client.close()
    assert registry.alive() == []


def test_registry_remembers_for_a_while_what_has_just_gone(leader: Leader) -> None:
    registry = Registry(remember_s=60.0)
    service = leader.open("crash")
    registry.add(service)
    registry.let_go(service)
    assert registry.pick(Random(1)) is service
    service.client.close()


def test_lag_counts_transactions_within_an_epoch_only() -> None:
    assert lag_of(read_zxid("5:10"), read_zxid("5:13")) == 3
    assert lag_of(read_zxid("5:14"), read_zxid("5:13")) == 0
    assert lag_of(read_zxid("4:10"), read_zxid("5:13")) is None
