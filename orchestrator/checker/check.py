"""Judges a history by every rule, and says what was examined. Pure; shares no code with members.

It relies on the zxid of each reply, which places every acknowledged write in one order and says
which prefix of that order an answer shows: so it needs no search, and its time is linear but for
sorting. It judges no liveness but the recovery at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from client.history import OK, UNKNOWN, History
from orchestrator.checker import rules
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.ending import check_end, check_members
from orchestrator.checker.ephemerals import Ephemerals
from orchestrator.checker.freshness import Freshness, Gauge
from orchestrator.checker.places import Places
from orchestrator.checker.replay import Replay
from orchestrator.checker.sessions import Sessions, check_real_time
from orchestrator.checker.watch_order import WatchOrder
from orchestrator.checker.windows import Windows

VALID, ANOMALY, DOUBTFUL = "valid", "anomaly", "unknown"


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked for beyond ZooKeeper's promises. `max_lag`: transactions; None: any."""

    allows_stale: bool = False
    max_lag: int | None = None
    is_fresh_after_sync: bool = False


@dataclass(slots=True)
class Verdict:
    """What came of it. `examined`: by property, how many there were of what it looks at.

    `stale` are the stale reads, which are among the anomalies, too, unless they were allowed.
    `doubts` say why a history without an anomaly is not for sure a sound one.
    """

    anomalies: list[Anomaly] = field(default_factory=list)
    stale: list[Anomaly] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    examined: dict[str, dict[str, int]] = field(default_factory=dict)
    freshness: Freshness = field(default_factory=Freshness)

    @property
    def verdict(self) -> str:
        """An anomaly is one, however much else is unknown."""
        if self.anomalies:
            return ANOMALY
        return DOUBTFUL if self.doubts else VALID

    def of(self, property_: str) -> list[Anomaly]:
        """The anomalies of one property."""
        return [a for a in self.anomalies if rules.RULES[a.rule].property == property_]


def check(
    history: History,
    demands: Demands = Demands(),
    tell: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Judge a history. `tell` hears what is being looked at."""
    tell("placing writes")
    places = Places(history)
    windows = Windows(history.traces)
    told: dict[int, float] = {}
    for record in history.told:
        told[record.session_id] = min(record.at_ms, told.get(record.session_id, record.at_ms))
    tell("replaying")
    replay = Replay(history, places, told, windows.zxids)
    replay.run()
    tell("looking at each session")
    sessions = Sessions(history, places, windows.zxids)
    watches = WatchOrder(history, places)
    ephemerals = Ephemerals(history, windows, replay.shown, replay.gone)
    tell("measuring freshness")
    gauge = Gauge(history, demands.max_lag, demands.is_fresh_after_sync)
    verdict = Verdict(stale=ephemerals.stale, freshness=gauge.freshness)
    verdict.anomalies = [
        *places.anomalies,
        *sessions.anomalies,
        *check_real_time(history, places),
        *replay.anomalies,
        *watches.anomalies,
        *check_end(history),
        *check_members(history),
        *gauge.anomalies,
        *([] if demands.allows_stale else ephemerals.stale),
    ]
    verdict.doubts = _doubts(history, places)
    verdict.examined = _examined(history, places, replay, sessions, watches, ephemerals, gauge)
    return verdict


def _doubts(history: History, places: Places) -> list[str]:
    doubts = []
    if not history.is_complete:
        doubts.append("the history was cut off, so more may have happened")
    if not any(operation.zxid for operation in history.operations):
        doubts.append("no answer names a zxid, so nothing could be placed")
    if places.ambiguous:
        example = min(places.ambiguous)
        doubts.append(
            f"{len(places.ambiguous)} values shown may be of more than one write of unknown"
            f" outcome, '{example}' for one"
        )
    return doubts


def _examined(
    history: History,
    places: Places,
    replay: Replay,
    sessions: Sessions,
    watches: WatchOrder,
    ephemerals: Ephemerals,
    gauge: Gauge,
) -> dict[str, dict[str, int]]:
    unknown = sum(1 for op in history.operations if op.writes and op.outcome == UNKNOWN)
    acknowledged = history.count(OK)
    freshness = gauge.freshness
    return {
        rules.WRITES: {
            "acknowledged writes": acknowledged,
            "of unknown outcome": unknown,
            "of these seen": len(places.placed),
        },
        rules.SEQUENCE: {"answers at their zxid": replay.answers, "replies": sessions.replies},
        rules.OWN_WRITES: {"answers to who had written": replay.own},
        rules.ONE_IMAGE: {"moves of sessions": sessions.moves},
        rules.FRESHNESS: {"reads": freshness.reads, "right behind a sync": freshness.synced},
        rules.WATCHES: {"watches": watches.watches, "events": watches.events},
        rules.EPHEMERALS: {
            "ephemerals created": replay.ephemerals,
            "sessions told to be over": ephemerals.sessions,
            "operations that showed their znodes": ephemerals.examined,
        },
        rules.RECOVERY: {"members": len(history.members)},
    }
