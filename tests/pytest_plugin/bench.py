"""How long it takes to make an ensemble clean between two tests.

    python -m tests.pytest_plugin.bench

Each round leaves what a test may leave: sessions that are not closed, ephemeral and other znodes,
a link rule. The time is that of the fixture's end, and of its next beginning.
"""

from __future__ import annotations

import argparse
import statistics
import time

from client.sync import Client
from orchestrator.pytest_plugin.pool import Pool
from orchestrator.pytest_plugin.settings import read_settings

SESSIONS = 3
ZNODES = 20


def leave(members: list[str]) -> None:
    """Do what a test does."""
    clients = [Client(members, first=index).start() for index in range(SESSIONS)]
    for index in range(ZNODES):
        clients[index % SESSIONS].create(f"/left-{index}", ephemeral=bool(index % 2))
        if not index % 2:
            clients[0].create(f"/left-{index}/below")
    for client in clients:
        client.go_silent()
        client.close()


def measure(members: int, rounds: int) -> list[float]:
    """Milliseconds from the end of one test to the beginning of the next."""
    settings = read_settings({"members": members, "link": f"{members}->1 delay=1ms"})
    replaced: list[str] = []
    pool = Pool(replaced.append)
    try:
        lease = pool.lease(settings, "first")
        taken = []
        for number in range(rounds):
            lease.set_rules()
            leave(lease.ensemble.members)
            began = time.perf_counter()
            pool.give_back(lease)
            lease = pool.lease(settings, str(number))
            taken.append((time.perf_counter() - began) * 1000)
        assert not replaced, replaced
        return taken
    finally:
        pool.close()


def main() -> None:
    """Print a line for each size of ensemble."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    for members in (3, 5):
        taken = sorted(measure(members, rounds))
        p95 = taken[int(0.95 * (len(taken) - 1))]
        print(  # noqa: T201
            f"{members} members, {rounds} rounds: median {statistics.median(taken):.0f} ms,"
            f" p95 {p95:.0f} ms, max {taken[-1]:.0f} ms"
        )


if __name__ == "__main__":
    main()
