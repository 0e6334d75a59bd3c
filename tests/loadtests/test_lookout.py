"""Looking at an ensemble: what a sample has, what is an event, when the ensemble is gone."""

from __future__ import annotations

from lagkeeper.v1.admin_pb2 import (
    CutAction,
    DelayAction,
    GetStatusResponse,
    LinkRule,
    LinkStatus,
    RuleStatus,
)
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse, MemberView

from loadtests.lookout import Lookout
from loadtests.record import Recorder
from orchestrator.errors import NotAnswering

DELAY = LinkRule(delay=DelayAction(delay_ms=50))
CUT = LinkRule(cut=CutAction())


def member(sid: int, state: str = "FOLLOWING", *rules: LinkRule, touched: int = 0) -> MemberView:
    status = GetStatusResponse(sid=sid, state=state, is_serving=True, epoch=1)
    status.global_sessions, status.closing_sessions, status.local_sessions = 10, 2, 1
    of_rules = [RuleStatus(rule=rule, touched=touched) for rule in rules]
    status.links.append(LinkStatus(sender=sid, receiver=9, is_connected=True, rules=of_rules))
    return MemberView(sid=sid, address=f"h:{sid}", process="running", status=status)


def silent(sid: int, process: str = "running") -> MemberView:
    return MemberView(sid=sid, address=f"h:{sid}", process=process)


class Looks:
    """A lookout that sees what it is shown."""

    def __init__(self) -> None:
        self.recorder = Recorder(seed=1, knobs={})
        self.lookout = Lookout(self.recorder, self._view)
        self._shown: list[MemberView] | None = []

    def see(self, *members: MemberView) -> list[str]:
        """Look once; return the events of that look."""
        self._shown = list(members)
        return self._look()

    def see_nothing(self) -> list[str]:
        """Look once, at a keeper that does not answer."""
        self._shown = None
        return self._look()

    def _look(self) -> list[str]:
        before = len(self.recorder.events)
        self.lookout.look(users=4, expired=3)
        return [f"{event['kind']}: {event['text']}" for event in self.recorder.events[before:]]

    def _view(self) -> GetEnsembleResponse:
        if self._shown is None:
            raise NotAnswering("no answer")
        return GetEnsembleResponse(members=self._shown)


def test_sessions_are_the_leaders_and_every_members_local_ones() -> None:
    looks = Looks()
    looks.see(member(1, "LEADING"), member(2))
    (sample,) = looks.recorder.samples
    assert sample["sessions"] == {"alive": 10 - 2 + 2, "closing": 2, "expired": 3}
    assert sample["users"] == 4


def test_rule_is_an_event_when_it_comes_and_when_it_goes() -> None:
    looks = Looks()
    assert looks.see(member(1, "LEADING")) == []
    assert looks.see(member(1, "LEADING", DELAY)) == ["link set: link 1->9: delay=50ms"]
    assert looks.see(member(1, "LEADING", DELAY, CUT, touched=7)) == ["link set: link 1->9: cut"]
    assert looks.recorder.samples[-1]["links"] == [
        {"link": "1->9", "rule": "delay=50ms", "touched": 7},
        {"link": "1->9", "rule": "cut", "touched": 7},
    ]
    assert looks.see(member(1, "LEADING", CUT, touched=8)) == [
        "link cleared: link 1->9: delay=50ms taken off; it had touched 7 messages"
    ]


def test_silence_of_a_member_takes_no_rule_off() -> None:
    looks = Looks()
    looks.see(member(1, "LEADING"), member(2, "FOLLOWING", DELAY))
    looks.see(member(1, "LEADING"), silent(2))
    assert looks.see(member(1, "LEADING"), member(2, "FOLLOWING", DELAY)) == []


def test_busy_member_is_not_lost_and_a_dead_one_is_at_once() -> None:
    looks = Looks()
    looks.see(member(1, "LEADING"), member(2))
    assert looks.see(member(1, "LEADING"), silent(2)) == []
    assert looks.see(member(1, "LEADING"), silent(2)) == []
    assert looks.see(member(1, "LEADING"), silent(2)) == [
        "member lost: member 2 does not answer: running"
    ]
    assert looks.see(member(1, "LEADING"), member(2)) == ["member back: member 2 answers again"]
    assert looks.see(member(1, "LEADING"), silent(2, "killed")) == [
        "member lost: member 2 does not answer: killed"
    ]
    assert not looks.lookout.is_gone


def test_new_leader_is_an_event_and_an_election_is_not() -> None:
    looks = Looks()
    assert looks.see(member(1, "LEADING"), member(2)) == []
    assert looks.see(member(1, "LOOKING"), member(2, "LOOKING")) == []
    assert not looks.lookout.has_new_leader
    assert looks.see(member(1), member(2, "LEADING")) == [
        "leader changed: member 2 leads instead of member 1"
    ]
    assert looks.lookout.has_new_leader


def test_keeper_that_is_gone_is_said_once_and_in_what_is_missing() -> None:
    looks = Looks()
    looks.see(member(1, "LEADING"))
    said = [looks.see_nothing() for _ in range(5)]
    assert [bool(events) for events in said] == [False, False, True, False, False]
    assert looks.lookout.is_gone
    (missing,) = looks.recorder.missing
    assert missing.startswith("the ensemble went away after 0 s: no answer")


def test_keeper_that_is_slow_for_a_moment_is_not_gone() -> None:
    looks = Looks()
    for _ in range(4):
        looks.see_nothing()
        looks.see_nothing()
        looks.see(member(1, "LEADING"))
    assert not looks.lookout.is_gone


def test_ensemble_without_a_single_answer_is_gone() -> None:
    looks = Looks()
    looks.see(member(1, "LEADING"), member(2))
    looks.see(silent(1, "killed"), silent(2, "exited"))
    assert looks.lookout.is_gone
