"""An ensemble that is never left in peace while clients work with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from orchestrator.ensemble import Ensemble

# Members that die and come back, one after the other; a quorum of three is always there.
REST_S = 1.0
DELAY_MS = 10


class Trouble:
    """A thread that kills a member, starts it again, and goes on with the next."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.kills = 0
        # Held while a member dies and comes back.
        self.turn = threading.Lock()
        self._ensemble = ensemble
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trouble")

    def begin(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Leave every member running and the links as they were."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        sids = [member.sid for member in self._ensemble.status().members]
        while not self._is_over.wait(REST_S):
            with self.turn:
                sid = sids[self.kills % len(sids)]
                self._ensemble.kill(sid)
                self.kills += 1
                self._ensemble.start(sid)
                self._ensemble.wait_until_serving()


@pytest.fixture(scope="package")
def ensemble() -> Iterator[Ensemble]:
    """Three members with delayed links."""
    with Ensemble(members=3, max_session_timeout_ms=60_000, extended_types_enabled=True) as started:
        started.link("*->*").delay(ms=DELAY_MS, jitter_ms=5)
        yield started


@pytest.fixture(scope="package")
def hosts(ensemble: Ensemble) -> str:
    """What a client is given to connect to."""
    return ",".join(member.zk_address for member in ensemble.status().members)


@pytest.fixture
def trouble(ensemble: Ensemble) -> Iterator[Trouble]:
    """Trouble for the length of one test, which must have seen some of it."""
    running = Trouble(ensemble)
    running.begin()
    try:
        yield running
        deadline = time.monotonic() + 10
        while not running.kills and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        running.end()
    assert running.kills
