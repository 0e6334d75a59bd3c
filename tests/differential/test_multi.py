"""Observables 6 and 7: several operations in one request."""

from __future__ import annotations

from tests.differential.conftest import Compare
from tests.differential.script import Script
from tests.wire import ops
from tests.wire.ops import EPHEMERAL

WORLD = ("world", "anyone")


def test_06_multi(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "leader")
        a, b, c = (f"{s.root}/{name}" for name in "abc")
        for who in ("one", "two"):
            for op in (
                ops.multi(ops.create(a), ops.create2(b), ops.set_data(a, b"1"), ops.check(a, 1)),
                ops.multi(ops.delete(a), ops.create(a), ops.create(f"{a}/x"), ops.delete(f"{a}/x")),
                ops.multi(ops.create(c), ops.set_data(b, b"2", 9), ops.delete(a)),
                ops.multi(ops.create(c), ops.create(f"{b}/../x"), ops.delete(a)),
                ops.multi(ops.check(c, -1)),
                ops.multi(ops.container(f"{s.root}/k"), ops.create_ttl(f"{s.root}/t", 99_999)),
                ops.multi(ops.create(c, flags=EPHEMERAL), ops.create(f"{c}/x")),
                ops.multi(ops.create(c, flags=99)),
                ops.multi(ops.create(c, acl=())),
                ops.multi(),
                ops.multi(ops.create(c), ops.get_data(a)),
                ops.multi(ops.get_data(a)),
                ops.multi(ops.sync(a)),
                ops.multi(ops.delete(a), ops.delete(b), ops.delete(f"{s.root}/k")),
                ops.multi(ops.delete(f"{s.root}/t")),
            ):
                s.do(who, op)
                for path in (s.root, a, b, c):
                    s.do("two", ops.exists(path))

    compare(steps)


def test_07_multi_read(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "leader")
        a, shut = f"{s.root}/a", f"{s.root}/shut"
        s.do("one", ops.create(a, b"data"))
        s.do("one", ops.create(shut, acl=((ops.WRITE, *WORLD),)))
        for who in ("one", "two"):
            for op in (
                ops.multi_read(ops.get_data(a), ops.get_children(s.root)),
                ops.multi_read(ops.get_data(f"{s.root}/nix"), ops.get_data(a), ops.get_data(shut)),
                ops.multi_read(ops.get_data("abc"), ops.get_children(shut)),
                ops.multi_read(ops.get_data(a, True), ops.get_children(s.root, True)),
                ops.multi_read(),
                ops.multi_read(ops.exists(a)),
                ops.multi_read(ops.create(f"{s.root}/x")),
            ):
                s.do(who, op)
        s.do("one", ops.set_data(a, b"no watch was set"))
        s.do("one", ops.create(f"{s.root}/z"))

    compare(steps)
