"""Ports: free, different, and a taken one is named."""

from __future__ import annotations

import socket

import pytest

from orchestrator.errors import InvalidInput, NotPossible
from orchestrator.ports import free_ports, ports_above


def test_no_port_is_handed_out_twice() -> None:
    ports = free_ports("127.0.0.1", 50)
    assert len(set(ports)) == 50


def test_free_ports_can_be_bound() -> None:
    for port in free_ports("127.0.0.1", 5):
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", port))


def test_a_taken_port_above_the_base_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NotPossible, match=f"port {port} of member 2 is taken"):
            ports_above("127.0.0.1", port - 2, [2])


def test_ports_above_a_base_are_base_plus_sid() -> None:
    base = free_ports("127.0.0.1", 1)[0] - 1
    assert ports_above("127.0.0.1", base, [1]) == [base + 1]


def test_a_foreign_host_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"host '203\.0\.113\.7'"):
        free_ports("203.0.113.7", 1)
