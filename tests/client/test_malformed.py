"""A member that says what no member says: its line is given up, and the client goes on."""

from __future__ import annotations

import asyncio
import threading

from lagkeeper.v1 import client_pb2 as pb

from client.aio import AsyncClient
from client.events import SessionEvent
from client.sync import Client
from tests.client.fake_member import FakeMember, server_thread

REASON = "malformed: a multi's answer with multi in it"


def nonsense() -> pb.ServerFrame:
    """The answer to a multi with a multi in it, on the first connection of a line."""
    frame = pb.ServerFrame(connection=1)
    frame.reply.result.multi.results.add().multi.SetInParent()
    return frame


def test_the_asyncio_client_connects_again() -> None:
    async def scenario() -> None:
        lost = asyncio.Event()

        def on_event(event: SessionEvent) -> None:
            if event is SessionEvent.DISCONNECTED:
                lost.set()

        async with (
            FakeMember() as member,
            AsyncClient(member.address, listener=on_event) as client,
        ):
            before = client.session_id
            member.streams[0].put(nonsense())
            await asyncio.wait_for(lost.wait(), 10)
            assert await client.get("/") is not None
            assert client.session_id == before
            assert client._reasons == {member.address: REASON}

    asyncio.run(scenario())


def test_the_threaded_client_connects_again() -> None:
    lost = threading.Event()

    def on_event(event: SessionEvent) -> None:
        if event is SessionEvent.DISCONNECTED:
            lost.set()

    with server_thread() as server:
        member = server.run(FakeMember().start())
        with Client(member.address, listener=on_event) as client:
            before = client.session_id
            server.call(lambda: member.streams[0].put(nonsense()))
            assert lost.wait(10)
            assert client.get("/") is not None
            assert client.session_id == before
            assert client._reasons == {member.address: REASON}
        server.run(member.stop())
