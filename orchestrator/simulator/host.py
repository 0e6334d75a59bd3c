"""Owns what surrounds one member in the simulator: its life, its deadline, its inbox.

It is the third shell of the core: it feeds events to `Member.step` and hands the effects on.
It decides nothing about the protocol, and it knows no other member.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from nodes.core.config import MemberConfig
from nodes.core.effects import Effect
from nodes.core.events import (
    ClosingHeld,
    ClosingReleased,
    ConnectionLost,
    ConnectRequested,
    DeadlineReached,
    Event,
    Started,
    Submitted,
)
from nodes.core.member import Member
from nodes.core.replica import Replica
from orchestrator.simulator.clock import Clock
from orchestrator.simulator.disk import Disk

CLIENT_EVENTS = (ConnectRequested, Submitted, ConnectionLost)


class Life(Enum):
    """What has become of the process."""

    DOWN = "down"
    RUNNING = "running"
    PAUSED = "paused"


class Observer(Protocol):
    """Somebody who watches every step of every member."""

    def on_step(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """The member has made a step; none of its effects is carried out yet."""


@dataclass(slots=True)
class Fuse:
    """A crash in the middle of a step: `steps` from now, behind its first `effects`."""

    steps: int
    effects: int
    blow: Callable[[], None]


class Host:
    """Invariants: the member's clock never goes back; events reach the member only while it is

    RUNNING; a life that has ended (a crash) takes its inbox, its deadline and its unsynced writes
    with it.
    """

    def __init__(
        self,
        config: MemberConfig,
        clock: Clock,
        disk: Disk,
        carry_out: Callable[[int, Iterable[Effect]], None],
    ) -> None:
        """`carry_out` takes the member's sid and the effects of one step."""
        self.config = config
        self.disk = disk
        self.life = Life.DOWN
        self.observer: Observer | None = None
        self._clock = clock
        self._rate = 1.0
        self._offset_ms = 0.0
        self._fuse: Fuse | None = None
        self._carry_out = carry_out
        self._member: Member | None = None
        self._inbox: list[Event] = []
        self._wake_ms: float | None = None

    @property
    def sid(self) -> int:
        """The member's number."""
        return self.config.sid

    @property
    def member(self) -> Member:
        """The machine itself, for looking; raises LookupError while the process is down."""
        if self._member is None:
            raise LookupError(f"member {self.sid} is down")
        return self._member

    @property
    def replica(self) -> Replica:
        """What the member has of the replicated state, for looking."""
        member = self._member
        if member is None:
            raise LookupError(f"member {self.sid} is down")
        return member._replica

    @property
    def is_up(self) -> bool:
        """Whether there is a process, running or paused."""
        return self.life is not Life.DOWN

    def start(self) -> None:
        """Begin a life with what the disk holds."""
        self._member = Member(self.config, self.disk.recover())
        self.life = Life.RUNNING
        self._wake_ms = None
        self._step(Started())

    def set_clock(self, rate: float, ahead_ms: float = 0.0) -> None:
        """Let the member's clock run at `rate` from now on, `ahead_ms` further than it was."""
        local_ms = self._local_ms() + ahead_ms
        self._rate = rate
        self._offset_ms = local_ms - rate * self._clock.now_ms
        if self.life is Life.RUNNING:
            self._set_wake(self.member.deadline())

    def _local_ms(self) -> float:
        return self._offset_ms + self._rate * self._clock.now_ms

    def set_fuse(self, fuse: Fuse) -> None:
        """Crash in the middle of a step to come, unless this life ends before."""
        self._fuse = fuse

    def clear_fuse(self) -> None:
        """Crash no more."""
        self._fuse = None

    def hold_closing(self) -> None:
        """Stall the member's expiry thread between marking and submitting (window W0)."""
        self.deliver(ClosingHeld())

    def release_closing(self) -> None:
        """Let the member's expiry thread go on."""
        self.deliver(ClosingReleased())

    def crash(self, survivors: int) -> int:
        """End this life; return how many unsynced writes went with it."""
        self.life = Life.DOWN
        self._fuse = None
        self._member = None
        self._inbox = []
        return self.disk.crash(survivors)

    def pause(self) -> None:
        """Stop the process (SIGSTOP): what arrives waits."""
        self.life = Life.PAUSED

    def resume(self) -> None:
        """Let it go on (SIGCONT) with all that has waited.

        Sockets have no order between them. Here the clients' come first, as seen on the real
        ensemble, where a resumed follower answers a read before it has heard of the expiry.
        """
        self.life = Life.RUNNING
        waiting = sorted(self._inbox, key=lambda event: not isinstance(event, CLIENT_EVENTS))
        self._inbox = []
        for event in waiting:
            self.deliver(event)
        self._wake()

    def deliver(self, event: Event) -> None:
        """Let `event` happen to the member, now if it runs, later if it is paused."""
        if self.life is Life.RUNNING:
            self._step(event)
        elif self.life is Life.PAUSED:
            self._inbox.append(event)

    def _step(self, event: Event, now_ms: float | None = None) -> None:
        member = self._member
        assert member is not None
        if now_ms is None:
            now_ms = self._offset_ms + self._rate * self._clock.now_ms
        effects = member.step(event, now_ms)
        if self.observer is not None:
            self.observer.on_step(self, event, effects)
        if self._fuse is not None and self._burn(self._fuse, effects):
            return
        if effects:
            self._carry_out(self.config.sid, effects)
            self.disk.flush()
        self._set_wake(member.deadline())

    def _burn(self, fuse: Fuse, effects: list[Effect]) -> bool:
        """Whether this step is the one that the member crashes in."""
        fuse.steps -= 1
        if fuse.steps >= 0:
            return False
        self._carry_out(self.sid, effects[: fuse.effects])
        fuse.blow()
        return True

    def _set_wake(self, deadline: float | None) -> None:
        if deadline is None:
            return
        wake_ms = (deadline - self._offset_ms) / self._rate
        if self._wake_ms is None or wake_ms < self._wake_ms:
            self._wake_ms = wake_ms
            self._clock.call_at(wake_ms, self._wake, is_timer=True)

    def _wake(self) -> None:
        if self.life is not Life.RUNNING:
            return
        if self._wake_ms is not None and self._clock.now_ms < self._wake_ms:
            return
        self._wake_ms = None
        deadline = self.member.deadline()
        local_ms = self._local_ms()
        # Rounding may leave a clock a hair short of the deadline that it was woken for.
        if deadline is not None and deadline <= local_ms + 1e-6:
            self._step(DeadlineReached(), max(deadline, local_ms))
        else:
            self._set_wake(deadline)
