"""What a member counts, and the trace of reads that somebody asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.core.counters import Counters, Latency, RequestStats
from nodes.core.effects import Trace
from nodes.core.errors import ErrorCode
from nodes.core.events import ConnectionLost, ConnectRequested, ReadTracingSet
from nodes.core.messages import Ack, Commit, Proposal
from nodes.core.requests import Create, Exists, GetChildren, GetData, Op, Ping
from nodes.core.tree import DataTree
from nodes.core.txns import CloseSessionTxn, CreateTxn, DeleteTxn, SetDataTxn, Txn, TxnBody

from .bench import OTHER, SESSION, Bench, following, leading, replies, txn, with_session


@given(st.lists(st.integers(min_value=0, max_value=5000), min_size=1))
def test_latency_is_that_of_all_lengths(lengths: list[int]) -> None:
    latency = Latency()
    for length in lengths:
        latency.add(length)
    assert (latency.min_ms, latency.max_ms) == (min(lengths), max(lengths))
    assert (latency.count, latency.total_ms) == (len(lengths), sum(lengths))
    assert latency.average_ms == pytest.approx(sum(lengths) / len(lengths))


def test_clocks_that_differ_give_no_negative_length() -> None:
    latency = Latency()
    latency.add(-3)
    assert latency == Latency(count=1)


def test_a_reset_forgets_the_requests_and_nothing_else() -> None:
    counters = Counters(proposal_count=4)
    counters.requests.packets_sent = counters.requests.packets_received = 7
    counters.requests.latency.add(5)
    counters.requests.reset()
    assert counters.requests == RequestStats()
    assert counters.proposal_count == 4


def commit(bench: Bench) -> None:
    """The leader and a follower have everything on disk."""
    zxid = bench.member.status().last_logged_zxid
    bench.persist(zxid)
    bench.receive(2, Ack(zxid))


def test_the_leader_counts_a_write_and_how_long_it_took() -> None:
    bench = leading()
    bench.connect(5)
    commit(bench)
    counters = bench.member.counters
    assert (counters.proposal_count, counters.commit_count) == (1, 1)
    assert counters.requests.latency.count == 0, "a connect is no request"
    bench.submit(5, 1, Create("/a", None, 0))
    bench.now_ms += 30
    commit(bench)
    assert (counters.proposal_count, counters.commit_count) == (2, 2)
    assert counters.requests.latency == Latency(1, 30, 30, 30)
    assert counters.quorum_ack_latency.max_ms == counters.propagation_latency.max_ms == 30
    assert counters.learner_proposal_received_count == 0


def test_a_follower_counts_what_its_leader_sends() -> None:
    bench = following()
    counters = bench.member.counters
    proposed = counters.learner_proposal_received_count
    committed = counters.learner_commit_received_count
    change = txn(1, CreateTxn("/a", None, False, 1), session=OTHER)
    bench.receive(3, Proposal(change))
    assert counters.learner_proposal_received_count == proposed + 1
    assert counters.learner_commit_received_count == committed
    bench.receive(3, Commit(change.zxid))
    assert counters.learner_commit_received_count == committed + 1


def test_connections_are_counted_when_they_come_come_back_and_drop() -> None:
    bench = following()
    counters = bench.member.counters
    bench.step(ConnectRequested(5, 0, 700, 0, b""))
    bench.step(ConnectRequested(6, 0, 700, SESSION, b""))
    bench.step(ConnectionLost(5))
    bench.step(ConnectionLost(99))
    assert counters.connection_request_count == 2
    assert counters.connection_revalidate_count == 1
    assert counters.connection_drop_count == 1
    assert counters.requests.packets_received == 2


def traced(bench: Bench, connection: int, xid: int, op: Op) -> list[Trace]:
    bench.traces.clear()
    assert replies(bench.submit(connection, xid, op))
    return [trace for trace in bench.traces if trace.kind == "read_served"]


def test_reads_are_traced_while_they_are_asked_for() -> None:
    bench = following()
    client = with_session(bench)
    assert traced(bench, client, 1, Exists("/", False)) == []
    bench.step(ReadTracingSet(True))
    zxid = bench.member.status().last_zxid
    fields = {"session_id": SESSION, "zxid": zxid, "ephemeral_owner": 0}
    assert traced(bench, client, 2, Exists("/", False)) == [
        Trace("read_served", {**fields, "xid": 2, "path": "/", "is_there": True})
    ]
    assert traced(bench, client, 3, GetData("/nothing", False)) == [
        Trace("read_served", {**fields, "xid": 3, "path": "/nothing", "is_there": False})
    ]
    (children,) = traced(bench, client, 4, GetChildren("/", False))
    assert children.fields["is_there"]
    assert traced(bench, client, -2, Ping()) == []
    bench.step(ReadTracingSet(False))
    assert traced(bench, client, 5, Exists("/", False)) == []


def test_a_traced_read_names_the_owner() -> None:
    bench = following()
    client = with_session(bench)
    bench.step(ReadTracingSet(True))
    change = txn(2, CreateTxn("/mine", None, True, 1), session=OTHER)
    bench.receive(3, Proposal(change))
    bench.receive(3, Commit(change.zxid))
    (read,) = traced(bench, client, 7, Exists("/mine", False))
    assert (read.fields["ephemeral_owner"], read.fields["zxid"]) == (OTHER, change.zxid)


# The size of the data.

# None below another: nobody prepares the deletion of a parent.
NAMES = st.sampled_from(["/a", "/b", "/zookeeper/c"])
DATA = st.one_of(st.none(), st.binary(max_size=5))
BODIES: st.SearchStrategy[TxnBody] = st.one_of(
    st.builds(lambda path, data, own: CreateTxn(path, data, own, 1), NAMES, DATA, st.booleans()),
    st.builds(lambda path, data: SetDataTxn(path, data, 1), NAMES, DATA),
    st.builds(DeleteTxn, NAMES),
    st.just(CloseSessionTxn(())),
)


@given(st.lists(BODIES, max_size=30))
def test_data_size_is_that_of_all_paths_and_data(bodies: list[TxnBody]) -> None:
    tree = DataTree()
    fresh = tree.data_size
    for number, body in enumerate(bodies):
        assert tree.apply(Txn(SESSION, 0, number + 1, 0, body)).error in (
            ErrorCode.OK,
            ErrorCode.NO_NODE,
            ErrorCode.NODE_EXISTS,
        )
    images = tree.images()
    assert tree.data_size == sum(len(i.path) + len(i.data or b"") for i in images)
    assert DataTree.from_images(images).data_size == tree.data_size
    assert fresh == sum(len(i.path) + len(i.data or b"") for i in DataTree().images())
