"""Follows the traces of several members, each on a thread of its own (a greenlet under gevent).

Owns the streams and their ends; what a trace means is its consumer's business. A member that goes
down is tried again and again; what it traced meanwhile is not told twice, nor at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub

from client.line import CHANNEL_OPTIONS

_RETRY_S = 0.2
_JOIN_S = 5.0


class TraceFeed:
    """Hands every trace of the kinds to `on_trace`, one at a time, each member's in its order.

    `lost` counts those that this program was too slow for.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        kinds: Collection[str],
        on_trace: Callable[[admin_pb2.TraceRecord], None],
    ) -> None:
        self._request = admin_pb2.StreamTracesRequest(kinds=kinds)
        self._on_trace = on_trace
        self.lost = 0
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._subscribed: list[threading.Event] = []
        self._calls: dict[str, grpc.Call] = {}
        self._threads = []
        for address in addresses:
            subscribed = threading.Event()
            self._subscribed.append(subscribed)
            thread = threading.Thread(target=self._follow, args=(address, subscribed), daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether every member streams its traces by then."""
        return all(subscribed.wait(timeout_s) for subscribed in self._subscribed)

    def close(self) -> None:
        """End the streams."""
        self._ended.set()
        for call in list(self._calls.values()):
            call.cancel()
        for thread in self._threads:
            thread.join(_JOIN_S)

    def _follow(self, address: str, subscribed: threading.Event) -> None:
        with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            while not self._ended.is_set():
                call = AdminServiceStub(channel).StreamTraces(self._request)
                self._calls[address] = call
                lost = 0
                try:
                    for response in call:
                        subscribed.set()
                        with self._turn:
                            self.lost += response.lost - lost
                            lost = response.lost
                            for trace in response.traces:
                                self._on_trace(trace)
                except grpc.RpcError:
                    # A member that went down; whoever counts notices what is missing.
                    pass
                self._ended.wait(_RETRY_S)
