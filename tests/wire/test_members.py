"""The wire port of real members: an unmodified client, TLS, sessions that change the protocol."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest
from kazoo.client import KazooClient

from client.errors import SessionExpiredError
from client.sync import Client
from tests.wire import ops
from tests.wire.conftest import Lab
from tests.wire.raw import EOF, Raw, Reply

pytestmark = pytest.mark.processes
PATIENCE_S = 20


def test_kazoo_creates_reads_watches_and_leaves(lab: Lab) -> None:
    client = KazooClient(hosts=lab.ensemble.zookeeper_hosts, timeout=4)
    client.start()
    seen = threading.Event()
    try:
        assert client.create("/kazoo", b"1") == "/kazoo"
        assert client.get("/kazoo", watch=lambda event: seen.set())[0] == b"1"
        assert client.set("/kazoo", b"2").version == 1
        assert seen.wait(PATIENCE_S)
        name = client.create("/kazoo/e", ephemeral=True, sequence=True)
        assert name == "/kazoo/e0000000000"
        assert client.get_children("/kazoo") == ["e0000000000"]
        with client.transaction() as transaction:
            transaction.check("/kazoo", 1)
            transaction.set_data("/kazoo", b"3")
        assert client.get("/kazoo")[0] == b"3"
        results = [client.get_async("/kazoo") for _ in range(500)]
        assert all(result.get(timeout=PATIENCE_S)[0] == b"3" for result in results)
        client.delete("/kazoo", recursive=True)
    finally:
        client.stop()
        client.close()


def test_a_session_of_the_wire_goes_on_over_grpc_and_back(lab: Lab) -> None:
    ensemble = lab.ensemble
    raw = Raw.open(lab.address(1), timeout_ms=4000)
    raw.call(ops.create("/moving"))
    raw.call(ops.create("/moving/e", flags=1))
    identity = raw.session_id, raw.password
    raw.drop()
    program = Client(ensemble.address(2), 4000, session=identity).start()
    program.sync("/")
    stat = program.exists("/moving/e")
    assert stat is not None
    assert stat.ephemeral_owner == identity[0]
    program.set("/moving", b"over gRPC")
    # It keeps its line but does nothing more of itself: it would take the session back.
    program.go_silent(keep_connection=True)
    raw = Raw.open(lab.address(2), timeout_ms=4000, session_id=identity[0], password=identity[1])
    assert raw.session_id == identity[0]
    got = raw.call(ops.get_data("/moving"))
    assert isinstance(got, Reply)
    assert isinstance(got.value, tuple)
    assert got.value[0] == b"over gRPC"
    raw.close()
    with pytest.raises(SessionExpiredError):
        Client(ensemble.address(2), 4000, session=identity).start()
    program.close()
    with Raw.open(lab.address(2)) as other:
        gone = other.call(ops.exists("/moving/e"))
        assert isinstance(gone, Reply)
        assert gone.error == -101
        other.call(ops.delete("/moving"))


def test_link_rules_hold_for_clients_of_the_wire(lab: Lab) -> None:
    ensemble = lab.ensemble
    leader, follower = ensemble.leader(), lab.follower
    link = ensemble.link(f"{leader}->{follower}")
    with Raw.open(lab.address(leader)) as writer, Raw.open(lab.address(follower)) as reader:
        link.hold(only="COMMIT")
        try:
            writer.call(ops.create("/held"))
            stale = reader.call(ops.exists("/held"))
            assert isinstance(stale, Reply)
            assert stale.error == -101
        finally:
            link.clear()
        assert link.touched() > 0
        reader.call(ops.sync("/held"))
        fresh = reader.call(ops.exists("/held"))
        assert isinstance(fresh, Reply)
        assert fresh.error == 0
        writer.call(ops.delete("/held"))


def test_a_member_without_a_leader_closes_its_clients_and_takes_no_new_ones(lab: Lab) -> None:
    ensemble = lab.ensemble
    follower = lab.follower
    with Raw.open(lab.address(follower), timeout_ms=4000) as raw:
        links = ensemble.link(f"*->{follower},{follower}->*")
        links.cut()
        try:
            assert raw.is_closed_within(PATIENCE_S)
            late = Raw(lab.address(follower))
            assert late.greet() == EOF
            late.drop()
        finally:
            links.clear()
            ensemble.wait_until_serving()


def test_tls_serves_those_who_trust_and_survives_those_who_do_not_speak_it(lab: Lab) -> None:
    address = lab.ensemble.status().members[0].zk_tls_address
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"ruok" * 20)
        plain.settimeout(PATIENCE_S)
        # A TLS alert at most, and the end.
        answer = plain.recv(1000)
        assert b"imok" not in answer
    trusting = ssl.create_default_context()
    with (
        socket.create_connection((host, int(port))) as strange,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        trusting.wrap_socket(strange, server_hostname="127.0.0.1")
    client = KazooClient(hosts=address, use_ssl=True, ca=str(lab.authority), timeout=4)
    client.start()
    try:
        assert client.create("/tls", b"x" * 300_000) == "/tls"
        assert len(client.get("/tls")[0]) == 300_000
        client.delete("/tls")
    finally:
        client.stop()
        client.close()


def test_hundreds_of_half_open_connections_disturb_nobody(lab: Lab) -> None:
    address = lab.address(3)
    slow = [socket.create_connection(address) for _ in range(50)]
    try:
        for place, one in enumerate(slow):
            one.sendall(b"\0\0\0\x2c"[: place % 5] or b"\0")
        began = time.monotonic()
        with Raw.open(address) as raw:
            reply = raw.call(ops.exists("/"))
            assert isinstance(reply, Reply)
            assert reply.error == 0
        assert time.monotonic() - began < PATIENCE_S
    finally:
        for one in slow:
            one.close()


def test_a_ping_is_answered_under_its_own_xid_whatever_it_was_called(lab: Lab) -> None:
    with Raw.open(lab.address(lab.follower)) as raw:
        raw.send(ops.PING, xid=7)
        reply = raw.receive()
        assert isinstance(reply, Reply)
        assert (reply.xid, reply.error) == (-2, 0)
