"""The ramp: ten steps, the first at once, never more users than were asked for.

In a process of its own, since Locust patches the one that imports it.
"""

from __future__ import annotations

import json
import subprocess
import sys

RAMP = """
import json
from loadtests.shapes import users_at
print(json.dumps([users_at(second / 2, 95, 30.0) for second in range(100)]))
"""


def test_ramp_rises_in_ten_steps_to_all_users_and_stays() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", RAMP], capture_output=True, text=True, timeout=60, check=True
    )
    users = json.loads(shown.stdout)
    assert users == sorted(users)
    assert (users[0], users[59] < 95, users[60:]) == (10, True, [95] * 40)
    assert len(set(users)) == 10
