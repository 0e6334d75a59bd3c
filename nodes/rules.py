"""What a link may do to messages, and how people write it down.

Owns the rule, its text form and the naming of links. Applies nothing (`nodes.links` does) and
knows no clock.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import get_args

from nodes.core.messages import Message
from nodes.core.txns import TxnBody

KINDS: tuple[str, ...] = tuple(sorted({packet.kind for packet in get_args(Message)}))
TXN_TYPES: tuple[str, ...] = tuple(sorted({body.type for body in get_args(TxnBody)} | {"sync"}))
DISTRIBUTIONS = ("constant", "uniform", "normal", "pareto")
WORDS = "delay=, jitter=, distribution=, hold, cut, only=, next=, probability="
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
MAX_NEXT = 2**32 - 1
# A day: a timer set for an instant that does not fit into it would ring at once, for ever.
MAX_DELAY_MS = 86_400_000.0


class RuleError(ValueError):
    """A rule or a link that cannot be: says what was wrong and where, in one line."""


@dataclass(slots=True, frozen=True)
class Delay:
    """Arrives later by `delay_ms`, spread by `jitter_ms` as the distribution says.

    constant: always delay_ms. uniform: delay_ms +- jitter_ms. normal: jitter_ms is the standard
    deviation. pareto: delay_ms plus a heavy tail whose mean is jitter_ms. Never below 0.
    """

    delay_ms: float
    jitter_ms: float = 0.0
    distribution: str = "constant"


@dataclass(slots=True, frozen=True)
class Hold:
    """Waits for a release, with everything behind it except pings: the link seems alive."""


@dataclass(slots=True, frozen=True)
class Cut:
    """Silence: everything waits, pings too, until the cut is healed or the link breaks."""


Action = Delay | Hold | Cut


@dataclass(slots=True, frozen=True)
class LinkRule:
    """An action and the messages it acts on.

    `kind` and `txn_type` empty: every one. `next` 0: no limit, else only the next so many that
    match. Each match is acted on with `probability`. A hold never takes pings.
    """

    action: Action
    kind: str = ""
    txn_type: str = ""
    next: int = 0
    probability: float = 1.0

    @property
    def action_name(self) -> str:
        """`delay`, `hold` or `cut`."""
        return type(self.action).__name__.lower()

    @property
    def match(self) -> tuple[str, str, str]:
        """What makes two rules the same: a new one replaces the old one of equal match."""
        return self.action_name, self.kind, self.txn_type


def check_rule(rule: LinkRule) -> LinkRule:
    """Return `rule` if its values make sense together; raise RuleError otherwise."""
    if rule.kind and rule.kind not in KINDS:
        raise RuleError(f"only={rule.kind}: unknown message kind; one of {', '.join(KINDS)}")
    if rule.txn_type and rule.txn_type not in TXN_TYPES:
        valid = ", ".join(TXN_TYPES)
        raise RuleError(f"only=[{rule.txn_type}]: unknown transaction type; one of {valid}")
    if not 0 <= rule.next <= MAX_NEXT:
        raise RuleError(f"next={rule.next}: must be 1 to {MAX_NEXT} (0: no limit)")
    if not 0 < rule.probability <= 1:
        raise RuleError(f"probability={rule.probability:g}: must be above 0 and at most 1")
    if isinstance(rule.action, Hold) and rule.kind == "PING":
        raise RuleError("hold only=PING: a hold lets pings pass; use cut")
    if isinstance(rule.action, Delay):
        _check_delay(rule.action)
    return rule


def _check_delay(delay: Delay) -> None:
    if delay.distribution not in DISTRIBUTIONS:
        valid = ", ".join(DISTRIBUTIONS)
        raise RuleError(f"distribution={delay.distribution}: unknown; one of {valid}")
    for name, value in (("delay", delay.delay_ms), ("jitter", delay.jitter_ms)):
        if not 0 <= value <= MAX_DELAY_MS:
            raise RuleError(f"{name}={value:g}ms: must be from 0 to {MAX_DELAY_MS / 1000:.0f}s")
    if delay.jitter_ms and delay.distribution == "constant":
        raise RuleError("distribution=constant: has no jitter; leave out one of the two")


_ONLY = re.compile(r"(?P<kind>\w+)(?:\[(?P<txn_type>\w+)\])?|\[(?P<any_kind>\w+)\]")
_LENGTH = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[a-z]*)")


def parse_rule(text: str) -> LinkRule:
    """Return the rule that `text` says, e.g. `delay=50ms jitter=5ms only=COMMIT[closeSession]`.

    Raises RuleError naming the word at fault.
    """
    given: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if name not in _READERS or (name in _BARE) == bool(equals):
            raise RuleError(f"{word!r} in {text!r}: not a rule's word; valid are {WORDS}")
        if name in given:
            raise RuleError(f"{word!r} in {text!r}: {name} is said twice")
        given[name] = value
    return check_rule(_assemble(text, given))


def _assemble(text: str, given: dict[str, str]) -> LinkRule:
    actions = [name for name in ("delay", "hold", "cut") if name in given]
    if not actions and "jitter" in given:
        actions = ["delay"]
    if len(actions) != 1:
        said = "more than one action" if actions else "no action"
        raise RuleError(f"{text!r}: {said}; say one of delay=, hold, cut")
    if actions[0] != "delay" and (stray := given.keys() & {"jitter", "distribution"}):
        raise RuleError(f"{text!r}: {min(stray)}= belongs to delay=, not to {actions[0]}")
    kind, txn_type = _read_only(given.get("only", ""))
    return LinkRule(
        action=_read_action(actions[0], given),
        kind=kind,
        txn_type=txn_type,
        next=_read_next(given["next"]) if "next" in given else 0,
        probability=_read_probability(given.get("probability", "1")),
    )


def _read_action(name: str, given: dict[str, str]) -> Action:
    if name == "hold":
        return Hold()
    if name == "cut":
        return Cut()
    jitter_ms = _read_ms("jitter", given.get("jitter", "0"))
    default = "uniform" if jitter_ms else "constant"
    return Delay(
        _read_ms("delay", given.get("delay", "0")),
        jitter_ms,
        given.get("distribution", default),
    )


def _read_ms(name: str, text: str) -> float:
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise RuleError(f"{name}={text}: not a length of time such as 50ms, 1.5s or 200us")
    number, unit = float(found["number"]), found["unit"]
    if not unit and number:
        raise RuleError(f"{name}={text}: without a unit; one of {', '.join(UNITS)}")
    if unit and unit not in UNITS:
        raise RuleError(f"{name}={text}: unknown unit {unit!r}; one of {', '.join(UNITS)}")
    return number * UNITS.get(unit, 1.0)


def _read_only(text: str) -> tuple[str, str]:
    if not text:
        return "", ""
    found = _ONLY.fullmatch(text)
    if found is None:
        raise RuleError(f"only={text}: not KIND, KIND[txnType] or [txnType]")
    return (found["kind"] or "").upper(), found["txn_type"] or found["any_kind"] or ""


def _read_next(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise RuleError(f"next={text}: not a whole number of 1 or more")
    return int(text)


def _read_probability(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RuleError(f"probability={text}: not a number") from None


_READERS = ("delay", "jitter", "distribution", "hold", "cut", "only", "next", "probability")
_BARE = ("hold", "cut")


def show_rule(rule: LinkRule) -> str:
    """Return the text that `parse_rule` reads back as `rule`."""
    words = []
    if isinstance(rule.action, Delay):
        words.append(f"delay={_show_number(rule.action.delay_ms)}ms")
        if rule.action.jitter_ms:
            words.append(f"jitter={_show_number(rule.action.jitter_ms)}ms")
        if rule.action.distribution != ("uniform" if rule.action.jitter_ms else "constant"):
            words.append(f"distribution={rule.action.distribution}")
    else:
        words.append(rule.action_name)
    if rule.kind or rule.txn_type:
        words.append(f"only={rule.kind}" + (f"[{rule.txn_type}]" if rule.txn_type else ""))
    if rule.next:
        words.append(f"next={rule.next}")
    if rule.probability != 1:
        words.append(f"probability={_show_number(rule.probability)}")
    return " ".join(words)


def _show_number(number: float) -> str:
    """Plain digits, to the nanosecond: `parse_rule` reads no exponents."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def parse_links(text: str, members: Collection[int]) -> list[tuple[int, int]]:
    """Return the links that `text` names, e.g. `3->1,*->2`, as (sender, receiver), each once.

    `*` is every member. Raises RuleError for an unknown member or a malformed link.
    """
    links: dict[tuple[int, int], None] = {}
    for part in text.split(","):
        sender, arrow, receiver = part.strip().partition("->")
        if not arrow:
            raise RuleError(f"{part.strip()!r} in {text!r}: not a link; write 3->1, *->1 or 3->*")
        ends = [_read_end(end.strip(), part.strip(), members) for end in (sender, receiver)]
        found = [(a, b) for a in ends[0] for b in ends[1] if a != b]
        if not found:
            raise RuleError(f"{part.strip()!r}: a member has no link to itself")
        links.update(dict.fromkeys(found))
    return list(links)


def _read_end(end: str, link: str, members: Collection[int]) -> list[int]:
    if end == "*":
        return sorted(members)
    if end.isdecimal() and int(end) in members:
        return [int(end)]
    valid = ", ".join(str(sid) for sid in sorted(members))
    raise RuleError(f"{link!r}: no member {end!r}; members are {valid}")


def parse_link_rule(text: str, members: Collection[int]) -> tuple[list[tuple[int, int]], LinkRule]:
    """Return links and rule of e.g. `3->1 delay=50ms`: the links first, then the rule's words."""
    links, _, rule = text.strip().partition(" ")
    return parse_links(links, members), parse_rule(rule)


def show_link(sender: int, receiver: int) -> str:
    """Return a link as people write it: `3->1`."""
    return f"{sender}->{receiver}"
