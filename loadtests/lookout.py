"""Looks at the ensemble once a second and takes down what it sees: samples, events, who is lost.

Owns the comparison of one look with the one before. Sets no rule and starts nothing; the view
comes from `loadtests.web.ensemble`, the record goes to `loadtests.record`.
"""

from __future__ import annotations

from collections.abc import Callable

from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse, MemberView

from loadtests.record import LinkSample, Recorder, Sessions
from orchestrator.errors import OrchestratorError
from orchestrator.views import leader_of, links_json

# So many looks in a row must fail: a member that is busy for a moment is not lost.
_LOST_LOOKS = 3

View = Callable[[], GetEnsembleResponse]


class Lookout:
    """Invariant: an event is noted once, when what it tells is first seen."""

    def __init__(self, recorder: Recorder, view: View) -> None:
        self.is_gone = False
        self.leader: int | None = None
        self.has_new_leader = False
        self._recorder = recorder
        self._view = view
        self._silent: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._rules: dict[str, dict[str, int]] = {}
        self._failed_looks = 0

    def look(self, users: int, expired: int) -> None:
        """Take a sample; `users` of Locust are there, so many sessions were marked by now."""
        try:
            view = self._view()
        except OrchestratorError as error:
            self._failed_looks += 1
            if self._failed_looks >= _LOST_LOOKS:
                self._give_up(str(error))
            return
        self._failed_looks = 0
        self._note_members(view)
        if view.members and all(self._is_lost(member) for member in view.members):
            self._give_up("no member answers")
            return
        self._note_leader(leader_of(view))
        links = self._note_rules(view)
        self._recorder.sample(users, _sessions(view, expired), links)

    def _give_up(self, why: str) -> None:
        if not self.is_gone:
            self.is_gone = True
            sentence = f"the ensemble went away after {self._recorder.t:.0f} s: {why}"
            self._recorder.note("ensemble lost", sentence)
            self._recorder.lack(f"{sentence}; nothing after that was measured")

    def _is_lost(self, member: MemberView) -> bool:
        return self._silent.get(member.address, 0) >= _LOST_LOOKS

    def _note_members(self, view: GetEnsembleResponse) -> None:
        for member in view.members:
            address = member.address
            if member.HasField("status"):
                self._names[address] = f"member {member.sid}"
                if self._is_lost(member):
                    self._recorder.note("member back", f"{self._names[address]} answers again")
                self._silent[address] = 0
                continue
            was_lost = self._is_lost(member)
            looks = self._silent.get(address, 0) + 1
            # Of a process that has ended nothing more is to be waited for.
            has_ended = member.process in ("killed", "stopped", "exited")
            self._silent[address] = max(looks, _LOST_LOOKS) if has_ended else looks
            if self._is_lost(member) and not was_lost:
                name = self._names.get(address, f"the member at {address}")
                self._recorder.note("member lost", f"{name} does not answer: {member.process}")

    def _note_leader(self, leader: int | None) -> None:
        if leader is None or leader == self.leader:
            return
        if self.leader is not None:
            self.has_new_leader = True
            text = f"member {leader} leads instead of member {self.leader}"
            self._recorder.note("leader changed", text)
        self.leader = leader

    def _note_rules(self, view: GetEnsembleResponse) -> list[LinkSample]:
        samples: list[LinkSample] = []
        for link in links_json(view):
            name = link["link"]
            now = {rule["rule"]: rule["touched"] for rule in link["rules"]}
            before = self._rules.get(name, {})
            for rule in now.keys() - before.keys():
                self._recorder.note("link set", f"link {name}: {rule}")
            for rule in before.keys() - now.keys():
                text = f"link {name}: {rule} taken off; it had touched {before[rule]} messages"
                self._recorder.note("link cleared", text)
            self._rules[name] = now
            samples += [LinkSample(link=name, rule=r, touched=n) for r, n in now.items()]
        return samples


def _sessions(view: GetEnsembleResponse, expired: int) -> Sessions:
    leader = leader_of(view)
    statuses = [member.status for member in view.members if member.HasField("status")]
    leading = [status for status in statuses if status.sid == leader] or statuses
    known = max((status.global_sessions for status in leading), default=0)
    closing = max((status.closing_sessions for status in leading), default=0)
    local = sum(status.local_sessions for status in statuses)
    return Sessions(alive=known - closing + local, closing=closing, expired=expired)
