"""The members' processes: started with spawn, signalled, noticed when they end, all ended at last.

Knows processes only; what a member says of itself is `supervisor`'s. Imports neither gRPC nor
asyncio, so that members start before the orchestrator has loaded them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import multiprocess
from multiprocess import resource_tracker

from nodes.config import ProcessConfig, WireConfig, show_address
from orchestrator import entry
from orchestrator.errors import InvalidInput, NotPossible

if TYPE_CHECKING:
    from orchestrator.config import EnsembleConfig
    from orchestrator.ports import MemberPorts

# Never fork: a forked process that holds gRPC's threads half-copied hangs.
_CONTEXT = multiprocess.get_context("spawn")


class MemberProcess:
    """One member's process, through all its lives on the same port and directory.

    `state` is running, paused, killed or stopped (by an operator), or exited (by itself).
    """

    def __init__(self, config: ProcessConfig) -> None:
        self.config = config
        self.state = "stopped"
        self.exit_code: int | None = None
        self._process: Any = None
        self._end = "exited"

    @property
    def sid(self) -> int:
        """The member."""
        return self.config.core.sid

    @property
    def address(self) -> str:
        """host:port of all its services."""
        return show_address(self.config.host, self.config.port)

    @property
    def zk_address(self) -> str:
        """host:port of ZooKeeper's own protocol."""
        return show_address(self.config.host, self.config.wire.port)

    @property
    def zk_tls_address(self) -> str:
        """The same over TLS; empty if it has none."""
        port = self.config.wire.tls_port
        return show_address(self.config.host, port) if port else ""

    @property
    def metrics_url(self) -> str:
        """Where Prometheus finds its metrics."""
        return f"http://{show_address(self.config.metrics_host, self.config.metrics_port)}/metrics"

    @property
    def pid(self) -> int:
        """Its process id; 0 if it has no process."""
        pid: int = self._process.pid if self.is_alive else 0
        return pid

    @property
    def is_alive(self) -> bool:
        """Whether there is a process, running or paused."""
        return self.state in ("running", "paused")

    @property
    def sentinel(self) -> int:
        """A file descriptor that becomes readable when the process ends."""
        descriptor: int = self._process.sentinel
        return descriptor

    @property
    def last_error(self) -> str:
        """Why it ended, in its own words; empty if it did not say."""
        try:
            return self._last_error_file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    @property
    def _last_error_file(self) -> Path:
        return Path(self.config.data_dir) / "last_error"

    def start(self) -> None:
        """Start the process. Raises NotPossible if there is one."""
        if self.is_alive:
            raise NotPossible(f"member {self.sid} is {self.state} already")
        data_dir = Path(self.config.data_dir)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._last_error_file.unlink(missing_ok=True)
        except OSError as error:
            raise NotPossible(
                f"cannot use {data_dir} for member {self.sid}: {error.strerror};"
                " free it or choose another --dir"
            ) from None
        self._process = _CONTEXT.Process(
            target=entry.run,
            args=(self.config, str(data_dir / "output.log")),
            name=f"member-{self.sid}",
            daemon=True,
        )
        # It minds Ctrl-C itself, and would unblock it in the middle of what follows.
        resource_tracker.ensure_running()
        with _sigint_for_later():
            self._process.start()
            self.state, self.exit_code, self._end = "running", None, "exited"

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._signal(signal.SIGKILL)
        self._end = "killed"
        self._process.join()
        self.notice_end()

    def ask_to_stop(self) -> None:
        """SIGTERM; a paused process is resumed first, or it would never hear of it."""
        self._signal(signal.SIGTERM)
        self._end = "stopped"
        self._signal(signal.SIGCONT)

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)
        self.state = "paused"

    def resume(self) -> None:
        """SIGCONT. Raises NotPossible unless it is paused."""
        if self.state != "paused":
            raise NotPossible(f"member {self.sid} is {self.state}, not paused")
        self._signal(signal.SIGCONT)
        self.state = "running"

    def notice_end(self) -> bool:
        """Whether the process has ended, by itself or as it was told."""
        if self.is_alive and self._process.exitcode is not None:
            self.state, self.exit_code = self._end, self._process.exitcode
        return not self.is_alive

    def _signal(self, number: signal.Signals) -> None:
        if not self.is_alive:
            raise NotPossible(
                f"member {self.sid} has no process: it is {self.state};"
                f" start it with 'orchestrator start {self.sid}'"
            )
        os.kill(self._process.pid, number)


@contextlib.contextmanager
def _sigint_for_later() -> Iterator[None]:
    """What is spawned here never hears of Ctrl-C, and this process hears of it a moment later.

    A new process is in the terminal's process group until it leaves it (`entry`). Interrupted
    before that, in the middle of its imports, it would print a traceback into the terminal.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class MemberProcesses:
    """All members' processes. Whoever starts them calls `stop_all` in a `finally`."""

    def __init__(self, configs: Iterable[ProcessConfig]) -> None:
        self.by_sid = {config.core.sid: MemberProcess(config) for config in configs}

    def __iter__(self) -> Iterator[MemberProcess]:
        return iter(self.by_sid.values())

    def __getitem__(self, sid: int) -> MemberProcess:
        if sid not in self.by_sid:
            known = ", ".join(str(known) for known in self.by_sid)
            raise InvalidInput(f"no member {sid}; members are {known}")
        return self.by_sid[sid]

    def start_all(self) -> None:
        """Start every member."""
        for member in self.by_sid.values():
            member.start()

    def stop_all(self, grace_s: float = 3.0) -> None:
        """End every process: SIGTERM to all, and SIGKILL to those alive after the grace."""
        for member in self.by_sid.values():
            if not member.notice_end():
                member.ask_to_stop()
        deadline = time.monotonic() + grace_s
        while alive := [m for m in self.by_sid.values() if not m.notice_end()]:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                for member in alive:
                    member.kill()
                return
            wait([member.sentinel for member in alive], timeout=left_s)


def process_configs(config: EnsembleConfig, ports: list[MemberPorts]) -> list[ProcessConfig]:
    """What each member's process is started with; `ports` in the order of the sids."""
    from nodes.core.config import MemberConfig

    addresses = {
        sid: show_address(config.host, port.own)
        for sid, port in zip(config.sids, ports, strict=True)
    }
    membership = "\n".join(
        _membership_line(config, sid, port) for sid, port in zip(config.sids, ports, strict=True)
    )
    low_ms, high_ms = config.session_timeouts_ms
    return [
        ProcessConfig(
            core=MemberConfig(
                sid=sid,
                voters=config.voters,
                observers=config.observer_sids,
                tick_time_ms=config.tick_time_ms,
                init_limit=config.init_limit,
                sync_limit=config.sync_limit,
                min_session_timeout_ms=low_ms,
                max_session_timeout_ms=high_ms,
                snap_count=config.snap_count,
                local_sessions_enabled=config.local_sessions_enabled,
                local_sessions_upgrading_enabled=config.local_sessions_upgrading_enabled,
                read_only_mode_enabled=config.read_only_mode_enabled,
                extended_types_enabled=config.extended_types_enabled,
                container_check_interval_ms=config.container_check_interval_ms,
                enforce_quota=config.enforce_quota,
                super_digest=config.super_digest,
                membership=membership,
            ),
            host=config.host,
            port=port.own,
            wire=_wire_config(config, port),
            metrics_port=port.metrics,
            metrics_host=config.metrics_host,
            peers={peer: address for peer, address in addresses.items() if peer != sid},
            data_dir=str(config.directory.absolute() / f"member-{sid}"),
        )
        for sid, port in zip(config.sids, ports, strict=True)
    ]


def _membership_line(config: EnsembleConfig, sid: int, ports: MemberPorts) -> str:
    """As ZooKeeper writes a server; one port serves here where it has two, and the clients'."""
    role = "observer" if sid in config.observer_sids else "participant"
    own, zk = show_address(config.host, ports.own), show_address(config.host, ports.zk)
    return f"server.{sid}={own}:{ports.own}:{role};{zk}"


def _wire_config(config: EnsembleConfig, ports: MemberPorts) -> WireConfig:
    return WireConfig(
        port=ports.zk,
        max_client_cnxns=config.max_client_cnxns,
        four_letter_words=config.four_letter_words,
        tls_port=ports.zk_tls,
        certificate=_absolute(config.zk_tls_certificate),
        key=_absolute(config.zk_tls_key),
    )


def _absolute(path: Path | None) -> str:
    return str(path.absolute()) if path is not None else ""
