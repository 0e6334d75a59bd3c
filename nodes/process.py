"""A member's process from its first line to its exit code.

Assembles the parts, binds the port, obeys SIGTERM, ends with its parent, and says in one line why
it ended if nobody asked it to. Decides nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

# Before gRPC is loaded: a port in use would otherwise be reported in its own many lines.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# gRPC's event engine hands each message from thread to thread: twice the context switches.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")

import grpc
import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from lagkeeper.v1 import admin_pb2_grpc

from nodes.admin import AdminService
from nodes.clients import ClientPorts
from nodes.codec import TxnCodec
from nodes.config import ConfigError, ProcessConfig, check_config, show_address
from nodes.core.errors import InvariantBroken
from nodes.core.events import Started
from nodes.core.member import Member
from nodes.driver import Driver
from nodes.exposition import MetricsPort
from nodes.logfile import StorageError
from nodes.metrics import Metrics
from nodes.service import ClientService
from nodes.storage import Storage
from nodes.traces import TraceLog
from nodes.transport import OPTIONS, Transport
from nodes.wire.server import PortTaken, WireServer
from nodes.wire.words import Words

EXIT_CRASHED = 1
EXIT_BAD_INPUT = 2
EXIT_INVARIANT_BROKEN = 3
SERVICES = ("ClientService", "PeerService", "AdminService")
PR_SET_PDEATHSIG = 1
STOP_GRACE_S = 0.3


class PortError(Exception):
    """The member's port cannot be had."""


def run_member(config: ProcessConfig) -> None:
    """Be the member until told to stop; ends with SystemExit and the code that fits.

    0: stopped by SIGTERM. 2: configuration, port or files. 3: a broken invariant. 1: else.
    """
    has_parent = _end_with_parent()
    # A thread waits up to this long for another one's Python code: the disk's for the loop's.
    sys.setswitchinterval(0.0005)
    try:
        check_config(config)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(config, has_parent))
    except (ConfigError, StorageError, PortError, PortTaken) as error:
        _report(config, str(error))
        raise SystemExit(EXIT_BAD_INPUT) from None
    except InvariantBroken as error:
        _report(config, f"invariant broken: {error}")
        raise SystemExit(EXIT_INVARIANT_BROKEN) from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        _report(config, f"{type(error).__name__}: {error} ({where})")
        raise SystemExit(EXIT_CRASHED) from None
    raise SystemExit(0)


def _end_with_parent() -> bool:
    """Have the system kill this process when its parent ends; False if it has no such parent.

    A stopped (SIGSTOP) member would never notice by itself.
    """
    spawning = sys.modules.get("multiprocess")
    parent = spawning.parent_process() if spawning is not None else None
    if parent is None:
        return False
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent.pid:
            raise SystemExit(EXIT_CRASHED)
    return True


def _report(config: ProcessConfig, message: str) -> None:
    """One line to stderr and to `last_error`, for whoever wonders."""
    line = " ".join(message.split()) + "\n"
    sys.stderr.write(f"member {config.core.sid}: {line}")
    with contextlib.suppress(OSError):
        Path(config.data_dir, "last_error").write_text(line, encoding="utf-8")


async def _run(config: ProcessConfig, has_parent: bool) -> None:
    stop = _listen_for_stop(has_parent)
    storage = Storage(Path(config.data_dir))
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    try:
        recovered = storage.open()
        _bind(server, config)
        core = replace(config.core, wall_offset_ms=(time.time() - time.monotonic()) * 1000)
        codec = TxnCodec()
        member = Member(core, recovered)
        driver = Driver(member, codec, storage, TraceLog())
        transport = Transport(core.sid, config.peers, codec, Random())
        transport.trace_to(driver.traces)
        numbers = count(1)
        clients, wire = ClientService(numbers), WireServer(numbers, config)
        admin = AdminService(driver, transport, storage)
        tell = _serve(server, transport, clients, admin)

        def serving_changed(is_serving: bool) -> None:
            wire.set_serving(is_serving)
            tell(is_serving)

        fail_on_errors(driver.fail)
        driver.attach(transport, ClientPorts(clients, wire), serving_changed)
        metrics = Metrics(core, driver, transport, storage)
        wire.answer_word = Words(config, member, wire, metrics.zookeeper).answer
        metrics_port = _take_metrics_port(config)
        storage.start(driver.handle_threadsafe, driver.fail_threadsafe)
        await wire.start(driver.handle, driver.traces)
        await server.start()
        driver.handle((Started(),))
        clients.start(driver.handle)
        transport.start(driver.handle, driver.fail)
        if metrics_port is not None:
            metrics_port.start(metrics.gather)
        tune_collector()
        ends: set[asyncio.Future[Any]] = {stop, driver.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        asyncio.get_running_loop().set_exception_handler(None)
        driver.stop()
        await asyncio.gather(clients.close(), wire.close(), admin.close(), transport.close())
        if metrics_port is not None:
            await metrics_port.close()
        # For calls that are quick.
        await server.stop(STOP_GRACE_S)
        await _let_handlers_end()
    finally:
        storage.close()
    if driver.failed.done():
        raise driver.failed.result()


def fail_on_errors(fail: Callable[[BaseException], None]) -> None:
    """Have the running loop tell `fail` what its callbacks raise, instead of only logging it.

    What a client's bytes raise ends that client's connection, and a handler of gRPC's its call;
    that, and what did not pass through a line of this package, is logged.
    """
    package = str(Path(__file__).parent)

    def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        match context:
            case {"exception": BaseException() as error, "handle": _} if any(
                frame.f_code.co_filename.startswith(package)
                for frame, _ in traceback.walk_tb(error.__traceback__)
            ):
                fail(error)
            case _:
                loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(on_error)


async def _let_handlers_end() -> None:
    """Cancelled in the middle, gRPC's handlers would log the end of each stream as a crash."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=0.2)


def _listen_for_stop(has_parent: bool) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def on_stop() -> None:
        if not stop.done():
            stop.set_result(None)

    loop.add_signal_handler(signal.SIGTERM, on_stop)
    if has_parent:
        # Ctrl-C reaches the whole terminal; the orchestrator stops its members itself.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sentinel = sys.modules["multiprocess"].parent_process().sentinel

        def on_parent_ended() -> None:
            loop.remove_reader(sentinel)
            on_stop()

        loop.add_reader(sentinel, on_parent_ended)
    else:
        loop.add_signal_handler(signal.SIGINT, on_stop)
    return stop


def _bind(server: grpc.aio.Server, config: ProcessConfig) -> None:
    address = show_address(config.host, config.port)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise PortError(f"{address}: cannot be bound: in use, or not an address of this host")


def _take_metrics_port(config: ProcessConfig) -> MetricsPort | None:
    if not config.metrics_port:
        return None
    try:
        return MetricsPort(config.metrics_host, config.metrics_port)
    except OSError as error:
        address = show_address(config.metrics_host, config.metrics_port)
        raise PortError(f"{address}, for metrics: cannot be bound: {error.strerror}") from None


def _serve(
    server: grpc.aio.Server, transport: Transport, clients: ClientService, admin: AdminService
) -> Any:
    """Add every service to the server; return what to call when serving begins or ends."""
    transport.add_to(server)
    clients.add_to(server)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = [f"lagkeeper.v1.{name}" for name in SERVICES]
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    loop = asyncio.get_running_loop()
    changes: set[asyncio.Task[None]] = set()

    async def tell(is_serving: bool) -> None:
        kinds = health_pb2.HealthCheckResponse
        for name in ("", *names):
            await servicer.set(name, kinds.SERVING if is_serving else kinds.NOT_SERVING)

    def serving_changed(is_serving: bool) -> None:
        task = loop.create_task(tell(is_serving))
        changes.add(task)
        task.add_done_callback(changes.discard)

    serving_changed(False)
    return serving_changed


def tune_collector() -> None:
    """What is alive now stays alive: never look at it again, and at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
