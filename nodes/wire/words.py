"""Four-letter words: what operators and their tools ask a member, in ZooKeeper's own texts.

Answers from copies, and changes nothing but the counters that srst and crst reset. What
monitoring reads is compared with a real server's; where this program has nothing to say (Java's
own numbers, sizes of proposals), a line is missing or says -1.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nodes.config import ProcessConfig, words_of
from nodes.core.dump import Buckets, Dump
from nodes.core.member import Member
from nodes.core.messages import ServerState
from nodes.core.status import Status
from nodes.metrics import ZookeeperValues
from nodes.timer import monotonic_ms

if TYPE_CHECKING:
    from nodes.wire.connection import WireConnection
    from nodes.wire.server import WireServer

# The release whose behaviour this is; tools that parse versions want a date behind it.
VERSION = "3.8.0-lagkeeper, built on 2022-02-25 08:49 UTC"
NOT_SERVING = "This ZooKeeper instance is not currently serving requests\n"
_TRACE_MASK = "306"
_MODES = {
    ServerState.LEADING: "leader",
    ServerState.FOLLOWING: "follower",
    ServerState.OBSERVING: "observer",
}


class Words:
    """Answers the words of its whitelist; the others get ZooKeeper's refusal."""

    def __init__(
        self,
        config: ProcessConfig,
        member: Member,
        wire: WireServer,
        values: Callable[[], ZookeeperValues],
    ) -> None:
        self._config = config
        self._member = member
        self._wire = wire
        self._values = values
        self._answers: dict[str, Callable[[], str]] = {
            "conf": self._conf,
            "cons": self._cons,
            "crst": self._crst,
            "dirs": self._dirs,
            "dump": self._dump,
            "envi": environment,
            "gtmk": lambda: _TRACE_MASK,
            "hash": lambda: "",
            "isro": self._isro,
            "mntr": self._mntr,
            "ruok": lambda: "imok",
            "srst": self._srst,
            "srvr": self._srvr,
            "stat": self._stat,
            "wchc": self._wchc,
            "wchp": self._wchp,
            "wchs": self._wchs,
        }
        self._while_not_serving = {"ruok", "isro", "envi", "gtmk"}
        # Whatever the list says: clients of read-only members look for better ones by isro,
        # ZooKeeper's own scripts ask srvr.
        needed = {"srvr", "isro"} if config.core.read_only_mode_enabled else {"srvr"}
        self._whitelist = words_of(config.wire.four_letter_words) | needed

    def answer(self, word: bytes) -> bytes | None:
        """Return the answer to the first four bytes of a connection; None if they are no word."""
        name = word.decode("ascii", "replace")
        answer = self._answers.get(name)
        if answer is None:
            return None
        self._member.counters.requests.packets_received += 1
        if name not in self._whitelist:
            return f"{name} is not executed because it is not in the whitelist.\n".encode()
        if name not in self._while_not_serving and not self._member.is_serving:
            return NOT_SERVING.encode()
        return answer().encode()

    # The server.

    def _srvr(self) -> str:
        return f"Zookeeper version: {VERSION}\n{self._server_stats()}"

    def _stat(self) -> str:
        clients = "".join(f"{_client(it)}\n" for it in self._wire.connections)
        return f"Zookeeper version: {VERSION}\nClients:\n{clients}\n{self._server_stats()}"

    def _server_stats(self) -> str:
        status, requests = self._member.status(), self._member.counters.requests
        latency = requests.latency
        average_ms = round(latency.average_ms, 4)
        lines = [
            f"Latency min/avg/max: {latency.min_ms}/{average_ms}/{latency.max_ms}",
            f"Received: {requests.packets_received}",
            f"Sent: {requests.packets_sent}",
            f"Connections: {self._alive(status)}",
            f"Outstanding: {status.outstanding_requests}",
            f"Zxid: {status.last_zxid:#x}",
            f"Mode: {_mode(status)}",
            f"Node count: {status.znodes}",
        ]
        if status.state is ServerState.LEADING:
            lines.append("Proposal sizes last/min/max: -1/-1/-1")
        return _lines(lines)

    def _alive(self, status: Status) -> int:
        """Connections with a session, and those on which nobody has asked for one yet."""
        return status.connections + sum(not it.has_session for it in self._wire.connections)

    def _isro(self) -> str:
        if not self._member.is_serving:
            return "null"
        return "ro" if _mode(self._member.status()) == "read-only" else "rw"

    def _srst(self) -> str:
        self._member.counters.requests.reset()
        return "Server stats reset.\n"

    def _conf(self) -> str:
        core, wire = self._config.core, self._config.wire
        directory = Path(self._config.data_dir).absolute()
        size = _size(directory)
        lines = [
            f"clientPort={wire.port}",
            f"secureClientPort={wire.tls_port or -1}",
            f"dataDir={directory}",
            f"dataDirSize={size}",
            f"dataLogDir={directory}",
            f"dataLogSize={size}",
            f"tickTime={core.tick_time_ms}",
            f"maxClientCnxns={wire.max_client_cnxns}",
            f"minSessionTimeout={core.min_session_timeout_ms}",
            f"maxSessionTimeout={core.max_session_timeout_ms}",
            "clientPortListenBacklog=-1",
            f"serverId={core.sid}",
            f"initLimit={core.init_limit}",
            f"syncLimit={core.sync_limit}",
            "electionAlg=3",
            f"electionPort={self._config.port}",
            f"quorumPort={self._config.port}",
            f"peerType={int(core.is_observer)}",
            "membership: ",
        ]
        return _lines(lines) + core.quorum_config.decode()

    def _dirs(self) -> str:
        size = _size(Path(self._config.data_dir))
        return f"datadir_size: {size}\nlogdir_size: {size}\n"

    def _mntr(self) -> str:
        status, values = self._member.status(), self._values()
        lines = [
            ("version", VERSION),
            ("server_state", _mode(status)),
            ("peer_state", f"{status.state.name.lower()} - {status.phase.lower()}"),
            *values.gauges.items(),
            *values.counters.items(),
        ]
        if status.state is ServerState.LEADING:
            lines += [(f"{which}_proposal_size", -1) for which in ("last", "min", "max")]
        for name, (count, total) in values.summaries.items():
            average = round(total / count, 4) if count else 0.0
            lines += [(f"avg_{name}", average), (f"cnt_{name}", count), (f"sum_{name}", total)]
        return _lines(f"zk_{name}\t{value}" for name, value in lines)

    # Its connections.

    def _cons(self) -> str:
        return "".join(f"{_client_in_full(it)}\n" for it in self._wire.connections) + "\n"

    def _crst(self) -> str:
        for connection in self._wire.connections:
            connection.stats.reset()
        return "Connection stats reset.\n"

    # Its sessions and their watches.

    def _copy(self) -> Dump:
        dump = self._member.dump()
        assert dump is not None, "asked of a member that serves"
        return dump

    def _dump(self) -> str:
        dump = self._copy()
        owners = dump.ephemerals
        parts = ["SessionTracker dump:\n", _sessions(dump, self._config)]
        parts.append(f"ephemeral nodes dump:\nSessions with Ephemerals ({len(owners)}):\n")
        parts += [_group(owner, paths, ":") for owner, paths in owners.items()]
        return "".join((*parts, "Connections dump:\n", self._dump_connections()))

    def _dump_connections(self) -> str:
        by_instant: dict[float, list[str]] = {}
        for it in sorted(self._wire.connections, key=lambda it: it.closes_s):
            line = f"ip: {it.peer} sessionId: {_hex(it.session_id)}"
            by_instant.setdefault(it.closes_s, []).append(line)
        sets = [(at_s * 1000, tuple(lines)) for at_s, lines in by_instant.items()]
        return _expiry("Connections Sets", sets)

    def _wchs(self) -> str:
        watches = self._copy().watches
        return (
            f"{watches.connections} connections watching {watches.paths} paths\n"
            f"Total watches:{watches.watches}\n"
        )

    def _wchc(self) -> str:
        dump = self._copy()
        by_session = dump.watches_by_connection.items()
        return "".join(_group(dump.session_of[it], paths) for it, paths in by_session) + "\n"

    def _wchp(self) -> str:
        dump = self._copy()
        parts = []
        for path, numbers in dump.watches_by_path.items():
            parts.append(f"{path}\n")
            parts += [f"\t{_hex(dump.session_of[number])}\n" for number in numbers]
        return "".join(parts) + "\n"


def environment() -> str:
    """What this process runs in (envi)."""
    uname = platform.uname()
    return _lines(
        [
            "Environment:",
            f"zookeeper.version={VERSION}",
            f"host.name={socket.gethostname()}",
            f"python.version={platform.python_version()}",
            f"python.home={sys.prefix}",
            f"os.name={uname.system}",
            f"os.arch={uname.machine}",
            f"os.version={uname.release}",
            f"user.name={_known(getpass.getuser)}",
            f"user.home={_known(Path.home)}",
            f"user.dir={_known(Path.cwd)}",
        ]
    )


def _known(ask: Callable[[], object]) -> str:
    """In a container the user may have no name and no home; a directory may be gone."""
    try:
        return str(ask())
    except (KeyError, OSError, RuntimeError):
        return "<NA>"


def _mode(status: Status) -> str:
    return _MODES.get(status.state, "read-only")


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _hex(session_id: int) -> str:
    """As Java's Long.toHexString."""
    return f"{session_id & (1 << 64) - 1:#x}"


def _client(it: WireConnection) -> str:
    """The one that asks is not read from any more (0), the others are (1)."""
    counts = f"queued={len(it.asked)},recved={it.stats.received},sent={it.stats.sent}"
    return f" {it.peer}[{int(it.is_readable)}]({counts})"


def _client_in_full(it: WireConnection) -> str:
    if not it.session_id:
        return _client(it)
    stats, latency = it.stats, it.stats.latency
    return (
        f"{_client(it)[:-1]},sid={_hex(it.session_id)},lop={stats.last_op},"
        f"est={it.established_ms},to={round(it.session_timeout_s * 1000)},"
        f"lcxid={stats.last_xid & (1 << 64) - 1:#x},lzxid={stats.last_zxid & (1 << 64) - 1:#x},"
        f"lresp={stats.last_response_ms},llat={stats.last_latency_ms},minlat={latency.min_ms},"
        f"avglat={int(latency.average_ms)},maxlat={latency.max_ms})"
    )


def _group(session_id: int, paths: Iterable[str], colon: str = "") -> str:
    return f"{_hex(session_id)}{colon}\n" + "".join(f"\t{path}\n" for path in paths)


def _sessions(dump: Dump, config: ProcessConfig) -> str:
    has_local = config.core.local_sessions_enabled
    text = "Local " + _tracked(dump.local_expiry) if has_local else ""
    if dump.expiry is not None:
        return text + ("Global " if has_local else "") + _tracked(dump.expiry)
    sessions = sorted(dump.sessions.items())
    return (
        text
        + f"Global Sessions({len(sessions)}):\n"
        + "".join(f"{_hex(session)}\t{timeout_ms}ms\n" for session, timeout_ms in sessions)
    )


def _tracked(buckets: Buckets) -> str:
    sets = [(at_ms, tuple(map(_hex, ids))) for at_ms, ids in buckets if ids]
    return _expiry("Session Sets", sets)


def _expiry(title: str, sets: Sequence[tuple[float, Sequence[str]]]) -> str:
    """What is due when; the instants are the monotonic clock's, the dates Java's."""
    count = sum(len(lines) for _, lines in sets)
    parts = [f"{title} ({len(sets)})/({count}):\n"]
    offset_s = time.time() - monotonic_ms() / 1000
    for at_ms, lines in sets:
        at = time.localtime(at_ms / 1000 + offset_s)
        parts.append(f"{len(lines)} expire at {time.strftime('%a %b %d %H:%M:%S %Z %Y', at)}:\n")
        parts += [f"\t{line}\n" for line in lines]
    return "".join(parts)


def _size(directory: Path) -> int:
    size = 0
    for where, _, names in os.walk(directory):
        for name in names:
            # Snapshots and logs come and go while they are counted.
            with contextlib.suppress(FileNotFoundError):
                size += (Path(where) / name).stat().st_size
    return size
