"""An application that trusts its session: jobs under a lock, and a service with one leader.

It uses kazoo and nothing of Lagkeeper. Each half has its cure, which can be taken out:

- `JobRunner` holds kazoo's lock while it works. The lock of a session that has expired belongs to
  somebody else already, while its old holder may not know. Cure: a fencing token that the ledger
  compares (the lock's czxid, which grows from holder to holder).
- `Candidate` takes part in kazoo's election. After a new session, kazoo takes a znode with its
  own name for its own, though it may be the old session's, on its way out. Cure: whoever wins
  compares the znode's owner with the session, and runs again if they differ.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException

TIMEOUT_S = 10
JOBS = "/jobs"
ELECTION = "/service"


def connect(hosts: str) -> KazooClient:
    """Open a session."""
    client = KazooClient(hosts, timeout=TIMEOUT_S)
    client.start(timeout=TIMEOUT_S)
    return client


def session_of(client: KazooClient) -> int:
    """The session's id; 0 while there is none."""
    return client.client_id[0] if client.client_id else 0


class Fenced(Exception):
    """Somebody who came later has written already."""


class Ledger:
    """Where results go: a store outside of ZooKeeper, with everything that was accepted."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self._highest = 0
        self._lock = threading.Lock()

    def append(self, entry: str, token: int | None) -> None:
        """Accept an entry. Raises Fenced if a holder with a higher token has been here."""
        with self._lock:
            if token is not None:
                if token < self._highest:
                    raise Fenced(f"{token:#x} is behind {self._highest:#x}")
                self._highest = token
            self.entries.append(entry)


class JobRunner:
    """Runs jobs one at a time over all runners, by kazoo's lock."""

    def __init__(self, hosts: str, name: str, ledger: Ledger, *, is_fenced: bool = True) -> None:
        self.client = connect(hosts)
        self._name = name
        self._ledger = ledger
        self._is_fenced = is_fenced

    def run(self, job: Callable[[], str]) -> None:
        """Wait for the lock, do the job, write its result. Raises Fenced if that is too late."""
        lock = self.client.Lock(JOBS, self._name)
        with lock:
            token = None
            if self._is_fenced:
                token = self.client.exists(f"{JOBS}/{lock.node}").czxid
            self._ledger.append(job(), token)

    def close(self) -> None:
        """End the session."""
        self.client.stop()
        self.client.close()


class Stage:
    """Who leads now, and how many ever did at once."""

    def __init__(self) -> None:
        self.leaders: list[str] = []
        self.most_at_once = 0
        self._lock = threading.Lock()

    def enter(self, name: str) -> None:
        """Begin to lead."""
        with self._lock:
            self.leaders.append(name)
            self.most_at_once = max(self.most_at_once, len(self.leaders))

    def leave(self, name: str) -> None:
        """Lead no more."""
        with self._lock:
            self.leaders.remove(name)


class Candidate:
    """Leads while kazoo's election says so and the session is not lost."""

    def __init__(self, hosts: str, name: str, stage: Stage, *, checks_owner: bool = True) -> None:
        self.client = connect(hosts)
        self._name = name
        self._stage = stage
        self._checks_owner = checks_owner
        self._is_over = threading.Event()
        self._stops = threading.Event()
        self._election = self.client.Election(ELECTION, name)
        self._thread = threading.Thread(target=self._run, name=f"candidate {name}")
        self.client.add_listener(self._on_state)
        self._thread.start()

    def contenders(self) -> list[str]:
        """Who stands in line, the leader first."""
        return list(self._election.contenders())

    def close(self) -> None:
        """Resign, or leave the line."""
        self._is_over.set()
        self._stops.set()
        self._election.cancel()
        self._thread.join()
        self.client.stop()
        self.client.close()

    def _on_state(self, state: str) -> None:
        if state == KazooState.LOST:
            self._stops.set()

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                self._election.run(self._lead)
            except KazooException:
                # A session that ends in the middle: stand in line again.
                continue

    def _lead(self) -> None:
        self._stops.clear()
        if self._is_over.is_set() or (self._checks_owner and not self._owns_its_znode()):
            # Kazoo deletes the znode, whoever's it was, and the line is the right one again.
            return
        self._stage.enter(self._name)
        self._stops.wait()
        self._stage.leave(self._name)

    def _owns_its_znode(self) -> bool:
        stat = self.client.exists(f"{ELECTION}/{self._election.lock.node}")
        return stat is not None and stat.ephemeralOwner == session_of(self.client)
