"""The leader's container manager: who goes, when, and how many at once."""

from __future__ import annotations

from nodes.core.effects import Effect, Persist
from nodes.core.messages import Ack, Ping, Proposal
from nodes.core.requests import Create
from nodes.core.txns import CONTAINER_TTL, DeleteTxn, ErrorTxn, Recovered, Txn, ZnodeImage
from nodes.core.txns import Snapshot as Image
from nodes.core.zxid import make_zxid

from .bench import EPOCH, Bench, following, leading, sent
from .pipeline import Pipeline

INTERVAL_MS = 1000


def znode(path: str, ttl_ms: int, *, used: bool = False, mtime: int = 0) -> ZnodeImage:
    return ZnodeImage(path, b"", 1, 1, 1, 0, mtime, 0, 1 if used else 0, 0, 0, ttl_ms=ttl_ms)


def managed(*znodes: ZnodeImage, **settings: object) -> Bench:
    """A leader with these znodes; the follower and the disk are prompt."""
    images = tuple(sorted((*Pipeline().tree.images(), *znodes), key=lambda image: image.path))
    settings = {"container_check_interval_ms": INTERVAL_MS} | settings
    return leading(Recovered(snapshot=Image(0, images, ())), **settings)


def let_pass(bench: Bench, length_ms: float) -> list[Txn]:
    """Let time pass; return what the leader proposed, and commit it at once."""
    until_ms = bench.now_ms + length_ms
    txns: list[Txn] = []
    while bench.now_ms < until_ms:
        effects: list[Effect] = bench.after(1)
        if any(isinstance(message, Ping) for message in sent(effects, 2)):
            bench.receive(2, Ping())
        for effect in effects:
            if isinstance(effect, Persist):
                txns.append(effect.txn)
                bench.persist(effect.txn.zxid)
                bench.receive(2, Ack(effect.txn.zxid))
    return txns


def deleted(txns: list[Txn]) -> list[str]:
    assert all(txn.session_id == txn.cxid == 0 for txn in txns)
    return [txn.body.path for txn in txns if isinstance(txn.body, DeleteTxn)]


def test_the_first_check_comes_an_interval_after_the_term_began() -> None:
    bench = managed(znode("/c", CONTAINER_TTL, used=True))
    assert deleted(let_pass(bench, INTERVAL_MS - 5)) == []
    assert deleted(let_pass(bench, 10)) == ["/c"]
    assert deleted(let_pass(bench, 2 * INTERVAL_MS)) == []


def test_only_empty_ones_whose_time_has_come() -> None:
    """`ContainerManager.getCandidates`."""
    bench = managed(
        znode("/busy", CONTAINER_TTL, used=True),
        znode("/busy/child", 0),
        znode("/new", CONTAINER_TTL),
        znode("/old", CONTAINER_TTL, used=True),
        znode("/plain", 0, used=True),
        znode("/ttl", 1500),
        znode("/ttl-busy", 500, used=True),
        znode("/ttl-busy/child", 0),
        znode("/ttl-long", 1 << 39),
        znode("/ttl-used", 1500, used=True),
        wall_offset_ms=0,
    )
    assert deleted(let_pass(bench, INTERVAL_MS + 50)) == ["/old", "/ttl", "/ttl-used"]


def test_a_ttl_runs_from_the_last_change() -> None:
    now = 10_000
    bench = managed(znode("/t", 2500, mtime=now), wall_offset_ms=now - 1000)
    assert deleted(let_pass(bench, 2 * INTERVAL_MS + 50)) == []
    assert deleted(let_pass(bench, INTERVAL_MS)) == ["/t"]


def test_a_container_never_used_goes_only_if_that_is_configured() -> None:
    """`znode.container.maxNeverUsedIntervalMs`."""
    new = znode("/new", CONTAINER_TTL, mtime=1000)
    assert deleted(let_pass(managed(new), 5 * INTERVAL_MS)) == []
    bench = managed(new, container_max_never_used_interval_ms=1500)
    assert deleted(let_pass(bench, INTERVAL_MS + 50)) == []
    assert deleted(let_pass(bench, INTERVAL_MS)) == ["/new"]


def test_no_more_at_once_than_configured() -> None:
    """`znode.container.maxPerMinute`."""
    paths = [f"/c{number}" for number in range(8)]
    znodes = [znode(path, CONTAINER_TTL, used=True) for path in paths]
    bench = managed(*znodes, container_max_per_minute=600)
    assert deleted(let_pass(bench, INTERVAL_MS + 50)) == paths[:1]
    assert deleted(let_pass(bench, 200)) == paths[1:3]
    assert deleted(let_pass(bench, 600)) == paths[3:]


def test_a_child_on_its_way_saves_its_container() -> None:
    bench = managed(znode("/c", CONTAINER_TTL, used=True))
    let_pass(bench, INTERVAL_MS - 200)
    bench.connect(5)
    bench.persist(make_zxid(EPOCH, 1))
    bench.receive(2, Ack(make_zxid(EPOCH, 1)))
    (proposal,) = sent(bench.submit(5, 1, Create("/c/x", b"")))
    assert isinstance(proposal, Proposal)
    bodies = [e.txn.body for e in bench.after(300) if isinstance(e, Persist)]
    assert [type(body) for body in bodies] == [ErrorTxn]


def test_only_the_leader_deletes() -> None:
    images = (*Pipeline().tree.images(), znode("/zz", CONTAINER_TTL, used=True))
    bench = following(
        Recovered(snapshot=Image(0, images, ())), container_check_interval_ms=INTERVAL_MS
    )
    for _ in range(20):
        bench.receive(3, Ping())
        assert not [e for e in bench.after(100) if isinstance(e, Persist)]
    assert bench.member.status().znodes == 6
