"""Replays a history in the order of its zxids, on a tree that knows what the answers tell.

Owns the walk: writes at their places change what is known, and every answer is held against it at
the zxid that it names. One pass, without a search. What nobody was told of (a write of unknown
outcome, the end of an ephemeral's session) may explain a change, once.
"""

from __future__ import annotations

import math
from collections import defaultdict

from client.history import FAILED, LIVING, OK, History, Operation, Seen, Write
from orchestrator.checker.anomalies import Anomaly
from orchestrator.checker.errors import BAD_VERSION, NO_NODE, NODE_EXISTS, NOT_EMPTY, plain
from orchestrator.checker.places import DIGITS, Places, last_writes, order_of_effects, shown
from orchestrator.checker.rules import FOLLOW, LOST, NOWHERE, ONE_ZXID, PREFIX, RYW, VERSIONS
from orchestrator.checker.sight import Sight
from orchestrator.checker.znodes import Unplaced, Znode, Znodes


class Replay:
    """The walk. `shown` collects what ephemerals of sessions in `told` were shown, and where.

    `gone`: when an answer had come that an ephemeral of a session is gone. `closings`: the zxids
    at which sessions were closed, as far as members traced it.
    """

    def __init__(
        self,
        history: History,
        places: Places,
        told: dict[int, float],
        closings: dict[int, int],
    ) -> None:
        self.anomalies: list[Anomaly] = []
        self.shown: list[tuple[Operation, str, int]] = []
        self.gone: dict[tuple[str, int], float] = {}
        # What there was to look at; `own`: answers to sessions about what they wrote themselves.
        self.answers = self.own = self.ephemerals = 0
        self.znodes = Znodes(history, places)
        self._history = history
        self._places = places
        self._told = told
        self._closings = closings
        self._closed: dict[str, int] = {}  # whose closing took a znode away
        self.is_complete = history.is_complete
        self._last_write = last_writes(history)
        self._owned: defaultdict[int, dict[str, None]] = defaultdict(dict)
        self._sight = Sight(self)

    def run(self) -> None:
        """Walk once over everything."""
        closings = sorted(((zxid, owner) for owner, zxid in self._closings.items()), reverse=True)
        for zxid, operation in order_of_effects(self._history, self._places):
            while closings and closings[-1][0] <= zxid:
                self._close(*closings.pop())
            if operation.writes and operation.outcome != FAILED:
                self._take_effect(operation, zxid)
            else:
                self._take_answer(operation)

    # What took effect.

    def _take_effect(self, operation: Operation, zxid: int) -> None:
        seen = operation.seen if operation.outcome == OK else ()
        for index, write in enumerate(operation.writes):
            answer = seen[index] if index < len(seen) else None
            path = self._places.path_of(operation, write)
            if not path:
                continue
            znode = self.znodes[path]
            if answer is not None:
                self._check_answer(operation, write, answer, zxid)
            match write.kind:
                case "create":
                    self._create(znode, operation, write, zxid)
                case "set":
                    self._set(znode, operation, write, answer, zxid)
                case "delete":
                    self._delete(znode, operation, write, zxid)
                case "check":
                    self._check(znode, operation, write, zxid)

    def _check_answer(self, operation: Operation, write: Write, seen: Seen, zxid: int) -> None:
        """What a write is answered with is what it has made."""
        is_create = write.kind == "create"
        if seen.mzxid != zxid or (is_create and seen.czxid != zxid):
            text = f"{write.path} was written at one zxid and is answered with another"
            self.report(ONE_ZXID, text, [operation])
        if is_create and write.is_ephemeral and seen.ephemeral_owner != operation.session_id:
            text = f"{write.path} was made to be of another session, {seen.ephemeral_owner:#x}"
            self.report(FOLLOW, text, [operation])

    def _create(self, znode: Znode, operation: Operation, write: Write, zxid: int) -> None:
        if znode.is_there and not self.may_be_gone(znode, operation, zxid):
            text = f"{znode.path} was created while it was there"
            self.report(VERSIONS, text, [*znode.evidence, operation])
        if znode.parent is not None:
            self._check_parent(znode.parent, znode, operation, zxid)
            if write.is_sequential:
                self._check_name(znode.parent, znode, operation, zxid)
        # Asked for before its session had an id, by an operation without an outcome.
        is_nobodys = write.is_ephemeral and not operation.session_id
        owner = operation.session_id if write.is_ephemeral else 0
        znode.begin(zxid, None if is_nobodys else owner)
        znode.is_made, znode.may_vanish = True, write.may_vanish or is_nobodys
        self._closed.pop(znode.path, None)
        znode.version, znode.silent = 0, 0
        self._wrote(znode, operation, write, zxid)
        if owner:
            self.ephemerals += 1
            self._own(znode, owner)

    def _check_parent(self, parent: Znode, znode: Znode, operation: Operation, zxid: int) -> None:
        if parent.is_there is False:
            if self.take_create(parent, operation):
                parent.begin(None, None)
                return
            text = f"{znode.path} was created where there is no parent"
        elif parent.is_there and parent.owner:
            if self.begins_again(parent, operation, zxid):
                parent.begin(None, None)
                return
            text = f"{znode.path} was created below an ephemeral"
        else:
            return
        self.report(VERSIONS, text, [*parent.evidence, operation])

    def _check_name(self, parent: Znode, znode: Znode, operation: Operation, zxid: int) -> None:
        """While their parent lives, sequential znodes count upwards, whatever they are called."""
        name, number = znode.path[:-DIGITS], znode.path[-DIGITS:]
        if operation.kind != "multi" and name != operation.path:
            text = f"{operation.path} was asked for, and {znode.path} created"
            self.report(VERSIONS, text, [operation])
        last = parent.last_sequential
        counts_on = last is None or number > last.path[-DIGITS:]
        if last and not counts_on and not self.begins_again(parent, operation, zxid):
            text = f"{znode.path} does not count on from {last.path}"
            self.report(VERSIONS, text, [*last.evidence[:1], operation])
        parent.last_sequential = znode

    def _own(self, znode: Znode, owner: int) -> None:
        self._owned[owner][znode.path] = None
        if owner in self._told and znode.parent is not None:
            if znode.parent.told is None:
                znode.parent.told = {}
            znode.parent.told[znode.name] = owner

    def _wrote(self, znode: Znode, operation: Operation, write: Write, zxid: int) -> None:
        znode.appear()
        znode.mzxid = znode.zxid = zxid
        znode.value = write.value
        znode.writer, znode.witness = operation, None

    def _set(
        self, znode: Znode, operation: Operation, write: Write, seen: Seen | None, zxid: int
    ) -> None:
        if seen is None:
            text = self._live(znode, operation)
            znode.silent += 1
        else:
            text = self._step(znode, operation, seen)
            if write.version >= 0 and seen.version != write.version + 1:
                text = f"set at version {write.version} made version {seen.version} of {write.path}"
            znode.appear()
            znode.version, znode.czxid, znode.silent = seen.version, seen.czxid, 0
        if text:
            self.report(VERSIONS, text, [*znode.evidence, operation])
        self._wrote(znode, operation, write, zxid)

    def _live(self, znode: Znode, operation: Operation) -> str:
        """A znode that is written is there; if none was known, somebody created it."""
        if znode.is_there or (znode.is_there is None and not znode.is_ours):
            return ""
        if self.take_create(znode, operation):
            znode.begin(None, None)
            return ""
        return f"{znode.path} was written, though nobody had created it"

    def _step(self, znode: Znode, operation: Operation, seen: Seen) -> str:
        """From what was known to the version that a set made."""
        is_same = znode.is_there and znode.czxid in (None, seen.czxid)
        if is_same and znode.version is None:
            return ""
        before = -1 if not is_same or znode.version is None else znode.version
        if not is_same:
            if text := self.begin_anew(znode, operation, seen.czxid):
                return text
            before = 0
        missing = seen.version - before - 1 - znode.silent
        if (is_same and missing < 0) or not self.take(znode, "set", operation, missing):
            return f"{znode.path} went from version {before} to {seen.version}"
        return ""

    def _delete(self, znode: Znode, operation: Operation, write: Write, zxid: int) -> None:
        text = self._live(znode, operation) or self._other_version(znode, operation, write, zxid)
        if text:
            self.report(VERSIONS, text, [*znode.evidence, operation])
        for name in list(znode.children or ()):
            (path,) = self.znodes.names_below(znode.path, [name])
            child = self.znodes[path]
            if not self.may_be_gone(child, operation, zxid):
                text = f"{znode.path} was deleted, though {path} was there"
                self.report(VERSIONS, text, [*child.evidence, operation])
            child.vanish(zxid)
            child.writer, child.witness = operation, None
        znode.vanish(zxid)
        znode.writer, znode.witness = operation, None

    def _check(self, znode: Znode, operation: Operation, write: Write, zxid: int) -> None:
        text = self._live(znode, operation) or self._other_version(znode, operation, write, zxid)
        if text:
            self.report(VERSIONS, text, [*znode.evidence, operation])

    def _other_version(self, znode: Znode, operation: Operation, write: Write, zxid: int) -> str:
        """A write on condition of a version went through, so the znode had it."""
        if write.version < 0 or znode.version is None:
            return ""
        missing = write.version - znode.version - znode.silent
        if missing >= 0 and self.take(znode, "set", operation, missing):
            znode.version, znode.silent = write.version, 0
            return ""
        if self.begins_again(znode, operation, zxid):
            znode.begin(None, None)
            return ""
        return f"{znode.path} went from version {znode.version} to {write.version}"

    def _close(self, zxid: int, owner: int) -> None:
        """A session's closing, at its place: its ephemerals are gone there."""
        for path in self._owned.pop(owner, {}):
            znode = self.znodes[path]
            if znode.is_there and znode.owner == owner:
                znode.vanish(zxid)
                self._closed[path] = owner

    # What answers show.

    def _take_answer(self, operation: Operation) -> None:
        kind, outcome = operation.kind, operation.outcome
        if outcome == OK:
            if kind == "children":
                self.answers += 1
                self._sight.children(operation)
            elif not operation.writes:
                for path, seen in shown(operation):
                    self.answers += 1
                    znode = self.znodes[path]
                    writer = znode.writer
                    if writer is not None and writer.session_id == operation.session_id:
                        self.own += 1
                    self._sight.stat(znode, operation, seen)
        elif outcome == FAILED and operation.error:
            self._take_refusal(operation, plain(operation.error))

    def _take_refusal(self, operation: Operation, error: str) -> None:
        """Errors tell of the state at their zxid, too; which part of a multi, they do not."""
        writes = operation.writes
        if not writes:
            if error == NO_NODE and operation.kind in ("get", "exists", "children"):
                self.answers += 1
                self._sight.absent(self.znodes[operation.path], operation)
            return
        if len(writes) != 1 or operation.kind == "multi":
            return
        self.answers += 1
        write, znode = writes[0], self.znodes[writes[0].path]
        if error == NODE_EXISTS:
            self._sight.name(znode, operation)
        elif error == NO_NODE:
            absent = znode.parent if write.kind == "create" else znode
            if absent is not None:
                self._sight.absent(absent, operation)
        elif error == BAD_VERSION:
            self._sight.other_version(znode, operation, write.version)
        elif error == NOT_EMPTY:
            self._sight.not_empty(znode, operation)

    # What may explain a change that nobody was told of.

    def may_be_gone(self, znode: Znode, operation: Operation, zxid: int) -> bool:
        """Whether something may have deleted a znode before an operation of that zxid."""
        if znode.may_vanish or self._is_over(znode, operation, zxid):
            return True
        return self.take(znode, "delete", operation)

    def _is_over(self, znode: Znode, operation: Operation, zxid: int) -> bool:
        """Whether the session that owns a znode may have ended: that is in no program's history.

        Its closing comes behind its last acknowledged write.
        """
        owners = [znode.owner] if znode.owner else []
        if znode.owner is None and znode.unplaced is not None:
            owners = znode.unplaced.owners
        if znode.owner is None and znode.prefixed is not None:
            owners = [*owners, *znode.prefixed.owners]
        return not self.is_complete or any(
            self._is_closed_by(owner, operation, zxid) for owner in owners
        )

    def _is_closed_by(self, owner: int, operation: Operation, zxid: int) -> bool:
        if not owner:
            return True  # nobody knows whose it is
        if owner in self._closings:
            return zxid >= self._closings[owner]
        if operation.is_final:
            # Every program has been asked before these reads whether its session lives.
            session = self._history.sessions.get(owner)
            return session is not None and session.end != LIVING
        # Before that it may have ended without its program knowing of it yet.
        return zxid > self._last_write.get(owner, 0)

    def take(self, znode: Znode, kind: str, operation: Operation, count: int = 1) -> bool:
        """Use up writes of unknown outcome; False if there are not so many."""
        if count <= 0 or not self.is_complete:
            return True
        return _take(znode.unplaced, kind, operation.until_ms, count)

    def take_create(self, znode: Znode, operation: Operation) -> bool:
        """Use up a create, or one of a sequential znode which may have got that name."""
        if not self.is_complete:
            return True
        before_ms = operation.until_ms
        return _take(znode.unplaced, "create", before_ms) or _take(
            znode.prefixed, "create", before_ms
        )

    def begins_again(self, znode: Znode, operation: Operation, zxid: int) -> bool:
        """Whether a znode may have been deleted and created, of which nobody was told."""
        return self.may_be_gone(znode, operation, zxid) and self.take_create(znode, operation)

    def begin_anew(self, znode: Znode, operation: Operation, czxid: int) -> str:
        """Let the znode's life of this czxid begin; say why it cannot have."""
        if znode.is_there is None and czxid <= self._places.first_zxid:
            znode.begin(czxid, None)
            znode.silent = 0xFFFF_FFFF  # who knows how often it was written before
            return ""
        if znode.is_there is not None and czxid <= znode.zxid:
            return f"{znode.path} was written, though nobody had created it"
        if znode.is_there and not self.may_be_gone(znode, operation, operation.zxid):
            return f"{znode.path} was created while it was there"
        if not self.take_create(znode, operation):
            return f"{znode.path} was written, though nobody had created it"
        silent = znode.silent
        znode.begin(czxid, None)
        znode.silent = silent  # known sets, of which nobody knows whether before or behind it
        return ""

    # What is wrong.

    def report(self, rule: str, text: str, proof: list[Operation]) -> None:
        """Note an anomaly."""
        self.anomalies.append(Anomaly(rule, text, proof))

    def report_sight(self, znode: Znode, operation: Operation, text: str) -> None:
        """Note an answer that cannot be, by the name of what it breaks."""
        writer = znode.writer
        if not znode.is_there and znode.path in self._closed:
            rule = FOLLOW
            text += f", with its session {self._closed[znode.path]:#x}"
        elif writer is None:
            rule = NOWHERE if znode.is_ours or znode.is_there is False else PREFIX
        elif writer.session_id == operation.session_id:
            rule = RYW
        elif not operation.is_final:
            rule = PREFIX
        elif znode.owner or any(w.is_ephemeral for w in writer.writes if w.path == znode.path):
            rule = FOLLOW
        else:
            rule = LOST
        self.report(rule, text, [*znode.evidence, operation])

    def shows(self, znode: Znode, operation: Operation) -> None:
        """An answer shows a znode; remember it if the end of its session was told by then."""
        owner = znode.owner
        if owner and self._told.get(owner, math.inf) < operation.called_ms:
            self.shown.append((operation, znode.path, owner))

    def owns(self, znode: Znode, owner: int) -> None:
        """An answer shows the owner of a znode."""
        if owner and znode.owner != owner:
            self._own(znode, owner)
        znode.owner = owner


def _take(unplaced: Unplaced | None, kind: str, before_ms: float, count: int = 1) -> bool:
    if unplaced is None or unplaced.left(kind, before_ms) < count:
        return False
    unplaced.used[kind] += count
    return True
