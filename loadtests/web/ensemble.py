"""The ensemble as the web tab sees and disturbs it: members, links, rules.

Owns the way to the ensemble: through its keeper where `--dir` names one, which remembers rules for
members that restart; else straight to the members of `--members`. Parses no rule itself and knows
nothing of HTTP. Every error is an OrchestratorError, one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse, MemberView

from client.errors import BadArgumentsError
from client.line import CHANNEL_OPTIONS
from client.members import parse_members
from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, NotAnswering, NotPossible
from orchestrator.rules import find_links, wire_rule
from orchestrator.views import links_json

_ANSWER_S, _LOOK_S = 5.0, 2.0
_ROLES = {"LEADING": "leader", "FOLLOWING": "follower", "OBSERVING": "observer"}


class Links(Protocol):
    """What can be done to links; `links` is `3->1`, `*->2` or several with commas."""

    def view(self) -> GetEnsembleResponse:
        """Every member and the links it sends on."""

    def set_rule(self, links: str, rule: str) -> list[str]:
        """Add a rule by its text. Returns the links it is on."""

    def clear(self, links: str) -> int:
        """Take every rule off. Returns how many messages came free."""


@contextmanager
def open_links(members: str, directory: str) -> Iterator[Links]:
    """The links of the ensemble that Locust's options name, for as long as the block lasts."""
    if members.strip():
        with NamedMembers(members.split(",")) as named:
            yield named
    else:
        with Ensemble.attach(Path(directory)) as ensemble:
            yield KeptEnsemble(ensemble)


def describe(view: GetEnsembleResponse) -> dict[str, Any]:
    """Members with their roles, and links with their rules, as plain data."""
    return {
        "members": [{"sid": m.sid, "address": m.address, "role": _role(m)} for m in view.members],
        "links": links_json(view),
    }


def _role(member: MemberView) -> str:
    if member.process != "running":
        return member.process
    return _ROLES.get(member.status.state, "looking")


class KeptEnsemble:
    """An ensemble with a keeper."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble

    def view(self) -> GetEnsembleResponse:
        """As the keeper sees it."""
        return self._ensemble.status()

    def set_rule(self, links: str, rule: str) -> list[str]:
        """Through the keeper."""
        return self._ensemble.link(links).set(rule)

    def clear(self, links: str) -> int:
        """Through the keeper."""
        return self._ensemble.link(links).clear()


class NamedMembers:
    """Members known by address alone; each takes the rules of the links it sends on."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = [address.strip() for address in addresses if address.strip()]
        try:
            parse_members(self._addresses)
        except BadArgumentsError as error:
            raise InvalidInput(f"--members: {error.detail}") from None
        self._channels = ExitStack()
        self._stubs = {
            address: AdminServiceStub(
                self._channels.enter_context(
                    grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
                )
            )
            for address in self._addresses
        }

    def __enter__(self) -> NamedMembers:
        return self

    def __exit__(self, *_: object) -> None:
        self._channels.close()

    def view(self) -> GetEnsembleResponse:
        """Whoever answers; a member that does not is shown as silent, without its sid."""
        # All at once: members that are stopped would each take the whole time of an answer.
        with ThreadPoolExecutor(len(self._addresses)) as pool:
            members = list(pool.map(self._member, self._addresses))
        return GetEnsembleResponse(members=sorted(members, key=lambda m: (m.sid == 0, m.sid)))

    def set_rule(self, links: str, rule: str) -> list[str]:
        """On all the links or on none: every sender is known to answer by then."""
        wire = wire_rule(rule)
        found = self._find(links)
        for sender, receiver, stub in found:
            request = admin_pb2.SetRuleRequest(receiver=receiver, rule=wire)
            with _told(f"member {sender}"):
                stub.SetRule(request, timeout=_ANSWER_S)
        return [f"{sender}->{receiver}" for sender, receiver, _ in found]

    def clear(self, links: str) -> int:
        """As `set_rule`."""
        released = 0
        for sender, receiver, stub in self._find(links):
            request = admin_pb2.ClearRulesRequest(receiver=receiver)
            with _told(f"member {sender}"):
                released += stub.ClearRules(request, timeout=_ANSWER_S).released
        return released

    def _find(self, links: str) -> list[tuple[int, int, AdminServiceStub]]:
        """Sender, receiver and the sender's stub of each link that `links` names."""
        answering = [member for member in self.view().members if member.sid]
        if not answering:
            raise NotAnswering(f"none of {', '.join(self._addresses)} answers")
        addresses = {member.sid: member.address for member in answering}
        # A silent member is known from the links to it.
        receivers = (link.receiver for member in answering for link in member.status.links)
        found = find_links(links, sorted({*addresses, *receivers}))
        for sender, receiver in found:
            if sender not in addresses:
                raise NotPossible(
                    f"member {sender} does not answer, and the rules of {sender}->{receiver} are"
                    " its own to keep; nothing was changed"
                )
        return [(sender, receiver, self._stubs[addresses[sender]]) for sender, receiver in found]

    def _member(self, address: str) -> MemberView:
        request = admin_pb2.GetStatusRequest()
        try:
            status = self._stubs[address].GetStatus(request, timeout=_LOOK_S)
        except grpc.RpcError:
            return MemberView(address=address, process="silent")
        return MemberView(sid=status.sid, address=address, process="running", status=status)


@contextmanager
def _told(who: str) -> Iterator[None]:
    """Turn a member's refusal or silence into an OrchestratorError."""
    try:
        yield
    except grpc.RpcError as error:
        details = error.details() if isinstance(error, grpc.Call) else str(error)
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise InvalidInput(f"{who}: {details}") from None
        raise NotAnswering(f"{who} does not answer: {details}") from None
