"""Ensembles of real processes: they start, obey, are watched, and nothing of them survives."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, NotPossible

pytestmark = pytest.mark.processes

# Stretch it on a slow machine.
PATIENCE_S = float(os.environ.get("LAGKEEPER_PATIENCE_S", "20"))


def eventually(claim: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def up(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Whoever goes on behind it has to have ended it; a test that fails ends it, too."""
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "up", "--dir", str(directory), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


@contextmanager
def heeded(number: signal.Signals) -> Iterator[None]:
    """What starts here heeds a signal that, behind nohup, it would ignore as its parent does."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def told(stderr: str) -> list[str]:
    """The lines that are not there just because the machine is busy."""
    return [line for line in stderr.splitlines() if "waiting for" not in line]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serving(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    view: dict[str, Any] = json.loads(line)
    return view


def pids(view: dict[str, Any]) -> list[int]:
    return [member["pid"] for member in view["members"]]


def assert_all_end(them: list[int]) -> None:
    eventually(lambda: not any(map(is_alive, them)), f"the end of {them}")


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    with Ensemble(members=3) as started:
        yield started


def test_members_are_listed_in_the_order_of_their_sids(ensemble: Ensemble) -> None:
    view = ensemble.status()
    assert [member.sid for member in view.members] == [1, 2, 3]
    assert ensemble.members == [member.address for member in view.members]
    assert ensemble.address(2) == ensemble.members[1]
    assert len(set(ensemble.members)) == 3
    assert ensemble.leader() in (1, 2, 3)


def test_a_rule_touches_messages_and_its_count_outlives_it(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    link = ensemble.link(f"{leader}->*")
    assert len(link.delay(ms=1)) == 2
    eventually(lambda: link.touched() > 0, "a ping that the delay touched")
    link.clear()
    assert link.touched() > 0


def test_a_rule_comes_back_with_its_member(ensemble: Ensemble) -> None:
    follower = next(sid for sid in (1, 2, 3) if sid != ensemble.leader())
    name = ensemble.link(f"{follower}->{ensemble.leader()}").delay(ms=2)[0]
    ensemble.kill(follower)
    ensemble.start(follower)
    view = ensemble.status()
    rules = [
        rule.rule.delay.delay_ms
        for link in view.members[follower - 1].status.links
        if f"{link.sender}->{link.receiver}" == name
        for rule in link.rules
    ]
    assert rules == [2]
    ensemble.link("*->*").clear()
    ensemble.wait_until_serving()


def test_kill_start_pause_resume(ensemble: Ensemble) -> None:
    ensemble.kill(2)
    killed = ensemble.status().members[1]
    assert (killed.process, killed.exit_code, killed.pid) == ("killed", -signal.SIGKILL, 0)
    with pytest.raises(NotPossible, match="member 2 has no process"):
        ensemble.pause(2)
    ensemble.start(2)
    with pytest.raises(NotPossible, match="member 2 is running already"):
        ensemble.start(2)
    ensemble.pause(2)
    assert ensemble.status().members[1].process == "paused"
    with pytest.raises(NotPossible, match="member 2 is paused"):
        ensemble.link("2->1").hold()
    for order in (ensemble.link("*->*").cut, ensemble.link("*->*").reset):
        with pytest.raises(NotPossible, match="member 2 is paused"):
            order()
    links = [link for member in ensemble.status().members for link in member.status.links]
    assert not any(link.rules for link in links), "an order is carried out whole or not at all"
    ensemble.resume(2)
    with pytest.raises(NotPossible, match="not paused"):
        ensemble.resume(2)
    ensemble.stop(2)
    assert ensemble.status().members[1].process == "stopped"
    assert ensemble.status().members[1].exit_code == 0
    ensemble.start(2)
    ensemble.wait_until_serving()


def test_a_member_that_ends_by_itself_is_noticed(ensemble: Ensemble) -> None:
    os.kill(ensemble.status().members[0].pid, signal.SIGKILL)
    view = ensemble.wait_until(lambda status: status.members[0].process != "running")
    assert view.members[0].process == "exited"
    assert view.members[0].exit_code == -signal.SIGKILL
    ensemble.start(1)
    ensemble.wait_until_serving()


def test_what_makes_no_sense_is_refused_and_the_ensemble_goes_on(ensemble: Ensemble) -> None:
    with pytest.raises(InvalidInput, match="no member 7; members are 1, 2, 3"):
        ensemble.kill(7)
    with pytest.raises(InvalidInput, match="members are 1, 2, 3"):
        ensemble.kill(10**20)
    with pytest.raises(InvalidInput, match="no member '7'"):
        ensemble.link("7->1").hold()
    with pytest.raises(InvalidInput, match="no link to itself"):
        ensemble.link("1->1").hold()
    with pytest.raises(InvalidInput, match="unknown message kind"):
        ensemble.link("1->2").hold(only="NONSENSE")
    assert ensemble.leader()


def test_without_a_majority_nobody_leads(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    for sid in {1, 2, 3} - {leader}:
        ensemble.kill(sid)
    ensemble.wait_until(lambda status: not status.members[leader - 1].status.is_serving)
    with pytest.raises(NotPossible, match="no member leads now"):
        ensemble.expire(1)
    for sid in {1, 2, 3} - {leader}:
        ensemble.start(sid)
    ensemble.wait_until_serving()


def test_traces_tell_what_happens_after_subscribing(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    follower = next(sid for sid in (1, 2, 3) if sid != leader)
    with ensemble.traces(follower) as traces:
        ensemble.stop(leader)
        assert next(iter(traces)).sid == follower
    ensemble.start(leader)
    ensemble.wait_until_serving()


def test_a_temporary_directory_is_removed_and_no_process_left() -> None:
    with Ensemble(members=1) as ensemble:
        view = ensemble.status()
    assert not Path(view.directory).exists()
    assert_all_end([view.pid, view.members[0].pid])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    with ExitStack() as started:
        with heeded(number):
            process = started.enter_context(up(tmp_path, "--members", "1", "--json"))
        members = pids(serving(process))
        # To the whole group, as the terminal does on Ctrl-C.
        os.killpg(process.pid, number)
        assert process.wait(PATIENCE_S) == 0
        assert_all_end(members)
        assert process.stderr is not None
        assert told(process.stderr.read()) == []
    assert not (tmp_path / "orchestrator.json").exists()


def test_kill_9_of_the_orchestrator_leaves_no_member(tmp_path: Path) -> None:
    with up(tmp_path, "--json") as process:
        members = pids(serving(process))
        paused = members[0]
        os.kill(paused, signal.SIGSTOP)
        process.kill()
        assert_all_end(members)
    found = run("status", "--dir", str(tmp_path))
    assert found.returncode == 2
    assert "no ensemble runs" in found.stderr
    with up(tmp_path, "--members", "1", "--json") as again:
        assert len(pids(serving(again))) == 1
        again.terminate()


def children(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


def test_kill_9_while_members_start_leaves_none(tmp_path: Path) -> None:
    with up(tmp_path, "--json") as process:
        # Three members, and the process in which multiprocess tracks what is shared.
        eventually(lambda: len(children(process)) == 4, "three members")
        them = children(process)
        process.kill()
        assert_all_end(them)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_ctrl_c_while_members_start_ends_all_without_a_word(tmp_path: Path, count: int) -> None:
    with up(tmp_path, "--json") as process:
        eventually(lambda: len(children(process)) >= count, f"{count} processes")
        them = children(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (out, told(err)) == ("", [])
        assert process.returncode == 0
        assert_all_end(them)


def test_kill_9_of_a_program_ends_its_ensemble(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from orchestrator.ensemble import Ensemble\n"
        f"ensemble = Ensemble(members=1, directory={str(tmp_path)!r})\n"
        "ensemble.start_all()\n"
        "view = ensemble.status()\n"
        "print(view.pid, view.members[0].pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        them = [int(pid) for pid in process.stdout.readline().split()]
        assert len(them) == 2
        process.kill()
        assert_all_end(them)


def test_a_second_up_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with up(tmp_path, "--members", "1", "--json") as process:
        members = pids(serving(process))
        second = run("up", "--dir", str(tmp_path))
        assert second.returncode == 2
        assert f"already (pid {process.pid})" in second.stderr
        assert is_alive(members[0])
        process.terminate()


def test_detached_it_serves_until_down(tmp_path: Path) -> None:
    where = ("--dir", str(tmp_path))
    started = run("up", "--members", "1", "--detach", "--json", *where)
    assert started.returncode == 0, started.stderr
    view = json.loads(started.stdout)
    shown = run("status", *where)
    assert "LEADING" in shown.stdout
    assert run("pause", "1", *where).returncode == 0
    ended = run("down", *where)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert_all_end([view["pid"], *pids(view)])


def test_members_may_listen_on_ipv6() -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this host has no IPv6")
    with Ensemble(members=1, host="::1") as started:
        assert started.members[0].startswith("[::1]:")


def test_why_a_member_cannot_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "member-2").mkdir()
    (tmp_path / "member-2" / "accepted_epoch").write_text("garbage")
    done = run("up", "--dir", str(tmp_path))
    assert done.returncode == 2
    assert len(told(done.stderr)) == 1
    assert "member 2 ended by itself with exit code 2" in done.stderr
    assert "accepted_epoch" in done.stderr


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "member-1").touch()
    done = run("up", "--dir", str(tmp_path))
    assert done.returncode == 2
    assert f"cannot use {tmp_path / 'member-1'} for member 1" in done.stderr


def test_on_a_terminal_the_table_lives_until_ctrl_c(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "up", "--members", "1", "--dir", str(tmp_path)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "150", "TERM": "xterm"},
    )
    os.close(terminal)
    seen = b""
    while b"Ctrl-C stops everything" not in seen:
        seen += os.read(controller, 4096)
    assert b"LEADING" in seen
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(controller, 4096):
            seen += chunk
    except OSError:
        # Linux says so when the last process has closed the terminal.
        pass
    os.close(controller)
    assert process.wait(PATIENCE_S) == 0
    assert b"\x1b[?25h" in seen, "the cursor is visible again"
    assert b"Traceback" not in seen
