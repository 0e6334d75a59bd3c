"""The keeper's life: claim the directory, start the members, serve, and end everything at last.

Runs in the main thread of its process, in front of a terminal (`orchestrator up`) or without one
(`launch`). The members are spawned before gRPC and asyncio are loaded, so that both load at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.config import EnsembleConfig
from orchestrator.directory import Claim
from orchestrator.errors import OrchestratorError
from orchestrator.ports import member_ports
from orchestrator.processes import MemberProcesses, process_configs

if TYPE_CHECKING:
    from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse

    from orchestrator.supervisor import Supervisor

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REFRESH_S = 0.5


class Watcher(Protocol):
    """Who is told how the ensemble fares."""

    is_curious: bool
    """Whether to be told of the ensemble again and again, or only once."""

    def waiting(self, text: str) -> None:
        """The members take long to serve."""

    def serving(self, view: GetEnsembleResponse, address: str) -> None:
        """All members serve; the orchestrator's own service is at the address."""

    def seen(self, view: GetEnsembleResponse) -> None:
        """The ensemble a moment later."""


def keep(config: EnsembleConfig, watcher: Watcher, tether: int | None = None) -> None:
    """Keep an ensemble until it is shut down, interrupted, or the file descriptor `tether` ends.

    Raises OrchestratorError if it cannot start. No member survives the call, whatever ends it.
    """
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    claim = Claim(config.directory)
    processes = None
    try:
        processes = MemberProcesses(process_configs(config, member_ports(config)))
        processes.start_all()
        import asyncio

        asyncio.run(_supervise(config, processes, claim, watcher, tether))
    except KeyboardInterrupt:
        pass
    finally:
        # A second Ctrl-C must not stop the stopping.
        for number in _ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        if processes is not None:
            processes.stop_all()
        claim.release()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


async def _supervise(
    config: EnsembleConfig,
    processes: MemberProcesses,
    claim: Claim,
    watcher: Watcher,
    tether: int | None,
) -> None:
    import asyncio

    from orchestrator.service import OrchestratorService, serve
    from orchestrator.supervisor import Supervisor

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, ended.set)
    if tether is not None:
        loop.add_reader(tether, _on_tether, tether, ended)
    supervisor = Supervisor(config, processes)

    async def shut_down() -> None:
        await supervisor.close()
        await asyncio.to_thread(processes.stop_all)
        ended.set()

    server, address = await serve(OrchestratorService(supervisor, shut_down))
    watching = asyncio.ensure_future(_watch(supervisor, claim, address, watcher))
    ending = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
        if watching.done() and not ended.is_set():
            await watching
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        ending.cancel()
        if tether is not None:
            loop.remove_reader(tether)
        # An answered Shutdown is still on its way out. On a busy machine that takes a while, and
        # whoever asked would be told that nobody answers.
        await server.stop(grace=3.0)
        await supervisor.close()


def _on_tether(tether: int, ended: Any) -> None:
    """End with whoever started this ensemble: the pipe's other end is shut, however they ended."""
    if not os.read(tether, 4096):
        ended.set()


async def _watch(supervisor: Supervisor, claim: Claim, address: str, watcher: Watcher) -> None:
    import asyncio

    await supervisor.wait_until_serving(watcher.waiting)
    claim.publish(address)
    watcher.serving(await supervisor.view(), address)
    while watcher.is_curious:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(supervisor.changed.wait(), REFRESH_S)
        supervisor.changed.clear()
        watcher.seen(await supervisor.view())
    await asyncio.Event().wait()


class _Messenger:
    """Tells a program at the other end of a pipe, one JSON object a line."""

    is_curious = False

    def waiting(self, text: str) -> None:
        _tell({"waiting": text})

    def serving(self, view: GetEnsembleResponse, address: str) -> None:
        _tell({"serving": address})

    def seen(self, view: GetEnsembleResponse) -> None:
        pass


def _tell(message: dict[str, str]) -> None:
    # A broken pipe: the program has what it wanted, or has ended; the tether tells which.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, (json.dumps(message) + "\n").encode())


def main() -> None:
    """Keep the ensemble that the first line of the standard input describes (see `launch`)."""
    order = json.loads(_first_line())
    config = EnsembleConfig.model_validate_json(json.dumps(order["config"]))
    try:
        keep(config, _Messenger(), tether=0 if order["is_tethered"] else None)
    except OrchestratorError as error:
        _tell({"error": str(error)})
        sys.exit(2)
    finally:
        if order["is_temporary"]:
            shutil.rmtree(config.directory, ignore_errors=True)


def _first_line() -> bytes:
    """Read unbuffered: what follows the line on the standard input is the tether's."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line
