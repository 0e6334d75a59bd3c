"""The benchmark's own wire client, and how its table judges."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from loadtests.bench.__main__ import ALONE, ROWS, judge, show
from loadtests.bench.raw import EPHEMERAL, WireError, WireSession, first_write
from orchestrator.ensemble import Ensemble


@pytest.mark.processes
def test_sessions_create_and_count_over_the_wire() -> None:
    async def script(addresses: list[str]) -> list[int]:
        await first_write(addresses, "/bench")
        session = await WireSession.open(addresses[0])
        await session.create("/bench/one")
        await session.create("/bench/two", EPHEMERAL)
        before = await session.count_children("/bench")
        session.close()
        other = await WireSession.open(addresses[0])
        await other.create("/bench/three")
        after = await other.count_children("/bench")
        with pytest.raises(WireError, match="error -101"):
            await other.count_children("/nowhere")
        other.close()
        return [before, after]

    with Ensemble(members=1) as ensemble:
        counted = asyncio.run(script(ensemble.zookeeper_hosts.split(",")))
    assert counted == [2, 2]


def test_a_ratio_is_the_median_over_rounds_of_the_same_round() -> None:
    rounds = [
        {"ZooKeeper": {"get, wire": theirs}, "Lagkeeper": {"get, wire": ours}}
        for theirs, ours in ((100.0, 50.0), (200.0, 160.0), (1000.0, 900.0))
    ]
    assert judge(rounds, "get, wire") == (0.8, True)


@pytest.mark.parametrize(("ours", "is_met"), [(0.5, True), (0.7, False)])
def test_where_less_is_better_the_aim_is_an_upper_bound(ours: float, is_met: bool) -> None:
    row = "start to first write s"
    rounds = [{"ZooKeeper": {row: 1.0}, "Lagkeeper": {row: ours}}]
    assert judge(rounds, row) == (ours, is_met)


def test_rates_over_grpc_are_held_against_the_wire() -> None:
    rounds = [{"ZooKeeper": {"get, wire": 100.0}, "Lagkeeper": {"get, gRPC": 150.0}}]
    assert judge(rounds, "get, gRPC") == (1.5, True)


def test_the_table_has_every_row() -> None:
    figures = dict.fromkeys((*ROWS, *ALONE), 10.0)
    out = io.StringIO()
    Console(file=out, width=160).print(show([{"ZooKeeper": figures, "Lagkeeper": figures}]))
    for row in (*ROWS, *ALONE):
        assert row in out.getvalue()
