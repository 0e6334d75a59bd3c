"""A member for the client's tests: one process, one small tree, no ensemble, no disk.

Answers as a member does, records what it heard, and can be told to misbehave. `python -m
tests.client.fake_member` serves until its stdin closes and prints its port.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc.aio
from lagkeeper.v1 import client_pb2 as pb
from lagkeeper.v1 import client_pb2_grpc

T = TypeVar("T")
PASSWORD = bytes(range(16))


class FakeSession:
    """What the fake ensemble knows of a session."""

    def __init__(self, session_id: int, timeout_ms: int) -> None:
        self.session_id = session_id
        self.timeout_ms = timeout_ms
        self.expiry: asyncio.TimerHandle | None = None


class FakeStore:
    """The tree and the sessions; several members may share one, as an ensemble would."""

    def __init__(self) -> None:
        self.zxid = 1 << 32
        self.sessions: dict[int, FakeSession] = {}
        self.znodes: dict[str, pb.DataResult] = {"/": pb.DataResult(data=b"", stat=pb.Stat())}
        self.watches: dict[str, set[tuple[FakeStream, int, str]]] = {}
        self.expires = False

    def touch(self, session: FakeSession) -> None:
        """Push the session's expiry away, if this store expires sessions at all."""
        if session.expiry is not None:
            session.expiry.cancel()
        if self.expires:
            loop = asyncio.get_running_loop()
            session.expiry = loop.call_later(
                session.timeout_ms / 1000, self.end_session, session.session_id
            )

    def end_session(self, session_id: int) -> None:
        """Close or expire: the ephemeral znodes go."""
        session = self.sessions.pop(session_id, None)
        if session is not None and session.expiry is not None:
            session.expiry.cancel()
        for path in [p for p, z in self.znodes.items() if z.stat.ephemeral_owner == session_id]:
            if path != "/":
                self.delete(path)

    def fire(self, path: str, kinds: str, event_type: int) -> None:
        """Fire the watches of some kinds ('d'ata, 'e'xist, 'c'hild) at a path."""
        waiting = self.watches.get(path, set())
        due = {watch for watch in waiting if watch[2] in kinds}
        waiting -= due
        for stream, connection in {(stream, connection) for stream, connection, _ in due}:
            event = pb.WatchEvent(type=event_type, path=path)
            stream.put(pb.ServerFrame(connection=connection, event=event))

    def delete(self, path: str) -> None:
        """Delete without a check."""
        self.zxid += 1
        del self.znodes[path]
        self.fire(path, "dec", 2)
        self.fire(parent_of(path), "c", 4)

    def children(self, path: str) -> list[str]:
        """Return the names below a path."""
        return [p.rpartition("/")[2] for p in self.znodes if p != "/" and parent_of(p) == path]

    def apply(self, session_id: int, request: pb.Request) -> tuple[int, pb.Result]:
        """Carry out an operation; return error code and result."""
        result = pb.Result()
        kind = request.WhichOneof("op")
        op = getattr(request, kind or "ping")
        znode = self.znodes.get(getattr(op, "path", ""))
        if kind in ("ping", "set_watches"):
            pass
        elif kind == "close_session":
            self.end_session(session_id)
        elif kind == "sync":
            result.path = op.path
        elif kind == "create":
            return self._create(session_id, op, result)
        elif kind == "multi":
            return self._multi(session_id, op, result)
        elif znode is None:
            return -101, result
        elif kind == "get_data":
            result.data.CopyFrom(znode)
        elif kind == "exists":
            result.stat.CopyFrom(znode.stat)
        elif kind == "get_children":
            result.children.names.extend(self.children(op.path))
            result.children.stat.CopyFrom(znode.stat)
        elif op.version not in (-1, znode.stat.version):
            return -103, result
        elif kind == "set_data":
            self._set(op, znode)
            result.stat.CopyFrom(znode.stat)
        elif kind == "delete":
            if self.children(op.path):
                return -111, result
            self.delete(op.path)
        return 0, result

    def _create(self, session_id: int, op: pb.Create, result: pb.Result) -> tuple[int, pb.Result]:
        parent = self.znodes.get(parent_of(op.path))
        if parent is None:
            return -101, result
        path = op.path
        if op.flags & 2:
            path += f"{parent.stat.cversion:010d}"
        if path in self.znodes:
            return -110, result
        self.zxid += 1
        parent.stat.cversion += 1
        stat = pb.Stat(czxid=self.zxid, mzxid=self.zxid, data_length=len(op.data))
        stat.ephemeral_owner = session_id if op.flags & 1 else 0
        self.znodes[path] = pb.DataResult(stat=stat)
        if op.HasField("data"):
            self.znodes[path].data = op.data
        self.fire(path, "de", 1)
        self.fire(parent_of(path), "c", 4)
        result.path = path
        return 0, result

    def _set(self, op: pb.SetData, znode: pb.DataResult) -> None:
        self.zxid += 1
        znode.ClearField("data")
        if op.HasField("data"):
            znode.data = op.data
        znode.stat.version += 1
        znode.stat.mzxid = self.zxid
        self.fire(op.path, "de", 3)

    def _multi(self, session_id: int, op: pb.Multi, result: pb.Result) -> tuple[int, pb.Result]:
        # All or none only as far as the tests need: what precedes a failure is not undone.
        result.multi.SetInParent()
        failed = False
        for part in op.ops:
            code, value = (-2, pb.Result()) if failed else self.apply(session_id, part)
            if code:
                value = pb.Result(error=code)
            failed = failed or bool(code)
            result.multi.results.append(value)
        if failed:
            for value in result.multi.results:
                if value.WhichOneof("result") != "error":
                    value.error = 0
        return 0, result


class FakeStream:
    """One line from a client program."""

    def __init__(self) -> None:
        self.outbox: asyncio.Queue[pb.ServerFrame | None] = asyncio.Queue()
        self.sessions: dict[int, FakeSession] = {}

    def put(self, frame: pb.ServerFrame) -> None:
        """Queue a frame to the client."""
        self.outbox.put_nowait(frame)

    async def batches(self) -> AsyncIterator[pb.ConnectResponse]:
        """Yield what is queued, many frames in one response, until None is queued."""
        while (frame := await self.outbox.get()) is not None:
            response = pb.ConnectResponse()
            response.frames.append(frame)
            while not self.outbox.empty():
                frame = self.outbox.get_nowait()
                if frame is None:
                    self.outbox.put_nowait(None)
                    break
                response.frames.append(frame)
            yield response


class FakeMember(client_pb2_grpc.ClientServiceServicer):
    """The client port. `refusals` counts down connects closed without an answer; `is_mute`
    swallows requests; `swallow` names operations that get no reply."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.port = 0
        self.heard: list[pb.ClientFrame] = []
        self.refusals = 0
        self.is_mute = False
        self.swallow: set[str] = set()
        self.streams: list[FakeStream] = []
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> FakeMember:
        """Serve, on the same port as before if there was one."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        client_pb2_grpc.add_ClientServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        return self

    async def stop(self) -> None:
        """Break every line, free the port."""
        assert self._server is not None
        await self._server.stop(None)
        self.streams.clear()

    async def __aenter__(self) -> FakeMember:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def heard_ops(self, kind: str) -> list[pb.Request]:
        """Return the requests of one kind, e.g. `ping`, in order."""
        return [f.request for f in self.heard if f.request.WhichOneof("op") == kind]

    def close_connections(self) -> None:
        """Close every connection, as a member does that has lost its leader."""
        for stream in self.streams:
            for connection in list(stream.sessions):
                self._disconnect(stream, connection)

    async def Connect(
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: object
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Serve one line."""
        stream = FakeStream()
        self.streams.append(stream)
        reader = asyncio.create_task(self._read(stream, request_iterator))
        try:
            async for response in stream.batches():
                yield response
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, stream: FakeStream, requests: AsyncIterator[pb.ConnectRequest]) -> None:
        async for request in requests:
            for frame in request.frames:
                self.heard.append(frame)
                self._on_frame(stream, frame)
        stream.outbox.put_nowait(None)

    def _on_frame(self, stream: FakeStream, frame: pb.ClientFrame) -> None:
        connection = frame.connection
        if frame.HasField("session"):
            self._on_session(stream, connection, frame.session)
        elif frame.HasField("disconnect"):
            stream.sessions.pop(connection, None)
        elif connection in stream.sessions and not self.is_mute:
            self._on_request(stream, connection, frame.request)

    def _on_session(self, stream: FakeStream, connection: int, request: pb.SessionRequest) -> None:
        if self.is_mute:
            return
        if self.refusals or request.last_zxid_seen > self.store.zxid:
            self.refusals = max(0, self.refusals - 1)
            stream.put(pb.ServerFrame(connection=connection, disconnect=pb.Disconnect()))
            return
        session_id = request.session_id
        if not session_id:
            self.store.zxid += 1
            session_id = (1 << 56) + self.store.zxid
            self.store.sessions[session_id] = FakeSession(session_id, request.timeout_ms)
        session = self.store.sessions.get(session_id)
        response = pb.ServerFrame(connection=connection)
        if session is None:
            response.session.SetInParent()
            stream.put(response)
            stream.put(pb.ServerFrame(connection=connection, disconnect=pb.Disconnect()))
            return
        self.store.touch(session)
        stream.sessions[connection] = session
        response.session.timeout_ms = session.timeout_ms
        response.session.session_id = session_id
        response.session.password = PASSWORD
        stream.put(response)

    def _on_request(self, stream: FakeStream, connection: int, request: pb.Request) -> None:
        kind = request.WhichOneof("op")
        session = stream.sessions[connection]
        self.store.touch(session)
        if kind in self.swallow:
            return
        error, result = self.store.apply(session.session_id, request)
        if kind in ("get_data", "exists", "get_children"):
            op = getattr(request, kind)
            if op.watch and (not error or kind == "exists"):
                letter = "c" if kind == "get_children" else "d"
                self.store.watches.setdefault(op.path, set()).add((stream, connection, letter))
        reply = pb.Reply(xid=request.xid, zxid=self.store.zxid, error=error)
        if not error:
            reply.result.CopyFrom(result)
        stream.put(pb.ServerFrame(connection=connection, reply=reply))
        if kind == "close_session":
            self._disconnect(stream, connection)

    def _disconnect(self, stream: FakeStream, connection: int) -> None:
        stream.sessions.pop(connection, None)
        stream.put(pb.ServerFrame(connection=connection, disconnect=pb.Disconnect()))


def parent_of(path: str) -> str:
    """Return the parent's path."""
    return path.rpartition("/")[0] or "/"


class ServerThread:
    """An event loop in a thread, for members that synchronous clients talk to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function there, wait for it."""

        async def wrapped() -> T:
            return function()

        return self.run(wrapped())


@contextmanager
def server_thread() -> Iterator[ServerThread]:
    """Give a ServerThread, end it."""
    server = ServerThread()
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.loop.stop)
        server.thread.join(10)
        server.loop.close()


async def _serve_until_stdin_closes() -> None:
    async with FakeMember() as member:
        member.store.expires = True
        sys.stdout.write(f"{member.port}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve_until_stdin_closes())
