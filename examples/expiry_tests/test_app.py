"""What the application does when a session expires: tested with Lagkeeper's pytest plugin.

`ensemble` is a real ensemble, clean for each test, whose leader is the member with the highest
sid, here 3. Each test opens the window in which the application would do harm, and holds it open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from app import Candidate, Fenced, JobRunner, Ledger, Stage, session_of

from orchestrator.ensemble import Ensemble

PATIENCE_S = 20


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"not so within {PATIENCE_S} s"
        time.sleep(0.01)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as opened:
        yield opened


def two_holders(ensemble: Ensemble, stack: ExitStack, *, is_fenced: bool) -> list[str]:
    """The session of a runner at work expires, and its own member has not heard of it yet."""
    ledger = Ledger()
    slow, quick = (
        stack.enter_context(closing(JobRunner(hosts, name, ledger, is_fenced=is_fenced)))
        for name, hosts in (("slow", ensemble.zk_address(1)), ("quick", ensemble.zk_address(3)))
    )
    begun, goes_on = threading.Event(), threading.Event()

    def job() -> str:
        begun.set()
        goes_on.wait(PATIENCE_S)
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        at_work = pool.submit(slow.run, job)
        assert begun.wait(PATIENCE_S)
        with ensemble.window("W2", session_of(slow.client), on=1):
            quick.run(lambda: "quick")
            goes_on.set()
            if not is_fenced:
                eventually(lambda: len(ledger.entries) == 2)
    refused = at_work.exception()
    assert isinstance(refused, Fenced) if is_fenced else refused is None
    return ledger.entries


def test_a_holder_that_has_not_heard_of_its_expiry_is_fenced(
    ensemble: Ensemble, stack: ExitStack
) -> None:
    assert two_holders(ensemble, stack, is_fenced=True) == ["quick"]


def test_without_fencing_two_hold_the_lock_and_the_late_one_wins(
    ensemble: Ensemble, stack: ExitStack
) -> None:
    assert two_holders(ensemble, stack, is_fenced=False) == ["quick", "slow"]


def elect_across_an_expiry(ensemble: Ensemble, stack: ExitStack, *, checks_owner: bool) -> Stage:
    """The session of the second in line expires; it meets its own old znode; the first resigns."""
    stage = Stage()

    def candidate(name: str, hosts: str) -> Candidate:
        one = Candidate(hosts, name, stage, checks_owner=checks_owner)
        stack.enter_context(closing(one))
        eventually(lambda: name in one.contenders())
        return one

    with closing(Candidate(ensemble.zk_address(3), "first", stage)) as first:
        eventually(lambda: stage.leaders == ["first"])
        second = candidate("second", f"{ensemble.zk_address(1)},{ensemble.zk_address(2)}")
        third = candidate("third", ensemble.zk_address(3))
        assert first.contenders() == ["first", "second", "third"]
        session_id = session_of(second.client)
        stack.enter_context(ensemble.window("W0", session_id))
        # Its member dies; the other one tells it that its session has expired.
        (its,) = (it for it in ensemble.sessions() if it.session_id == session_id)
        assert its.connected_to is not None
        ensemble.kill(its.connected_to)
        eventually(lambda: session_of(second.client) not in (0, session_id))
    if checks_owner:
        eventually(lambda: third.contenders() == ["third", "second"])
    else:
        eventually(lambda: stage.leaders == ["second"])
        ensemble.release_closing()
    eventually(lambda: "third" in stage.leaders)
    return stage


def test_a_candidate_that_meets_its_old_znode_stands_in_line_again(
    ensemble: Ensemble, stack: ExitStack
) -> None:
    assert elect_across_an_expiry(ensemble, stack, checks_owner=True).most_at_once == 1


def test_without_comparing_owners_two_lead(ensemble: Ensemble, stack: ExitStack) -> None:
    assert elect_across_an_expiry(ensemble, stack, checks_owner=False).most_at_once == 2


def test_hosts_are_all_that_an_application_needs(zookeeper_hosts: str, stack: ExitStack) -> None:
    ledger = Ledger()
    runner = stack.enter_context(closing(JobRunner(zookeeper_hosts, "only", ledger)))
    runner.run(lambda: "one")
    runner.run(lambda: "two")
    assert ledger.entries == ["one", "two"]
