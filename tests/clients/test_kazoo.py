"""Every recipe of kazoo, while members are killed and links delayed underneath."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from kazoo.client import KazooClient, KazooRetry
from kazoo.exceptions import ConnectionLoss
from kazoo.recipe.cache import TreeCache
from kazoo.recipe.queue import LockingQueue, Queue

from orchestrator.ensemble import Ensemble
from tests.clients.conftest import Trouble

pytestmark = pytest.mark.processes

PATIENCE_S = 60.0
MOST_ATTEMPTS = 10


def eventually(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def client(hosts: str) -> Any:
    retry = KazooRetry(max_tries=-1, delay=0.02, max_delay=0.2, deadline=PATIENCE_S)
    made = KazooClient(hosts, timeout=20, command_retry=retry, connection_retry=retry)
    made.start(PATIENCE_S)
    return made


@pytest.fixture
def clients(hosts: str) -> Iterator[tuple[Any, Any]]:
    pair = client(hosts), client(hosts)
    yield pair
    for one in pair:
        one.stop()
        one.close()


@pytest.fixture
def root(clients: tuple[Any, Any], request: pytest.FixtureRequest) -> str:
    path = f"/kazoo/{request.node.name}"
    clients[0].retry(clients[0].ensure_path, path)
    return path


def in_threads(*jobs: Callable[[], object]) -> list[object]:
    """Run jobs at once; return their results, raise what one of them raised."""
    results: list[object] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = jobs[index]()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(jobs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a recipe never came to its end"
    if errors:
        raise errors[0]
    return results


def locks(a: Any, b: Any, root: str) -> None:
    inside, most, entered = 0, 0, 0

    def enter(one: Any) -> None:
        nonlocal inside, most, entered
        for _ in range(5):
            with one.Lock(f"{root}/lock", "x"):
                inside += 1
                most = max(most, inside)
                entered += 1
                time.sleep(0.01)
                inside -= 1

    in_threads(lambda: enter(a), lambda: enter(b))
    assert (entered, most) == (10, 1)


def read_and_write_locks(a: Any, b: Any, root: str) -> None:
    readers = a.ReadLock(f"{root}/rw", "a"), b.ReadLock(f"{root}/rw", "b")
    assert all(lock.acquire(timeout=PATIENCE_S) for lock in readers)
    writer = b.WriteLock(f"{root}/rw", "w")
    assert not writer.acquire(blocking=False)
    for lock in readers:
        lock.release()
    assert writer.acquire(timeout=PATIENCE_S)
    assert not a.ReadLock(f"{root}/rw", "a").acquire(blocking=False)
    writer.release()


def semaphores(a: Any, b: Any, root: str) -> None:
    held = [one.Semaphore(f"{root}/sem", "x", max_leases=2) for one in (a, b)]
    assert all(one.acquire(timeout=PATIENCE_S) for one in held)
    third = a.Semaphore(f"{root}/sem", "y", max_leases=2)
    assert not third.acquire(blocking=False)
    held[0].release()
    assert third.acquire(timeout=PATIENCE_S)
    held[1].release()
    third.release()


def elections(a: Any, b: Any, root: str) -> None:
    led: list[str] = []
    in_threads(
        lambda: a.Election(f"{root}/election", "a").run(led.append, "a"),
        lambda: b.Election(f"{root}/election", "b").run(led.append, "b"),
    )
    assert sorted(led) == ["a", "b"]


def queues(a: Any, b: Any, root: str) -> None:
    simple, other = Queue(a, f"{root}/queue"), Queue(b, f"{root}/queue")
    sent = [str(number).encode() for number in range(5)]
    for item in sent:
        a.retry(simple.put, item)
    taken: list[bytes] = []
    eventually(lambda: _take(b, other, taken) == 5, "everything is taken")
    # Sent again after a lost connection, an item may be there twice; none may be missing.
    assert sorted(set(taken)) == sent


def locking_queues(a: Any, b: Any, root: str) -> None:
    locking = LockingQueue(a, f"{root}/locking")
    a.retry(locking.put_all, [b"low"], 200)
    a.retry(locking.put, b"high", 1)
    b.retry(b.sync, root)
    first = LockingQueue(b, f"{root}/locking")
    assert first.get(PATIENCE_S) == b"high"
    assert b.retry(first.consume)


def _take(one: Any, queue: Any, taken: list[bytes]) -> int:
    item = one.retry(queue.get)
    if item is not None:
        taken.append(item)
    return len(set(taken))


def barriers(a: Any, b: Any, root: str) -> None:
    barrier = a.Barrier(f"{root}/barrier")
    barrier.create()
    b.retry(b.sync, root)
    assert not b.Barrier(f"{root}/barrier").wait(0.05)
    done = in_threads(lambda: b.Barrier(f"{root}/barrier").wait(PATIENCE_S), barrier.remove)
    assert done[0]


def double_barriers(a: Any, b: Any, root: str) -> None:
    pair = [one.DoubleBarrier(f"{root}/double", 2, str(i)) for i, one in enumerate((a, b))]
    in_threads(*(one.enter for one in pair))
    in_threads(*(one.leave for one in pair))


def parties(a: Any, b: Any, root: str) -> None:
    for kind in ("Party", "ShallowParty"):
        members = [getattr(one, kind)(f"{root}/{kind}", name) for one, name in ((a, "a"), (b, "b"))]
        for member in members:
            member.join()
        eventually(functools.partial(_are_in, members[1], ["a", "b"]), f"both are in {kind}")
        members[0].leave()
        eventually(functools.partial(_are_in, members[1], ["b"]), f"one has left {kind}")


def _are_in(party: Any, names: list[str]) -> bool:
    return sorted(party) == names


def counters(a: Any, b: Any, root: str) -> None:
    first, second = a.Counter(f"{root}/counter"), b.Counter(f"{root}/counter")

    def count(counter: Any) -> None:
        for _ in range(5):
            counter += 1

    in_threads(lambda: count(first), lambda: count(second))
    # A write whose answer was lost with its connection is done again: never fewer.
    assert b.retry(lambda: second.value) >= 10


def watchers(a: Any, b: Any, root: str) -> None:
    seen: list[bytes | None] = []
    children: list[list[str]] = []
    a.DataWatch(f"{root}/data", lambda data, stat: seen.append(data))
    a.ChildrenWatch(root, lambda names: children.append(sorted(names)))
    b.retry(b.ensure_path, f"{root}/data")
    for value in (b"1", b"2", b"3"):
        b.retry(b.set, f"{root}/data", value)
    eventually(lambda: seen[-1:] == [b"3"], "the last value is seen")
    eventually(lambda: children[-1:] == [["data"]], "the child is seen")


def tree_caches(a: Any, b: Any, root: str) -> None:
    cache = TreeCache(a, root)
    cache.start()
    try:
        b.retry(b.ensure_path, f"{root}/x/y")
        b.retry(b.set, f"{root}/x/y", b"deep")
        eventually(lambda: cache.get_data(f"{root}/x/y"), "the cache has the znode")
        eventually(lambda: cache.get_data(f"{root}/x/y").data == b"deep", "and its data")
        b.retry(b.delete, f"{root}/x", recursive=True)
        eventually(lambda: cache.get_children(root) == frozenset(), "the cache forgets it")
    finally:
        cache.close()


def leases(a: Any, b: Any, root: str) -> None:
    hour = timedelta(hours=1)
    # They ask once; what is lost with a connection is their user's to ask again.
    assert a.retry(a.NonBlockingLease, f"{root}/lease", hour, "a")
    b.retry(b.sync, root)
    assert not b.retry(b.NonBlockingLease, f"{root}/lease", hour, "b")
    for one in (a, b):
        assert one.retry(one.MultiNonBlockingLease, 2, f"{root}/several", hour, str(one))


def partitioners(a: Any, b: Any, root: str) -> None:
    members = [
        one.SetPartitioner(f"{root}/set", set(range(4)), identifier=name, time_boundary=0.2)
        for one, name in ((a, "a"), (b, "b"))
    ]

    def settled() -> bool:
        for member in members:
            if member.release:
                member.release_set()
        both = [set(member) for member in members if member.acquired]
        return len(both) == 2 and not both[0] & both[1] and len(both[0] | both[1]) == 4

    eventually(settled, "the set is divided")
    for member in members:
        member.finish()


def transactions(a: Any, b: Any, root: str) -> None:
    def commit(one: Any, name: str) -> list[Any]:
        transaction = one.transaction()
        transaction.check(root, -1)
        transaction.create(f"{root}/{name}", b"1")
        transaction.set_data(f"{root}/{name}", b"2")
        return list(one.retry(transaction.commit))

    commit(a, "one")
    assert b.retry(lambda: (b.sync(root), b.get(f"{root}/one"))[1])[0] == b"2"
    refused = commit(b, "one")
    assert type(refused[1]).__name__ == "NodeExistsError"


RECIPES = (
    locks,
    read_and_write_locks,
    semaphores,
    elections,
    queues,
    parties,
    counters,
    watchers,
    tree_caches,
    leases,
    partitioners,
    transactions,
)
# They watch once and do not hear that a connection was lost: in peace they are played.
FRAGILE = (locking_queues, barriers, double_barriers)


@pytest.mark.timeout(300)
def test_every_recipe_while_members_die(
    hosts: str, clients: tuple[Any, Any], root: str, trouble: Trouble, ensemble: Ensemble
) -> None:
    """Each takes its time under trouble; but the fragile ones are played between two deaths."""
    for one in clients:
        one.retry(one.ensure_path, root)

    def play(recipe: Callable[[Any, Any, str], None]) -> None:
        for attempt in range(MOST_ATTEMPTS):
            path = f"{root}/{recipe.__name__}-{attempt}"
            clients[0].retry(clients[0].ensure_path, path)
            clients[1].retry(clients[1].sync, path)
            try:
                return recipe(*clients, path)
            except ConnectionLoss:
                # Some of what kazoo does it asks only once; to begin again is its user's.
                continue
        raise AssertionError("the connection was lost each time")

    for recipe in RECIPES + FRAGILE:
        try:
            with trouble.turn if recipe in FRAGILE else nullcontext():
                play(recipe)
        except BaseException as error:
            error.add_note(f"in kazoo's recipe: {recipe.__name__}; {trouble.kills} members killed")
            raise
    assert ensemble.link("*->*").touched() > 0
