"""Links keep their order, lose nothing but at a break, and count what they touch."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.links import Cut, Delay, Hold, Link, LinkRule
from nodes.rules import (
    DISTRIBUTIONS,
    KINDS,
    TXN_TYPES,
    RuleError,
    check_rule,
    parse_link_rule,
    parse_links,
    parse_rule,
    show_rule,
)


def new_link() -> Link[str]:
    return Link(Random(1))


def test_a_plain_link_passes_at_once() -> None:
    link = new_link()
    link.send("a", "COMMIT", "create", 5)
    assert link.next_due_ms() == 5
    assert link.take_due(5) == ["a"]
    assert (link.sent, link.waiting, link.next_due_ms()) == (1, 0, None)


def test_delays_overlap() -> None:
    link = new_link()
    link.set_rule(LinkRule(Delay(50)))
    for at in range(5):
        link.send(str(at), "COMMIT", "", at)
    assert link.take_due(49.9) == []
    assert link.take_due(52) == ["0", "1", "2"]
    assert link.take_due(54) == ["3", "4"]


def test_a_smaller_delay_never_overtakes() -> None:
    link = new_link()
    link.set_rule(LinkRule(Delay(50), kind="COMMIT"))
    link.send("slow", "COMMIT", "", 0)
    link.send("quick", "ACK", "", 1)
    assert link.take_due(49) == []
    assert link.take_due(50) == ["slow", "quick"]


def test_a_hold_lets_pings_pass_and_keeps_the_rest_in_order() -> None:
    link = new_link()
    link.set_rule(LinkRule(Hold(), kind="COMMIT", txn_type="closeSession"))
    link.send("first", "COMMIT", "create", 0)
    link.send("held", "COMMIT", "closeSession", 1)
    link.send("behind", "COMMIT", "create", 2)
    link.send("ping", "PING", "", 3)
    assert link.take_due(10) == ["first", "ping"]
    assert (link.waiting, link.rules[0].touched) == (2, 1)
    assert link.clear_rules("hold") == (1, 2)
    assert link.take_due(10) == ["held", "behind"]


def test_a_hold_of_everything_lets_pings_pass() -> None:
    link = new_link()
    link.set_rule(parse_rule("hold"))
    link.send("held", "ACK", "", 0)
    link.send("ping", "PING", "", 0)
    assert link.take_due(0) == ["ping"]
    assert link.rules[0].touched == 1


def test_a_cut_is_silence_until_it_heals() -> None:
    link = new_link()
    link.send("before", "COMMIT", "", 0)
    link.set_rule(LinkRule(Cut()))
    for item in ("a", "ping", "b"):
        link.send(item, "PING" if item == "ping" else "COMMIT", "", 1)
    assert link.take_due(100) == ["before"]
    assert link.clear_rules("cut") == (1, 3)
    assert link.take_due(100) == ["a", "ping", "b"]


def test_a_break_loses_the_suffix() -> None:
    link = new_link()
    link.set_rule(LinkRule(Delay(10)))
    link.send("a", "ACK", "", 0)
    link.send("b", "ACK", "", 5)
    assert link.take_due(10) == ["a"]
    assert link.drop_all() == 1
    assert link.take_due(1000) == []


def test_a_cleared_hold_leaves_what_another_rule_holds() -> None:
    link = new_link()
    link.set_rule(LinkRule(Hold(), kind="COMMIT"))
    link.set_rule(LinkRule(Cut(), kind="ACK"))
    link.send("commit", "COMMIT", "", 0)
    link.send("ack", "ACK", "", 0)
    link.send("ping", "PING", "", 0)
    assert link.clear_rules("hold") == (1, 1)
    assert link.take_due(0) == ["commit"]
    assert link.clear_rules() == (1, 2)
    assert link.take_due(0) == ["ack", "ping"]


def test_a_cleared_delay_lets_go_at_once() -> None:
    link = new_link()
    link.set_rule(LinkRule(Delay(500)))
    link.send("a", "ACK", "", 0)
    assert link.clear_rules("delay") == (1, 1)
    assert link.take_due(1) == ["a"]


def test_next_acts_on_so_many_only() -> None:
    link = new_link()
    link.set_rule(parse_rule("delay=50ms next=1"))
    link.send("a", "ACK", "", 0)
    link.take_due(50)
    link.send("b", "ACK", "", 100)
    assert link.take_due(100) == ["b"]
    assert link.rules[0].touched == 1


def test_a_replaced_rule_hands_over_and_keeps_the_count() -> None:
    link = new_link()
    link.set_rule(LinkRule(Hold()))
    link.send("a", "ACK", "", 0)
    link.set_rule(LinkRule(Hold(), next=1))
    assert (len(link.rules), link.touched_before) == (1, 1)
    assert link.take_due(0) == []
    assert link.clear_rules("hold") == (1, 1)
    assert link.take_due(0) == ["a"]


def test_probability_uses_the_given_numbers() -> None:
    def touched(seed: int) -> int:
        link: Link[int] = Link(Random(seed))
        link.set_rule(parse_rule("delay=5ms probability=0.5"))
        for at in range(1000):
            link.send(at, "ACK", "", at)
        return link.rules[0].touched

    assert touched(1) == touched(1)
    assert 400 < touched(1) < 600


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_distribution_has_its_mean(distribution: str) -> None:
    jitter_ms = 0 if distribution == "constant" else 10
    link: Link[float] = Link(Random(1))
    link.set_rule(LinkRule(Delay(100, jitter_ms, distribution)))
    total = 0.0
    for at in range(4000):
        link.send(at, "ACK", "", at * 10_000.0)
        due_ms = link.next_due_ms()
        assert due_ms is not None
        total += due_ms - at * 10_000.0
        link.take_due(due_ms)
    expected = 110 if distribution == "pareto" else 100
    assert total / 4000 == pytest.approx(expected, abs=1.5)


ACTIONS = st.one_of(
    st.builds(Delay, st.floats(0, 100), st.just(0.0)),
    st.builds(Delay, st.floats(0, 100), st.floats(0.1, 9), st.sampled_from(DISTRIBUTIONS[1:])),
    st.just(Hold()),
    st.just(Cut()),
)
RULES = st.builds(
    LinkRule,
    ACTIONS,
    st.sampled_from(["", "COMMIT", "ACK"]),
    st.sampled_from(["", "create"]),
    st.integers(0, 3),
    st.sampled_from([1.0, 0.5]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["COMMIT", "ACK", "PING"])),
        st.tuples(st.just("rule"), RULES),
        st.tuples(st.just("clear"), st.sampled_from(["", "delay", "hold", "cut"])),
        st.tuples(st.just("take"), st.floats(0, 50)),
    ),
    max_size=60,
)


@given(STEPS)
def test_nothing_is_lost_and_only_pings_overtake(steps: list[tuple[str, object]]) -> None:
    link: Link[tuple[int, str]] = Link(Random(1))
    sent: list[tuple[int, str]] = []
    taken: list[tuple[int, str]] = []
    now_ms = 0.0
    for what, value in steps:
        if what == "send":
            assert isinstance(value, str)
            sent.append((len(sent), value))
            link.send(sent[-1], value, "create", now_ms)
        elif what == "rule":
            assert isinstance(value, LinkRule)
            link.set_rule(value)
        elif what == "clear":
            link.clear_rules(str(value))
        else:
            assert isinstance(value, float)
            now_ms += value
            taken += link.take_due(now_ms)
        assert len(taken) + link.waiting == len(sent)
    link.clear_rules()
    taken += link.take_due(now_ms + 1e9)
    assert sorted(taken) == sent
    assert [m for m in taken if m[1] != "PING"] == [m for m in sent if m[1] != "PING"]
    assert [m for m in taken if m[1] == "PING"] == [m for m in sent if m[1] == "PING"]


@given(RULES)
def test_a_shown_rule_reads_back(rule: LinkRule) -> None:
    again = parse_rule(show_rule(rule))
    assert again.match == rule.match
    assert show_rule(again) == show_rule(rule)


def test_the_whole_grammar() -> None:
    text = "3->1 delay=50ms jitter=5ms distribution=normal only=COMMIT[closeSession] next=1"
    links, rule = parse_link_rule(text + " probability=0.5", [1, 2, 3])
    assert links == [(3, 1)]
    assert rule == LinkRule(Delay(50, 5, "normal"), "COMMIT", "closeSession", 1, 0.5)
    assert parse_rule("delay=1.5s jitter=200us") == LinkRule(Delay(1500, 0.2, "uniform"))
    assert parse_rule("cut only=[create]") == LinkRule(Cut(), "", "create")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no action"),
        ("lag=50ms", "delay="),
        ("delay=50", "ms"),
        ("delay=50min", "'min'"),
        ("delay=fast", "delay=fast"),
        ("delay=50ms delay=60ms", "twice"),
        ("delay=50ms hold", "more than one action"),
        ("hold jitter=5ms", "jitter="),
        ("hold=1", "hold"),
        ("delay", "delay="),
        ("delay=5ms distribution=gauss jitter=1ms", "pareto"),
        ("delay=5ms distribution=constant jitter=1ms", "constant"),
        ("hold only=COMIT", "COMMIT"),
        ("hold only=COMMIT[closesession]", "closeSession"),
        ("hold only=COMMIT[", "KIND"),
        ("hold only=PING", "cut"),
        ("hold next=0", "next=0"),
        ("hold probability=2", "probability=2"),
        ("hold probability=nan", "probability"),
        ("hold probability=often", "often"),
        ("reset", "hold"),
    ],
)
def test_a_rule_that_cannot_be_says_why(text: str, named: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wildcards_are_every_other_member_once() -> None:
    assert parse_links("3->1,*->1", [1, 2, 3]) == [(3, 1), (2, 1)]
    assert len(parse_links("*->*", [1, 2, 3])) == 6


@pytest.mark.parametrize("text", ["3", "3-1", "4->1", "1->x", "1->1", "", "1->2,,2->1", "->1"])
def test_a_link_that_cannot_be_says_why(text: str) -> None:
    with pytest.raises(RuleError):
        parse_links(text, [1, 2, 3])


def test_the_words_of_the_protocol_are_known() -> None:
    assert {"COMMIT", "PROPOSAL", "PING", "REVALIDATE"} <= set(KINDS)
    assert {"closeSession", "createSession", "sync"} <= set(TXN_TYPES)
    with pytest.raises(RuleError):
        check_rule(LinkRule(Delay(float("nan"))))
