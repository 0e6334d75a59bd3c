"""ZooKeeper's wire protocol, as little of it as a benchmark needs: connect, create, exists.

Shares no code with the members. Thousands of sessions are cheap here: one socket each, no thread.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

_CONNECT = struct.Struct(">iqiqi")
_CREATE = 1
_EXISTS = 3
_CLOSE = -11
_CLOSE_FRAME = struct.pack(">iii", 8, 1, _CLOSE)
_PING_XID = -2
_PING_FRAME = struct.pack(">iii", 8, _PING_XID, 11)
_ANYONE = struct.pack(">ii", 1, 31) + b"\0\0\0\5world\0\0\0\6anyone"
EPHEMERAL = 1
TIMEOUT_MS = 10_000
_AT_ONCE = 256


class WireError(Exception):
    """The member refused, or closed the connection."""


class WireSession:
    """One session on one connection; requests one at a time, but for `create_all`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> Self:
        """Open a global session. Raises WireError or OSError.

        Tries once more: every 10 s a server lets go whoever has connected and not yet said a word.
        """
        with suppress(WireError):
            return await cls._open_once(address)
        return await cls._open_once(address)

    @classmethod
    async def _open_once(cls, address: str) -> Self:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        session = cls(reader, writer)
        session._send(_CONNECT.pack(0, 0, TIMEOUT_MS, 0, 16) + bytes(16) + b"\0")
        try:
            answer = await session._receive()
        except WireError:
            session.close()
            raise
        if struct.unpack_from(">i", answer, 4)[0] <= 0:
            raise WireError(f"{address}: no session")
        return session

    async def create(self, path: str, flags: int = 0) -> None:
        """Create a znode; NodeExists is fine, for tries that may have succeeded before."""
        self._send_create(path, b"", flags)
        await self._receive_created(path)

    async def create_all(self, paths: Sequence[str], data: bytes) -> None:
        """Create many, as many of them at once as are usual for a client that does not wait."""
        for begin in range(0, len(paths), _AT_ONCE):
            some = paths[begin : begin + _AT_ONCE]
            for path in some:
                self._send_create(path, data, 0)
            for path in some:
                await self._receive_created(path)

    def _send_create(self, path: str, data: bytes, flags: int) -> None:
        name = path.encode()
        body = struct.pack(">iii", 1, _CREATE, len(name)) + name
        body += struct.pack(">i", len(data)) + data
        self._send(body + _ANYONE + struct.pack(">i", flags))

    async def _receive_created(self, path: str) -> None:
        error = struct.unpack_from(">i", await self._receive(), 12)[0]
        if error not in (0, -110):
            raise WireError(f"create {path}: error {error}")

    async def count_children(self, path: str) -> int:
        """How many children a znode has, from its stat."""
        name = path.encode()
        self._send(struct.pack(">iii", 2, _EXISTS, len(name)) + name + b"\0")
        answer = await self._receive()
        if error := struct.unpack_from(">i", answer, 12)[0]:
            raise WireError(f"exists {path}: error {error}")
        # Behind the header: numChildren is the last but one field of the stat.
        return int(struct.unpack_from(">i", answer, 16 + 56)[0])

    def ping(self) -> None:
        """Keep the session alive; the answer is skipped when the next one is waited for."""
        self._writer.write(_PING_FRAME)

    def close(self) -> None:
        """End the session."""
        self._writer.write(_CLOSE_FRAME)
        self._writer.close()

    def abandon(self) -> None:
        """Drop the connection; the session expires."""
        self._writer.transport.abort()

    def _send(self, body: bytes) -> None:
        self._writer.write(struct.pack(">i", len(body)) + body)

    async def _receive(self) -> bytes:
        try:
            while True:
                (length,) = struct.unpack(">i", await self._reader.readexactly(4))
                answer = await self._reader.readexactly(length)
                if struct.unpack_from(">i", answer)[0] != _PING_XID:
                    return answer
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WireError("the member closed the connection") from None


async def first_write(addresses: list[str], path: str, within_s: float = 60.0) -> None:
    """Return when a write is committed, whoever answers first; raises WireError after that long."""
    by = time.monotonic() + within_s
    while True:
        for address in addresses:
            try:
                async with asyncio.timeout(2.0):
                    session = await WireSession.open(address)
                    await session.create(path)
            except (OSError, WireError, TimeoutError):
                continue
            session.close()
            return
        if time.monotonic() > by:
            raise WireError(f"no write within {within_s:.0f} s")
        await asyncio.sleep(0.01)
