"""The beginnings and ends of what clients did, in order, by processes that do one thing at a time.

Pure. Jepsen's processes and Porcupine's clients wait for each answer; our clients need not. So each
client is given as many processes as it has operations under way at once. A process whose operation
has no known outcome is never used again, as Jepsen wants it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from client.history import UNKNOWN
from orchestrator.history.registers import Span

S = TypeVar("S", bound=Span)


@dataclass(slots=True)
class Moment(Generic[S]):
    """A span begins or ends; `at_ns` counts from the first beginning."""

    at_ns: int
    is_end: bool
    process: int
    span: S


def moments(spans: Sequence[S]) -> Iterator[Moment[S]]:
    """Yield two moments for each span, in the order of time; those without an end, at the end.

    At one instant beginnings come first: whoever may have been concurrent is.
    """
    if not spans:
        return
    first_ms = min(span.called_ms for span in spans)
    last_ms = max(span.returned_ms or span.called_ms for span in spans)
    order: list[tuple[float, bool, int]] = []
    for index, span in enumerate(spans):
        end_ms = last_ms if span.returned_ms is None else span.returned_ms
        order += ((span.called_ms, False, index), (end_ms, True, index))
    order.sort()
    free: dict[int, list[int]] = defaultdict(list)
    busy: dict[int, int] = {}
    processes = 0
    for at_ms, is_end, index in order:
        span = spans[index]
        at_ns = round((at_ms - first_ms) * 1e6)
        if is_end:
            process = busy.pop(index)
            if span.outcome != UNKNOWN:
                heapq.heappush(free[span.client], process)
        elif free[span.client]:
            process = busy[index] = heapq.heappop(free[span.client])
        else:
            process = busy[index] = processes
            processes += 1
        yield Moment(at_ns, is_end, process, span)
