"""The example scripts, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A fake member in a process of its own."""
    serve = [sys.executable, "-m", "tests.client.fake_member"]
    with subprocess.Popen(
        serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        assert process.stdin is not None
        process.stdin.close()


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_create_get_watch(address: str) -> None:
    done = run("create_get_watch.py", address)
    assert done.returncode == 0, done.stderr
    assert "get: /example-0000000000 is b'first', version 0" in done.stdout
    assert "watch: NODE_DATA_CHANGED /example-0000000000" in done.stdout


def test_ephemeral_expiry(address: str) -> None:
    done = run("ephemeral_expiry.py", address)
    assert done.returncode == 0, done.stderr
    assert "after the last word" in done.stdout
    assert done.stdout.endswith("expired\n")


def test_sync_before_read(address: str) -> None:
    done = run("sync_before_read.py", address, address, "--rounds", "5")
    assert done.returncode == 0, done.stderr
    assert " sync: 0 of 5 reads stale" in done.stdout


@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_bad_input_is_one_clear_line(script: str) -> None:
    missing = run(script)
    assert missing.returncode == 2
    assert "the following arguments are required" in missing.stderr
    wrong = run(script, *(["nowhere"] * (2 if "sync" in script else 1)))
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: connect: BadArguments (-8): 'nowhere' is not host:port\n",
    )
