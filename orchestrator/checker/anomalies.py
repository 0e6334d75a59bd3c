"""What the checker says when a history breaks a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from client.history import Event, Operation, Told
from orchestrator.checker.rules import RULES

Evidence = Operation | Event | Told


@dataclass(slots=True)
class Anomaly:
    """A rule that was broken, how, and what proves it, in the order in which it is to be read.

    `window` and `reader` are a stale read's: which of W0, W1 and W2 it fell into, and whether its
    program is the one that was told.
    """

    rule: str
    text: str
    proof: Sequence[Evidence] = ()
    window: str = ""
    reader: str = ""

    @property
    def is_promised(self) -> bool:
        """Whether ZooKeeper promises that this never happens."""
        return RULES[self.rule].is_promised


def show(evidence: Evidence) -> str:
    """One line for people."""
    match evidence:
        case Told():
            return (
                f"client {evidence.client} told at {evidence.at_ms:.1f} ms that session"
                f" {evidence.session_id:#x} is {evidence.verdict}, by {evidence.member or '-'}"
            )
        case Event():
            return (
                f"client {evidence.client} session {evidence.session_id:#x} event"
                f" {evidence.type} {evidence.path} at {evidence.at_ms:.1f} ms,"
                f" behind outcome {evidence.answered}"
            )
        case _:
            return str(evidence)
