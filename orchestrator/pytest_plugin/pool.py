"""Ensembles of a run of tests: started when first asked for, kept, given out clean.

Owns their lives: one for each distinct settings, of a few the longest unused one makes room. One
that cannot be made clean is ended, and said so; the next test gets a new one.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from client.acl import digest_id
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotPossible, OrchestratorError
from orchestrator.pytest_plugin.cleaning import Origin, Unclean, clean, mend, origin_of
from orchestrator.pytest_plugin.recording import Recorder
from orchestrator.pytest_plugin.settings import Settings
from orchestrator.views import leader_of

# Each is some processes: more than a few at once and a small machine has no memory for the tests.
KEPT = 3
STARTS = 3


@dataclass
class _Kept:
    """A running ensemble that no test uses now, or one does."""

    ensemble: Ensemble
    origin: Origin
    password: str
    recorder: Recorder

    def is_ready(self) -> bool:
        """Begin to count anew; whether it is still as it was cleaned, however long ago."""
        self.recorder.forget()
        try:
            status = self.ensemble.forget_touched()
        except OrchestratorError:
            return False
        serve = all(member.status.is_serving for member in status.members)
        return serve and leader_of(status) == self.origin.leader

    def end(self) -> None:
        """End its processes, and what listens to them."""
        self.recorder.close()
        self.ensemble.close()


@dataclass
class Lease:
    """An ensemble while it is one test's. `began_ms`: the host's monotonic clock."""

    ensemble: Ensemble
    recorder: Recorder
    settings: Settings
    test: str
    began_ms: float = field(default_factory=lambda: time.monotonic() * 1000)
    is_kept: bool = False
    _pids: dict[int, int] = field(default_factory=dict)

    def set_rules(self) -> None:
        """Put the marker's link rules in force."""
        for text in self.settings.rules:
            links, rule = _parts(text)
            self.ensemble.link(links).set(rule)
        if self.settings.rules:
            self._pids = _pids(self.ensemble)

    def mend(self) -> None:
        """Lift every fault, as far as that can be; what cannot is found when it is given back."""
        with contextlib.suppress(OrchestratorError):
            mend(self.ensemble, self.ensemble.status())

    def untouched_rules(self) -> list[str]:
        """Those of them on whose links no message was touched since they were set.

        Not those of a member that has died since: what its rules touched nobody knows.
        """
        if not self.settings.rules:
            return []
        try:
            now = _pids(self.ensemble)
            same = {str(sid) for sid, pid in now.items() if pid and pid == self._pids.get(sid)}
            links = {text: self.ensemble.link(_parts(text)[0]) for text in self.settings.rules}
            return [
                text
                for text, link in links.items()
                if same.issuperset(name.partition("->")[0] for name in link.names())
                and not link.touched()
            ]
        except OrchestratorError:
            # The test ended its ensemble.
            return []


class Pool:
    """Gives every test an ensemble of its own for as long as the test takes."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        """`tell` gets a line for each ensemble that had to be replaced."""
        self._tell = tell
        self._kept: dict[str, _Kept] = {}

    def lease(self, settings: Settings, test: str) -> Lease:
        """Return a clean ensemble. Raises OrchestratorError if none can be started."""
        kept = self._kept.pop(settings.key, None)
        if kept is not None and not kept.is_ready():
            self._tell(f"{test}: its ensemble is new: the one before was lost while nobody used it")
            kept.end()
            kept = None
        if kept is None:
            while len(self._kept) >= KEPT:
                self._end(next(iter(self._kept)))
            kept = _start_at_last(settings)
        # Last in the order: the longest unused one is the first.
        self._kept[settings.key] = kept
        return Lease(kept.ensemble, kept.recorder, settings, test)

    def give_back(self, lease: Lease) -> None:
        """Make its ensemble clean for the next test, or end it."""
        kept = self._kept[lease.settings.key]
        try:
            clean(kept.ensemble, kept.origin, kept.password)
        except Unclean as why:
            self._tell(f"{lease.test}: its ensemble was replaced: {why}")
            self._end(lease.settings.key)
        except BaseException:
            # Interrupted half-way: nobody knows what is left.
            self._end(lease.settings.key)
            raise

    def close(self) -> None:
        """End every ensemble."""
        for key in list(self._kept):
            self._end(key)

    def _end(self, key: str) -> None:
        self._kept.pop(key).end()


def _start_at_last(settings: Settings) -> _Kept:
    """Start one, twice if need be: another program may take a port that was free a moment ago."""
    with contextlib.suppress(NotPossible):
        return _start(settings)
    return _start(settings)


def _start(settings: Settings) -> _Kept:
    """Start an ensemble with the member of the highest sid for its leader: tests rely on that."""
    values, password = dict(settings.ensemble), ""
    if not values.get("super_digest"):
        password = secrets.token_hex(8)
        values["super_digest"] = digest_id("super", password).id
    ensemble = Ensemble(**values)
    with contextlib.ExitStack() as stack:
        stack.callback(ensemble.close)
        ensemble.start_all()
        _let_the_highest_lead(ensemble)
        origin = origin_of(ensemble, password)
        kept = _Kept(ensemble, origin, password, Recorder(ensemble.members))
        ensemble.forget_touched()
        stack.pop_all()
    return kept


def _let_the_highest_lead(ensemble: Ensemble) -> None:
    """Where processes start slowly, a majority may have elected before the last one was there."""
    highest = ensemble.config.members
    for _ in range(STARTS):
        leader = leader_of(ensemble.wait_until_serving())
        if leader == highest:
            return
        assert leader is not None, "waited for"
        ensemble.kill(leader)
        ensemble.wait_until(lambda status: leader_of(status) is not None)
        ensemble.start(leader)
    raise NotPossible(f"member {highest} was not elected in {STARTS} elections; is the host busy?")


def _parts(text: str) -> tuple[str, str]:
    """A marker's rule as links and rule."""
    links, _, rule = text.strip().partition(" ")
    return links, rule


def _pids(ensemble: Ensemble) -> dict[int, int]:
    return {member.sid: member.pid for member in ensemble.status().members}
