"""What members trace, as it happens and as they remember it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub

from orchestrator.asking import translated

# The time is up, or the member has ended.
_ENDED = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


class Traces:
    """A subscription to a member's traces: iterate it (it waits for the next), then close it."""

    def __init__(self, address: str, kinds: Sequence[str], with_past: bool) -> None:
        self._channel = grpc.insecure_channel(address)
        request = admin_pb2.StreamTracesRequest(kinds=kinds, with_past=with_past)
        self._stream = AdminServiceStub(self._channel).StreamTraces(request)
        try:
            next(self._stream)
        except grpc.RpcError as error:
            self._channel.close()
            raise translated(error) from None

    def __iter__(self) -> Iterator[admin_pb2.TraceRecord]:
        try:
            for response in self._stream:
                yield from response.traces
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE):
                raise translated(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription; an iteration in another thread ends too."""
        self._stream.cancel()
        self._channel.close()


def first_trace(
    address: str, kind: str, session_id: int | None, timeout_s: float
) -> admin_pb2.TraceRecord | None:
    """The first trace of a kind (of a session) that a member remembers, or else makes.

    None if there is none in time, or if the member ends. Raises OrchestratorError.
    """
    request = admin_pb2.StreamTracesRequest(kinds=[kind], with_past=True)
    with grpc.insecure_channel(address) as channel:
        try:
            for response in AdminServiceStub(channel).StreamTraces(request, timeout=timeout_s):
                for record in response.traces:
                    if session_id is None or record.fields["session_id"].number == session_id:
                        return record
        except grpc.RpcError as error:
            if error.code() not in _ENDED:
                raise translated(error) from None
    return None
