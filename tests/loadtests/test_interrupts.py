"""An interrupt that comes while a thread runs is the main greenlet's all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import os, signal, sys, threading
from loadtests.interrupts import interrupt_main

signal.signal(signal.SIGTERM, signal.default_int_handler)
interrupt_main()
number = getattr(signal, sys.argv[1])
threading.Thread(target=os.kill, args=(os.getpid(), number)).start()
try:
    threading.Event().wait(20)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_reaches_the_main_greenlet_out_of_a_thread(number: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, number], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
