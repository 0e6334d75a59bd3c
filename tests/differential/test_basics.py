"""Observables 1 to 11, but for multi: what operations answer, and what they leave in the tree."""

from __future__ import annotations

import base64
import hashlib

from tests.differential.conftest import Compare
from tests.differential.script import Script
from tests.differential.sides import SUPER_CREDENTIALS
from tests.wire import ops
from tests.wire.ops import ALL, EPHEMERAL, SEQUENTIAL, Reader
from tests.wire.raw import Reply

MAX_FRAME = 1_048_575
WORLD = ("world", "anyone")


def digest(user: str, password: str) -> tuple[str, str]:
    """The scheme and id of a user in an access list."""
    sha = hashlib.sha1(f"{user}:{password}".encode()).digest()
    return "digest", f"{user}:{base64.b64encode(sha).decode()}"


def test_01_fresh_tree(fresh_trees: dict[str, list[str]]) -> None:
    assert fresh_trees["ours"] == fresh_trees["real"]


def test_02_zxids_that_each_operation_takes(compare: Compare) -> None:
    def steps(s: Script) -> None:
        a, b = f"{s.root}/a", f"{s.root}/b"
        s.open("one", "follower")
        for op in (
            ops.create(a),
            ops.create(a),
            ops.get_data(a),
            ops.PING,
            ops.sync(a),
            ops.set_data(a, b"x", 7),
            ops.multi(ops.create(b), ops.set_data(b, b"y")),
            ops.multi(ops.create(b)),
            ops.multi(),
            ops.multi_read(ops.get_data(a)),
            ops.set_acl(a, ops.OPEN),
            ops.WHO_AM_I,
            ops.get_ephemerals(),
            ops.set_watches(0),
        ):
            s.do("one", op)
        s.open("two", "leader")
        s.do("two", ops.PING)
        s.do("two", ops.CLOSE)
        s.do("one", ops.create(f"{a}/z"))

    compare(steps)


MALFORMED = (
    "abc",
    "",
    "//a",
    "/a//b",
    "/a/",
    "/./a",
    "/../a",
    "/a/.",
    "/a\0b",
    "/a\x01b",
    "/a\x7f",
)


def test_03_malformed_paths(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "leader")
        for who in ("one", "two"):
            for shape in MALFORMED:
                path = s.root + shape if shape.startswith("/") and shape != "/" else shape
                for op in (
                    ops.create(path),
                    ops.delete(path),
                    ops.set_data(path, b"", 77),
                    ops.set_acl(path, ops.OPEN, 77),
                    ops.get_data(path + "nix" if path == "/" else path),
                    ops.exists(path),
                    ops.get_children2(path + "nix" if path == "/" else path),
                    ops.get_acl(path + "nix" if path == "/" else path),
                    ops.multi(ops.check(path, 77)),
                ):
                    s.do(who, op)

    compare(steps)


def test_03_precedence_of_create(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        shut, short = f"{s.root}/shut", f"{s.root}/short"
        read_only = ((ops.READ, *WORLD),)
        for op in (
            ops.create(f"{s.root}/a/b"),
            ops.create(shut, acl=read_only),
            ops.create(f"{shut}/x"),
            ops.create(f"{shut}/x/y"),
            ops.create(f"{shut}/x", acl=()),
            ops.create(f"{s.root}/a/b", acl=()),
            ops.create(f"{shut}/./x"),
            ops.create(short, flags=EPHEMERAL),
            ops.create(f"{short}/x"),
            ops.create(f"{short}/../x"),
            ops.create(short, acl=((ALL, "nix", "nix"),)),
            ops.create(short, flags=99),
            ops.create(short, flags=-1),
            ops.create(f"{s.root}/four", flags=4),
            ops.create(f"{s.root}/five", flags=5),
            ops.create(f"{s.root}/none", acl=None),
            ops.create(f"{s.root}/ip", acl=((ALL, "ip", "nonsense"),)),
            ops.create(f"{s.root}/auth", acl=((ALL, "auth", ""),)),
            ops.create(f"{s.root}/world", acl=((ALL, "world", "somebody"),)),
            ops.create(f"{s.root}/digest", acl=((ALL, "digest", "nocolon"),)),
            ops.create(f"{s.root}/twice", acl=ops.OPEN + ops.OPEN),
            ops.get_acl(f"{s.root}/twice"),
            ops.create(f"{s.root}/noperms", acl=((0, *WORLD),)),
            ops.create(f"{s.root}/manyperms", acl=((255, *WORLD),)),
            ops.get_acl(f"{s.root}/manyperms"),
            ops.create_ttl(f"{s.root}/ttl", 60_000),
            ops.create_ttl(f"{s.root}/ttl0", 0),
            ops.create_ttl(f"{s.root}/ttl-1", -1),
            ops.create_ttl(f"{s.root}/ttlmuch", 1 << 45),
            ops.create_ttl(f"{s.root}/ttlseq", 60_000, ops.TTL_SEQUENTIAL),
            ops.create_ttl(f"{s.root}/ttlflag", 60_000, 0),
            ops.create_ttl(f"{s.root}/ttlflag", 60_000, EPHEMERAL),
            ops.create(f"{s.root}/container", flags=0, type=19),
            ops.container(f"{s.root}/container2"),
            ops.create(f"{s.root}/c3", flags=EPHEMERAL, type=19),
            ops.create(f"{s.root}/c2flag5", flags=5, type=15),
        ):
            s.do("one", op)

    compare(steps)


def test_03_precedence_of_delete_and_set(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        shut, kid = f"{s.root}/shut", f"{s.root}/shut/kid"
        nix = f"{s.root}/nix"
        for op in (
            ops.create(shut),
            ops.create(kid, acl=((ops.CREATE, *WORLD),)),
            ops.delete(shut, 5),
            ops.delete(shut, 0),
            ops.set_acl(shut, ((ops.READ | ops.ADMIN, *WORLD),)),
            ops.delete(kid, 5),
            ops.delete(f"{shut}/none"),
            ops.delete(f"{nix}/x"),
            ops.delete(nix),
            ops.delete("/"),
            ops.delete("/zookeeper"),
            ops.delete("/zookeeper/quota"),
            ops.delete("/zookeeper/config"),
            ops.set_data(kid, b"", 5),
            ops.set_data(nix, b"", 5),
            ops.set_data(f"{s.root}/", b""),
            ops.set_data(shut, b"", 5),
            ops.set_data("/zookeeper/config", b""),
            ops.set_acl(kid, ops.OPEN, 5),
            ops.set_acl(nix, ()),
            ops.set_acl(shut, (), 9),
            ops.set_acl(shut, ops.OPEN, 9),
            ops.get_data(kid),
            ops.get_children2(kid),
            ops.get_acl(kid),
            ops.exists(kid),
            ops.get_all_children_number(kid),
            ops.multi(ops.check(kid, 7)),
            ops.multi(ops.check(nix, 7)),
            ops.multi(ops.check(shut, 7)),
            ops.set_acl(shut, ops.OPEN, 1),
            ops.delete(kid, 5),
            ops.delete(kid, 0),
            ops.reconfig("server.9=localhost:1:2"),
            ops.create("/zookeeper/x"),
            ops.delete("/zookeeper/x"),
        ):
            s.do("one", op)

    compare(steps)


def test_04_stat_evolution(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "other")
        a = f"{s.root}/a"
        for op in (
            ops.create2(a, b"12"),
            ops.set_data(a, b"345"),
            ops.set_data(a, None),
            ops.set_acl(a, ops.OPEN),
            ops.set_acl(a, ops.OPEN, 1),
            ops.create2(f"{a}/x", b"x"),
            ops.create2(f"{a}/y", flags=EPHEMERAL),
            ops.create(f"{a}/x/deep"),
            ops.delete(f"{a}/x/deep"),
            ops.delete(f"{a}/y"),
            ops.set_data(f"{a}/x", b"longer"),
            ops.multi(ops.create(f"{a}/p"), ops.create(f"{a}/q"), ops.delete(f"{a}/p")),
        ):
            s.do("one", op)
            for path in (s.root, a, f"{a}/x"):
                s.do("two", ops.exists(path))
        early, late = _stat(s, a), _after_set(s, a)
        s.note("mtime moves", late.mtime >= early.mtime)
        s.note("ctime stays", late.ctime == early.ctime)

    compare(steps)


def _stat(s: Script, path: str) -> ops.Stat:
    reply = s.sessions["one"].call(ops.exists(path))
    assert isinstance(reply, Reply) and isinstance(reply.value, ops.Stat)
    return reply.value


def _after_set(s: Script, path: str) -> ops.Stat:
    s.sessions["one"].call(ops.set_data(path, b"again"))
    return _stat(s, path)


def test_05_sequence_numbers(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "other")
        q = f"{s.root}/q"
        s.do("one", ops.create(q))
        n = f"{q}/n-"
        for who, op in (
            ("one", ops.create(n, flags=SEQUENTIAL)),
            ("two", ops.create(n, flags=SEQUENTIAL | EPHEMERAL)),
            ("one", ops.delete(f"{n}0000000000")),
            ("one", ops.create(n, flags=SEQUENTIAL)),
            ("two", ops.create(f"{q}/plain")),
            ("two", ops.create(f"{q}/plain")),
            ("one", ops.create2(n, flags=SEQUENTIAL)),
            (
                "one",
                ops.multi(ops.create(n, flags=3), ops.create(n, flags=2), ops.create(f"{q}/p")),
            ),
            ("one", ops.multi(ops.create(n, flags=2), ops.create(f"{q}/plain"))),
            ("two", ops.create(f"{q}/", flags=SEQUENTIAL)),
            ("two", ops.create(q, flags=SEQUENTIAL)),
            ("two", ops.create(f"{q}//", flags=SEQUENTIAL)),
            ("one", ops.get_children2(q)),
            ("two", ops.CLOSE),
            ("one", ops.create(n, flags=SEQUENTIAL)),
            ("one", ops.get_children2(q)),
        ):
            s.do(who, op)

    compare(steps)


def test_08_ephemerals_identities_and_masked_lists(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        s.open("two", "follower")
        for name in ("a", "ab", "b"):
            s.do("one", ops.create(f"{s.root}/{name}", flags=EPHEMERAL))
        for prefix in ("/", "", s.root, f"{s.root}/a", f"{s.root}/ab", f"{s.root}/nix", "abc"):
            s.do("one", ops.get_ephemerals(prefix))
            s.do("two", ops.get_ephemerals(prefix))
        s.do("one", ops.WHO_AM_I)
        s.do("one", ops.auth("digest", b"ann:secret"))
        s.do("one", ops.auth("digest", b"bob:hidden"))
        s.do("one", ops.auth("digest", b"ann:secret"))
        s.do("one", ops.WHO_AM_I)
        d = f"{s.root}/d"
        ann = digest("ann", "secret")
        s.do("one", ops.create(d, acl=((ops.READ | ops.ADMIN, *ann), (ops.READ, *WORLD))))
        s.do("one", ops.get_acl(d))
        s.do("two", ops.get_acl(d))
        s.do("one", ops.get_all_children_number(s.root))

    compare(steps)


def test_09_null_and_empty_data_and_the_limit(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("one", "follower")
        a = f"{s.root}/a"
        for data in (None, b"", b"x"):
            s.do("one", ops.set_data(s.root, data))
            s.do("one", ops.get_data(s.root))
        s.do("one", ops.create(a, None))
        s.do("one", ops.get_data(a))
        around = len(ops.set_data(a, b"").body) + 8
        for size in (MAX_FRAME - around, MAX_FRAME - around + 1):
            s.do("one", ops.set_data(a, bytes(size)))
        s.open("two", "follower")
        s.do("two", ops.exists(a))

    compare(steps)


def test_10_what_cannot_be_understood(compare: Compare) -> None:
    def steps(s: Script) -> None:
        for role in ("leader", "follower"):
            for type_ in (999, 0, -1, 20, 200):
                s.open("one", role)
                s.do("one", ops.Op(f"type {type_}", type_))
                s.do("one", ops.PING)
            s.open("two", role)
            for type_ in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 19, 21, 22):
                s.do("two", ops.Op(f"type {type_} without a body", type_))
            for type_ in (101, 103, 104, 105, 106):
                s.do("two", ops.Op(f"type {type_} without a body", type_))
            s.do("two", ops.Op("create of nothing", 1, ops.int_(-7)))
            s.do("two", ops.Op("getData of much", 4, ops.int_(1 << 30)))
            s.do(
                "two", ops.Op("exists with more", 3, ops.exists(s.root).body + b"more", Reader.stat)
            )
            s.do("two", ops.PING)
            s.open("three", role)
            s.do("three", ops.auth("nix", b"x"))
            s.open("four", role)
            s.do("four", ops.auth("digest", b"nocolon"))
            s.do("four", ops.auth("digest", b""))
            s.do("four", ops.auth("ip", b""))
            s.do("four", ops.auth("world", b""))

    compare(steps)


def test_11_access_lists(compare: Compare) -> None:
    def steps(s: Script) -> None:
        s.open("ann", "follower")
        s.open("bob", "leader")
        s.open("root", "other")
        s.do("ann", ops.auth("digest", b"ann:secret"))
        s.do("bob", ops.auth("digest", b"bob:hidden"))
        s.do("root", ops.auth("digest", SUPER_CREDENTIALS))
        mine, host, far = (f"{s.root}/{name}" for name in ("mine", "host", "far"))
        s.do("ann", ops.create(mine, acl=((ALL, "auth", ""),)))
        s.do("ann", ops.create(host, acl=((ALL, "ip", "127.0.0.0/8"),)))
        s.do("ann", ops.create(far, acl=((ALL, "ip", "10.0.0.1"),)))
        for who in ("bob", "ann", "root"):
            for path in (mine, host, far):
                for op in (
                    ops.get_acl(path),
                    ops.get_data(path),
                    ops.exists(path),
                    ops.get_children2(path),
                    ops.set_data(path, who.encode()),
                    ops.create(f"{path}/{who}"),
                    ops.multi(ops.check(path, -1)),
                    ops.set_acl(path, ((ALL, "auth", "ignored"),)),
                ):
                    s.do(who, op)
        s.do("bob", ops.delete(f"{mine}/ann"))
        s.do("ann", ops.delete(f"{mine}/ann"))
        s.do("root", ops.delete(f"{mine}/root"))

    compare(steps)
