"""The sessions of an ensemble, put together from what each of its members knows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub

ANSWER_S = 2.0


@dataclass(frozen=True)
class KnownSession:
    """A session; `ephemerals` as the leader (of a local one: its member) has applied them.

    `connected_to`: the member that its client is connected to; None if it is to none.
    """

    session_id: int
    timeout_ms: int
    is_local: bool
    ephemerals: tuple[str, ...]
    connected_to: int | None


def known_sessions(addresses: Mapping[int, str]) -> list[KnownSession]:
    """Ask members, the leader first; those that do not answer or do not serve are left out."""
    found: dict[int, admin_pb2.KnownSession] = {}
    connected: dict[int, int] = {}
    with ExitStack() as stack:
        answers = []
        for sid, address in addresses.items():
            stub = AdminServiceStub(stack.enter_context(grpc.insecure_channel(address)))
            request = admin_pb2.ListSessionsRequest()
            answers.append((sid, stub.ListSessions.future(request, timeout=ANSWER_S)))
        for sid, answer in answers:
            if answer.code() is not grpc.StatusCode.OK:
                continue
            for session in answer.result().sessions:
                found.setdefault(session.session_id, session)
                if session.is_connected:
                    connected[session.session_id] = sid
    return [
        KnownSession(
            session_id,
            it.timeout_ms,
            it.is_local,
            tuple(it.ephemerals),
            connected.get(session_id),
        )
        for session_id, it in sorted(found.items())
    ]
