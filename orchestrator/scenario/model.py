"""A scenario as it was read: the top level of its file, and its steps in their order.

Whether names fit together is `lint`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.scenario.steps import Expected, Particulars
from orchestrator.scenario.values import Length, Name, Yes


@dataclass(frozen=True, slots=True)
class Step:
    """A step, where it stands, the variants that take it (None: all), and if what."""

    line: int
    text: str
    action: Particulars
    variants: frozenset[str] | None = None
    condition: dict[str, Expected] = field(default_factory=dict)

    def is_of(self, variant: str) -> bool:
        """Whether a variant takes this step."""
        return self.variants is None or variant in self.variants


class EnsembleSection(BaseModel):
    """What the scenario is played on. Equal sections may share an ensemble."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: Annotated[int, Field(strict=True, ge=1, le=9)] = 3
    observers: Annotated[int, Field(strict=True, ge=0, le=9)] = 0
    # The shortest session timeout is two ticks, the longest an hour.
    tick: Annotated[Length, Field(le=1_800_000)] = 50
    sync_limit: Annotated[int, Field(strict=True, ge=2, le=1000)] = 10
    local_sessions: Yes = False
    upgrade_local_sessions: Yes = True

    @property
    def voters(self) -> tuple[int, ...]:
        """Sids of the voting members."""
        return tuple(range(1, self.members + 1))

    @property
    def observer_sids(self) -> tuple[int, ...]:
        """Sids of the observers."""
        return tuple(range(self.members + 1, self.members + self.observers + 1))


class Variant(BaseModel):
    """One way to do it: with a cure, or without."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = ""
    harmed: Yes = False


class Report(BaseModel):
    """Where it was met."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    url: str


class Head(BaseModel):
    """Everything of a file but its steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: str
    about: str
    windows: tuple[Literal["W0", "W1", "W2"], ...] = ()
    reports: tuple[Report, ...] = ()
    ensemble: EnsembleSection = EnsembleSection()
    variants: dict[Name, Variant] = Field(default={"plain": Variant()}, min_length=1)


@dataclass(frozen=True)
class Scenario:
    """A file that was read: its head, its steps, and where it came from."""

    file: str
    head: Head
    steps: tuple[Step, ...]
    variant_lines: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name it is called by."""
        return self.head.name

    def steps_of(self, variant: str) -> Iterator[Step]:
        """The steps that a variant takes, in their order."""
        return (step for step in self.steps if step.is_of(variant))
