"""Both ensembles, started once, and the comparison of a script's runs on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.differential import real
from tests.differential.meant import unexplained
from tests.differential.ours import OurEnsemble
from tests.differential.real import RealEnsemble
from tests.differential.script import Script, Steps, play_on_all
from tests.differential.sides import Side, Void
from tests.wire import ops
from tests.wire.raw import Raw, Reply

Compare = Callable[[Steps], None]
Sides = tuple[Side, Side]


@pytest.fixture(scope="session")
def sides() -> Iterator[Sides]:
    """The real ensemble and ours, of three members each, used by all scripts."""
    with ThreadPoolExecutor() as pool:
        real_one, our_one = pool.submit(RealEnsemble), pool.submit(OurEnsemble)
    started: list[Side] = [one.result() for one in (real_one, our_one) if one.exception() is None]
    try:
        yield real_one.result(), our_one.result()
    finally:
        for side in started:
            side.close()


@pytest.fixture(scope="session")
def fresh_trees(sides: Sides) -> dict[str, list[str]]:
    """What the very first session sees on each side."""
    return {side.name: _first_look(side) for side in sides}


@pytest.fixture
def compare(
    sides: Sides, fresh_trees: dict[str, list[str]], request: pytest.FixtureRequest
) -> Compare:
    """Run a script on both sides below a root of its own; fail if what they saw differs."""
    root = "/" + re.sub(r"\W+", "-", request.node.name)

    def run(steps: Steps) -> None:
        try:
            records = play_on_all(steps, sides, root)
        except Void as void:
            # Both: the next scripts may look at what all scripts before them have left. Ours first,
            # since the real one may fail at it again.
            for side in reversed(sides):
                side.begin_anew()
            pytest.skip(f"nothing to compare with: {void}")
        assert records["real"], "the script saw nothing"
        difference = unexplained(records["real"], records["ours"])
        if difference:
            pytest.fail(difference, pytrace=False)

    return run


def _first_look(side: Side) -> list[str]:
    seen: list[str] = []
    with Raw.open(side.address(side.leader())) as raw:
        first = raw.call(ops.PING)
        assert isinstance(first, Reply)
        seen.append(f"the first session's zxid counts {first.zxid & 0xFFFFFFFF}")
        script = Script.__new__(Script)
        script.base, script.root = first.zxid, "/nowhere"
        script.record, script._names = [], {}
        for op in (
            ops.exists("/"),
            ops.get_data("/"),
            ops.get_children2("/"),
            ops.get_acl("/"),
            ops.get_all_children_number("/"),
            ops.get_children2("/zookeeper"),
            ops.get_children2("/zookeeper/quota"),
            ops.get_acl("/zookeeper"),
            ops.get_acl("/zookeeper/quota"),
            ops.get_acl("/zookeeper/config"),
        ):
            script.note(f"{op.name} {op.path}", raw.call(op))
        # The membership has hosts and ports, which differ in length.
        script.record[-1] = re.sub(r"\d+ bytes", "some bytes", script.record[-1])
        seen += script.record
    return seen


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip in one line where there is no real server."""
    reason = real.missing()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))
