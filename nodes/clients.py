"""Where answers to clients part: to the gRPC service, or to the wire port.

Both number their connections from one counter, so that the core need not know of two ports.
"""

from __future__ import annotations

from nodes.client_codec import ClientEffect
from nodes.service import ClientService
from nodes.wire.server import WireServer


class ClientPorts:
    """Sends each answer to the port that its connection came by."""

    def __init__(self, service: ClientService, wire: WireServer) -> None:
        self._service = service
        self._wire_connections = wire.by_number

    def answer(self, effect: ClientEffect) -> None:
        """Pass an answer on; nothing happens if the connection is gone."""
        connection = self._wire_connections.get(effect.connection)
        if connection is not None:
            connection.answer(effect)
        else:
            self._service.answer(effect)
