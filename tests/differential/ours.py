"""Our ensemble as a side: the same words as the real one's, carried out by the orchestrator."""

from __future__ import annotations

from typing import Any

from orchestrator.ensemble import Ensemble
from tests.differential.sides import (
    CONTAINER_INTERVAL_MS,
    INIT_LIMIT,
    MAX_TIMEOUT_MS,
    MIN_TIMEOUT_MS,
    SUPER,
    SYNC_LIMIT,
    TICK_MS,
    WORDS,
    Address,
    Side,
)


class OurEnsemble(Side):
    """An ensemble of the orchestrator's; serves when the constructor returns."""

    name = "ours"

    def __init__(self, members: int = 3, **settings: Any) -> None:
        self.sids = tuple(range(1, members + 1))
        self._settings = settings
        self._begin()

    def _begin(self) -> None:
        self._held: set[str] = set()
        self.ensemble = Ensemble(
            members=len(self.sids),
            tick_time_ms=TICK_MS,
            init_limit=INIT_LIMIT,
            sync_limit=SYNC_LIMIT,
            min_session_timeout_ms=MIN_TIMEOUT_MS,
            max_session_timeout_ms=MAX_TIMEOUT_MS,
            super_digest=SUPER,
            extended_types_enabled=True,
            max_client_cnxns=0,
            four_letter_words=WORDS,
            **{"container_check_interval_ms": CONTAINER_INTERVAL_MS, **self._settings},
        )
        self.ensemble.start_all()
        self.wait_until_serving()

    def address(self, sid: int) -> Address:
        """Where a member serves ZooKeeper's clients."""
        host, _, port = self.ensemble.zk_address(sid).rpartition(":")
        return host, int(port)

    def kill(self, sid: int) -> None:
        """SIGKILL."""
        self.ensemble.kill(sid)

    def start(self, sid: int) -> None:
        """Start a member that was killed."""
        self.ensemble.start(sid)

    def pause(self, sid: int) -> None:
        """SIGSTOP."""
        self.ensemble.pause(sid)

    def resume(self, sid: int) -> None:
        """SIGCONT."""
        self.ensemble.resume(sid)

    def delay(self, sender: int, receiver: int, delay_ms: float) -> None:
        """Delay a link."""
        link = self.ensemble.link(f"{sender}->{receiver}")
        link.clear()
        if delay_ms:
            link.delay(ms=delay_ms)

    def hold(self, sender: int, receiver: int) -> None:
        """Cut a link: silence, without an end of the connection."""
        self._held.add(f"{sender}->{receiver}")
        self.ensemble.link(f"{sender}->{receiver}").cut()

    def release(self) -> None:
        """Heal what is cut."""
        for link in self._held:
            self.ensemble.link(link).heal()
        self._held.clear()

    def close(self) -> None:
        """End it."""
        self.ensemble.close()

    def begin_anew(self) -> None:
        """Start another ensemble in place of this one."""
        self.close()
        self._begin()
