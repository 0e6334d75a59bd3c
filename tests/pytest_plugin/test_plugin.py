"""The plugin's behaviours, in runs of pytest of their own. What is slow is shared: one run for all
that a test may leave behind, on two workers of pytest-xdist; one for each way to end early.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from client.history import Trace, read_records

pytest_plugins = ["pytester"]

PATIENCE_S = 20
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "testing-your-application.md"

MARKERS = """
import pytest

@pytest.mark.lagkeeper(members=0)
def test_none():
    pass

@pytest.mark.lagkeeper(5)
def test_five():
    pass

@pytest.mark.lagkeeper(members=5)
def test_alone():
    pass

@pytest.mark.lagkeeper(members=5)
def test_asks(zookeeper_hosts):
    pass
"""

MARKERS_IN_A_CLASS = """
import pytest

@pytest.mark.lagkeeper(members=5)
class TestSome:
    @pytest.mark.lagkeeper(link="6->1 hold")
    @pytest.mark.parametrize("n", [1, 2])
    def test_six(self, n):
        pass
"""

UNUSED = """
import sys

def test_nothing_is_loaded_for_those_who_do_not_ask():
    ours = {"orchestrator.ensemble", "orchestrator.pytest_plugin.pool", "client.sync", "grpc"}
    assert not ours & set(sys.modules)
    assert "pydantic" not in sys.modules
"""

# In their order: each leaves something behind, and the next one looks.
LEFT = """
import pytest
from client.acl import CREATOR_ALL_ACL, READ_ACL
from client.ops import Create
from client.sync import Client

started = []

@pytest.fixture
def client(ensemble):
    if ensemble not in started:
        started.append(ensemble)
    status = ensemble.status()
    assert [m.process for m in status.members] == ["running"] * 3
    assert not any(m.status.closing_is_held for m in status.members)
    assert not any(link.rules for m in status.members for link in m.status.links)
    assert ensemble.leader() == 3
    assert ensemble.sessions() == []
    assert ensemble.link("*->*").touched() == 0
    with Client([ensemble.address(1)]) as client:
        assert client.children("/") == ["zookeeper"]
        assert client.get("/")[0] == b""
        assert client.get_acl("/")[0][0].perms == 31
        assert client.children("/zookeeper/quota") == []
        yield client

def test_znodes(client):
    client.create("/a")
    client.create("/a/b")
    client.create("/mine", ephemeral=True)
    client.create_container("/container")
    client.set("/", b"changed")

def test_access_lists(client):
    client.add_auth("digest", b"me:secret")
    client.create("/mine")
    client.create("/mine/alone", acl=CREATOR_ALL_ACL)
    client.set_acl("/mine", CREATOR_ALL_ACL)
    client.create("/zookeeper/quota/mine")
    client.set_acl("/", READ_ACL)

def test_sessions(client, ensemble):
    crashed = Client(ensemble.members).start()
    crashed.create("/crashed", ephemeral=True)
    crashed.go_silent()
    crashed.close()

def test_rules(client, ensemble):
    ensemble.link("3->1").hold(only="COMMIT")
    ensemble.link("2->*").delay(ms=5)
    client.submit(Create("/held"))  # a client that could not be closed with this rule in force

def test_closing(client, ensemble):
    ensemble.hold_closing()
    victim = Client(ensemble.members).start()
    ensemble.expire(victim.session_id)
    victim.close()

def test_processes(client, ensemble):
    ensemble.link("1->3").hold()
    ensemble.kill(2)
    ensemble.kill(1)

def test_a_frozen_process(client, ensemble):
    ensemble.pause(1)

def test_is_one_ensemble_until_here(client):
    assert len(started) == 1

def test_another_leader(client, ensemble):
    ensemble.kill(3)
    ensemble.wait_until(lambda s: any(m.status.state == "LEADING" for m in s.members))

def test_forgets_a_client(client, ensemble):
    assert len(started) == 2
    started.append(Client(ensemble.members).start())
"""

JUDGED = """
import pytest
from client.sync import Client

pytestmark = pytest.mark.lagkeeper(members=2)

def test_fails(ensemble):
    with Client([ensemble.address(2)]) as client:
        client.create("/seen", ephemeral=True)
        client.create("/left")
        with ensemble.window("W0", client.session_id):
            pass
        ensemble.wait_for_trace("close_applied", client.session_id)
        raise ValueError("on purpose")

@pytest.fixture
def broken(ensemble):
    raise ValueError("in a fixture")

def test_has_a_broken_fixture(broken):
    pass

@pytest.mark.lagkeeper(link="2->1 delay=50ms only=SNAP")
def test_touches_nothing(ensemble):
    assert len(ensemble.members) == 2

@pytest.mark.lagkeeper(link=["2->1 delay=1ms", "1->2 cut only=NEWLEADER"])
@pytest.mark.lagkeeper(strict_rules=True)
def test_touches_too_little(ensemble):
    with Client(ensemble.members) as client:
        client.create("/a")
        ensemble.wait_until(lambda status: ensemble.link("2->1").touched())
"""

ENDS = """
import os, signal
import pytest

@pytest.mark.lagkeeper(members=1)
def test_ends(ensemble):
    status = ensemble.status()
    with open("pids", "w") as out:
        out.write(" ".join(str(pid) for pid in (status.pid, status.members[0].pid)))
    {end}
"""


@pytest.fixture(autouse=True)
def only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is installed takes seconds to load, in each run anew."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "orchestrator.pytest_plugin")


def test_a_wrong_marker_is_told_with_its_place_before_any_test_runs(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_one=MARKERS, test_two=MARKERS_IN_A_CLASS)
    result = pytester.runpytest_inprocess("-rN")
    assert result.ret is pytest.ExitCode.INTERRUPTED
    said = [line for line in result.outlines if line.startswith("test_")]
    assert said == [
        "test_one.py:3: @pytest.mark.lagkeeper: members: input should be greater than or equal to"
        " 1, not 0",
        "test_one.py:7: @pytest.mark.lagkeeper: 5 without a name; write members=5, for example",
        "test_one.py:11: @pytest.mark.lagkeeper: the test uses no ensemble; ask for 'ensemble' or"
        " 'zookeeper_hosts'",
        "test_two.py:5: @pytest.mark.lagkeeper: link: '6->1': no member '6'; members are 1, 2, 3,"
        " 4, 5",
    ]


def test_a_run_without_ensembles_loads_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNUSED)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_each_test_is_alone_and_failures_are_kept(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\nlagkeeper_keep = failures\n")
    pytester.makepyfile(test_left=LEFT, test_judged=JUDGED)
    result = pytester.runpytest_subprocess("-p", "xdist", "-n", "2", "--dist", "loadfile")
    result.assert_outcomes(passed=11, failed=2, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "*ValueError: on purpose*",
            "*the rule 1->2 cut only=NEWLEADER touched no message, so the test tried nothing*",
            "*test_touches_nothing: the rule 2->1 delay=50ms only=SNAP touched no message*",
            "*test_forgets_a_client: its ensemble was replaced: clients are still connected*",
            "*test_another_leader: its ensemble was replaced: member ? leads now, not 3",
        ]
    )
    replaced = [line for line in result.outlines if "was replaced" in line]
    assert len(replaced) == 2, replaced
    _check_kept(pytester.path / "failures")


def _check_kept(failures: Path) -> None:
    assert sorted(place.name for place in failures.iterdir()) == [
        "test_judged.py-test_fails",
        "test_judged.py-test_has_a_broken_fixture",
        "test_judged.py-test_touches_too_little",
    ]
    place = failures / "test_judged.py-test_fails"
    assert sorted(path.name for path in place.iterdir()) == [
        "history.jsonl",
        "member-1.log",
        "member-2.log",
        "orchestrator.log",
        "picture.html",
        "status.json",
    ]
    assert "<svg" in (place / "picture.html").read_text()
    # As the test left it, not as it was cleaned.
    status = json.loads((place / "status.json").read_text())
    assert [member["status"]["znodes"] for member in status["members"]] == [6, 6]
    with (place / "history.jsonl").open("rb") as lines:
        kinds = {record.kind for record in read_records(lines) if isinstance(record, Trace)}
    assert {"close_marked", "close_applied", "message_sent", "message_received"} <= kinds


def test_what_the_documentation_says_is_so(pytester: pytest.Pytester) -> None:
    """Its code, in its order, as one file of tests."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", DOCUMENTATION.read_text(), re.DOTALL | re.MULTILINE
    )
    pytester.makepyfile("\n".join(blocks))
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=7)


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGINT)", "os.kill(os.getpid(), signal.SIGKILL)"],
    ids=["interrupted", "killed"],
)
def test_no_process_is_left_when_a_run_ends_early(pytester: pytest.Pytester, end: str) -> None:
    pytester.makepyfile(ENDS.format(end=end))
    result = pytester.runpytest_subprocess()
    assert result.ret != 0
    pids = [int(pid) for pid in (pytester.path / "pids").read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + PATIENCE_S
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = re.search(r"^State:\s+(\w)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return state is not None and state[1] != "Z"
