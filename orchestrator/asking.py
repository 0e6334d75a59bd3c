"""Asks a keeper or a member over gRPC, and says in one line what came of a call that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc

from orchestrator.errors import InvalidInput, NotAnswering, NotPossible, OrchestratorError

Answer = TypeVar("Answer")

ANSWER_S = 45.0


def ask(call: Callable[..., Answer], request: object) -> Answer:
    """Make a call. Raises OrchestratorError."""
    try:
        return call(request, timeout=ANSWER_S)
    except grpc.RpcError as error:
        raise translated(error) from None


def translated(error: Any) -> OrchestratorError:
    """What a call that failed means to whoever made it."""
    kinds = {kind.grpc_code: kind for kind in (InvalidInput, NotPossible)}
    kind = kinds.get(error.code().name)
    if kind is not None:
        return kind(error.details())
    return NotAnswering(f"no answer: {error.details()}; 'orchestrator status' shows who runs")
