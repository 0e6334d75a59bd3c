"""Link rules to `admin.proto` and back."""

from __future__ import annotations

from typing import assert_never

from lagkeeper.v1 import admin_pb2

from nodes.rules import Action, Cut, Delay, Hold, LinkRule, RuleError, check_rule

_DISTRIBUTIONS: dict[str, admin_pb2.Distribution.ValueType] = {
    "constant": admin_pb2.DISTRIBUTION_CONSTANT,
    "uniform": admin_pb2.DISTRIBUTION_UNIFORM,
    "normal": admin_pb2.DISTRIBUTION_NORMAL,
    "pareto": admin_pb2.DISTRIBUTION_PARETO,
}
_NAMES = {number: name for name, number in _DISTRIBUTIONS.items()}


def encode_rule(rule: LinkRule) -> admin_pb2.LinkRule:
    """Return `rule` as protobuf."""
    out = admin_pb2.LinkRule(
        kind=rule.kind, txn_type=rule.txn_type, next=rule.next, probability=rule.probability
    )
    match rule.action:
        case Delay() as delay:
            out.delay.delay_ms = delay.delay_ms
            out.delay.jitter_ms = delay.jitter_ms
            out.delay.distribution = _DISTRIBUTIONS[delay.distribution]
        case Hold():
            out.hold.SetInParent()
        case Cut():
            out.cut.SetInParent()
        case _:
            assert_never(rule.action)
    return out


def decode_rule(got: admin_pb2.LinkRule) -> LinkRule:
    """Return the rule in `got`; raises RuleError if it cannot be."""
    return check_rule(
        LinkRule(
            action=_read_action(got),
            kind=got.kind,
            txn_type=got.txn_type,
            next=got.next,
            # Unset in proto3: always.
            probability=got.probability or 1.0,
        )
    )


def _read_action(got: admin_pb2.LinkRule) -> Action:
    match got.WhichOneof("action"):
        case "hold":
            return Hold()
        case "cut":
            return Cut()
        case "delay":
            delay = got.delay
            default = "uniform" if delay.jitter_ms else "constant"
            if delay.distribution == admin_pb2.DISTRIBUTION_UNSPECIFIED:
                return Delay(delay.delay_ms, delay.jitter_ms, default)
            name = _NAMES.get(delay.distribution, f"number {delay.distribution}")
            return Delay(delay.delay_ms, delay.jitter_ms, name)
        case _:
            raise RuleError("a rule without an action: set delay, hold or cut")
