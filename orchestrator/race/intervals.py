"""How sure a ratio is: the 95 % Wilson score interval."""

from __future__ import annotations

from math import sqrt

_Z = 1.959964


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a ratio seen as `successes` of `n`; (0, 1) without trials."""
    if n == 0:
        return 0.0, 1.0
    ratio, z2 = successes / n, _Z * _Z
    centre = ratio + z2 / (2 * n)
    spread = _Z * sqrt(ratio * (1 - ratio) / n + z2 / (4 * n * n))
    # At the ends the exact value is 0 or 1; rounding must not put the ratio outside.
    low = 0.0 if successes == 0 else (centre - spread) / (1 + z2 / n)
    high = 1.0 if successes == n else (centre + spread) / (1 + z2 / n)
    return low, high
