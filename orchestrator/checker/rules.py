"""The properties that a history is judged by, and the rules that each comes down to.

Owns the words alone. `is_promised` says whether ZooKeeper gives its word; what it does not promise
may well be seen of a sound ensemble, and is an anomaly only for who relies on it.
"""

from __future__ import annotations

from dataclasses import dataclass

WRITES = "linearizable writes"
SEQUENCE = "sequential consistency"
OWN_WRITES = "read your writes"
ONE_IMAGE = "single system image"
FRESHNESS = "freshness"
WATCHES = "watch order"
EPHEMERALS = "ephemeral safety"
RECOVERY = "recovery"

PROPERTIES = {
    WRITES: "acknowledged writes have one order, which respects real time and makes sense",
    SEQUENCE: "a session's operations take effect in its order; a read shows a prefix of all",
    OWN_WRITES: "a session sees what it was acknowledged",
    ONE_IMAGE: "a session that moves to another member never sees an older state",
    FRESHNESS: "how far reads are behind what was acknowledged before them",
    WATCHES: "a session hears of a change before it sees it, and once",
    EPHEMERALS: "an ephemeral znode is there exactly as long as its session",
    RECOVERY: "after healing all members serve, and are equal",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a history may break."""

    property: str
    text: str
    is_promised: bool = True


LOST = "no acknowledged write is lost"
REAL_TIME = "real-time order"
VERSIONS = "versions add up"
ONE_ZXID = "one zxid for a write"
REFUSED = "refused writes do nothing"
NOWHERE = "no value from nowhere"
ORDER = "session order"
BACK = "no read goes back"
PREFIX = "reads show their zxid"
RYW = "read your writes"
IMAGE = "single system image"
LAG = "reads lag no more than asked for"
SYNCED = "reads behind a sync are fresh"
FIRST = "an event comes before what shows its change"
ONCE = "a watch fires once"
WATCHED = "events tell of what was watched"
FOLLOW = "ephemerals follow their session"
STALE = "no ephemeral outlives the verdict"
SERVING = "recovery"
EQUAL = "equal trees"

RULES = {
    LOST: Rule(WRITES, "the end shows each, or what may have come after it"),
    REAL_TIME: Rule(WRITES, "a write comes after all that any answer named before it was invoked"),
    VERSIONS: Rule(WRITES, "each acknowledged write fits on the one before it"),
    ONE_ZXID: Rule(WRITES, "a write takes effect once, where it was acknowledged"),
    REFUSED: Rule(WRITES, "no value of a refused write is ever seen"),
    NOWHERE: Rule(WRITES, "nothing is seen that nobody wrote"),
    ORDER: Rule(SEQUENCE, "a session's writes take effect, and are answered, in its order"),
    BACK: Rule(SEQUENCE, "the zxids of a session's replies never fall"),
    PREFIX: Rule(SEQUENCE, "an answer shows the state that its zxid names"),
    RYW: Rule(OWN_WRITES, "a session sees what it was acknowledged"),
    IMAGE: Rule(ONE_IMAGE, "no member shows a session less than the one before it did"),
    LAG: Rule(FRESHNESS, "a read shows all but so many of the acknowledged writes", False),
    SYNCED: Rule(FRESHNESS, "a read right behind a sync shows what came before the sync", False),
    FIRST: Rule(WATCHES, "no reply shows a change before the event that tells of it"),
    ONCE: Rule(WATCHES, "one watch, one event"),
    WATCHED: Rule(WATCHES, "no event of a znode that the session does not watch"),
    FOLLOW: Rule(EPHEMERALS, "none is gone before its session, or there behind its closing"),
    STALE: Rule(EPHEMERALS, "none is shown once a program knows that its session is over", False),
    SERVING: Rule(RECOVERY, "after healing every member runs and serves"),
    EQUAL: Rule(RECOVERY, "at the end all members have applied the same"),
}
