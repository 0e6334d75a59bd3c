"""A member's process: serves, refuses bad input in one line, stops, ends with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import grpc
import pytest
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from lagkeeper.v1 import admin_pb2, admin_pb2_grpc, client_pb2, client_pb2_grpc

from nodes.config import ProcessConfig, save_config, words_of
from nodes.core.config import MemberConfig
from nodes.process import fail_on_errors

pytestmark = pytest.mark.processes
PATIENCE_S = 15


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def config(tmp_path: Path) -> ProcessConfig:
    """A member that is an ensemble of its own."""
    core = MemberConfig(sid=1, voters=(1,), tick_time_ms=50, min_session_timeout_ms=100)
    return ProcessConfig(core=core, port=free_port(), data_dir=str(tmp_path / "data"))


def launch(config: ProcessConfig, tmp_path: Path) -> subprocess.Popen[str]:
    path = tmp_path / f"{config.port}.json"
    save_config(config, path)
    return subprocess.Popen(
        [sys.executable, "-m", "nodes", str(path)], stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def channel(config: ProcessConfig) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{config.port}") as channel:
        yield channel


@pytest.fixture
def member(config: ProcessConfig, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = launch(config, tmp_path)
    yield process
    process.kill()
    process.communicate()


def until_serving(channel: grpc.Channel) -> admin_pb2.GetStatusResponse:
    stub = admin_pb2_grpc.AdminServiceStub(channel)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        status = stub.GetStatus(
            admin_pb2.GetStatusRequest(with_digest=True), wait_for_ready=True, timeout=PATIENCE_S
        )
        if status.is_serving:
            return status
        time.sleep(0.01)
    raise AssertionError("does not serve")


def failure(config: ProcessConfig, tmp_path: Path) -> tuple[int, str]:
    process = launch(config, tmp_path)
    _, complaint = process.communicate(timeout=PATIENCE_S)
    assert complaint.count("\n") == 1
    return process.returncode, complaint


def test_it_serves_tells_of_itself_and_stops(
    member: subprocess.Popen[str], channel: grpc.Channel
) -> None:
    status = until_serving(channel)
    assert (status.sid, status.state, status.pid) == (1, "LEADING", member.pid)
    assert 0 < status.resident_bytes < 60 << 20
    assert status.digest
    health = health_pb2_grpc.HealthStub(channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service="lagkeeper.v1.ClientService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflected = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    names = {service.name for service in next(reflected).list_services_response.service}
    assert {"lagkeeper.v1.PeerService", "grpc.health.v1.Health"} <= names
    member.send_signal(signal.SIGTERM)
    _, said = member.communicate(timeout=PATIENCE_S)
    assert (member.returncode, said) == (0, "")


def test_an_operator_is_refused_what_cannot_be(
    member: subprocess.Popen[str], channel: grpc.Channel
) -> None:
    until_serving(channel)
    stub = admin_pb2_grpc.AdminServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.SetRule(admin_pb2.SetRuleRequest(receiver=9))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "member 1 has no link to 9"
    with pytest.raises(grpc.RpcError) as caught:
        stub.SetDiskDelay(admin_pb2.SetDiskDelayRequest(delay_ms=-1))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert member.poll() is None


def test_traces_begin_with_the_past(member: subprocess.Popen[str], channel: grpc.Channel) -> None:
    until_serving(channel)
    stub = admin_pb2_grpc.AdminServiceStub(channel)
    traces = stub.StreamTraces(admin_pb2.StreamTracesRequest(kinds=["state"], with_past=True))
    assert not next(traces).traces
    past = next(traces).traces
    assert past[0].fields["state"].text == "LOOKING"
    traces.cancel()


def test_a_member_that_stops_ends_its_streams_without_an_error(
    member: subprocess.Popen[str], channel: grpc.Channel
) -> None:
    until_serving(channel)
    stub = admin_pb2_grpc.AdminServiceStub(channel)
    traces = stub.StreamTraces(admin_pb2.StreamTracesRequest())
    next(traces)
    session = client_pb2.ClientFrame(connection=1, session=client_pb2.SessionRequest(timeout_ms=1))
    requests: SimpleQueue[client_pb2.ConnectRequest | None] = SimpleQueue()
    requests.put(client_pb2.ConnectRequest(frames=[session]))
    answers = client_pb2_grpc.ClientServiceStub(channel).Connect(iter(requests.get, None))
    next(answers)
    member.send_signal(signal.SIGTERM)
    for stream in (traces, answers):
        # Raises if the stream was broken; gRPC would print that in the program on this side.
        for _ in stream:
            pass
        assert stream.code() is grpc.StatusCode.OK
    requests.put(None)


def test_a_client_that_dies_while_it_is_answered_disturbs_nobody(
    config: ProcessConfig, member: subprocess.Popen[str], channel: grpc.Channel
) -> None:
    until_serving(channel)
    program = f"""
import os, signal, time
from client.ops import GetData
from client.sync import Client

with Client("127.0.0.1:{config.port}", 30_000) as client:
    if not client.exists("/big"):
        client.create("/big", b"x" * 400_000)
    pending = [client.submit(GetData("/big")) for _ in range(30)]
    time.sleep(0.02)  # somewhere in the middle of the answers
    os.kill(os.getpid(), signal.SIGKILL)
"""
    # What is left of one is found when the next one is served.
    for _ in range(3):
        died = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
        assert (died.returncode, died.stderr) == (-signal.SIGKILL, b"")
    assert until_serving(channel).last_zxid > 0
    member.terminate()
    assert member.communicate(timeout=PATIENCE_S)[1] == ""
    assert member.returncode == 0


def test_a_port_in_use_is_a_line_and_exit_status_2(config: ProcessConfig, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", config.port))
        other.listen()
        code, complaint = failure(config, tmp_path)
    assert code == 2
    assert f"127.0.0.1:{config.port}: cannot be bound" in complaint
    assert "cannot be bound" in (tmp_path / "data" / "last_error").read_text()


def test_a_directory_in_use_is_a_line_and_exit_status_2(
    member: subprocess.Popen[str], config: ProcessConfig, channel: grpc.Channel, tmp_path: Path
) -> None:
    until_serving(channel)
    code, complaint = failure(replace(config, port=free_port()), tmp_path)
    assert code == 2
    assert f"in use by process {member.pid}" in complaint


def test_a_damaged_file_is_a_line_and_exit_status_2(config: ProcessConfig, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "current_epoch").write_text("soon\n")
    code, complaint = failure(config, tmp_path)
    assert code == 2
    assert "current_epoch: damaged at offset 0" in complaint


def test_a_config_that_cannot_be_is_a_line_and_exit_status_2(
    config: ProcessConfig, tmp_path: Path
) -> None:
    code, complaint = failure(replace(config, core=replace(config.core, sid=4)), tmp_path)
    assert code == 2
    assert "core.sid" in complaint


PARENT = """
import json, sys, time
import multiprocess
from nodes.config import load_config
from nodes.process import run_member
from pathlib import Path

if __name__ == "__main__":
    process = multiprocess.get_context("spawn").Process(
        target=run_member, args=(load_config(Path(sys.argv[1])),)
    )
    process.start()
    print(process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_spawned_member_ends_with_its_parent(
    config: ProcessConfig, tmp_path: Path, channel: grpc.Channel, is_stopped: bool
) -> None:
    save_config(config, tmp_path / "member.json")
    (tmp_path / "parent.py").write_text(PARENT)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "member.json")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert parent.stdout is not None
    pid = int(json.loads(parent.stdout.readline()))
    until_serving(channel)
    os.kill(pid, signal.SIGINT)
    if is_stopped:
        os.kill(pid, signal.SIGSTOP)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + PATIENCE_S
    while is_running(pid):
        assert time.monotonic() < end, "outlived its parent"
        time.sleep(0.01)


def test_what_a_callback_of_ours_raises_stops_the_member(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[BaseException] = []

    class Connection(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            words_of(None)  # type: ignore[arg-type]

    async def raise_in_callbacks() -> None:
        fail_on_errors(failures.append)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Connection, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        loop.call_soon(int, "not ours")
        writer.write(b"What its bytes raise ends this connection only.")
        assert await reader.read() == b""
        writer.close()
        server.close()
        assert failures == []
        loop.call_soon(lambda: words_of(None))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(raise_in_callbacks())
    assert [type(error) for error in failures] == [AttributeError]
    logged = {type(record.exc_info[1]) for record in caplog.records if record.exc_info}
    assert logged >= {ValueError, AttributeError}


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
