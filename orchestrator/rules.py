"""Link rules between their text and the wire, with what is wrong said as InvalidInput."""

from __future__ import annotations

from collections.abc import Collection

from lagkeeper.v1 import admin_pb2

from nodes.rule_codec import decode_rule, encode_rule
from nodes.rules import LinkRule, RuleError, parse_links, parse_rule, show_rule
from orchestrator.errors import InvalidInput


def wire_rule(text: str) -> admin_pb2.LinkRule:
    """The rule that `text` says, e.g. `delay=50ms only=COMMIT`. Raises InvalidInput."""
    try:
        return encode_rule(parse_rule(text))
    except RuleError as error:
        raise InvalidInput(str(error)) from None


def find_links(text: str, members: Collection[int]) -> list[tuple[int, int]]:
    """The links that `text` names, e.g. `3->1,*->2`, each as its two sids. Raises InvalidInput."""
    try:
        return parse_links(text, members)
    except RuleError as error:
        raise InvalidInput(str(error)) from None


def read_rule(wire: admin_pb2.LinkRule) -> LinkRule:
    """A rule from the wire. Raises InvalidInput where its values make no sense."""
    try:
        return decode_rule(wire)
    except RuleError as error:
        raise InvalidInput(str(error)) from None


def show_wire_rule(wire: admin_pb2.LinkRule) -> str:
    """The text of a rule, as `wire_rule` reads it."""
    return show_rule(read_rule(wire))
