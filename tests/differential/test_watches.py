"""Observables 35 to 41: which watches fire, in which order, and which stay."""

from __future__ import annotations

import pytest

from tests.differential.conftest import Compare
from tests.differential.script import Script
from tests.wire import ops
from tests.wire.ops import ANY_WATCH, CHILDREN_WATCH, DATA_WATCH, EPHEMERAL, PERSISTENT, RECURSIVE


def changes(root: str) -> tuple[ops.Op, ...]:
    """Every kind of change, to a znode and to its children."""
    a = f"{root}/a"
    return (
        ops.create(a),
        ops.set_data(a, b"1"),
        ops.set_acl(a, ops.OPEN),
        ops.create(f"{a}/x"),
        ops.set_data(f"{a}/x", b"2"),
        ops.create(f"{a}/x/deep"),
        ops.delete(f"{a}/x/deep"),
        ops.delete(f"{a}/x"),
        ops.delete(a),
        ops.create(a),
        ops.multi(ops.set_data(a, b"3"), ops.create(f"{a}/y"), ops.set_data(a, b"4")),
        ops.multi(ops.delete(f"{a}/y"), ops.delete(a)),
    )


def watches(root: str) -> dict[str, ops.Op]:
    """Every way to watch."""
    a = f"{root}/a"
    return {
        "exists": ops.exists(a, True),
        "data": ops.get_data(a, True),
        "children": ops.get_children(a, True),
        "children2": ops.get_children2(a, True),
        "persistent": ops.add_watch(a, PERSISTENT),
        "recursive": ops.add_watch(a, RECURSIVE),
        "root recursive": ops.add_watch(root, RECURSIVE),
        "root children": ops.get_children(root, True),
    }


@pytest.mark.parametrize("kind", list(watches("")))
def test_35_what_fires(compare: Compare, kind: str) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        s.open("watcher", "follower")
        for change in changes(s.root):
            s.do("watcher", watches(s.root)[kind])
            s.do("watcher", watches(s.root)[kind])
            s.do("writer", change)

    compare(steps)


def test_35_one_shot(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        s.open("watcher", "follower")
        for kind in watches(s.root).values():
            s.do("watcher", kind)
        for change in changes(s.root) + changes(s.root):
            s.do("writer", change)

    compare(steps)


def test_36_delete_with_data_and_child_watch(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("watcher", "follower")
        a = f"{s.root}/a"
        for op in (
            ops.create(a),
            ops.get_data(a, True),
            ops.get_children(a, True),
            ops.get_children(s.root, True),
            ops.delete(a),
            ops.create(a),
            ops.delete(a),
        ):
            s.do("watcher", op)

    compare(steps)


def test_37_own_event_before_own_reply(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower"):
            who = f"on {role}"
            s.open(who, role)
            a = f"{s.root}/{role}"
            for op in (
                ops.exists(a, True),
                ops.create(a),
                ops.get_data(a, True),
                ops.set_acl(a, ops.OPEN),
                ops.set_data(a, b"x"),
                ops.get_children(a, True),
                ops.create(f"{a}/kid"),
            ):
                s.do(who, op)

    compare(steps)


@pytest.mark.parametrize("sets", [ops.set_watches, ops.set_watches2])
def test_38_set_watches(compare: Compare, sets: type[ops.Op]) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        paths = [f"{s.root}/{name}" for name in ("gone", "changed", "same", "new", "kids")]
        gone, changed, same, new, kids = paths
        for path in (gone, changed, same, kids):
            s.do("writer", ops.create(path))
        seen = s.sessions["writer"].last_zxid
        s.do("writer", ops.set_data(changed, b"x"))
        s.do("writer", ops.create(f"{kids}/x"))
        s.do("writer", ops.create(new))
        s.do("writer", ops.delete(gone))
        last = s.sessions["writer"].last_zxid
        for relative in (0, seen, seen + 1, seen + 2, last, last + 100):
            for role in ("leader", "follower"):
                s.open("watcher", role)
                s.do("watcher", sets(relative, paths, paths, paths))  # type: ignore[arg-type]
                for path in (changed, same, kids):
                    s.do("writer", ops.set_data(path, b"y"))
                s.drop("watcher")

    compare(steps)


def test_38_persistent_ones_too(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        s.open("watcher", "follower")
        a, b, c = (f"{s.root}/{name}" for name in "abc")
        for path in (a, b, c):
            s.do("writer", ops.create(path))
        s.do("watcher", ops.set_watches2(0, [a], [c], [a], [b], [c]))
        others = (ops.set_data(a, b""), ops.set_data(b, b""), ops.create(f"{b}/x"))
        for change in changes(c) + others:
            s.do("writer", change)

    compare(steps)


def test_39_close_with_several_ephemerals(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("owner", "other")
        s.open("watcher", "follower")
        s.open("recursive", "leader")
        names = [f"{s.root}/{name}" for name in "abc"]
        for path in names:
            s.do("owner", ops.create(path, flags=EPHEMERAL))
            s.do("watcher", ops.exists(path, True))
        s.do("watcher", ops.get_children(s.root, True))
        s.do("recursive", ops.add_watch(s.root, RECURSIVE))
        s.do("owner", ops.CLOSE)
        s.do("watcher", ops.get_children2(s.root))
        s.do("recursive", ops.get_children2(s.root))

    compare(steps)


def test_40_without_permission_to_read(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        s.open("watcher", "follower")
        shut = ((ops.ALL & ~ops.READ, "world", "anyone"),)
        a = f"{s.root}/a"
        for op in (ops.create(a), ops.set_acl(a, shut)):
            s.do("writer", op)
        s.do("watcher", ops.exists(a, True))
        s.do("watcher", ops.add_watch(s.root, RECURSIVE))
        s.do("writer", ops.set_data(a, b"unseen"))
        s.do("writer", ops.create(f"{a}/x"))
        s.do("writer", ops.delete(f"{a}/x"))
        s.do("writer", ops.set_acl(a, ops.OPEN))
        s.do("writer", ops.set_data(a, b"seen, had the watch not been used up"))
        s.do("watcher", ops.exists(a, True))
        s.do("writer", ops.set_acl(a, shut))
        s.do("writer", ops.delete(a))
        s.do("watcher", ops.exists(a, True))
        s.do("writer", ops.create(a, acl=shut))
        s.do("watcher", ops.get_children(s.root, True))
        s.do("writer", ops.set_acl(s.root, shut))
        s.do("writer", ops.create(f"{s.root}/b"))
        s.do("writer", ops.delete(a))

    compare(steps)


def test_41_check_and_remove(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        s.open("one", "follower")
        a, nix = f"{s.root}/a", f"{s.root}/nix"
        s.do("writer", ops.create(a))
        kinds = (CHILDREN_WATCH, DATA_WATCH, ANY_WATCH, 0, 9)
        armings = (
            ops.get_data(a, True),
            ops.get_children(a, True),
            ops.exists(nix, True),
            ops.add_watch(a, PERSISTENT),
            ops.add_watch(a, RECURSIVE),
        )
        for arming in armings:
            for kind in kinds:
                s.do("one", arming)
                for path in (a, nix):
                    s.do("one", ops.check_watches(path, kind))
                    s.do("one", ops.remove_watches(path, kind))
                    s.do("one", ops.check_watches(path, ANY_WATCH))
                s.do("one", ops.remove_watches(a, ANY_WATCH))
                s.do("one", ops.remove_watches(nix, ANY_WATCH))
        for mode in (-1, 2, 7):
            s.do("one", ops.add_watch(a, mode))
        s.do("one", ops.add_watch("abc", PERSISTENT))
        s.do("writer", ops.set_data(a, b"nobody is told"))

    compare(steps)


def test_41_modes_replace_each_other(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("writer", "leader")
        s.open("one", "follower")
        a = f"{s.root}/a"
        s.do("writer", ops.create(a))
        armings = (
            ops.add_watch(a, PERSISTENT),
            ops.add_watch(a, RECURSIVE),
            ops.get_data(a, True),
            ops.get_children(a, True),
        )
        for first in armings:
            for second in armings:
                s.do("one", first)
                s.do("one", second)
                for change in (
                    ops.set_data(a, b"x"),
                    ops.set_data(a, b"y"),
                    ops.create(f"{a}/kid"),
                    ops.delete(f"{a}/kid"),
                ):
                    s.do("writer", change)
                s.do("one", ops.remove_watches(a, ANY_WATCH))

    compare(steps)


def test_41_watches_of_another_connection(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "follower")
        s.do("one", ops.get_data(s.root, True))
        s.do("two", ops.check_watches(s.root, DATA_WATCH))
        s.do("two", ops.remove_watches(s.root, DATA_WATCH))
        s.do("one", ops.set_data(s.root, b"x"))

    compare(steps)
