"""An ensemble of Apache ZooKeeper 3.8 from Debian's package, with a relay on every link.

Owns its processes and their directory. Loopback only; ports are the kernel's choice.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.differential.relays import Relays
from tests.differential.sides import (
    CONTAINER_INTERVAL_MS,
    INIT_LIMIT,
    MAX_TIMEOUT_MS,
    MIN_TIMEOUT_MS,
    SUPER,
    SYNC_LIMIT,
    TICK_MS,
    WORDS,
    Address,
    Side,
    Void,
)

JAR = Path("/usr/share/java/zookeeper.jar")
JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"


def missing() -> str | None:
    """Why no real ensemble can be had here, in one line; None if it can."""
    if shutil.which("java") is None:
        return "java is not here, so nothing is compared with the real server"
    if not JAR.exists():
        return "Debian's package zookeeper is not here, so nothing is compared with the real server"
    return None


class RealEnsemble(Side):
    """As many real servers as asked for; serves when the constructor returns."""

    name = "real"

    def __init__(self, members: int = 3, **properties: str) -> None:
        self.sids = tuple(range(1, members + 1))
        self._properties = properties
        self._begin()

    def _begin(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="zookeeper-"))
        self._relays = Relays()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._ports = {sid: _free_ports(3) for sid in self.sids}
        for sid in self.sids:
            self._configure(sid)
            self.start(sid)
        self.wait_until_serving()

    def begin_anew(self) -> None:
        """Start another ensemble in place of this one."""
        self.close()
        self._begin()

    def wait_for_members(self, is_so: Callable[[], bool], what: str, seconds: float) -> None:
        """Poll as for any side, but raise Void: this side is the measure, not what is tested."""
        try:
            super().wait_for_members(is_so, what, seconds)
        except AssertionError as error:
            raise Void(str(error)) from None

    def address(self, sid: int) -> Address:
        """Where a member serves clients."""
        return "127.0.0.1", self._ports[sid][0]

    def start(self, sid: int) -> None:
        """Start a server on its own directory."""
        home = self._home(sid)
        options = [f"-D{key}={value}" for key, value in self._system_properties().items()]
        with (home / "out").open("ab") as out:
            self._processes[sid] = subprocess.Popen(
                [*JAVA, *options, "-cp", f"{home}:{JAR}", MAIN, str(home / "zoo.cfg")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def kill(self, sid: int) -> None:
        """SIGKILL."""
        self._processes[sid].kill()
        self._processes[sid].wait()

    def pause(self, sid: int) -> None:
        """SIGSTOP."""
        self._processes[sid].send_signal(signal.SIGSTOP)

    def resume(self, sid: int) -> None:
        """SIGCONT."""
        self._processes[sid].send_signal(signal.SIGCONT)

    def delay(self, sender: int, receiver: int, delay_ms: float) -> None:
        """Delay a link at its relay."""
        self._relays.delay([(sender, receiver)], delay_ms / 1000)

    def hold(self, sender: int, receiver: int) -> None:
        """Hold a link at its relay."""
        self._relays.hold([(sender, receiver)])

    def release(self) -> None:
        """Let everything held go on."""
        self._relays.release()

    def close(self) -> None:
        """End every server and remove their files."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._relays.close()
        shutil.rmtree(self._directory)

    def _home(self, sid: int) -> Path:
        return self._directory / str(sid)

    def _system_properties(self) -> dict[str, str]:
        return {
            "log4j.configuration": "file:log4j.properties",
            "zookeeper.extendedTypesEnabled": "true",
            "zookeeper.DigestAuthenticationProvider.superDigest": SUPER,
            "znode.container.checkIntervalMs": str(CONTAINER_INTERVAL_MS),
            "java.net.preferIPv4Stack": "true",
            **self._properties,
        }

    def _configure(self, sid: int) -> None:
        home = self._home(sid)
        (home / "data").mkdir(parents=True)
        (home / "data" / "myid").write_text(f"{sid}\n")
        (home / "log4j.properties").write_text(_LOGGING.format(home=home))
        lines = [
            f"tickTime={TICK_MS}",
            f"initLimit={INIT_LIMIT}",
            f"syncLimit={SYNC_LIMIT}",
            f"minSessionTimeout={MIN_TIMEOUT_MS}",
            f"maxSessionTimeout={MAX_TIMEOUT_MS}",
            f"dataDir={home / 'data'}",
            f"clientPort={self._ports[sid][0]}",
            "clientPortAddress=127.0.0.1",
            "admin.enableServer=false",
            "maxClientCnxns=0",
            f"4lw.commands.whitelist={WORDS}",
        ]
        if len(self.sids) > 1:
            lines += [self._server_line(sid, other) for other in self.sids]
        (home / "zoo.cfg").write_text("\n".join(lines) + "\n")

    def _server_line(self, sid: int, other: int) -> str:
        ports = self._ports[other][1:]
        if other != sid:
            ports = [self._relays.add(sid, other, port) for port in ports]
        return f"server.{other}=127.0.0.1:{ports[0]}:{ports[1]}"


_LOGGING = """log4j.rootLogger=WARN, F
log4j.appender.F=org.apache.log4j.FileAppender
log4j.appender.F.File={home}/log
log4j.appender.F.layout=org.apache.log4j.PatternLayout
log4j.appender.F.layout.ConversionPattern=%d{{ISO8601}} %-5p [%t] %m%n
"""


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, below those of outgoing connections where possible."""
    from orchestrator.ports import free_ports

    return free_ports("127.0.0.1", count)
