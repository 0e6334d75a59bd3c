"""Each kind of step in virtual time does what the reference says, and fails where it is not so.

Expectations stand in the scenarios themselves; what a scenario expects wrongly has to fail.
"""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.scenario import hands
from orchestrator.scenario.model import EnsembleSection
from orchestrator.scenario.run import play_scenario, run_scenario
from orchestrator.scenario.simulated import SimulatedStage
from orchestrator.scenario.verdicts import FAILED, INCONCLUSIVE, PASSED
from tests.scenario.files import FIRST, play, scenario_of

OPEN = """
- open: {session: a, on: leader}
- open: {session: b, on: follower}
"""
HARMLESS = {
    "operations": """
- create: {session: a, path: /x, data: one, as: made, expect: {path: /x, name: x, version: 0}}
- create: {session: a, path: /x, expect: {error: node_exists}}
- set: {session: a, path: /x, data: two, version: "{made.version}", expect: {version: 1}}
- set: {session: a, path: /x, data: "{made.name}", version: 0, expect: {error: bad_version}}
- get: {session: a, path: "{made.path}", expect: {data: two, exists: true, owner: nobody}}
- get: {session: a, path: /y, expect: {error: no_node, exists: false}}
- create: {session: a, path: /x/e, ephemeral: true}
- exists: {session: a, path: /x/e, expect: {owner: a, mzxid: {at_least: "{made.czxid}"}}}
- create: {session: a, path: /x/s-, sequential: true, as: first}
- exists: {session: a, path: "/x/{first.name}", expect: {exists: true}}
- children: {session: a, path: /x, expect: {children: [e, s-0000000001]}}
- children: {session: a, path: /x, expect: {children: {contains: "{first.name}"}}}
- delete: {session: a, path: /x, expect: {error: not_empty}}
- delete: {session: a, path: /x/e, version: 0}
- create: {session: a, path: /c, container: true, expect: {error: ok}}
- expect: {made: {zxid: {less_than: "{first.zxid}"}, error: [ok, no_node], name: {not: y}}}
""",
    "multi": """
- create: {session: a, path: /x}
- multi:
    session: a
    ops:
      - check: {path: /x, version: 0}
      - create: {path: /y, ephemeral: true}
      - set: {path: /x, data: new}
      - delete: {path: /x}
- multi: {session: a, ops: [{delete: {path: /y}}, {check: {path: /x}}], expect: {error: no_node}}
- exists: {session: a, path: /y, expect: {owner: a}}
""",
    "watches": """
- exists: {session: b, path: /x, watch: w}
- children: {session: b, path: /, watch: below}
- watch: {session: b, path: /x, mode: recursive, watch: all}
- no_events: w
- create: {session: a, path: /x}
- set: {session: a, path: /x, data: "1"}
- delete: {session: a, path: /x}
- events: {watch: w, expect: [{type: created, path: /x}]}
- events: {watch: below, expect: [{type: children, path: /}]}
- events:
    watch: all
    expect: [{type: created, path: /x}, {type: changed, path: /x}, {type: deleted, path: /x}]
- no_events: w
""",
    "a session that moves keeps its watches": """
- get: {session: a, path: /, watch: w}
- drop: a
- resume: {session: a, on: other, expect: {verdict: alive, timeout: 10s}}
- set: {session: b, path: /, data: new}
- events: {watch: w, expect: [{type: changed, path: /}]}
""",
    "silence, and waking too late": """
- open: {session: v, on: follower, timeout: 200ms}
- create: {session: v, path: /x, ephemeral: true}
- silence: v
- await: {trace: close_applied, session: v, on: all}
- present: {session: v, to: leader, expect: {verdict: expired}}
- exists: {session: b, path: /x, expect: {exists: false}}
- wake: v
- sync: {session: v, expect: {error: [connection_loss, session_expired]}}
- sync: {session: v, expect: {error: session_expired}}
""",
    "resuming too late": """
- open: {session: v, on: follower, timeout: 200ms}
- crash: v
- open: {session: u, on: follower, timeout: 200ms}
- silence: u
- await: {trace: close_applied, session: v, on: follower}
- await: {trace: close_applied, session: u, on: leader}
- resume: {session: u, on: leader, expect: {verdict: expired}}
- resume: {session: u, on: leader, expect: {verdict: expired, error: session_expired}}
""",
    "closing": """
- create: {session: a, path: /x, ephemeral: true}
- close: {session: a, as: closed, background: true}
- answer: {to: closed, expect: {error: ok}}
- sync: {session: b}
- exists: {session: b, path: /x, expect: {exists: false}}
- sync: {session: a, expect: {error: connection_loss}}
""",
    "a member that is behind hangs up": """
- hold: {link: leader->follower, only: COMMIT}
- create: {session: a, path: /x, as: made}
- open: {session: c, on: follower, seen: "{made.zxid}", expect: {verdict: closed}}
- open: {session: d, on: other, seen: "{made.zxid}", expect: {verdict: alive}}
- release: leader->follower
""",
    "the background": """
- hold: {link: follower->leader, only: "REQUEST[create]"}
- create: {session: b, path: /x, as: made, background: true}
- unanswered: made
- expect: {made: {answered: false}}
- release: follower->leader
- answer: {to: made, expect: {error: ok, answered: true}}
""",
    "a lost connection leaves a write unknown": """
- hold: {link: follower->leader, only: "REQUEST[create]"}
- create: {session: b, path: /x, as: made, background: true}
- wait: 2ms
- drop: b
- answer: {to: made, expect: {error: connection_loss}}
- release: follower->leader
- until: {do: {exists: {session: a, path: /x}}, is: {exists: true}}
""",
    "delay, clear, reset and cut": """
- delay: {link: "leader->*", by: 20ms, jitter: 5ms}
- create: {session: a, path: /x}
- clear: {link: "leader->*"}
- cut: {link: leader->follower}
- create: {session: a, path: /y}
- exists: {session: b, path: /y, expect: {exists: false}}
- heal: leader->follower
- reset: {link: leader->other}
- await: {serving: all}
""",
    "kill and start": """
- create: {session: a, path: /x}
- kill: other
- create: {session: a, path: /y}
- start: other
- open: {session: c, on: other}
- sync: {session: c}
- exists: {session: c, path: /y, expect: {exists: true}}
""",
    "a new leader": """
- kill: leader
- await: {leader: new}
- open: {session: c, on: new leader}
- create: {session: c, path: /x, expect: {error: ok}}
- start: leader
- await: {serving: leader}
""",
    "isolation": """
- create: {session: a, path: /x}
- isolate: leader
- await: {leader: new, within: 20s}
- open: {session: c, on: new leader}
- sync: {session: c}
- exists: {session: c, path: /x, expect: {exists: true}}
- rejoin: leader
""",
    "pause and resume_member": """
- pause: follower
- create: {session: a, path: /x}
- exists: {session: b, path: /x, as: seen, background: true}
- unanswered: seen
- resume_member: follower
- answer: {to: seen}
""",
    "the closing held": """
- create: {session: b, path: /x, ephemeral: true}
- hold_closing: true
- expire: b
- await: {trace: close_marked, session: b, on: leader}
- present: {session: b, to: leader, expect: {verdict: expired}}
- exists: {session: a, path: /x, expect: {owner: b}}
- release_closing: true
- await: {trace: close_applied, session: b}
- exists: {session: a, path: /x, expect: {exists: false, owner: nobody}}
""",
    "steps done only if a result is so": """
- exists: {session: a, path: /x, as: before}
- create: {session: a, path: /x, as: made}
  if: {before: {exists: false}}
- create: {session: a, path: /x, as: again, expect: {error: ok}}
  if: {before: {exists: true}}
- note: "{again.path} is left alone"
  if: {again: {error: ok}}
- expect: {made: {error: ok}}
""",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_steps_do_what_the_reference_says(name: str) -> None:
    result = play(OPEN + HARMLESS[name])
    assert (result.verdict, result.why, result.line) == (PASSED, "", 0)


WATCHED = """- exists: {session: a, path: /, watch: w}
- set: {session: a, path: /, data: x}
"""
LEFT_OUT = """- exists: {session: a, path: /, as: s}
- open: {session: c, on: other, as: t}
  if: {s: {exists: false}}
"""
UNTOLD = "- exists: {session: a, path: /x, as: s}\n"
FAILING = {
    "- exists: {session: a, path: /x, expect: {exists: true}}": "exists is false, expected true",
    "- sync: {session: a, as: s}\n- unanswered: s": "s is answered (ok), expected not to be",
    "- sync: {session: a, expect: {error: {not: ok}}}": "error is ok, expected not ok",
    "- sync: {session: a, expect: {zxid: {less_than: 1}}}": "expected less than 1",
    "- children: {session: a, path: /, expect: {children: [x]}}": "children is [], expected",
    f"{WATCHED}- no_events: w": "watch w told changed /tried-plain, expected nothing more",
    f"{WATCHED}- events: {{watch: w, expect: [{{type: deleted, path: /}}]}}": (
        "watch w told changed /tried-plain, expected deleted /tried-plain"
    ),
    f"{LEFT_OUT}- expect: {{t: {{error: ok}}}}": "no result 't': its step was left out",
    f"{LEFT_OUT}- sync: {{session: c}}": "session 'c' was never opened",
    "- create: {session: a, path: /no/x}": "error is no_node, expected ok",
    "- get: {session: a, path: /x, watch: w}": "error is no_node, expected ok",
    "- present: {session: b, to: leader, as: p, background: true}\n- pause: follower\n"
    "- unanswered: p": "p is answered (ok), expected not to be",
    f"{UNTOLD}- expect: {{s: {{version: {{not: 5}}}}}}": "version is not told, expected not 5",
    f"{UNTOLD}- expect: {{s: {{czxid: '{{s.czxid}}'}}}}": "czxid is not told, expected not told",
    f"{UNTOLD}- expect: {{s: {{zxid: {{not: '{{s.czxid}}'}}}}}}": "expected not not told",
    f"{UNTOLD}- set: {{session: a, path: /, data: 'v{{s.version}}'}}": "what no answer tells",
    f"{UNTOLD}- set: {{session: a, path: /, data: x, version: '{{s.version}}'}}": "and no number",
}


@pytest.mark.parametrize("steps", FAILING)
def test_step_that_is_not_as_expected_fails_with_its_line(steps: str) -> None:
    result = play(OPEN + steps)
    assert result.verdict == FAILED
    assert FAILING[steps] in result.why
    last = steps.rindex("\n- ") if "\n- " in steps else 0
    assert result.line == FIRST + 2 + steps[: last + 1].count("\n")


def test_what_is_not_told_yet_is_no_harm() -> None:
    steps = """
- hold: {link: leader->follower, only: SYNC}
- sync: {session: b, as: s, background: true}
- note: "the sync failed"
  if: {s: {error: {not: ok}}}
- harm: {if: {s: {answered: true}}, because: "the sync is over"}
- release: {link: leader->follower}
- answer: {to: s, expect: {error: ok}}
"""
    result = play(OPEN + steps)
    assert (result.verdict, result.harmed, result.notes) == (PASSED, False, []), result


def test_result_without_a_name_fails_without_one() -> None:
    result = play(OPEN + "- create: {session: a, path: /no/x}")
    assert (result.why, result.line) == ("error is no_node, expected ok", FIRST + 2)


def test_silence_of_a_member_that_is_too_slow_is_inconclusive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hands, "PONG_MS", 0.01)
    result = play(OPEN + "- exists: {session: b, path: /x, watch: w}\n- no_events: w")
    assert (result.verdict, result.line) == (INCONCLUSIVE, FIRST + 3), result
    assert "answered no ping" in result.why


@pytest.mark.parametrize("harm", ["owner: a", "error: node_exists", "error: {not: ok}"])
@pytest.mark.parametrize(
    ("more", "why"), [("", "no answer yet"), ("- drop: b\n", "connection_loss")]
)
def test_harm_is_not_judged_by_what_tells_nothing(more: str, why: str, harm: str) -> None:
    steps = f"""
- pause: follower
- exists: {{session: b, path: /x, as: seen, background: true}}
- unanswered: seen
{more}- harm: {{if: {{seen: {{{harm}}}}}, because: "it is there"}}
"""
    result = play(OPEN + steps)
    assert result.verdict == INCONCLUSIVE, result
    assert f"seen tells nothing ({why})" in result.why


HOLD = "- hold: {link: leader->follower, only: SYNC}"
INCONCLUSIVES = {
    f"{HOLD}\n- release: leader->follower": "'hold only=SYNC' of line 7 touched no message",
    f"{HOLD}\n- clear: leader->follower": "'hold only=SYNC' of line 7 touched no message",
    HOLD: "'hold only=SYNC' of line 7 on 3->1 touched no message",
    "- hold_closing: true\n- release_closing: true": "line 7: no session was marked meanwhile",
    "- hold_closing: true": "hold_closing of line 7: no session was marked meanwhile",
    "- await: {trace: close_marked, session: a, within: 20ms}": "no close_marked of a traced",
    "- until: {do: {sync: {session: a}}, is: {error: no_node}, within: 20ms}": (
        "within 20 ms still error is ok, expected no_node"
    ),
    "- await: {leader: new, within: 20ms}": "nobody leads within 20 ms",
    "- pause: other\n- await: {serving: other, within: 20ms}": "member 2 does not serve",
    "- isolate: follower\n- create: {session: b, path: /x, as: s, background: true}\n"
    "- answer: {to: s, within: 20ms}": "no answer to s within 20 ms",
}


@pytest.mark.parametrize("steps", INCONCLUSIVES)
def test_what_was_not_tried_or_never_came_is_inconclusive(steps: str) -> None:
    result = play(OPEN + steps)
    assert (result.verdict, INCONCLUSIVES[steps] in result.why) == (INCONCLUSIVE, True), result


def test_local_sessions_end_without_a_transaction() -> None:
    steps = """
- open: {session: v, on: follower, timeout: 200ms}
- silence: v
- await: {trace: local_session_expired, session: v, on: follower}
- present: {session: v, to: follower, expect: {verdict: expired}}
"""
    result = play(OPEN + steps, "ensemble: {local_sessions: true, observers: 1}\n")
    assert (result.verdict, result.why) == (PASSED, "")


def test_observer_is_a_member_by_its_role() -> None:
    steps = "- open: {session: o, on: observer}\n- sync: {session: o, expect: {error: ok}}"
    result = play(OPEN + steps, "ensemble: {observers: 2}\n")
    assert (result.verdict, result.why) == (PASSED, "")


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ("- kill: other\n- kill: other", "member 2 is down"),
        ("- cut: leader->other\n- heal: leader->follower", "no cut on 3->1 to take off"),
        ("- kill: other\n- start: other\n- start: other", "member 2 is up"),
        ("- pause: other\n- pause: other", "member 2 is paused"),
        ("- pause: other\n- resume_member: other\n- resume_member: other", "2 is not paused"),
        ("- kill: other\n- reset: {link: other->leader}", "member 2 is down"),
        ("- pause: other\n- cut: other->leader", "member 2 is paused: its links take no orders"),
    ],
)
def test_what_cannot_be_done_to_a_member_as_it_stands_fails(steps: str, why: str) -> None:
    result = play(OPEN + steps)
    assert (result.verdict, why in result.why) == (FAILED, True), result


def test_what_only_a_leader_can_do_is_inconclusive_without_one() -> None:
    result = play(OPEN + "- kill: other\n- kill: leader\n- wait: 2s\n- expire: b")
    assert (result.verdict, result.why) == (INCONCLUSIVE, "no member leads now")


def test_closing_held_on_a_leader_that_is_deposed_is_released_all_the_same() -> None:
    steps = """
- open: {session: a, on: leader}
- hold_closing: true
- expire: a
- await: {trace: close_marked, session: a, on: leader}
- isolate: leader
- await: {leader: new, within: 20s}
"""
    stage = SimulatedStage(EnsembleSection(), seed=1)
    result = asyncio.run(play_scenario(stage, scenario_of(steps)))
    assert result.verdict == PASSED, result.variants
    held = [host.member.status().closing_is_held for host in stage.world.hosts.values()]
    assert held == [False, False, False]


def test_local_session_of_the_stage_itself_may_be_lost_with_its_member() -> None:
    steps = """
- isolate: follower
- note: "they differ"
  when: one
- await: {trace: state, on: follower}
- rejoin: follower
"""
    more = "ensemble: {local_sessions: true}\nvariants: {one: {}, two: {}}\n"
    result = run_scenario(scenario_of(steps, more), on="simulator")
    assert [(v.verdict, v.why) for v in result.variants] == [(PASSED, ""), (PASSED, "")]


def test_reference_to_what_was_not_told_fails() -> None:
    steps = "- get: {session: a, path: /x, as: s}\n"
    result = play(OPEN + steps + '- delete: {session: a, path: /x, version: "{s.version}"}')
    assert (result.verdict, result.why) == (FAILED, "{s.version} is not told, and no number")


def test_session_that_is_over_is_expired_without_effect() -> None:
    result = play(OPEN + "- close: b\n- expire: b\n- sync: {session: a, expect: {error: ok}}")
    assert (result.verdict, result.why) == (PASSED, "")
