"""Quotas: what is used is told, what is too much is refused."""

from __future__ import annotations

from nodes.core.errors import ErrorCode
from nodes.core.prep import Prep
from nodes.core.requests import Create, Delete, ErrorResult, Multi, MultiResult, SetData, Write

from .pipeline import Pipeline

QUOTA = "/zookeeper/quota/q"
LIMITS = f"{QUOTA}/zookeeper_limits"
STATS = f"{QUOTA}/zookeeper_stats"


def limited(limits: bytes, *, enforce: bool = True) -> Pipeline:
    """A quota on /q, which has 3 bytes."""
    pipeline = Pipeline()
    if enforce:
        pipeline.prep = Prep(pipeline.tree, enforce_quota=True)
    pipeline.write(Create("/q", b"abc"))
    pipeline.create(QUOTA)
    pipeline.write(Create(LIMITS, limits))
    pipeline.write(Create(STATS, b"count=-1,bytes=-1"))
    return pipeline


def data(pipeline: Pipeline, path: str = STATS) -> bytes | None:
    znode = pipeline.tree.find(path)
    return None if znode is None else znode.data


def test_the_story_of_a_hard_quota() -> None:
    """Step by step what ZooKeeper 3.8.0 answers and shows."""
    pipeline = limited(b"count=1,bytes=5=;byteHardLimit=10;countHardLimit=3")
    ok, exceeded = ErrorCode.OK, ErrorCode.QUOTA_EXCEEDED
    story: list[tuple[Write, ErrorCode, bytes]] = [
        (Create("/q/a", b"12345"), ok, b"count=2,bytes=8"),
        (Create("/q/b", b""), ok, b"count=3,bytes=8"),
        (Create("/q/c", b""), exceeded, b"count=3,bytes=8"),
        (SetData("/q/b", b"12345678"), exceeded, b"count=3,bytes=8"),
        (SetData("/q/b", b"12"), ok, b"count=3,bytes=10"),
        (SetData("/q/b", b"123"), exceeded, b"count=3,bytes=10"),
        (Create("/q/missing/x", b""), ErrorCode.NO_NODE, b"count=3,bytes=10"),
        # Before the version is looked at.
        (SetData("/q/b", b"1234567", 9), exceeded, b"count=3,bytes=10"),
        (SetData(LIMITS, b"countHardLimit=2"), ok, b"count=3,bytes=10"),
        (Create("/q/e", b""), exceeded, b"count=3,bytes=10"),
        (SetData("/q/b", None), ok, b"count=3,bytes=8"),
        (SetData(LIMITS, b""), ok, b"count=3,bytes=8"),
        (Create("/q/f", b""), ok, b"count=4,bytes=8"),
        (Delete("/q/f"), ok, b"count=3,bytes=8"),
        (Create("/qq", b""), ok, b"count=3,bytes=8"),
    ]
    assert data(pipeline) == b"count=1,bytes=3"
    for op, error, stats in story:
        assert (pipeline.write(op).error, data(pipeline)) == (error, stats), op


def test_a_multi_is_held_against_what_is_applied() -> None:
    pipeline = limited(b"countHardLimit=1")
    applied = pipeline.write(Multi((Delete("/q"), Create("/q/x", b""))))
    assert applied.result == MultiResult(
        (ErrorResult(ErrorCode.OK), ErrorResult(ErrorCode.NO_NODE))
    )
    applied = pipeline.write(Multi((Delete("/q"), Create("/q", b""))))
    assert applied.result == MultiResult(
        (ErrorResult(ErrorCode.OK), ErrorResult(ErrorCode.QUOTA_EXCEEDED))
    )


def test_soft_limits_and_an_option_that_is_off_refuse_nothing() -> None:
    for pipeline in (
        limited(b"count=0,bytes=0"),
        limited(b"countHardLimit=0;byteHardLimit=0", enforce=False),
    ):
        assert pipeline.write(Create("/q/x", b"1")).error == ErrorCode.OK
        assert data(pipeline) == b"count=2,bytes=4"


def test_nonsense_in_the_limits_limits_nothing() -> None:
    for nonsense in (b"", b"\xff\xfe", b"countHardLimit=", b"countHardLimit", b"=3,=", b"x=y"):
        pipeline = limited(nonsense)
        assert pipeline.write(Create("/q/x", b"")).error == ErrorCode.OK


def test_limits_as_large_as_a_request_stop_nobody() -> None:
    for huge in (b"countHardLimit=" + b"9" * 1_000_000, b"a" * 1_000_000):
        pipeline = limited(huge)
        assert pipeline.write(Create("/q/x", b"")).error == ErrorCode.OK


def test_stats_do_not_change_version_or_zxid_and_cannot_be_forged() -> None:
    pipeline = limited(b"")
    before = pipeline.stat(STATS)
    pipeline.create("/q/x")
    before.data_length = len(b"count=2,bytes=3")
    assert pipeline.stat(STATS) == before
    pipeline.write(SetData(STATS, b"count=0,bytes=0"))
    assert data(pipeline) == b"count=2,bytes=3"
    pipeline.write(Delete(STATS))
    pipeline.write(Create(STATS, b"forged"))
    assert data(pipeline) == b"count=2,bytes=3"


def test_without_limits_there_is_no_quota() -> None:
    pipeline = limited(b"")
    pipeline.write(Delete(LIMITS))
    assert data(pipeline) == b"count=-1,bytes=-1"
    pipeline.create("/q/x")
    assert data(pipeline) == b"count=-1,bytes=-1"
    pipeline.write(Create(LIMITS, b""))
    assert data(pipeline) == b"count=2,bytes=3"


def test_what_a_closed_session_leaves_is_not_counted() -> None:
    pipeline = limited(b"")
    pipeline.create("/q/e", flags=1)
    pipeline.tree.apply(pipeline.history[-1])
    assert data(pipeline) == b"count=2,bytes=3"
    pipeline.write(Delete("/q/e"))
    assert data(pipeline) == b"count=1,bytes=3"


def test_nothing_is_counted_for_zookeepers_own_znodes() -> None:
    pipeline = Pipeline()
    own = "/zookeeper/quota/zookeeper"
    pipeline.create(own)
    for name in ("zookeeper_limits", "zookeeper_stats"):
        pipeline.write(Create(f"{own}/{name}", b"x"))
    assert data(pipeline, f"{own}/zookeeper_stats") == b"x"
    pipeline.write(Create("/zookeeper/quota/zookeeper_limits", b"x"))
    pipeline.write(Create("/zookeeper/quota/zookeeper_stats", b"x"))
    assert data(pipeline, "/zookeeper/quota/zookeeper_stats") == b"x"
