"""What comes of a variant, and what ends one early."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["passed", "failed", "inconclusive"]
PASSED: Verdict = "passed"
FAILED: Verdict = "failed"
INCONCLUSIVE: Verdict = "inconclusive"


class StepFailed(Exception):
    """Something is not as the file expects: says what was expected and what was seen."""


class Inconclusive(Exception):
    """Nothing was tried: says why."""


@dataclass(slots=True)
class VariantResult:
    """What came of a variant. `line`: of the step that decided, where one did."""

    variant: str
    verdict: Verdict = PASSED
    harmed: bool = False
    why: str = ""
    line: int = 0
    notes: list[str] = field(default_factory=list)
    began_ms: float = 0.0
    ended_ms: float = 0.0
    picture_file: str = ""
