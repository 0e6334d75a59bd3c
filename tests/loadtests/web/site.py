"""Locust with its web UI as a process of its own, on a free port of the loopback interface."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from orchestrator.ensemble import Ensemble
from orchestrator.ports import free_ports

LOCUSTFILE = Path(__file__).parents[3] / "loadtests" / "locustfile.py"
START_S = 30.0
STOP_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Site:
    """A running web UI and the ensemble whose rules it sets."""

    port: int
    ensemble: Ensemble

    @property
    def url(self) -> str:
        """Where Locust's own page is."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Answer:
        """Ask for something."""
        return self._ask("GET", path, None, {})

    def post(self, path: str, values: Any, **headers: str) -> Answer:
        """Send JSON, as a program does; headers with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask(
            "POST", path, json.dumps(values), {"Content-Type": "application/json", **named}
        )

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()


@contextmanager
def locust_web_ui(ensemble: Ensemble, log: Path, *arguments: str) -> Iterator[Site]:
    """Start Locust, wait until it answers, and end it afterwards."""
    port = free_ports("127.0.0.1", 1)[0]
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments]
    command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        try:
            site = Site(port, ensemble)
            _wait_until_answering(site, process, log)
            yield site
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_answering(site: Site, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            site.get("/stale-reads/data")
            return
        except OSError:
            is_over = process.poll() is not None or time.monotonic() > deadline
            assert not is_over, log.read_text(errors="replace")
            time.sleep(0.05)
