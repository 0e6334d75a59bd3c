"""Whether programs heard of changes as ZooKeeper promises: before they saw them, and once.

Owns one walk over each session's outcomes and events, in the order in which its program got them.
What nobody knows the place of (a write of unknown outcome, the end of an ephemeral's session) is
given the benefit of the doubt. Access lists are not known here: who may not read is not told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from client.history import FAILED, OK, UNKNOWN, Event, History, Operation, show_zxid
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.places import Places
from orchestrator.checker.rules import FIRST, ONCE, WATCHED

DATA, CHILD = "data", "child"  # the two kinds of change that a watch tells of
_PERSISTENT = ("persistent", "recursive")
# A client asks the second where the member is to keep the watch for other watchers of its own.
_REMOVE = ("remove_watches", "check_watches")
# By an event's type: which watches it uses up.
_CONSUMES = {
    "created": ("data", "exist"),
    "changed": ("data", "exist"),
    "deleted": ("data", "exist", "child"),
    "children": ("child",),
}
# By an event's type: the changes that it may tell of. A session that comes back hears only that a
# znode has another mzxid: it may have been deleted and created meanwhile.
_CAUSES = {
    "created": ("created",),
    "changed": ("changed", "created"),
    "deleted": ("deleted",),
    "children": ("children",),
}

Change = tuple[int, str, Operation]  # zxid, what an event would call it, whose


class Changes:
    """What happened to the znodes that are watched, as far as its place is known."""

    def __init__(self, history: History, places: Places, paths: set[str]) -> None:
        self._of: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
        self._unsure: set[tuple[str, str]] = set()
        for operation in history.operations:
            if operation.writes and operation.outcome != FAILED:
                zxid = places.zxid_of(operation)
                for write in operation.writes:
                    path = places.path_of(operation, write) or write.path
                    above = path.rpartition("/")[0] or "/"
                    if path in paths or above in paths:
                        is_sure = zxid and not (write.is_ephemeral or write.may_vanish)
                        if not is_sure:
                            self._unsure |= {(path, DATA), (above, CHILD), (path, CHILD)}
                        if zxid:
                            self._add(zxid, write.kind, path, above, operation)
        for changes in self._of.values():
            changes.sort(key=_zxid_of)

    def _add(self, zxid: int, kind: str, path: str, above: str, operation: Operation) -> None:
        match kind:
            case "create":
                self._note(path, DATA, (zxid, "created", operation))
                self._note(above, CHILD, (zxid, "children", operation))
            case "set":
                self._note(path, DATA, (zxid, "changed", operation))
            case "delete":
                self._note(path, DATA, (zxid, "deleted", operation))
                self._of[path, CHILD].append((zxid, "deleted", operation))
                self._note(above, CHILD, (zxid, "children", operation))

    def _note(self, path: str, kind: str, change: Change) -> None:
        """By its kind for who asks what comes next, by what it was for who asks for a cause."""
        self._of[path, kind].append(change)
        self._of[path, change[1]].append(change)

    def after(self, path: str, kind: str, zxid: int) -> Iterator[Change]:
        """Yield the changes behind a zxid, in order."""
        changes = self._of.get((path, kind), [])
        for place in range(bisect_right(changes, zxid, key=_zxid_of), len(changes)):
            yield changes[place]

    def last(self, path: str, kind: str, zxid: int) -> Change | None:
        """The last change up to a zxid."""
        changes = self._of.get((path, kind), [])
        place = bisect_right(changes, zxid, key=_zxid_of)
        return changes[place - 1] if place else None

    def is_told_of(self, path: str, kind: str) -> bool:
        """Whether the history knows of any change at all, and so of the znode."""
        return (path, kind) in self._of

    def is_sure(self, path: str, kind: str) -> bool:
        """Whether all changes are known."""
        return (path, kind) not in self._unsure


def _zxid_of(change: Change) -> int:
    return change[0]


@dataclass(slots=True)
class _Ear:
    """One session of one program. `armed`: by table and path, who left the watch.

    `due`, a heap: the change that each must tell of before any reply that shows the change.
    """

    zxid: int = 0
    reply: Operation | None = None
    armed: dict[tuple[str, str], Operation] = field(default_factory=dict)
    due: list[tuple[int, int, str, Operation, Change]] = field(default_factory=list)
    persistent: dict[str, Operation] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    fired: dict[str, Event] = field(default_factory=dict)


class WatchOrder:
    """The walk. `watches` and `events` count what there was."""

    def __init__(self, history: History, places: Places) -> None:
        self.anomalies: list[Anomaly] = []
        self.watches = 0
        self.events = len(history.events)
        self._is_complete = history.is_complete
        # In a file that was cut off behind its operations, later events are missing.
        self._heard_until = max((event.answered for event in history.events), default=0)
        watching = {(op.session_id, op.client) for op in history.operations if op.watch}
        watching |= {(event.session_id, event.client) for event in history.events}
        if not watching:
            return
        paths = {op.path for op in history.operations if op.watch}
        paths |= {event.path for event in history.events}
        self._changes = Changes(history, places, paths)
        self._ears: defaultdict[tuple[int, int], _Ear] = defaultdict(_Ear)
        for item in _in_order(history, watching):
            ear = self._ears[item.session_id, item.client]
            if isinstance(item, Event):
                self._hear(ear, item)
            else:
                self._take_outcome(ear, item)

    def _take_outcome(self, ear: _Ear, operation: Operation) -> None:
        if operation.zxid:
            while ear.due and ear.due[0][0] <= operation.zxid:
                _, _, table, left, change = heappop(ear.due)
                if ear.armed.get((table, left.path)) is left:
                    self._check_due(ear, table, left, change, operation)
            if operation.zxid >= ear.zxid:
                ear.zxid, ear.reply = operation.zxid, operation
        if operation.watch:
            self._arm(ear, operation)
        elif operation.kind in _REMOVE and operation.outcome == OK:
            # Of which kind, and whether of one watcher or all, the history does not say.
            ear.removed.add(operation.path)
            for table in ("data", "exist", "child"):
                ear.armed.pop((table, operation.path), None)

    def _arm(self, ear: _Ear, operation: Operation) -> None:
        self.watches += 1
        path, table = operation.path, operation.watch
        ear.known.add(path)
        if table == "recursive":
            # ZooKeeper has one mode for a session and path; with this one it is silent of children.
            ear.armed.pop(("child", path), None)
        if table in _PERSISTENT:
            if table == "recursive" or path not in ear.persistent:
                ear.persistent[path] = operation
            return
        key = table, path
        if key in ear.armed or (table == "child" and _is_recursive(ear, path)):
            return
        ear.armed[key] = operation
        self._expect(ear, table, operation, operation.zxid)

    def _expect(self, ear: _Ear, table: str, left: Operation, zxid: int) -> None:
        """Note what a watch must tell of next."""
        kind = CHILD if table == "child" else DATA
        change = next(self._changes.after(left.path, kind, zxid), None)
        if change is not None:
            heappush(ear.due, (change[0], left.number, table, left, change))

    def _check_due(
        self, ear: _Ear, table: str, left: Operation, change: Change, reply: Operation
    ) -> None:
        """A reply shows a change, and the watch left there has not told of it."""
        path = left.path
        if not self._is_complete and reply.answered > self._heard_until:
            return
        if table == "exist" and self._is_gone_again(path, reply.zxid):
            self._expect(ear, table, left, reply.zxid)
            return
        what = "had children changed" if change[1] == "children" else f"was {change[1]}"
        text = (
            f"a reply at {show_zxid(reply.zxid)} came before the event that {path} {what}"
            f" at {show_zxid(change[0])}"
        )
        self.anomalies.append(Anomaly(FIRST, text, [left, change[2], reply]))

    def _is_gone_again(self, path: str, zxid: int) -> bool:
        """What was created and deleted while a session was between two members is never told."""
        last = self._changes.last(path, DATA, zxid)
        return not self._changes.is_sure(path, DATA) or (last is not None and last[1] == "deleted")

    def _hear(self, ear: _Ear, event: Event) -> None:
        path = event.path
        keys = [(t, path) for t in _CONSUMES.get(event.type, ()) if (t, path) in ear.armed]
        left = [ear.armed.pop(key) for key in keys]
        left += self._lasting(ear, path)
        if left:
            ear.fired[path] = event
            self._check_cause(ear, event, left)
        elif path not in ear.removed:
            self._report_unarmed(ear, event)

    @staticmethod
    def _lasting(ear: _Ear, path: str) -> list[Operation]:
        """Who left watches that tell of a znode again and again, on it or above it."""
        if not ear.persistent:
            return []
        found = [ear.persistent[path]] if path in ear.persistent else []
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            if _is_recursive(ear, path):
                found.append(ear.persistent[path])
        return found

    def _report_unarmed(self, ear: _Ear, event: Event) -> None:
        before = ear.fired.get(event.path)
        if before is not None:
            text = f"the watch of {event.path} had fired already"
            self.anomalies.append(Anomaly(ONCE, text, [before, event]))
        else:
            text = f"an event of {event.path}, of which this session left no such watch"
            self.anomalies.append(Anomaly(WATCHED, text, [event]))

    def _check_cause(self, ear: _Ear, event: Event, left: list[Operation]) -> None:
        """There is a change that the session has not seen yet, for the event to tell of."""
        path = event.path
        kind = CHILD if event.type == "children" else DATA
        if not self._is_complete or not self._changes.is_sure(path, kind):
            return
        causes = _CAUSES.get(event.type, ())
        for what in causes:
            for _, _, operation in self._changes.after(path, what, ear.zxid):
                if operation.called_ms <= event.at_ms:
                    return
        before = (self._changes.last(path, what, ear.zxid) for what in causes)
        last = max(filter(None, before), key=_zxid_of, default=None)
        if last is not None and ear.reply is not None and last[0] > min(op.zxid for op in left):
            text = f"an event of {path} came after a reply that shows the change"
            self.anomalies.append(Anomaly(FIRST, text, [*left, last[2], ear.reply, event]))
        elif self._changes.is_told_of(path, kind):
            text = f"an event of {path}, {event.type}, without such a change"
            self.anomalies.append(Anomaly(WATCHED, text, [*left, event]))


def _is_recursive(ear: _Ear, path: str) -> bool:
    left = ear.persistent.get(path)
    return left is not None and left.watch == "recursive"


def _in_order(history: History, watching: set[tuple[int, int]]) -> Iterator[Operation | Event]:
    """Yield the outcomes and events of sessions that watch something, as they came."""
    items: list[tuple[int, int, Operation | Event]] = [
        (op.answered, 0, op)
        for op in history.operations
        if op.answered and op.outcome != UNKNOWN and (op.session_id, op.client) in watching
    ]
    items += [(event.answered, 1 + place, event) for place, event in enumerate(history.events)]
    items.sort(key=lambda item: item[:2])
    for _, _, item in items:
        yield item
