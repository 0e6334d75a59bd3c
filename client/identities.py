"""The identities that a session has shown, or is to show, to each member it talks to.

Owns who they are and who waits to hear of them. Sends nothing, and says nothing of what an
answer means for the session.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from client.events import Submitted
from client.ops import Auth


@dataclass(slots=True)
class _Identity:
    """`submitted` is the program's call, while that still waits for an answer."""

    op: Auth
    submitted: Submitted | None


class Identities:
    """Invariant: `_shown` are those that the open connection was told of and has not answered."""

    def __init__(self) -> None:
        self._all: list[_Identity] = []
        self._shown: deque[_Identity] = deque()

    def add(self, op: Auth, submitted: Submitted) -> None:
        """Take one up, without showing it."""
        self._all.append(_Identity(op, submitted))

    def show_last(self) -> Auth:
        """Return what to tell an open connection of the one that was added last."""
        self._shown.append(self._all[-1])
        return self._all[-1].op

    def show_all(self) -> list[Auth]:
        """Return what to tell a new connection, in the order in which they were added."""
        self._shown = deque(self._all)
        return [identity.op for identity in self._all]

    @property
    def awaits_answer(self) -> bool:
        """Whether an answer is due on the open connection."""
        return bool(self._shown)

    def accept(self) -> Submitted | None:
        """Note that the oldest one shown was accepted; return who has waited for it, if any."""
        identity = self._shown.popleft()
        waiting, identity.submitted = identity.submitted, None
        return waiting

    def hide(self) -> None:
        """The connection is gone: what it had not answered is shown to the next one."""
        self._shown.clear()

    def take_waiting(self) -> list[Submitted]:
        """Return who still waits for an answer that will not come, and forget everything."""
        waiting = [one.submitted for one in self._all if one.submitted is not None]
        self._all.clear()
        self._shown.clear()
        return waiting
