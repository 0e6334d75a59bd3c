"""Locust without its web UI, as a child process: started, waited for, ended with all its workers.

Owns the child and its log. It is in a session of its own, so that Ctrl-C in a terminal reaches it
through its parent only, which lets it finish its files. Knows nothing of what Locust is told.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_LAST_LINES = 40
# While a shape runs, Locust finishes in order on SIGINT only, and that may be ignored in a process
# that a shell has started in the background. PR_SET_PDEATHSIG (1): it finishes, too, when its
# parent is killed and can tell it nothing.
_COMMAND = """
import ctypes, signal, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.default_int_handler)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
from locust.main import main
main()
"""


class HeadlessLocust:
    """One run of the locustfile; use it in a `with`. `words`: Locust's arguments, in order."""

    def __init__(
        self, words: Iterable[object], classes: Iterable[str], log: Path, stop_s: float
    ) -> None:
        self._log = log
        self._stop_s = stop_s
        command = [sys.executable, "-c", _COMMAND, "--headless", "--only-summary", *classes]
        command += ["--locustfile", str(LOCUSTFILE), *map(str, words)]
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended by then."""
        try:
            self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """Ask it to finish, which writes its files; kill it and its workers if it does not."""
        if self.status is None:
            self._process.terminate()
            if not self.wait(self._stop_s):
                self._process.kill()
                self._process.wait()
        # Workers end with their master, unless one hangs.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> list[str]:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]

    def refusal(self) -> str | None:
        """Why it did not begin, in its own words, if it said so."""
        for line in self.last_words():
            _, is_error, said = line.partition("/ERROR/")
            if is_error:
                return said.partition(": ")[2] or said
        return None
