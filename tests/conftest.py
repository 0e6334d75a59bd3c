"""What holds for every test."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# Started in the background, a shell's child has SIGINT ignored, and so would the programs have
# that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is no failure: timings live in benchmarks. CI runs the same examples each time,
# so that it says something of the change and not of the day; elsewhere each run finds new ones.
settings.register_profile("lagkeeper", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("lagkeeper")
