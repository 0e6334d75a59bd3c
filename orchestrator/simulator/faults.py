"""What can go wrong, when and for how long: a schedule of faults, drawn from a seed.

A fault is plain data, so that a schedule can be printed, and shrunk by leaving faults out. It
knows no world; `injection` makes it happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

WHO_LEADS = 0
DELAYS = (
    "delay=5ms",
    "delay=20ms",
    "delay=80ms",
    "delay=10ms jitter=8ms distribution=uniform",
    "delay=10ms jitter=5ms distribution=normal",
    "delay=2ms jitter=15ms distribution=pareto",
)
HELD = ("PROPOSAL", "COMMIT", "ACK", "INFORM", "REQUEST", "NEWLEADER", "UPTODATE", "LEADERINFO")


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` begins at `at_ms`, counted from the moment the ensemble serves, and lasts `for_ms`.

    `sid` and `peer` WHO_LEADS: whoever leads when it begins. `rule` is a link's. `count`: for
    crash, power and orphan, the unsynced writes that survive; for flap, the resets; for disk,
    milliseconds; for expire and move, a client. Orphan: a leader's proposals stay with it, then
    it crashes. A crash may wait for `steps` more steps of the member, and of the last one only
    the first `effects` are carried out.
    """

    kind: str
    at_ms: float
    for_ms: float = 0.0
    sid: int = WHO_LEADS
    peer: int = WHO_LEADS
    rule: str = ""
    count: int = 0
    steps: int = 0
    effects: int = 0
    rate: float = 1.0

    def __str__(self) -> str:
        """Return the fault as one line."""
        names = {WHO_LEADS: "leader"}
        where = names.get(self.sid, str(self.sid))
        other = names.get(self.peer, str(self.peer))
        span = f" for {self.for_ms:.0f} ms" if self.for_ms else ""
        at = f"{self.at_ms:8.1f} ms: {self.kind}"
        match self.kind:
            case "crash":
                rest = f"{where} at step +{self.steps}, behind {self.effects} effects,"
                return f"{at} {rest} {self.count} unsynced writes survive, down{span}"
            case "power":
                return f"{at} of all members, {self.count} unsynced writes of each survive{span}"
            case "orphan":
                return f"{at} {where} proposes to nobody{span}, then crashes and restarts"
            case "oneway" | "cut" | "reset":
                return f"{at} {where}->{other}{span}"
            case "hold" | "delay":
                return f"{at} {where}->{other} {self.rule}{span}"
            case "flap":
                return f"{at} {where}->{other}, {self.count} resets{span}"
            case "drift":
                return f"{at} clock of {where} at rate {self.rate:.2f}{span}"
            case "expire" | "move":
                return f"{at} client {self.count}"
            case _:
                return f"{at} {where}{span}"


class Draw:
    """Draws the parts of a fault. One per schedule."""

    def __init__(self, rng: Random, sids: tuple[int, ...], clients: int) -> None:
        self.rng = rng
        self.sids = sids
        self.clients = clients

    def sid(self) -> int:
        """A member; as often as not whoever leads, for that is where it hurts."""
        return WHO_LEADS if self.rng.random() < 0.4 else self.rng.choice(self.sids)

    def pair(self) -> tuple[int, int]:
        """Two members that differ, one of which may be whoever leads."""
        first, second = self.rng.sample(self.sids, 2)
        draw = self.rng.random()
        if draw < 0.3:
            return WHO_LEADS, second
        return (first, WHO_LEADS) if draw < 0.6 else (first, second)

    def span_ms(self) -> float:
        """Mostly short, sometimes longer than every timeout of the protocol."""
        return self.rng.choice((10.0, 40.0, 150.0, 400.0, 900.0)) * self.rng.uniform(0.5, 1.5)

    def survivors(self) -> int:
        """How many unsynced writes reach the disk: any prefix, none and all the likeliest."""
        return self.rng.choice((0, 0, 1, 1, 2, 3, 5, 99))


def _crash(draw: Draw, at_ms: float) -> Fault:
    return Fault(
        "crash",
        at_ms,
        draw.span_ms(),
        draw.sid(),
        count=draw.survivors(),
        steps=draw.rng.randrange(40),
        effects=draw.rng.randrange(6),
    )


def _power(draw: Draw, at_ms: float) -> Fault:
    return Fault("power", at_ms, draw.span_ms(), count=draw.survivors())


def _orphan(draw: Draw, at_ms: float) -> Fault:
    span_ms = draw.rng.choice((10.0, 60.0, 150.0))
    return Fault("orphan", at_ms, span_ms, count=draw.rng.choice((0, 99, 99)))


def _on_member(kind: str) -> Callable[[Draw, float], Fault]:
    return lambda draw, at_ms: Fault(kind, at_ms, draw.span_ms(), draw.sid())


def _on_link(kind: str) -> Callable[[Draw, float], Fault]:
    return lambda draw, at_ms: Fault(kind, at_ms, draw.span_ms(), *draw.pair())


def _hold(draw: Draw, at_ms: float) -> Fault:
    only = draw.rng.choice(HELD)
    rule = draw.rng.choice(("hold", f"hold only={only}", f"hold only={only} probability=0.3"))
    return Fault("hold", at_ms, draw.span_ms(), *draw.pair(), rule=rule)


def _delay(draw: Draw, at_ms: float) -> Fault:
    return Fault("delay", at_ms, draw.span_ms(), *draw.pair(), rule=draw.rng.choice(DELAYS))


def _flap(draw: Draw, at_ms: float) -> Fault:
    return Fault("flap", at_ms, draw.span_ms(), *draw.pair(), count=draw.rng.randrange(2, 6))


def _disk(draw: Draw, at_ms: float) -> Fault:
    delay_ms = draw.rng.choice((2, 10, 50))
    return Fault("disk", at_ms, draw.span_ms(), draw.sid(), count=delay_ms)


def _drift(draw: Draw, at_ms: float) -> Fault:
    rate = draw.rng.choice((0.5, 0.8, 0.95, 1.05, 1.25, 2.0))
    return Fault("drift", at_ms, draw.span_ms(), draw.sid(), rate=rate)


def _on_client(kind: str) -> Callable[[Draw, float], Fault]:
    return lambda draw, at_ms: Fault(kind, at_ms, count=draw.rng.randrange(draw.clients))


# A name for `--faults`, and how often it is drawn among the others.
KINDS: dict[str, tuple[int, Callable[[Draw, float], Fault]]] = {
    "crash": (6, _crash),
    "power": (1, _power),
    "orphan": (3, _orphan),
    "pause": (2, _on_member("pause")),
    "isolate": (2, _on_member("isolate")),
    "cut": (2, _on_link("cut")),
    "oneway": (2, _on_link("oneway")),
    "flap": (1, _flap),
    "reset": (2, _on_link("reset")),
    "hold": (4, _hold),
    "delay": (3, _delay),
    "disk": (2, _disk),
    "stall": (2, _on_member("stall")),
    "drift": (2, _drift),
    "expire": (2, _on_client("expire")),
    "closing": (1, _on_member("closing")),
    "move": (3, _on_client("move")),
}


def draw_schedule(
    rng: Random, kinds: tuple[str, ...], sids: tuple[int, ...], clients: int, span_ms: float
) -> tuple[Fault, ...]:
    """Return faults of these kinds, in the order of their beginning, within `span_ms`."""
    if not kinds:
        return ()
    draw = Draw(rng, sids, clients)
    weights = [KINDS[kind][0] for kind in kinds]
    count = rng.randrange(5, 21)
    faults = [
        KINDS[kind][1](draw, rng.uniform(0, span_ms))
        for kind in rng.choices(kinds, weights, k=count)
    ]
    return tuple(sorted(faults, key=lambda fault: fault.at_ms))
