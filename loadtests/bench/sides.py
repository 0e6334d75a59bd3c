"""The two ensembles that are compared: Apache ZooKeeper from Debian's package, and this one.

Owns their processes, on loopback, in temporary directories; both get the same limits.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from loadtests.bench.raw import first_write
from orchestrator.ensemble import Ensemble
from orchestrator.ports import free_ports

JAR = Path("/usr/share/java/zookeeper.jar")
MEMBERS = 3
TICK_MS = 1000
_LEADS = re.compile(rb"Mode: leader")


class Side(Protocol):
    """A started ensemble of MEMBERS members."""

    name: str
    # From the order to start to the first committed write, seen by a client.
    start_s: float

    def addresses(self) -> list[str]:
        """host:port of each member for ZooKeeper's protocol."""

    def pids(self) -> list[int]:
        """The members' processes."""

    def kill_leader(self) -> list[str]:
        """SIGKILL; returns the addresses of the others."""

    def kill_all(self) -> None:
        """SIGKILL to every member; their files stay."""

    def start_all(self) -> None:
        """Start every member again, on its files."""

    def close(self) -> None:
        """End everything and remove the files."""


class Apache:
    """Real servers, with the package's defaults but for limits and the tick."""

    name = "ZooKeeper"

    def __init__(self) -> None:
        self._dir = Path(tempfile.mkdtemp(prefix="zookeeper-bench-"))
        ports = free_ports("127.0.0.1", 3 * MEMBERS)
        self._clients = ports[:MEMBERS]
        servers = "".join(
            f"server.{i + 1}=127.0.0.1:{ports[MEMBERS + i]}:{ports[2 * MEMBERS + i]}\n"
            for i in range(MEMBERS)
        )
        for i in range(MEMBERS):
            self._configure(i, servers)
        began = time.monotonic()
        self.start_all()
        try:
            asyncio.run(first_write(self.addresses(), "/started"))
        except BaseException:
            self.close()
            raise
        self.start_s = time.monotonic() - began

    def _configure(self, index: int, servers: str) -> None:
        home = self._dir / str(index + 1)
        (home / "data").mkdir(parents=True)
        (home / "data" / "myid").write_text(f"{index + 1}\n")
        (home / "zoo.cfg").write_text(
            f"tickTime={TICK_MS}\ninitLimit=10\nsyncLimit=5\ndataDir={home / 'data'}\n"
            f"clientPort={self._clients[index]}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=srvr\n" + servers
        )
        (home / "log4j.properties").write_text("log4j.rootLogger=OFF\n")

    def start_all(self) -> None:
        """Start every server, on what files it has."""
        self._processes = [self._start(self._dir / str(i + 1)) for i in range(MEMBERS)]

    @staticmethod
    def _start(home: Path) -> subprocess.Popen[bytes]:
        with (home / "out").open("wb") as out:
            return subprocess.Popen(
                ["java", "-Xmx512m", "-cp", f"{home}:{JAR}",
                 "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(home / "zoo.cfg")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def addresses(self) -> list[str]:
        """host:port of each member."""
        return [f"127.0.0.1:{port}" for port in self._clients]

    def pids(self) -> list[int]:
        """The servers' processes."""
        return [process.pid for process in self._processes]

    def kill_leader(self) -> list[str]:
        """SIGKILL the server that says it leads."""
        addresses = self.addresses()
        index = next(i for i, address in enumerate(addresses) if _says_it_leads(address))
        self._processes[index].kill()
        return addresses[:index] + addresses[index + 1 :]

    def kill_all(self) -> None:
        """SIGKILL to every server."""
        for process in self._processes:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Kill them; their files go."""
        self.kill_all()
        shutil.rmtree(self._dir, ignore_errors=True)


class Ours:
    """This project's members, with its own defaults but for the tick."""

    name = "Lagkeeper"

    def __init__(self) -> None:
        began = time.monotonic()
        self.ensemble = Ensemble(members=MEMBERS, tick_time_ms=TICK_MS, max_client_cnxns=0)
        self.ensemble.start_all()
        try:
            asyncio.run(first_write(self.addresses(), "/started"))
        except BaseException:
            self.close()
            raise
        self.start_s = time.monotonic() - began

    def addresses(self) -> list[str]:
        """host:port of each member."""
        return self.ensemble.zookeeper_hosts.split(",")

    def pids(self) -> list[int]:
        """The members' processes."""
        return [member.pid for member in self.ensemble.status().members]

    def kill_leader(self) -> list[str]:
        """SIGKILL the member that leads."""
        members = self.ensemble.status().members
        leader = next(member.sid for member in members if member.status.state == "LEADING")
        self.ensemble.kill(leader)
        return [self.ensemble.zk_address(member.sid) for member in members if member.sid != leader]

    def kill_all(self) -> None:
        """SIGKILL to every member."""
        for member in self.ensemble.status().members:
            if member.pid:
                self.ensemble.kill(member.sid)

    def start_all(self) -> None:
        """Start every member again, all at once: each start waits for its member's files."""
        sids = [member.sid for member in self.ensemble.status().members]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.ensemble.start, sids))

    def close(self) -> None:
        """End the ensemble."""
        self.ensemble.close()


def _says_it_leads(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"srvr")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    return _LEADS.search(answer) is not None


def missing() -> str | None:
    """Why nothing can be compared here, in one line; None if it can."""
    for tool in ("java", "javac"):
        if shutil.which(tool) is None:
            return f"{tool} is not here; install a JDK (Debian: default-jdk-headless)"
    if not JAR.exists():
        return "Apache ZooKeeper is not here; install it (Debian: apt-get install zookeeper)"
    return None
