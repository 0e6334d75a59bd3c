"""What the marker may say."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.pytest_plugin.settings import WrongMarker, read_settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"members": 0}, "members: input should be greater than or equal to 1, not 0"),
        ({"members": "3"}, "members: input should be a valid integer, not '3'"),
        ({"tick_time_ms": "fast"}, "tick_time_ms: 'fast' is no length of time"),
        ({"tick_time": 100}, "tick_time: unknown; did you mean tick_time_ms?"),
        ({"colour": "red"}, "colour: unknown; known are link, strict_rules, members,"),
        ({"directory": "/tmp"}, "directory: not here; the plugin chooses it"),
        ({"links": ["3->1 hold"]}, "links: not here; say link="),
        ({"link": 3}, "link: a text such as '3->1 delay=50ms', or a list, not 3"),
        ({"link": "4->1 hold"}, "link: '4->1': no member '4'; members are 1, 2, 3"),
        ({"link": ["3->1 hold", "3->2 slow"]}, "link: 'slow' in 'slow': not a rule's word"),
        ({"strict_rules": "yes"}, "strict_rules: True or False, not 'yes'"),
        (
            {"min_session_timeout_ms": 90_000},
            "min_session_timeout_ms is 90000, above max_session_timeout_ms, 60000",
        ),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WrongMarker) as raised:
        read_settings(given)
    assert str(raised.value).startswith(complaint)
    assert "\n" not in str(raised.value)


def test_an_ensemble_is_shared_by_what_it_is_and_not_by_what_is_done_to_it() -> None:
    plain, said = read_settings({}), read_settings({"members": 3, "tick_time_ms": "200ms"})
    slow = read_settings({"link": "3->1 delay=50ms", "strict_rules": True})
    assert plain.key == said.key == slow.key
    assert (slow.rules, slow.has_strict_rules) == (("3->1 delay=50ms",), True)
    assert read_settings({"members": 5}).key != plain.key


def test_a_rule_may_name_any_member_of_its_ensemble() -> None:
    assert read_settings({"members": 5, "link": ["5->1 hold"]}).rules == ("5->1 hold",)
