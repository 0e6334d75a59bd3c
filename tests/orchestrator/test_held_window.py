"""Windows of a session's expiry held open, and what the ensemble knows of its sessions meanwhile.

By the project's own pytest plugin: `ensemble` is clean for each test, and member 3 leads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from client.line import Answer
from client.sync import Client, connect_once
from orchestrator.ensemble import Ensemble
from orchestrator.errors import InvalidInput, NotAnswering

pytestmark = [pytest.mark.processes, pytest.mark.lagkeeper(observers=1)]

PATH = "/owned"


@pytest.fixture
def clients(ensemble: Ensemble) -> Iterator[dict[int, Client]]:
    """A session on each member; that of member 2 owns an ephemeral znode."""
    with ExitStack() as stack:
        opened = {sid: stack.enter_context(Client([ensemble.address(sid)])) for sid in (1, 2, 3, 4)}
        opened[2].create(PATH, ephemeral=True)
        for client in opened.values():
            client.sync(PATH)
        yield opened


@pytest.mark.parametrize(
    ("window", "on", "seen_on", "seen_after_sync_on"),
    [
        ("W0", None, [1, 3, 4], [1, 3, 4]),
        ("W1", None, [1, 3, 4], [3]),
        ("W2", 1, [1], []),
        ("W2", 4, [4], []),
    ],
)
def test_a_window_stays_open_until_the_end_of_the_block(
    ensemble: Ensemble,
    clients: dict[int, Client],
    window: str,
    on: int | None,
    seen_on: list[int],
    seen_after_sync_on: list[int],
) -> None:
    victim = clients[2]
    with ensemble.window(window, victim.session_id, on) as leader:
        assert leader == 3
        told = connect_once(ensemble.address(3), victim.session_id, victim.password, 10_000)
        assert told.answer is Answer.EXPIRED
        readers = {sid: clients[sid] for sid in (1, 3, 4)}
        for sid in set(readers).difference(seen_on):
            readers[sid].sync(PATH)
        assert [sid for sid, it in readers.items() if it.exists(PATH)] == seen_on
        # Where the answer waits for what is held, it is no harm; the leader's sync waits for none.
        for sid in seen_after_sync_on:
            readers[sid].sync(PATH)
            assert readers[sid].exists(PATH)
        touched = 0 if window == "W0" else 1 if on else 2
        ensemble.wait_until(lambda _: ensemble.link("*->*").touched() == touched)
    ensemble.wait_for_trace("close_applied", victim.session_id)
    assert not any(client.exists(PATH) for client in readers.values())
    assert ensemble.link("*->*").touched() == touched


def test_sessions_are_listed_with_their_znodes_and_their_members(
    ensemble: Ensemble, clients: dict[int, Client]
) -> None:
    found = {session.session_id: session for session in ensemble.sessions()}
    assert {session: it.connected_to for session, it in found.items()} == {
        client.session_id: sid for sid, client in clients.items()
    }
    owner = found[clients[2].session_id]
    assert (owner.ephemerals, owner.timeout_ms, owner.is_local) == ((PATH,), 10_000, False)
    clients[1].go_silent()
    ensemble.wait_until(lambda status: status.members[0].status.connections == 0)
    left = {it.session_id: it.connected_to for it in ensemble.sessions()}
    assert left[clients[1].session_id] is None


@pytest.mark.parametrize(
    ("window", "on", "complaint"),
    [
        ("W3", None, "no window 'W3'; one of W0, W1, W2"),
        ("W2", None, "W2: say on=SID, the member that lags"),
        ("W0", 1, "W0: it has no member: no on="),
        ("W2", 3, "W2: member 3 leads, and has applied whatever it has committed"),
        ("W2", 9, "no member 9; members are 1, 2, 3, 4"),
    ],
)
def test_a_window_that_cannot_be_is_one_clear_line(
    ensemble: Ensemble, window: str, on: int | None, complaint: str
) -> None:
    with pytest.raises(InvalidInput) as raised, ensemble.window(window, 1, on):
        pass
    assert str(raised.value) == complaint


def test_a_trace_that_does_not_come_is_told(ensemble: Ensemble) -> None:
    with pytest.raises(NotAnswering, match="member 2 did not trace close_applied of session 0x7b"):
        ensemble.wait_for_trace("close_applied", 123, on=2, timeout_s=0.1)
