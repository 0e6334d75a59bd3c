"""One history of several that were recorded at the same time by processes of one host.

Pure. Owns the new numbers: of invocations and of outcomes by their times, of clients so that no
two share one. Changes the records that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from client.history import LIVING, Event, Header, History, HistoryError, Operation, Session, Told


def merge(histories: Sequence[History]) -> History:
    """Return the one history. Raises HistoryError for clocks that cannot be compared.

    In each of them the times must follow the numbers, as a HistoryWriter's do.
    """
    clocks = {history.header.clock for history in histories}
    if len(clocks) > 1 or ("virtual" in clocks and len(histories) > 1):
        raise HistoryError("only histories of the host's own clock can be merged")
    sources = dict.fromkeys(history.header.source for history in histories)
    merged = History(header=Header(source=" + ".join(filter(None, sources))))
    merged.is_complete = all(history.is_complete for history in histories)
    _renumber_clients(histories)
    _renumber_outcomes(histories)
    for history in histories:
        merged.operations += history.operations
        merged.told += history.told
        merged.events += history.events
        merged.traces += history.traces
        merged.members += history.members
        for session_id, session in history.sessions.items():
            known = merged.sessions.get(session_id)
            # Handed from one process to another: whoever knows its end knows more.
            if known is None or known.end == LIVING:
                merged.sessions[session_id] = session
    merged.operations.sort(key=lambda operation: operation.called_ms)
    for number, operation in enumerate(merged.operations, 1):
        operation.number = number
    merged.told.sort(key=lambda told: told.at_ms)
    merged.events.sort(key=lambda event: event.at_ms)
    merged.traces.sort(key=lambda trace: trace.at_ms)
    return merged


def _renumber_clients(histories: Sequence[History]) -> None:
    taken = 0
    for history in histories:
        records: list[Operation | Session | Told | Event] = [
            *history.operations,
            *history.sessions.values(),
            *history.told,
            *history.events,
        ]
        numbers: dict[int, int] = {}
        for record in records:
            record.client = numbers.setdefault(record.client, taken + len(numbers) + 1)
        taken += len(numbers)


def _renumber_outcomes(histories: Sequence[History]) -> None:
    answered: list[tuple[float, int, int, Operation]] = [
        (operation.returned_ms, index, operation.answered, operation)
        for index, history in enumerate(histories)
        for operation in history.operations
        if operation.answered and operation.returned_ms is not None
    ]
    answered.sort(key=lambda entry: entry[:3])
    renumbered: list[dict[int, int]] = [{0: 0} for _ in histories]
    for number, (_, index, before, operation) in enumerate(answered, 1):
        renumbered[index][before] = operation.answered = number
    for history, numbers in zip(histories, renumbered, strict=True):
        for event in history.events:
            # Right behind the same outcome of its own process as before.
            event.answered = numbers.get(event.answered, 0)
