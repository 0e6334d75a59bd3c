"""Stops the expiry of a session between two of its steps, so that a window stays open.

Does it with what an operator has: the stalled expiry (W0) and held links (W1, W2). Decides nothing
of what clients see meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from orchestrator.ensemble import Ensemble

WINDOWS = ("W0", "W1", "W2")


@contextmanager
def held_window(ensemble: Ensemble, name: str, session_id: int, on: int | None) -> Iterator[int]:
    """Expire a session as far as the window; go on at the end. Gives the leader's sid."""
    if name not in WINDOWS:
        raise InvalidInput(f"no window {name!r}; one of {', '.join(WINDOWS)}")
    if (on is None) == (name == "W2"):
        wanted = "say on=SID, the member that lags" if on is None else "it has no member: no on="
        raise InvalidInput(f"{name}: {wanted}")
    match name:
        case "W0":
            held = _stalled(ensemble, session_id)
        case "W1":
            held = _without_quorum(ensemble, session_id)
        case _:
            assert on is not None
            held = _not_applied(ensemble, session_id, on)
    with held as leader:
        yield leader


@contextmanager
def _stalled(ensemble: Ensemble, session_id: int) -> Iterator[int]:
    leader = ensemble.hold_closing()
    try:
        ensemble.expire(session_id)
        ensemble.wait_for_trace("close_marked", session_id, leader)
        yield leader
    finally:
        ensemble.release_closing()


@contextmanager
def _without_quorum(ensemble: Ensemble, session_id: int) -> Iterator[int]:
    leader = ensemble.leader()
    link = ensemble.link(f"*->{leader}")
    link.hold(only="ACK[closeSession]")
    try:
        ensemble.expire(session_id)
        ensemble.wait_for_trace("close_proposed", session_id, leader)
        yield leader
    finally:
        link.release()


@contextmanager
def _not_applied(ensemble: Ensemble, session_id: int, on: int) -> Iterator[int]:
    status = {member.sid: member.status for member in ensemble.status().members}
    leader = ensemble.leader()
    if on == leader:
        raise InvalidInput(f"W2: member {on} leads, and has applied whatever it has committed")
    ensemble.address(on)
    # Observers hear of what is committed together with the transaction itself.
    kind = "INFORM" if status[on].state == "OBSERVING" else "COMMIT"
    link = ensemble.link(f"{leader}->{on}")
    link.hold(only=f"{kind}[closeSession]")
    try:
        ensemble.expire(session_id)
        ensemble.wait_for_trace("close_committed", session_id, leader)
        yield leader
    finally:
        link.release()
