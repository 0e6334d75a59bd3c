"""A line: one gRPC stream to one member that carries many connections.

Owns what both shells share: the numbering of connections, the table that finds the handler of
an arriving frame, the batching of frames into stream writes, the channel's options, and the
verdict of a connection that was opened only to learn one. Does no I/O of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from lagkeeper.v1 import client_pb2 as pb

from client.codec import decode, encode
from client.ops import (
    ClientFrame,
    Disconnect,
    Reply,
    ServerFrame,
    SessionRequest,
    SessionResponse,
    WatchEvent,
)

METHOD = "/lagkeeper.v1.ClientService/Connect"
CHANNEL_OPTIONS = (
    # Channels to one address share their backoff otherwise, and a member that is back after a
    # restart would stay unreachable for up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A proxy named in the environment has no business between processes of one machine.
    ("grpc.enable_http_proxy", 0),
)
# A member reads messages of 4 MiB at most; the largest frame is a little over 1 MiB.
_BATCH_BYTES = 1 << 20

# The reason given to on_lost when it was the member that closed the one connection; any other
# reason speaks of the whole line.
CLOSED_BY_MEMBER = "closed by the member"

Frame = SessionResponse | Reply | WatchEvent


class Handler(Protocol):
    """Who owns a connection. `token` is what it gave when it opened the connection."""

    def on_frame(self, token: int, frame: Frame) -> None:
        """Take a frame; they come in the order in which the member sent them."""

    def on_lost(self, token: int, reason: str) -> None:
        """Take the end of the connection; nothing follows."""


class LineBook:
    """The connections of one line and the frames that wait to be written.

    Invariant: a number is never used again on the same line. Not safe for threads by itself.
    """

    def __init__(self) -> None:
        self.outbox: deque[bytes] = deque()
        self._owners: dict[int, tuple[Handler, int]] = {}
        self._last_number = 0

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._owners)

    def open(self, handler: Handler, token: int, request: SessionRequest) -> int:
        """Take up a connection, queue its first frame, return its number."""
        self._last_number += 1
        self._owners[self._last_number] = (handler, token)
        self.outbox.append(encode(self._last_number, request))
        return self._last_number

    def send(self, number: int, frame: ClientFrame) -> None:
        """Queue a frame; silently lost if the connection is gone, as on a socket."""
        if number in self._owners:
            self.outbox.append(encode(number, frame))

    def drop(self, number: int) -> None:
        """Forget a connection and tell the member; its handler hears no more of it."""
        if self._owners.pop(number, None) is not None:
            self.outbox.append(encode(number, Disconnect()))

    def take_batch(self) -> bytes:
        """Return queued frames as one ConnectRequest, and forget them."""
        outbox = self.outbox
        parts = [outbox.popleft()]
        size = len(parts[0])
        while outbox and size + len(outbox[0]) <= _BATCH_BYTES:
            size += len(outbox[0])
            parts.append(outbox.popleft())
        return b"".join(parts)

    def route(self, response: pb.ConnectResponse) -> Iterator[tuple[Handler, int, ServerFrame]]:
        """Yield owner, token and content of each frame whose connection is still known."""
        owners = self._owners
        for message in response.frames:
            number = message.connection
            owner = owners.get(number)
            if owner is None:
                continue
            frame = decode(message)
            if frame is None:
                continue
            if isinstance(frame, Disconnect):
                owners.pop(number, None)
            yield *owner, frame

    def take_owners(self) -> list[tuple[Handler, int]]:
        """Return every owner and forget them all: the line is broken."""
        owners = list(self._owners.values())
        self._owners.clear()
        self.outbox.clear()
        return owners


def deliver(handler: Handler, token: int, frame: ServerFrame) -> None:
    """Hand a frame to the owner of its connection."""
    if isinstance(frame, Disconnect):
        handler.on_lost(token, CLOSED_BY_MEMBER)
    else:
        handler.on_frame(token, frame)


def reason_of(details: str | None) -> str:
    """Return the last, most telling part of gRPC's account of why a stream broke."""
    return (details or "the stream broke").rpartition(": ")[2].rstrip("])")


class Answer(Enum):
    """What a member says to a session that is presented to it once."""

    VALID = "valid"
    EXPIRED = "expired"
    REFUSED = "refused"


@dataclass(slots=True)
class Verdict:
    """The answer and, if VALID, what was negotiated. REFUSED: closed without an answer."""

    answer: Answer
    timeout_ms: int = 0
    session_id: int = 0
    password: bytes = b""


def verdict_of(response: SessionResponse) -> Verdict:
    """Return what a SessionResponse says."""
    if response.timeout_ms <= 0:
        return Verdict(Answer.EXPIRED)
    return Verdict(Answer.VALID, response.timeout_ms, response.session_id, response.password)
