"""What is shown of an ensemble, and which changes are told."""

from __future__ import annotations

import io
import json

import pytest
from lagkeeper.v1.admin_pb2 import GetStatusResponse, LinkStatus, RuleStatus
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse, MemberView

from orchestrator.display import JsonLines, Lines, plain_text
from orchestrator.rules import show_wire_rule, wire_rule
from orchestrator.views import as_json, describe_changes, leader_of


def member(sid: int, state: str, epoch: int = 1, rule: str = "", touched: int = 0) -> MemberView:
    rules = [RuleStatus(rule=wire_rule(rule), touched=touched)] if rule else []
    receiver = 1 if sid != 1 else 2
    return MemberView(
        sid=sid,
        address=f"127.0.0.1:{4000 + sid}",
        zk_address=f"127.0.0.1:{2180 + sid}",
        process="running",
        pid=100 + sid,
        status=GetStatusResponse(
            sid=sid,
            state=state,
            phase="BROADCAST",
            is_serving=True,
            epoch=epoch,
            last_zxid=epoch << 32 | 7,
            links=[LinkStatus(sender=sid, receiver=receiver, is_connected=True, rules=rules)],
        ),
    )


def ensemble(*members: MemberView) -> GetEnsembleResponse:
    return GetEnsembleResponse(members=members, directory="/lab", pid=9)


def test_the_leader_of_the_latest_epoch_leads() -> None:
    assert leader_of(ensemble(member(1, "LEADING", 4), member(2, "LEADING", 5))) == 2
    assert leader_of(ensemble(member(1, "FOLLOWING"))) is None


def test_plain_text_has_every_member_and_rule_and_no_control_characters() -> None:
    view = ensemble(member(1, "LEADING"), member(3, "FOLLOWING", rule="delay=50ms", touched=12))
    text = plain_text(view)
    assert "1:7" in text
    assert "3->1" in text
    assert "delay=50ms" in text
    assert "connect  127.0.0.1:4001,127.0.0.1:4003" in text
    assert all(char.isprintable() or char == "\n" for char in text)


def test_changes_of_role_process_and_rule_are_told_and_traffic_is_not() -> None:
    before = ensemble(member(1, "LEADING"), member(3, "FOLLOWING", rule="hold", touched=1))
    after = ensemble(member(1, "LEADING", 1), member(3, "FOLLOWING", rule="hold", touched=9))
    after.members[0].status.last_zxid += 5
    assert list(describe_changes(before, after)) == []
    after = ensemble(member(1, "LOOKING"), member(3, "FOLLOWING", rule="cut"))
    del after.members[1].status.links[:]
    after.members[1].process = "exited"
    after.members[1].exit_code = 3
    after.members[1].last_error = "invariant broken"
    assert list(describe_changes(before, after)) == [
        "member 1: LOOKING, BROADCAST, serving",
        "member 3: exited (3): invariant broken",
        "link 3->1: off: hold",
    ]


def test_a_member_that_does_not_answer_takes_no_rule_off() -> None:
    before = ensemble(member(1, "LEADING"), member(3, "FOLLOWING", rule="hold"))
    silent = ensemble(member(1, "LEADING"), member(3, "FOLLOWING"))
    silent.members[1].ClearField("status")
    assert list(describe_changes(before, silent)) == ["member 3: silent"]
    back = list(describe_changes(silent, before))
    assert back == ["member 3: FOLLOWING, BROADCAST, serving"]


def test_json_has_numbers_where_numbers_are() -> None:
    view = ensemble(member(1, "LEADING", rule="delay=5ms jitter=1ms", touched=3))
    plain = json.loads(json.dumps(as_json(view)))
    assert plain["leader"] == 1
    assert plain["members"][0]["status"]["last_zxid"] == 1 << 32 | 7
    assert plain["links"][0]["rules"] == [{"rule": "delay=5ms jitter=1ms", "touched": 3}]


def test_json_lines_are_one_object_each() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    lines.serving(ensemble(member(1, "LEADING")), "127.0.0.1:9")
    lines.seen(ensemble(member(1, "LOOKING")))
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["address"] == "127.0.0.1:9"
    assert second == {"change": "member 1: LOOKING, BROADCAST, serving"}


def test_lines_say_nothing_while_nothing_changes() -> None:
    out = io.StringIO()
    lines = Lines(out)
    view = ensemble(member(1, "LEADING"))
    lines.serving(view, "")
    once = out.getvalue()
    lines.seen(view)
    assert out.getvalue() == once


@pytest.mark.parametrize(
    "text",
    [
        "delay=50ms",
        "delay=1.5ms jitter=0.25ms distribution=pareto",
        "hold only=COMMIT[closeSession] next=1",
        "cut probability=0.25",
    ],
)
def test_a_rule_survives_the_wire(text: str) -> None:
    assert show_wire_rule(wire_rule(text)) == text


def test_both_protocols_have_a_ready_made_connect_string() -> None:
    view = ensemble(member(1, "LEADING"), member(2, "FOLLOWING"))
    assert as_json(view)["zookeeper"] == "127.0.0.1:2181,127.0.0.1:2182"
    assert "\nzookeeper  127.0.0.1:2181,127.0.0.1:2182" in plain_text(view)
    assert "TLS" not in plain_text(view)
    view.members[0].zk_tls_address = "127.0.0.1:2281"
    assert "\nzookeeper over TLS  127.0.0.1:2281" in plain_text(view)
