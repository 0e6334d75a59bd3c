"""zkCli.sh, Apache's Java client, the C client and one from npm, unmodified."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.conftest import Trouble, ensemble, hosts, trouble

__all__ = ["ensemble", "hosts", "trouble"]

pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parent
JAVA_JARS = Path("/usr/share/java")
ZK_CLI = Path("/usr/share/zookeeper/bin/zkCli.sh")
C_CLI = Path("/usr/lib/zookeeper/bin/cli_mt")
PACKAGE = "node-zookeeper-client@1.1.3"


def run(command: Sequence[str | Path], text: str = "", cwd: Path | None = None) -> str:
    """Run a program and return what it printed; fail with that if it fails or does not end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(text, timeout=100)
    except subprocess.TimeoutExpired:
        # A script may have started what it is a script for.
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        pytest.fail(f"{command[0]} has not ended; it printed:\n{printed}")
    assert process.returncode == 0, printed
    return printed


@pytest.mark.skipif(not ZK_CLI.exists(), reason="Debian's package zookeeper is not here")
def test_zk_cli(hosts: str) -> None:
    commands = (
        "create /cli hello",
        "get -s /cli",
        "set /cli longer",
        "get /cli",
        "stat /cli",
        "create -e -s /cli/e- x",
        "ls -R /cli",
        "getEphemerals /cli",
        "getAllChildrenNumber /cli",
        "addauth digest ann:secret",
        "create /cli/mine x auth::cdrwa",
        "getAcl /cli/mine",
        "setAcl /cli/mine world:anyone:r",
        "set /cli/mine y",
        "addWatch -m PERSISTENT_RECURSIVE /cli",
        "create /cli/w",
        "setquota -n 5 /cli",
        "listquota /cli",
        "create -t 60000 /cli/ttl",
        "create -c /cli/container",
        "sync /cli",
        "config",
        "reconfig -remove 3",
        "deleteall /cli",
        "ls /",
        "quit",
    )
    printed = run([ZK_CLI, "-server", hosts], "\n".join(commands) + "\n")
    for expected in (
        "Created /cli",
        "dataLength = 5",
        "longer",
        "dataVersion = 1",
        "[/cli/e-0000000000]",
        "'digest,'ann:",
        "Insufficient permission",
        "type:NodeCreated path:/cli/w",
        "Output quota for /cli count=5",
        "server.1=127.0.0.1",
        "[zookeeper]",
    ):
        assert expected in printed, f"'{expected}' is not in:\n{printed}"


@pytest.mark.skipif(not C_CLI.exists(), reason="Debian's package zookeeper-bin is not here")
def test_the_c_client(hosts: str, tmp_path: Path) -> None:
    session = (
        # It drops what it is asked before it is connected, and quits without waiting for answers.
        ("", "CONNECTED_STATE"),
        ("create /c", "[/c]: rc = 0"),
        ("set /c more", "/c: rc = 0"),
        ("get /c", "value_len = 4"),
        ("ls /", "/: rc = 0"),
        ("exists /c", ""),
        ("create +e /e", "[/e]: rc = 0"),
        ("sync /", "[/]: rc = 0"),
        ("delete /c", "DELETED_EVENT state = CONNECTED_STATE for path /c"),
        ("get /c", "/c: rc = -101"),
        ("quit", "Quitting"),
    )
    output = tmp_path / "printed"
    with (
        output.open("w") as file,
        subprocess.Popen(
            [C_CLI, "-h", hosts],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        try:
            for command, answer in session:
                seen = len(output.read_text())
                if command:
                    process.stdin.write(command + "\n")
                    process.stdin.flush()
                deadline = time.monotonic() + 30
                while answer not in output.read_text()[seen if command else 0 :]:
                    assert time.monotonic() < deadline, f"no '{answer}' in:\n{output.read_text()}"
                    time.sleep(0.01)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK here")
@pytest.mark.skipif(
    not (JAVA_JARS / "zookeeper.jar").exists(), reason="Debian's package zookeeper is not here"
)
def test_the_java_client_and_its_recipes(hosts: str, tmp_path: Path, trouble: Trouble) -> None:
    jar = JAVA_JARS / "zookeeper.jar"
    run(["javac", "-cp", jar, "-d", tmp_path, HERE / "Recipes.java"])
    printed = run(["java", "-cp", f"{jar}:{tmp_path}", "Recipes", hosts])
    for expected in (
        "locks: entered 10, at most 1 at once",
        "latch: the first leads true",
        "cache: follows true",
        "transaction: 3 results",
        "refused: BADVERSION",
        "data: 2 version 1",
        "ephemerals: 1",
        "done",
    ):
        assert expected in printed, f"'{expected}' is not in:\n{printed}"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here")
def test_a_client_from_npm(hosts: str, tmp_path: Path) -> None:
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", PACKAGE]
    try:
        subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=100, check=True)
    except subprocess.SubprocessError as error:
        pytest.skip(f"npm cannot fetch {PACKAGE}; no network? {error}")
    shutil.copy(HERE / "client.js", tmp_path)
    seen = json.loads(run(["node", "client.js", hosts], cwd=tmp_path).splitlines()[-1])
    assert seen == {
        "created": "/npm",
        "data": "one",
        "version": 0,
        "event": "NODE_DATA_CHANGED",
        "ephemeral": "/npm/e-0000000000",
        "children": ["e-0000000000"],
        "refused": "NODE_EXISTS",
        "transaction": 2,
        "missing": True,
    }
