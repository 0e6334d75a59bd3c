"""Random operations of several sessions, the same on both sides, compared step by step."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.conftest import Sides
from tests.differential.meant import unexplained
from tests.differential.script import Script, play_on_all
from tests.wire import ops
from tests.wire.ops import Op
from tests.wire.raw import Eof

# The same hundred every time, unless others are asked for.
ASKED = os.environ.get("DIFFERENTIAL_SEQUENCES", "")
SEQUENCES = int(ASKED or 100)
STEPS = 40
NAMES = {"ann": "leader", "bob": "follower", "cat": "other"}
ROLES = ("leader", "follower", "other")

PATHS = ("/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/deep", "/c-")
# There when a sequence begins, so that not all it does is in vain.
BEGUN = ("/a", "/b", "/a/x")


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of the strategies, by weight; `one_of` would take the same one but once."""
    drawn = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.sampled_from(drawn).flatmap(lambda strategy: strategy)


VERSIONS = st.sampled_from((-1, -1, -1, 0, 1, 2))
PATH = st.sampled_from(PATHS)
# No path but a way of writing it wrong, now and then.
WRITTEN = weighted((15, PATH), (1, st.sampled_from(("", "/", "/a/", "//a", "/a/./x", "/a\0"))))
DATA = st.one_of(st.none(), st.binary(max_size=4))
FLAGS = st.sampled_from((0, 0, 0, 1, 1, 2, 3, 4))
ACLS = weighted(
    (8, st.just(ops.OPEN)),
    (
        1,
        st.sampled_from(
            (
                ((ops.READ, "world", "anyone"),),
                ((ops.ALL & ~ops.READ, "world", "anyone"),),
                ((ops.ALL, "auth", ""),),
                ((ops.ALL, "ip", "127.0.0.1"),),
                (
                    (ops.READ | ops.ADMIN, "digest", "u:d"),
                    (ops.CREATE | ops.DELETE, "world", "anyone"),
                ),
                (),
            )
        ),
    ),
)
USERS = st.sampled_from((b"u:p", b"v:q", b"super:secret"))


@dataclass(frozen=True)
class Step:
    """What one session does: an operation, or `moves` to the member that has a role.

    `reopens`: closes and opens another. `rearms`: sets watches again, as of so many transactions
    before the last one that it has seen.
    """

    who: str
    op: Op | None = None
    moves: str = ""
    reopens: bool = False
    rearms: int | None = None


def _at(path: str) -> str:
    """Below the script's root, whose name is put in when the script runs."""
    return f"{ROOT}{path}" if path.startswith("/") and path != "/" else path


ROOT = "/random-0000"

WRITES = st.one_of(
    st.builds(lambda p, d, f, a: ops.create(_at(p), d, f, a), WRITTEN, DATA, FLAGS, ACLS),
    st.builds(lambda p, d, f: ops.create2(_at(p), d, f), PATH, DATA, FLAGS),
    st.builds(lambda p: ops.container(_at(p)), PATH),
    st.builds(lambda p, t: ops.create_ttl(_at(p), t), PATH, st.sampled_from((0, 3_600_000))),
    st.builds(lambda p, v: ops.delete(_at(p), v), WRITTEN, VERSIONS),
    st.builds(lambda p, d, v: ops.set_data(_at(p), d, v), WRITTEN, DATA, VERSIONS),
)
PARTS = st.one_of(WRITES, st.builds(lambda p, v: ops.check(_at(p), v), WRITTEN, VERSIONS))
WATCH = st.booleans()
READS = st.one_of(
    st.builds(lambda p, w: ops.get_data(_at(p), w), WRITTEN, WATCH),
    st.builds(lambda p, w: ops.get_children(_at(p), w), WRITTEN, WATCH),
)
OTHERS = st.one_of(
    st.builds(lambda p, w: ops.exists(_at(p), w), WRITTEN, WATCH),
    st.builds(lambda p, w: ops.get_children2(_at(p), w), PATH, WATCH),
    st.builds(lambda p, a, v: ops.set_acl(_at(p), a, v), WRITTEN, ACLS, VERSIONS),
    st.builds(lambda p: ops.get_acl(_at(p)), PATH),
    st.builds(lambda p: ops.get_ephemerals(_at(p)), PATH),
    st.builds(lambda p: ops.get_all_children_number(_at(p)), PATH),
    st.builds(lambda parts: ops.multi(*parts), st.lists(PARTS, max_size=4)),
    st.builds(lambda parts: ops.multi_read(*parts), st.lists(READS, max_size=3)),
    st.builds(lambda p, m: ops.add_watch(_at(p), m), PATH, st.sampled_from((0, 1, 1, 5))),
    st.builds(lambda p, t: ops.check_watches(_at(p), t), PATH, st.sampled_from((1, 2, 3, 4))),
    st.builds(lambda p, t: ops.remove_watches(_at(p), t), PATH, st.sampled_from((1, 2, 3, 4))),
    st.builds(lambda user: ops.auth("digest", user), USERS),
    st.builds(lambda p: ops.sync(_at(p)), PATH),
    st.just(ops.WHO_AM_I),
    st.just(ops.PING),
)
WHO = st.sampled_from(list(NAMES))
STEP = weighted(
    (10, st.builds(Step, WHO, WRITES)),
    (10, st.builds(Step, WHO, READS | OTHERS)),
    (1, st.builds(lambda who, role: Step(who, moves=role), WHO, st.sampled_from(ROLES))),
    (1, st.builds(lambda who, back: Step(who, rearms=back), WHO, st.integers(0, 12))),
    (1, st.builds(lambda who: Step(who, reopens=True), WHO)),
)


def run_steps(s: Script, steps: list[Step]) -> None:
    """Carry out a sequence; a session that has lost its connection opens another one first."""
    for name, role in NAMES.items():
        s.open(name, role)
        s.do(name, ops.PING)
    for path in BEGUN:
        s.do("ann", ops.create(s.root + path))
    for step in steps:
        raw = s.sessions[step.who]
        if step.reopens:
            s.do(step.who, ops.CLOSE)
            s.open(step.who, NAMES[step.who])
            s.do(step.who, ops.PING)
        elif step.moves:
            s.drop(step.who)
            s.resume_as(step.who, raw, step.moves)
        elif step.rearms is not None:
            s.do(step.who, _rearming(s, raw.last_zxid - step.rearms))
        elif step.op is not None and isinstance(s.do(step.who, step.op), Eof):
            s.open(step.who, NAMES[step.who])
            s.do(step.who, ops.PING)


def _rearming(s: Script, relative_zxid: int) -> Op:
    data, exist, child, persistent, recursive = (
        [s.root + path for path in PATHS[begin::3]] for begin in (0, 1, 2, 0, 1)
    )
    return ops.set_watches2(relative_zxid, data, exist, child, persistent, recursive)


@pytest.mark.timeout(0)
def test_random_sequences(sides: Sides, fresh_trees: dict[str, list[str]]) -> None:
    numbers = itertools.count(1)
    # The length of the root's name is the same in all sequences, and is in the operations.
    used: set[str] = set()

    @settings(
        max_examples=SEQUENCES,
        derandomize=not ASKED,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=False,
    )
    @given(st.lists(STEP, min_size=STEPS, max_size=STEPS))
    def compare(steps: list[Step]) -> None:
        root = f"/random-{next(numbers):04}"
        used.add(root)
        fresh = [_moved(step, root) for step in steps]
        records = play_on_all(lambda s: run_steps(s, fresh), sides, root)
        difference = unexplained(records["real"], records["ours"])
        assert not difference, difference

    compare()
    assert len(used) >= SEQUENCES


def _moved(step: Step, root: str) -> Step:
    """The same step below another root of the same length."""
    if step.op is None:
        return step
    op = step.op
    moved = Op(
        op.name,
        op.type,
        op.body.replace(ROOT.encode(), root.encode()),
        op.decode,
        op.path.replace(ROOT, root),
    )
    return Step(step.who, moved)
