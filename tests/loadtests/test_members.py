"""Roles: who is called slow, undelayed, leader."""

from __future__ import annotations

import pytest
from lagkeeper.v1 import admin_pb2 as pb

from loadtests.knobs import SetupError
from loadtests.members import delayed_by, places_of, victims_of
from loadtests.readers import LEADER, OBSERVER, OTHER, SLOW

THREE = {1: "a:1", 2: "b:2", 3: "c:3"}


def test_delayed_follower_is_the_slow_member() -> None:
    places = places_of(THREE, 3, {2}, 0)
    assert (places[SLOW].sid, places[SLOW].words) == (2, "slow member")
    assert (places[OTHER].sid, places[OTHER].words) == (1, "undelayed member")
    assert places[LEADER].sid == 3


def test_without_a_delay_nobody_is_called_slow() -> None:
    places = places_of(THREE, 2, set(), 0)
    assert (places[SLOW].sid, places[SLOW].words) == (1, "a follower")
    assert (places[OTHER].sid, places[OTHER].words) == (3, "another follower")


def test_named_member_is_slow_whatever_its_link() -> None:
    assert places_of(THREE, 3, set(), 2)[SLOW].sid == 2


def test_other_member_is_not_called_undelayed_if_it_is_delayed() -> None:
    assert places_of(THREE, 3, {1, 2}, 1)[OTHER].words == "another follower"


def test_lone_member_has_only_a_leader() -> None:
    assert list(places_of({1: "a:1"}, 1, set(), 0)) == [LEADER]


def test_observer_has_a_role_of_its_own_and_is_no_follower() -> None:
    places = places_of({**THREE, 4: "d:4"}, 3, {2}, 0, [4])
    assert (places[OBSERVER].sid, places[OBSERVER].words) == (4, "observer")
    assert places[OTHER].sid == 1


def test_delayed_observer_is_the_slow_member() -> None:
    places = places_of({**THREE, 4: "d:4"}, 3, {4}, 0, [4])
    assert (places[SLOW].sid, OBSERVER in places) == (4, False)


def test_any_rule_on_the_leaders_link_makes_its_receiver_slow() -> None:
    status = pb.GetStatusResponse(
        sid=3,
        links=[
            pb.LinkStatus(sender=3, receiver=1),
            pb.LinkStatus(
                sender=3,
                receiver=2,
                rules=[pb.RuleStatus(rule=pb.LinkRule(hold=pb.HoldAction()))],
            ),
        ],
    )
    assert delayed_by(status) == {2}


@pytest.mark.parametrize(
    ("said", "addresses"),
    [
        ("leader", ("c:3",)),
        ("slow", ("b:2",)),
        ("follower", ("a:1",)),
        ("2", ("b:2",)),
        ("all", ("a:1", "b:2", "c:3")),
    ],
)
def test_services_live_where_it_is_said(said: str, addresses: tuple[str, ...]) -> None:
    assert victims_of(said, THREE, places_of(THREE, 3, {2}, 0)) == addresses


@pytest.mark.parametrize(
    ("said", "complaint"),
    [("9", "no member 9; there are 1, 2, 3"), ("observer", "no member is observer")],
)
def test_services_cannot_live_where_nobody_is(said: str, complaint: str) -> None:
    with pytest.raises(SetupError, match=f"--victim-member: {complaint}"):
        victims_of(said, THREE, places_of(THREE, 3, {2}, 0))
