"""The lines of a process for threads (or greenlets): a gRPC stream to each member, shared.

Owns, per line, one thread that receives (gRPC itself runs the one that sends), and per process
one thread for the deadlines of all clients and one that calls watchers. Uses nothing but
`threading`, which gevent can patch. A line that breaks tells all its connections.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self

import grpc
from lagkeeper.v1 import client_pb2 as pb

from client.codec import MalformedFrame
from client.line import CHANNEL_OPTIONS, METHOD, Handler, LineBook, deliver, reason_of
from client.ops import ClientFrame, SessionRequest

_logger = logging.getLogger(__name__)
_JOIN_S = 5.0


class Line:
    """One stream to one member. Once broken it stays so.

    A handler is always called without the line's lock, so it may call the line back.
    """

    def __init__(self, lines: Lines, member: str) -> None:
        self.member = member
        self._lines = lines
        self._book = LineBook()
        self._ready = threading.Condition()
        self._is_broken = False
        self._channel = grpc.insecure_channel(member, options=CHANNEL_OPTIONS)
        connect: grpc.StreamStreamMultiCallable[bytes, pb.ConnectResponse] = (
            self._channel.stream_stream(METHOD, response_deserializer=pb.ConnectResponse.FromString)
        )
        self._call = connect(self._batches())
        self.receiver = threading.Thread(
            target=self._receive, name=f"lagkeeper line {member}", daemon=True
        )
        self.receiver.start()

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Take up a connection and return its number; 0 if the line is broken."""
        with self._ready:
            if self._is_broken:
                return 0
            self._ready.notify()
            return self._book.open(handler, token, request)

    def send(self, number: int, frame: ClientFrame) -> None:
        """Queue a frame."""
        with self._ready:
            self._book.send(number, frame)
            self._ready.notify()

    def drop(self, number: int) -> None:
        """Forget a connection and tell the member."""
        with self._ready:
            self._book.drop(number)
            self._ready.notify()

    def close(self) -> None:
        """End the stream; the receiver cleans up."""
        self._call.cancel()

    def _batches(self) -> Iterator[bytes]:
        # gRPC's own thread iterates this, and asks for the next batch when the last is written.
        while True:
            with self._ready:
                while not self._book.outbox and not self._is_broken:
                    self._ready.wait()
                if self._is_broken:
                    return
                batch = self._book.take_batch()
            yield batch

    def _receive(self) -> None:
        reason = "the member closed the stream"
        try:
            for response in self._call:
                for handler, token, frame in self._book.route(response):
                    deliver(handler, token, frame)
        except grpc.RpcError:
            reason = reason_of(self._call.details())
        except MalformedFrame as error:
            reason = f"malformed: {error}"
        finally:
            self._break(reason)

    def _break(self, reason: str) -> None:
        # Out of the list first: a handler connects again at once, and must not find this line.
        self._lines.forget(self)
        with self._ready:
            self._is_broken = True
            self._ready.notify()
            owners = self._book.take_owners()
        for handler, token in owners:
            handler.on_lost(token, reason)
        self._channel.close()


class Timers:
    """The deadlines of all clients, served by one thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._is_ending = False
        self.thread = threading.Thread(target=self._run, name="lagkeeper timers", daemon=True)
        self.thread.start()

    def at(self, deadline_ms: float, call: Callable[[float], None]) -> None:
        """Call `call(deadline_ms)` at that instant of the monotonic clock."""
        with self._changed:
            heapq.heappush(self._heap, (deadline_ms, next(self._order), call))
            if self._heap[0][0] == deadline_ms:
                self._changed.notify()

    def end(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()

    def _run(self) -> None:
        while (due := self._wait_for_due()) is not None:
            for deadline_ms, _, call in due:
                call(deadline_ms)

    def _wait_for_due(self) -> list[tuple[float, int, Callable[[float], None]]] | None:
        with self._changed:
            while not self._is_ending:
                now_ms = time.monotonic() * 1000
                due = []
                while self._heap and self._heap[0][0] <= now_ms:
                    due.append(heapq.heappop(self._heap))
                if due:
                    return due
                wait_ms = self._heap[0][0] - now_ms if self._heap else math.inf
                self._changed.wait(None if wait_ms == math.inf else wait_ms / 1000)
            return None


class Callbacks:
    """Calls watchers and listeners, in order, on a thread of their own.

    They may then use the client like any other thread, without stopping a line's receiver.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._calls: deque[tuple[Callable[..., object], object]] = deque()
        self._is_ending = False
        self.thread = threading.Thread(target=self._run, name="lagkeeper watches", daemon=True)
        self.thread.start()

    def call(self, function: Callable[..., object], argument: object) -> None:
        """Call `function(argument)` behind everything asked for before."""
        with self._ready:
            self._calls.append((function, argument))
            self._ready.notify()

    def end(self) -> None:
        """End the thread once everything asked for has been called."""
        with self._ready:
            self._is_ending = True
            self._ready.notify()

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._calls:
                    if self._is_ending:
                        return
                    self._ready.wait()
                function, argument = self._calls.popleft()
            try:
                function(argument)
            except Exception:
                # A program's watcher may raise anything; the next one is called all the same.
                _logger.exception("a watcher or listener raised")


class Lines:
    """The line to each member, made when first asked for, and the threads all clients share.

    Lives as long as somebody holds it: the last `release` closes every line.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, Line] = {}
        self._holders = 0
        self._timers: Timers | None = None
        self._callbacks: Callbacks | None = None

    def hold(self) -> None:
        """Keep the lines open until `release`."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Give up a hold; the last one waits until every channel and thread is gone."""
        with self._lock:
            self._holders -= 1
            if self._holders:
                return
            lines, self._lines = list(self._lines.values()), {}
            helpers = [helper for helper in (self._timers, self._callbacks) if helper]
            self._timers = self._callbacks = None
        for helper in helpers:
            helper.end()
        for line in lines:
            line.close()
        for thread in [line.receiver for line in lines] + [helper.thread for helper in helpers]:
            # A watcher may close the last client: a thread cannot wait for its own end.
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)

    def __enter__(self) -> Self:
        """Hold the lines."""
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lines."""
        self.release()

    def to(self, member: str) -> Line:
        """Return the line to a member, new if there is none."""
        with self._lock:
            line = self._lines.get(member)
            if line is None:
                line = self._lines[member] = Line(self, member)
            return line

    def forget(self, line: Line) -> None:
        """Take a broken line out."""
        with self._lock:
            if self._lines.get(line.member) is line:
                del self._lines[line.member]

    @property
    def timers(self) -> Timers:
        """The one thread for deadlines."""
        with self._lock:
            if self._timers is None:
                self._timers = Timers()
            return self._timers

    @property
    def callbacks(self) -> Callbacks:
        """The one thread that calls watchers."""
        with self._lock:
            if self._callbacks is None:
                self._callbacks = Callbacks()
            return self._callbacks


_shared = Lines()


def shared_lines() -> Lines:
    """Return the lines that all clients of this process share."""
    return _shared
