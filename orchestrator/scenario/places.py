"""Members and links as files name them, to sids. Knows no stage: who leads is told to it."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.rules import LinkRule, RuleError, parse_links, parse_rule
from orchestrator.scenario import steps
from orchestrator.scenario.stage import Link

NEW_LEADER = "new leader"


@dataclass(frozen=True, slots=True)
class Roles:
    """Who is who in a variant, from its beginning to its end."""

    leader: int
    voters: tuple[int, ...]
    observers: tuple[int, ...]

    @property
    def sids(self) -> tuple[int, ...]:
        """Every member."""
        return self.voters + self.observers

    def sid_of(self, word: str) -> int:
        """The sid of a role or of a sid. Raises RuleError for one that nobody has."""
        if word.isdecimal() and int(word) in self.sids:
            return int(word)
        followers = [sid for sid in sorted(self.voters) if sid != self.leader]
        found = {
            "leader": [self.leader],
            "follower": followers[:1],
            "other": followers[1:2],
            "observer": sorted(self.observers)[:1],
        }.get(word, [])
        if not found:
            size = f"{len(self.voters)} members and {len(self.observers)} observers"
            raise RuleError(f"no member '{word}' in an ensemble of {size}")
        return found[0]

    def links_of(self, text: str, new_leader: int | None = None) -> list[Link]:
        """The links that a text names. Raises RuleError."""
        named = ",".join(self._with_sids(part, new_leader) for part in text.split(","))
        return parse_links(named, self.sids)

    def _with_sids(self, link: str, new_leader: int | None) -> str:
        ends = [end.strip() for end in link.split("->")]
        if len(ends) != 2:
            raise RuleError(f"'{link.strip()}': not a link; write leader->follower, *->leader")
        return "->".join(self._end(end, new_leader) for end in ends)

    def _end(self, end: str, new_leader: int | None) -> str:
        if end == "*":
            return end
        if end == NEW_LEADER and new_leader is not None:
            return str(new_leader)
        return str(self.sid_of(end))

    def links_round(self, sid: int) -> list[Link]:
        """Every link from and to a member."""
        others = [other for other in self.sids if other != sid]
        return [(sid, other) for other in others] + [(other, sid) for other in others]


def rule_of(action: steps.Hold | steps.Delay | steps.Cut | steps.Isolate) -> LinkRule:
    """The rule that a step puts on links. Raises RuleError."""
    match action:
        case steps.Hold():
            text = "hold" + (f" next={action.next}" if action.next else "")
        case steps.Delay():
            text = f"delay={action.by}ms"
            text += f" jitter={action.jitter}ms" if action.jitter else ""
        case _:
            return parse_rule("cut")
    return parse_rule(text + (f" only={action.only}" if action.only else ""))
