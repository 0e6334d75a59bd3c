"""Starts a keeper as a process of its own, and waits until its ensemble serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from orchestrator.config import EnsembleConfig
from orchestrator.errors import NotPossible

# Not `-m`: members would run the keeper's module again as their `__main__`.
_COMMAND = (sys.executable, "-c", "from orchestrator.keeper import main; main()")


class LaunchedKeeper:
    """A keeper started by this process: `address` is its service's.

    A tethered one ends, with its members, when this process ends or `end` is called. It is in a
    session of its own, so that Ctrl-C reaches it through this process only.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self._process = process
        self.address = address
        self.pid = process.pid

    def end(self) -> None:
        """Let go of the tether and wait until keeper and members have ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def launch(
    config: EnsembleConfig,
    *,
    is_tethered: bool,
    is_temporary: bool = False,
    on_wait: Callable[[str], None] = lambda text: None,
) -> LaunchedKeeper:
    """Start a keeper and return when its ensemble serves; `is_temporary`: it removes its directory.

    Raises OrchestratorError, with the keeper's own words, if the ensemble cannot start.
    """
    with _log(config.directory) as log:
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    order = {
        "config": config.model_copy(update={"directory": config.directory.absolute()}).model_dump(
            mode="json"
        ),
        "is_tethered": is_tethered,
        "is_temporary": is_temporary,
    }
    try:
        address = _converse(process, order, is_tethered, on_wait)
    except BaseException:
        process.terminate()
        LaunchedKeeper(process, "").end()
        raise
    if not is_tethered and process.stdout is not None:
        process.stdout.close()
        # It outlives this process on purpose; without this, Popen would warn of that.
        process.returncode = 0
    return LaunchedKeeper(process, address)


def _log(directory: Path) -> BinaryIO:
    """Where the keeper says what it has nobody else to say to."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return (directory / "orchestrator.log").open("ab")
    except OSError as error:
        raise NotPossible(
            f"cannot write in directory {directory}: {error.strerror}; choose another"
        ) from None


def _converse(
    process: subprocess.Popen[bytes],
    order: dict[str, object],
    is_tethered: bool,
    on_wait: Callable[[str], None],
) -> str:
    """Give the order and read what comes of it. Returns the address of the keeper's service."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    if not is_tethered:
        process.stdin.close()
    for line in process.stdout:
        message: dict[str, str] = json.loads(line)
        if "error" in message:
            raise NotPossible(message["error"])
        if "serving" in message:
            return message["serving"]
        on_wait(message["waiting"])
    directory = order["config"]["directory"]  # type: ignore[index]
    raise NotPossible(
        f"the orchestrator ended while starting; {directory}/orchestrator.log says why"
    )
