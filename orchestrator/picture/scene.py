"""What stands in a picture, before anything has a place: lanes, marks, arrows, stretches, windows.

Built from evidence alone. An `At` is an instant and, among things of the same instant, an order.
Names sessions and members as people would, and says of each thing what a hover shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

At = tuple[float, float]
# What a program did, what it was told, and what it got stand round the traces of an instant.
BEFORE, TOLD, SERVED, AFTER = -1.0, 1e15, 1e16, float("inf")

MEMBER, CLIENT = "member", "client"


@dataclass(slots=True)
class Lane:
    """The line of a member or of a client. `key` is `m3`, or `c` and what its client is."""

    key: str
    title: str
    subtitle: str
    kind: str
    sid: int = 0


@dataclass(slots=True)
class Mark:
    """Something that happened on a lane. `look`: step, told, stale, fresh, state, event.

    `short` is what is written where `text` finds no room.
    """

    lane: str
    at: At
    text: str
    look: str
    tip: str
    session: int = 0
    short: str = ""


@dataclass(slots=True)
class Arrow:
    """A message, a client's call or its answer; None: that end is not known.

    `group` is what the filter calls it. `is_noise`: shown only if asked for. `says`: an answer's
    content, which the picture shows as a mark where it arrives. `is_lost`: it never arrived.
    """

    sender: str
    receiver: str
    sent: At | None
    left: At | None
    received: At | None
    label: str
    short: str
    look: str
    group: str
    tip: str
    session: int = 0
    is_kept: bool = False
    is_noise: bool = False
    says: str = ""
    is_lost: bool = False


@dataclass(slots=True)
class Stretch:
    """A znode as a member has it, from one change to the next; `end` None: to the picture's end."""

    lane: str
    path: str
    begin: At | None
    end: At | None
    is_there: bool
    is_overdue: bool
    tip: str


@dataclass(slots=True)
class Band:
    """A window, W0 to W2. `lane` empty: everywhere; else on that member only."""

    window: str
    lane: str
    begin: At
    end: At | None
    text: str
    short: str
    tip: str


@dataclass(slots=True)
class Down:
    """A member that did not run; `begin` None: since before, `end` None: to the end."""

    lane: str
    begin: At | None
    end: At | None
    word: str


@dataclass(slots=True)
class Remark:
    """A sentence beside the picture. `look`: note, told, stale."""

    at: At
    text: str
    look: str
    lane: str = ""


@dataclass(slots=True)
class Scene:
    """`zero_ms` is the instant that is called 0."""

    lanes: list[Lane] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    zero_ms: float = 0.0
    sessions: dict[int, str] = field(default_factory=dict)

    def lane(self, key: str) -> Lane | None:
        """The lane of this key."""
        return next((lane for lane in self.lanes if lane.key == key), None)


def show_moment(scene: Scene, at_ms: float) -> str:
    """An instant, from the one that is called 0."""
    return f"{at_ms - scene.zero_ms:+.3f} ms"


def show_ms(span_ms: float) -> str:
    """A length of time in a few figures: `62 ms`, `0.47 ms`, `1.5 s`."""
    if abs(span_ms) >= 1000:
        return f"{span_ms / 1000:.3g} s"
    if abs(span_ms) >= 100:
        return f"{span_ms:.0f} ms"
    if abs(span_ms) >= 10:
        return f"{span_ms:.1f} ms"
    return f"{span_ms:.2f} ms"
