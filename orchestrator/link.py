"""Links of a running ensemble: their rules are set, taken off and counted through its keeper."""

from __future__ import annotations

from collections.abc import Mapping

from lagkeeper.v1 import admin_pb2, orchestrator_pb2
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse
from lagkeeper.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from orchestrator.asking import ask
from orchestrator.rules import find_links, wire_rule


class Link:
    """One or several links of an ensemble, e.g. `3->1`, `*->1` or `1->2,2->1`."""

    def __init__(
        self,
        stub: OrchestratorServiceStub,
        links: str,
        touched_before: Mapping[tuple[int, str], int],
    ) -> None:
        """`touched_before`: counts that are not to be counted, as `touched_counts` gave them."""
        self._stub = stub
        self._links = links
        self._touched_before = touched_before

    def set(self, rule: str) -> list[str]:
        """Add a rule by its text, e.g. `delay=50ms only=COMMIT`. Returns the links it is on."""
        return self._set(wire_rule(rule))

    def delay(
        self,
        ms: float,
        jitter_ms: float = 0,
        distribution: str = "",
        only: str = "",
        next: int = 0,
        probability: float = 1,
    ) -> list[str]:
        """Let messages arrive later; `distribution`: constant, uniform, normal or pareto."""
        rule = f"delay={ms:.12g}ms"
        if jitter_ms:
            rule += f" jitter={jitter_ms:.12g}ms"
        if distribution:
            rule += f" distribution={distribution}"
        return self.set(rule + _match(only, next, probability))

    def hold(self, only: str = "", next: int = 0, probability: float = 1) -> list[str]:
        """Keep matching messages, and all behind them except pings, until `release`."""
        return self.set("hold" + _match(only, next, probability))

    def cut(self, only: str = "", next: int = 0, probability: float = 1) -> list[str]:
        """Silence, pings too, until `heal`."""
        return self.set("cut" + _match(only, next, probability))

    def release(self) -> int:
        """End every hold. Returns how many messages came free."""
        return self._clear("hold").released

    def heal(self) -> int:
        """End every cut. Returns how many messages came free."""
        return self._clear("cut").released

    def clear(self) -> int:
        """Take every rule off. Returns how many messages came free."""
        return self._clear("").released

    def reset(self) -> int:
        """Break the link: both sides notice. Returns how many messages were lost."""
        request = orchestrator_pb2.BreakLinkRequest(links=self._links)
        return ask(self._stub.BreakLink, request).lost

    def touched(self) -> int:
        """How many messages rules touched on the link, rules included that are gone by now."""
        view = ask(self._stub.GetEnsemble, orchestrator_pb2.GetEnsembleRequest())
        names = self._names(view)
        return sum(
            touched - self._touched_before.get(place, 0)
            for place, touched in touched_counts(view).items()
            if place[1] in names
        )

    def names(self) -> list[str]:
        """The links this stands for, each as `3->1`."""
        return self._names(ask(self._stub.GetEnsemble, orchestrator_pb2.GetEnsembleRequest()))

    def _names(self, view: GetEnsembleResponse) -> list[str]:
        links = find_links(self._links, [member.sid for member in view.members])
        return [f"{sender}->{receiver}" for sender, receiver in links]

    def _set(self, rule: admin_pb2.LinkRule) -> list[str]:
        request = orchestrator_pb2.SetLinkRequest(links=self._links, rule=rule)
        return list(ask(self._stub.SetLink, request).links)

    def _clear(self, action: str) -> orchestrator_pb2.ClearLinkResponse:
        request = orchestrator_pb2.ClearLinkRequest(links=self._links, action=action)
        return ask(self._stub.ClearLink, request)


def touched_counts(view: GetEnsembleResponse) -> dict[tuple[int, str], int]:
    """How many messages rules have touched by process and link; a new process counts anew."""
    return {
        (member.pid, f"{link.sender}->{link.receiver}"): link.touched_before
        + sum(rule.touched for rule in link.rules)
        for member in view.members
        for link in member.status.links
    }


def _match(only: str, next: int, probability: float) -> str:
    words = f" only={only}" if only else ""
    words += f" next={next}" if next else ""
    return words + (f" probability={probability:.12g}" if probability != 1 else "")
