"""The wire port: listens, numbers connections, bounds what they may ask for, lets idle ones go.

Between its connections and the core; decides nothing of the protocol. Answers are written once a
turn of the loop, with one write a connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator

from nodes.config import ProcessConfig, show_address
from nodes.core.events import Event
from nodes.timer import monotonic_ms
from nodes.traces import TraceFields, TraceLog
from nodes.wire.connection import IDLE_GRID_S, WireConnection
from nodes.wire.tls import load_tls

Deliver = Callable[[list[Event]], None]

GLOBAL_OUTSTANDING_LIMIT = 1000
_BACKLOG = 1024


class PortTaken(Exception):
    """The port cannot be had."""


class WireServer:
    """Invariant: `by_number` has the connections that are not over, `_open` those with a socket."""

    def __init__(self, numbers: Iterator[int], config: ProcessConfig) -> None:
        self.by_number: dict[int, WireConnection] = {}
        self.deliver: Deliver = lambda events: None
        self._traces = TraceLog()
        self.answer_word: Callable[[bytes], bytes | None] = lambda word: None
        self.is_serving = False
        self.outstanding = 0
        self._numbers = numbers
        self._config = config
        self._max_client_cnxns = config.wire.max_client_cnxns
        self._outstanding_limit = _outstanding_limit(config)
        self._open: dict[WireConnection, None] = {}
        self._per_host: Counter[str] = Counter()
        self._to_flush: list[WireConnection] = []
        self._waiting: dict[WireConnection, None] = {}
        self._listeners: list[asyncio.Server] = []
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self.now_s = self._loop.time

    async def start(self, deliver: Deliver, traces: TraceLog) -> None:
        """Begin to accept clients and to pass events on. Raises PortTaken and ConfigError."""
        self.deliver = deliver
        self._traces = traces
        wire = self._config.wire
        if wire.port:
            await self._listen(wire.port, None)
        if wire.tls_port:
            await self._listen(wire.tls_port, load_tls(wire.certificate, wire.key))
        self._arm_sweeper()

    async def _listen(self, port: int, tls: ssl.SSLContext | None) -> None:
        host = self._config.host
        try:
            listener = await self._loop.create_server(
                lambda: WireConnection(self, next(self._numbers)),
                host,
                port,
                family=socket.AF_INET6 if ":" in host else socket.AF_INET,
                ssl=tls,
                backlog=_BACKLOG,
                ssl_handshake_timeout=IDLE_GRID_S if tls else None,
            )
        except OSError:
            raise PortTaken(
                f"{show_address(host, port)}: cannot be bound: in use, or not an address of this"
                " host"
            ) from None
        self._listeners.append(listener)

    async def close(self) -> None:
        """Accept nobody any more, end every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for listener in self._listeners:
            listener.close()
        for connection in self.connections:
            connection.end()
        self._flush()
        # Where the answers to the last requests are still on their way.
        await asyncio.sleep(0)

    @property
    def connections(self) -> list[WireConnection]:
        """All that have a socket, in the order in which they came."""
        return list(self._open)

    def set_serving(self, is_serving: bool) -> None:
        """The member serves, or does so no more; the core closes the connections it knows."""
        self.is_serving = is_serving
        for connection in self.connections:
            if not is_serving and not connection.has_session:
                connection.end()

    # For connections.

    def admit(self, connection: WireConnection) -> bool:
        """Whether its host may have one more connection (`maxClientCnxns`)."""
        self._open[connection] = None
        self._per_host[connection.host] += 1
        self.by_number[connection.number] = connection
        limit = self._max_client_cnxns
        if not limit or self._per_host[connection.host] <= limit:
            return True
        fields: TraceFields = {"host": connection.host, "max_client_cnxns": limit}
        self._traces.add(monotonic_ms(), "connection_rejected", fields)
        return False

    def forget(self, connection: WireConnection) -> None:
        """Its number means nothing any more."""
        self.by_number.pop(connection.number, None)
        self._waiting.pop(connection, None)

    def on_closed(self, connection: WireConnection) -> None:
        """Its socket is closed."""
        if self._open.pop(connection, connection) is None:
            self._per_host[connection.host] -= 1
            if not self._per_host[connection.host]:
                del self._per_host[connection.host]

    def negotiated_s(self, timeout_ms: int) -> float:
        """The session timeout that a client will get."""
        core = self._config.core
        low_ms, high_ms = core.min_session_timeout_ms, core.max_session_timeout_ms
        return min(max(timeout_ms, low_ms), high_ms) / 1000

    def has_room(self) -> bool:
        """Whether more requests may be outstanding (`globalOutstandingLimit`)."""
        return self.outstanding < self._outstanding_limit

    def call_when_room(self, connection: WireConnection) -> None:
        """Have it go on when others' requests are answered."""
        self._waiting[connection] = None

    def go_on_soon(self, connection: WireConnection) -> None:
        """Have it read on when others have had their turn."""
        self._loop.call_soon(connection.go_on)

    def flush_soon(self, connection: WireConnection) -> None:
        """Have it write at the end of this turn of the loop."""
        if not self._to_flush:
            self._loop.call_soon(self._flush)
        self._to_flush.append(connection)

    def _flush(self) -> None:
        connections, self._to_flush = self._to_flush, []
        for connection in connections:
            connection.flush()
        if self._waiting and self.has_room():
            waiting, self._waiting = self._waiting, {}
            for connection in waiting:
                connection.go_on()

    # Idle connections.

    def _arm_sweeper(self) -> None:
        """As ZooKeeper's `cnxnExpiryQueue`: at multiples of the grid on the monotonic clock."""
        next_s = (self.now_s() // IDLE_GRID_S + 1) * IDLE_GRID_S
        self._sweeper = self._loop.call_at(next_s, self._sweep)

    def _sweep(self) -> None:
        self._arm_sweeper()
        now_s = self.now_s()
        for connection in self.connections:
            # One that came just before a multiple of the grid is not idle if nobody read it.
            if connection.closes_s <= now_s and not (connection.is_new and connection.has_unread):
                connection.abort()


def _outstanding_limit(config: ProcessConfig) -> int:
    """`ZooKeeperServer.globalOutstandingLimit`, shared by the members of a quorum."""
    members = len(config.core.voters)
    return GLOBAL_OUTSTANDING_LIMIT // (members - 1) if members > 2 else GLOBAL_OUTSTANDING_LIMIT
