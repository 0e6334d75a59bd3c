"""How many users there are when: the one shape of the load, which reads --shape.

Owns the number of users over time. Storms and restarts happen to users that are there, and are
the conductor's; for them the number is steady.
"""

from __future__ import annotations

import math

from locust import LoadTestShape, User

RAMP_STEPS = 10


class AskedShape(LoadTestShape):
    """As many users as asked for, at once or in steps, until the run time is over."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | tuple[int, float, list[type[User]] | None] | None:
        """Users and spawn rate of this second; None ends the test."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        elapsed_s = self.get_run_time()  # type: ignore[no-untyped-call]
        if options.run_time and elapsed_s >= options.run_time:
            return None
        users, rate = int(options.num_users or 1), float(options.spawn_rate or 1)
        if options.shape != "ramp":
            return users, rate
        return users_at(elapsed_s, users, options.ramp_time), rate


def users_at(elapsed_s: float, users: int, ramp_s: float) -> int:
    """The users of a ramp: ten equal steps, the first at once, all of them after `ramp_s`."""
    step = min(RAMP_STEPS, 1 + int((RAMP_STEPS - 1) * elapsed_s / ramp_s))
    return math.ceil(users * step / RAMP_STEPS)
