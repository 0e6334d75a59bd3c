"""The first thing that runs in a member's process: separates it from the terminal, then hands over.

Imports nothing of the member at its top: the orchestrator imports this module too, only to name
the function that the new process shall call.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodes.config import ProcessConfig


def run(config: ProcessConfig, output: str) -> None:
    """Be the member. What it prints goes to the file `output`."""
    # Without a group of its own, Ctrl-C in the terminal would reach the members too, and they
    # would end before the orchestrator could tell an ordered stop from a crash.
    os.setpgid(0, 0)
    _redirect(output)
    from nodes.process import run_member

    run_member(config)


def _redirect(output: str) -> None:
    """A traceback of a dying member must not tear the live table apart."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
