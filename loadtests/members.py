"""The ensemble as the load test finds it: addresses, who leads, who is slow.

Owns the questions to the members and the words for their roles in the table. Changes nothing in
the ensemble. Roles are found when a test starts; `leader_of` shows afterwards whether they held.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import grpc
from lagkeeper.v1 import admin_pb2, orchestrator_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub
from lagkeeper.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from client.errors import BadArgumentsError
from client.line import CHANNEL_OPTIONS
from client.members import parse_members
from loadtests.knobs import ALL, Knobs, SetupError
from loadtests.readers import LEADER, OBSERVER, OTHER, SLOW
from orchestrator.directory import find_keeper
from orchestrator.errors import OrchestratorError

_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """A member in a role."""

    sid: int
    address: str
    words: str


@dataclass(frozen=True, slots=True)
class Members:
    """Every member by sid with its role, where the services live, and the roles that exist."""

    addresses: dict[int, str]
    roles: dict[int, str]
    victims: tuple[str, ...]
    leader: int
    places: dict[str, Place]


def find_members(knobs: Knobs) -> Members:
    """Ask the ensemble. Raises SetupError if it does not answer or lacks what was named."""
    found = {address: status_of(address) for address in _addresses(knobs)}
    statuses = list(found.values())
    addresses = {status.sid: address for address, status in found.items()}
    _require("--slow-member", knobs.slow_member, addresses)
    leader = _leader_in(statuses)
    roles = {status.sid: _role(status) for status in statuses}
    observers = [sid for sid in sorted(roles) if roles[sid] == "observer"]
    delayed = delayed_by(next(status for status in statuses if status.sid == leader))
    places = places_of(addresses, leader, delayed, knobs.slow_member, observers)
    victims = victims_of(knobs.victim_member, addresses, places)
    return Members(addresses, roles, victims, leader, places)


def places_of(
    addresses: dict[int, str],
    leader: int,
    delayed: Collection[int],
    slow_sid: int,
    observers: Collection[int] = (),
) -> dict[str, Place]:
    """Who plays which role; a role that nobody can play is not there."""
    # Followers first: an observer is the slow member only if it is the one that is delayed.
    learners = sorted(set(addresses) - {leader}, key=lambda sid: (sid in observers, sid))
    slow = slow_sid or next((sid for sid in learners if sid in delayed), 0)
    is_slow = slow != 0
    slow = slow or next(iter(learners), 0)
    rest = [sid for sid in learners if sid != slow and sid not in observers]
    other = next((sid for sid in rest if sid not in delayed), next(iter(rest), 0))
    is_undelayed = is_slow and other not in delayed
    observer = next((sid for sid in observers if sid != slow), 0)
    named = (
        (SLOW, slow, "slow member" if is_slow else "a follower"),
        (OTHER, other, "undelayed member" if is_undelayed else "another follower"),
        (LEADER, leader, "leader"),
        (OBSERVER, observer, "observer"),
    )
    return {role: Place(sid, addresses[sid], words) for role, sid, words in named if sid}


def delayed_by(leader: admin_pb2.GetStatusResponse) -> set[int]:
    """The receivers of the links on which the leader has a rule."""
    return {
        link.receiver
        for link in leader.links
        if any(status.rule.WhichOneof("action") for status in link.rules)
    }


def victims_of(said: str, addresses: dict[int, str], places: dict[str, Place]) -> tuple[str, ...]:
    """The addresses where services have their sessions. Raises SetupError if there is none."""
    if said == ALL:
        return tuple(addresses[sid] for sid in sorted(addresses))
    if said.isdecimal():
        _require("--victim-member", int(said), addresses)
        return (addresses[int(said)],)
    if said not in places:
        raise SetupError(f"--victim-member: no member is {said} in this ensemble")
    return (places[said].address,)


def _require(flag: str, sid: int, addresses: dict[int, str]) -> None:
    if sid and sid not in addresses:
        raise SetupError(f"{flag}: no member {sid}; there are {', '.join(map(str, addresses))}")


def _role(status: admin_pb2.GetStatusResponse) -> str:
    roles = {"LEADING": "leader", "OBSERVING": "observer"}
    return roles.get(status.state, "follower")


def _leader_in(statuses: Collection[admin_pb2.GetStatusResponse]) -> int:
    leading = [(s.epoch, s.sid) for s in statuses if s.state == "LEADING" and s.is_serving]
    if not leading:
        raise SetupError("no member of the ensemble leads; is there a quorum?")
    # A deposed leader may not have noticed yet.
    return max(leading)[1]


def status_of(address: str) -> admin_pb2.GetStatusResponse:
    """A member's view of itself. Raises SetupError if it does not answer."""
    try:
        parse_members([address])
    except BadArgumentsError as error:
        raise SetupError(f"--members: {error.detail}") from None
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        try:
            return AdminServiceStub(channel).GetStatus(
                admin_pb2.GetStatusRequest(), timeout=_ANSWER_S
            )
        except grpc.RpcError as error:
            raise SetupError(f"member {address} does not answer: {_detail(error)}") from None


def _addresses(knobs: Knobs) -> list[str]:
    return list(knobs.members) or _addresses_in(knobs.directory)


def _addresses_in(directory: Path) -> list[str]:
    try:
        keeper = find_keeper(directory)
    except OrchestratorError as error:
        raise SetupError(f"--dir: {error}") from None
    with grpc.insecure_channel(keeper.address, options=CHANNEL_OPTIONS) as channel:
        try:
            ensemble = OrchestratorServiceStub(channel).GetEnsemble(
                orchestrator_pb2.GetEnsembleRequest(), timeout=_ANSWER_S
            )
        except grpc.RpcError as error:
            raise SetupError(f"the orchestrator does not answer: {_detail(error)}") from None
    return [member.address for member in ensemble.members if member.process == "running"]


def _detail(error: grpc.RpcError) -> str:
    details = error.details() if isinstance(error, grpc.Call) else None
    return (details or str(error)).rpartition(": ")[2]
