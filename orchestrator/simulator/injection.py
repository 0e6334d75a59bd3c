"""Makes a schedule of faults happen in a world, and ends them.

A fault that cannot happen any more (its member is down already, nobody leads) does not; `done`
tells how many did. What a fault leads to is for the core to decide, and the judge to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.simulator.faults import WHO_LEADS, Fault
from orchestrator.simulator.host import Fuse, Host, Life
from orchestrator.simulator.workload import Workload
from orchestrator.simulator.world import World


class Injector:
    """Invariant: after `end_all` nothing of any fault is left but what it did."""

    def __init__(self, world: World, workload: Workload) -> None:
        self.done: dict[str, int] = {}
        self._world = world
        self._workload = workload
        self._is_over = False
        self._began_ms = world.clock.now_ms

    def schedule(self, faults: tuple[Fault, ...]) -> None:
        """Let every fault begin at its time, counted from now."""
        self._began_ms = self._world.clock.now_ms
        for fault in faults:
            self._at(fault.at_ms, partial(self._begin, fault))

    def _at(self, at_ms: float, action: Callable[[], None]) -> None:
        def act() -> None:
            if not self._is_over:
                action()

        self._world.clock.call_at(self._began_ms + at_ms, act)

    def end_all(self) -> None:
        """Everybody runs, every link carries, every disk writes, every clock is right."""
        self._is_over = True
        world = self._world
        for host in world.hosts.values():
            self._heal(host)
        world.heal()
        for sid, host in world.hosts.items():
            if not host.is_up:
                world.restart(sid)
            host.set_clock(1.0)

    def _heal(self, host: Host) -> None:
        host.disk.delay_ms = 0.0
        host.disk.go_on()
        host.clear_fuse()
        if host.life is Life.PAUSED:
            self._world.resume(host.sid)
        if host.is_up:
            host.release_closing()

    # The beginning of each kind.

    def _begin(self, fault: Fault) -> None:
        leader = self._world.leader()
        if WHO_LEADS in (fault.sid, fault.peer) and leader is None and fault.kind != "power":
            # Nobody leads: let it hit the first that it may.
            leader = self._world.sids[0]
        sid = fault.sid or leader or 0
        peer = fault.peer or leader or 0
        if self._carry_out(fault, sid, peer):
            self.done[fault.kind] = self.done.get(fault.kind, 0) + 1

    def _carry_out(self, fault: Fault, sid: int, peer: int) -> bool:
        match fault.kind:
            case "crash":
                return self._crash_later(fault, sid)
            case "power":
                return sum(self._crash(fault, each) for each in self._world.sids) > 0
            case "orphan":
                return self._orphan(fault, sid)
            case "expire" | "move":
                return self._disturb_client(fault)
            case "isolate" | "cut" | "oneway" | "reset" | "flap" | "hold" | "delay":
                return self._disturb_links(fault, sid, peer)
            case _:
                return self._disturb_member(fault, self._world.hosts[sid])

    def _crash_later(self, fault: Fault, sid: int) -> bool:
        host = self._world.hosts[sid]
        if not host.is_up:
            return False

        def blow() -> None:
            self._crash(fault, sid)

        host.set_fuse(Fuse(fault.steps, fault.effects, blow))
        return True

    def _crash(self, fault: Fault, sid: int) -> bool:
        if not self._world.hosts[sid].is_up:
            return False
        self._world.crash(sid, fault.count)
        self._at(self._now_ms + fault.for_ms, partial(self._restart, sid))
        return True

    @property
    def _now_ms(self) -> float:
        return self._world.clock.now_ms - self._began_ms

    def _restart(self, sid: int) -> None:
        if not self._world.hosts[sid].is_up:
            self._world.restart(sid)

    def _orphan(self, fault: Fault, sid: int) -> bool:
        """Let a leader log what nobody else gets, and die of it: food for TRUNC."""
        if not self._world.hosts[sid].is_up:
            return False
        for (sender, _), link in self._world.links.items():
            if sender == sid:
                link.set_rule("hold only=PROPOSAL")

        def crash() -> None:
            self._crash(fault, sid)
            for (sender, _), link in self._world.links.items():
                if sender == sid:
                    link.clear_rules("hold")

        self._later(fault, crash)
        return True

    def _disturb_client(self, fault: Fault) -> bool:
        program = self._workload.programs[fault.count]
        if fault.kind == "move":
            program.move()
            return True
        leader = self._world.leader()
        if leader is None or not program.session_id:
            return False
        self._world.expire(program.session_id)
        return True

    def _disturb_member(self, fault: Fault, host: Host) -> bool:
        world = self._world
        match fault.kind:
            case "pause":
                if host.life is not Life.RUNNING:
                    return False
                world.pause(host.sid)
                self._later(fault, partial(self._resume, host))
            case "disk":
                host.disk.delay_ms = float(fault.count)
                self._later(fault, partial(setattr, host.disk, "delay_ms", 0.0))
            case "stall":
                host.disk.stall()
                self._later(fault, host.disk.go_on)
            case "drift":
                host.set_clock(fault.rate)
                self._later(fault, partial(host.set_clock, 1.0))
            case "closing":
                host.hold_closing()
                self._later(fault, host.release_closing)
            case _:
                raise ValueError(f"no such fault: {fault.kind}")
        return True

    def _resume(self, host: Host) -> None:
        if host.life is Life.PAUSED:
            self._world.resume(host.sid)

    def _later(self, fault: Fault, end: Callable[[], object]) -> None:
        def act() -> None:
            end()

        self._at(self._now_ms + fault.for_ms, act)

    def _disturb_links(self, fault: Fault, sid: int, peer: int) -> bool:
        world = self._world
        if fault.kind == "isolate":
            pairs = [pair for pair in world.links if sid in pair]
        elif sid == peer:
            return False
        else:
            pairs = [(sid, peer)] if fault.kind != "cut" else [(sid, peer), (peer, sid)]
        if fault.kind == "reset":
            world.reset(sid, peer)
            return True
        if fault.kind == "flap":
            for turn in range(fault.count):
                at_ms = self._now_ms + fault.for_ms * turn / fault.count
                self._at(at_ms, partial(world.reset, sid, peer))
            return True
        rule = fault.rule or "cut"
        for pair in pairs:
            world.links[pair].set_rule(rule)
            self._later(
                fault, partial(world.links[pair].clear_rules, rule.split("=")[0].split()[0])
            )
        return True
