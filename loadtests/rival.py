"""The program that takes over: it registers at a path as soon as that is free.

Owns one session, and knows whether somebody took its znode away. It is what a wrong cure harms.
"""

from __future__ import annotations

from client.errors import LagkeeperError, NodeExistsError
from client.ops import EPHEMERAL, Create, WatchEvent
from client.recording import Program
from client.replies import check_reply
from client.sync import Client, Pending

RIVAL = b"rival"
_ANSWER_S = 10.0


class Rival:
    """Contends for one path at a time. Every method may raise LagkeeperError."""

    def __init__(self, member: str, timeout_ms: int, history: Program | None = None) -> None:
        self._client = Client(member, timeout_ms, history=history).start()
        self._path = ""
        self._registering: Pending | None = None

    def contend(self, path: str) -> None:
        """Watch the path; once its znode is gone, register there."""
        self._path, self._registering = path, None
        if self._client.exists(path, watch=self._on_event) is None:
            self._register()

    def lost_its_znode(self) -> bool:
        """Whether it had registered, and its znode is gone though its session lives."""
        if self._registering is None:
            return False
        try:
            check_reply(Create(self._path), self._registering.result(_ANSWER_S))
        except NodeExistsError:
            return False
        # Behind everything committed by now: else its own member might still show it.
        self._client.sync(self._path)
        stat = self._client.exists(self._path)
        return stat is None or stat.ephemeral_owner != self._client.session_id

    def is_over(self) -> bool:
        """Whether its session is of no use any more."""
        return self._client.member is None

    def close(self) -> None:
        """End its session."""
        self._client.close()

    def _on_event(self, event: WatchEvent) -> None:
        # Called by the one thread that calls all watchers: it must not wait here.
        if event.path == self._path:
            self._register()

    def _register(self) -> None:
        try:
            self._registering = self._client.submit(Create(self._path, RIVAL, EPHEMERAL))
        except LagkeeperError:
            self._registering = None
