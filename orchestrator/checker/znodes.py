"""What is known of each znode while the zxids go by.

Pure data, and the counting of writes of unknown outcome, which may explain a change that nobody
was told of, but each only once, and only what an answer shows that came after their invocation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from client.history import UNKNOWN, History, Operation, Write
from orchestrator.checker.places import DIGITS, Places

KINDS = ("create", "set", "delete")


class Unplaced:
    """The writes of one path whose outcome and place nobody knows."""

    __slots__ = ("called", "may_vanish", "owners", "used")

    def __init__(self) -> None:
        self.called: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.used = dict.fromkeys(KINDS, 0)
        self.may_vanish = False
        self.owners: list[int] = []  # sessions that may have created it as an ephemeral

    def left(self, kind: str, before_ms: float) -> int:
        """How many writes of a kind may have happened before an instant, and explain nothing yet.

        What lies at lower zxids happened before, so all that was used counts against them.
        """
        return bisect_left(self.called[kind], before_ms) - self.used[kind]


class Znode:
    """Invariant: `zxid` is as of when all the rest is known; what is None nobody has shown.

    `is_there` None: nobody has said. `silent` counts known sets since `version` was shown.
    `writer` made the last known change, `witness` showed the state last, if not the writer itself.
    """

    __slots__ = (
        "children",
        "czxid",
        "is_made",
        "is_there",
        "last_sequential",
        "may_vanish",
        "mzxid",
        "name",
        "owner",
        "parent",
        "path",
        "prefixed",
        "silent",
        "told",
        "unplaced",
        "value",
        "version",
        "witness",
        "writer",
        "zxid",
    )

    def __init__(self, path: str, parent: Znode | None, name: str) -> None:
        self.path, self.parent, self.name = path, parent, name
        self.is_there: bool | None = None
        self.zxid = 0
        self.czxid: int | None = None
        self.mzxid: int | None = None
        self.version: int | None = None
        self.value: str | None = None
        self.owner: int | None = None
        self.silent = 0
        self.is_made = False  # by the history, so all below it is the history's, too
        self.may_vanish = False
        self.writer: Operation | None = None
        self.witness: Operation | None = None
        self.unplaced: Unplaced | None = None
        self.prefixed: Unplaced | None = None
        # Made when needed, as most znodes have none. `told`: the owners whose end was told.
        self.children: dict[str, None] | None = None
        self.told: dict[str, int] | None = None
        self.last_sequential: Znode | None = None  # of its children

    def appear(self) -> None:
        """It is there."""
        if self.is_there is not True:
            self.is_there = True
            self.show_in_lists()

    def show_in_lists(self) -> None:
        """Lists of its parent's children have to show it."""
        if (parent := self.parent) is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[self.name] = None

    def leave_lists(self) -> None:
        """They need not: it is gone, or it was missed already, and once is enough."""
        if (parent := self.parent) is not None:
            if parent.children:
                parent.children.pop(self.name, None)
            if parent.told:
                parent.told.pop(self.name, None)

    def begin(self, czxid: int | None, owner: int | None) -> None:
        """A life begins, of which no more is known."""
        self.appear()
        self.czxid, self.mzxid, self.version, self.silent = czxid, czxid, None, 0
        self.value, self.owner, self.last_sequential = None, owner, None
        unplaced = self.unplaced or self.prefixed
        self.may_vanish = unplaced is not None and unplaced.may_vanish

    def vanish(self, zxid: int) -> None:
        """It is gone, as of a zxid."""
        if self.is_there:
            self.leave_lists()
        self.is_there, self.zxid, self.owner, self.silent = False, zxid, 0, 0

    @property
    def is_ours(self) -> bool:
        """Whether only programs of the history can have created it."""
        return self.parent is not None and self.parent.is_made

    @property
    def evidence(self) -> list[Operation]:
        """Who changed it last, and who showed it since."""
        return [op for op in (self.writer, self.witness) if op is not None]


class Znodes:
    """All znodes that anybody names. Asking for one makes it known."""

    def __init__(self, history: History, places: Places) -> None:
        self._unplaced: dict[str, Unplaced] = {}
        self._sequential: dict[str, Unplaced] = {}  # by the name given
        self._found: dict[str, Znode] = {}
        self._parents: set[str] = set()  # of creates of unknown outcome
        for operation in history.operations:
            if operation.outcome == UNKNOWN:
                for write in operation.writes:
                    is_placed = operation.number in places.placed
                    if not (is_placed and places.path_of(operation, write)):
                        self._add_unplaced(operation, write)
        for unplaced in (*self._unplaced.values(), *self._sequential.values()):
            for called in unplaced.called.values():
                called.sort()

    def _add_unplaced(self, operation: Operation, write: Write) -> None:
        if write.kind not in KINDS:
            return
        table = self._sequential if write.is_sequential else self._unplaced
        unplaced = table.setdefault(write.path, Unplaced())
        unplaced.called[write.kind].append(operation.called_ms)
        unplaced.may_vanish = unplaced.may_vanish or write.may_vanish
        if write.kind == "create":
            self._parents.add(write.path.rpartition("/")[0] or "/")
        if write.is_ephemeral:
            unplaced.owners.append(operation.session_id)

    def __getitem__(self, path: str) -> Znode:
        found = self._found.get(path)
        return self._make(path) if found is None else found

    def _make(self, path: str) -> Znode:
        """Make a znode, and those above it: one by one, as a path may be long."""
        missing = [path]
        while (above := _above(missing[-1])) and above not in self._found:
            missing.append(above)
        for each in reversed(missing):
            znode = Znode(each, self._found.get(_above(each)), each.rpartition("/")[2])
            znode.unplaced = self._unplaced.get(each)
            if self._sequential and each[-DIGITS:].isdigit():
                znode.prefixed = self._sequential.get(each[:-DIGITS])
            self._found[each] = znode
        return znode

    def may_have_been_created_below(self, path: str) -> bool:
        """Whether a create of unknown outcome may have left a child there."""
        return path in self._parents

    @staticmethod
    def names_below(path: str, names: Iterable[str]) -> list[str]:
        """The full paths of children."""
        prefix = "/" if path == "/" else path + "/"
        return [prefix + name for name in names]


def _above(path: str) -> str:
    """The parent's path; empty for the root."""
    above, _, name = path.rpartition("/")
    return (above or "/") if name else ""
