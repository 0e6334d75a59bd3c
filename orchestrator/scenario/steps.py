"""The steps of scenario files, each as a type: its word, its keys and their defaults.

Owns shapes alone, as `docs/scenario-files.md` tells them; what a step does is `play`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.scenario.values import (
    Length,
    MembersWord,
    MemberWord,
    Name,
    Path,
    Text,
    TraceKind,
    Version,
    Yes,
    Zxid,
)

PATIENCE_MS = 10_000
AWAIT_MS = 5_000
Expected = dict[str, Any]


class Particulars(BaseModel):
    """What stands behind the word of a step. `shorthand`: the key of a value without keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    word: ClassVar[str]
    shorthand: ClassVar[str] = ""


class Asked(Particulars):
    """Something with an answer, which may be waited for at once or later."""

    as_: Name | None = Field(default=None, alias="as")
    background: Yes = False
    expect: Expected = {}


# Sessions.


class Open(Asked):
    word = "open"
    session: Name
    on: MemberWord
    timeout: Length = 10_000
    seen: Zxid | None = None


class Silence(Particulars):
    word = "silence"
    shorthand = "session"
    session: Name


class Wake(Particulars):
    word = "wake"
    shorthand = "session"
    session: Name


class Crash(Particulars):
    word = "crash"
    shorthand = "session"
    session: Name


class DropConnection(Particulars):
    word = "drop"
    shorthand = "session"
    session: Name


class Resume(Asked):
    word = "resume"
    session: Name
    on: MemberWord


class Present(Asked):
    word = "present"
    session: Name
    to: MemberWord


class Close(Asked):
    word = "close"
    shorthand = "session"
    session: Name


class Expire(Particulars):
    word = "expire"
    shorthand = "session"
    session: Name


# Operations.


class Operation(Asked):
    """An operation of a session."""

    session: Name


class Create(Operation):
    word = "create"
    path: Path
    data: Text = ""
    ephemeral: Yes = False
    sequential: Yes = False
    container: Yes = False

    def model_post_init(self, _: Any) -> None:
        """Refuse a mode that ZooKeeper has not."""
        if self.container and (self.ephemeral or self.sequential):
            raise ValueError("a container is neither ephemeral nor sequential")


class Delete(Operation):
    word = "delete"
    path: Path
    version: Version = -1


class Set(Operation):
    word = "set"
    path: Path
    data: Text
    version: Version = -1


class Get(Operation):
    word = "get"
    path: Path
    watch: Name | None = None


class Exists(Operation):
    word = "exists"
    path: Path
    watch: Name | None = None


class Children(Operation):
    word = "children"
    path: Path
    watch: Name | None = None


class Sync(Operation):
    word = "sync"
    path: Path = "/"


class Watch(Operation):
    word = "watch"
    path: Path
    mode: Literal["persistent", "recursive"] = "persistent"
    watch: Name


class PartCreate(Particulars):
    word = "create"
    path: Path
    data: Text = ""
    ephemeral: Yes = False
    sequential: Yes = False


class PartDelete(Particulars):
    word = "delete"
    path: Path
    version: Version = -1


class PartSet(Particulars):
    word = "set"
    path: Path
    data: Text
    version: Version = -1


class PartCheck(Particulars):
    word = "check"
    path: Path
    version: Version = -1


class Part(BaseModel):
    """One of the operations of a multi: exactly one key."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    create: PartCreate | None = None
    delete: PartDelete | None = None
    set: PartSet | None = None
    check: PartCheck | None = None

    def model_post_init(self, _: Any) -> None:
        """Refuse none and several."""
        said = [getattr(self, name) for name in self.model_fields_set]
        if len(said) != 1 or said[0] is None:
            raise ValueError("one of create, delete, set, check expected in each of a multi")

    @property
    def op(self) -> PartCreate | PartDelete | PartSet | PartCheck:
        """The one that is there."""
        found = self.create or self.delete or self.set or self.check
        assert found is not None
        return found


class Multi(Operation):
    word = "multi"
    ops: tuple[Part, ...] = Field(min_length=1)


# Looking.


class Answer(Particulars):
    word = "answer"
    to: Name
    expect: Expected = {}
    within: Length = PATIENCE_MS


class Unanswered(Particulars):
    word = "unanswered"
    shorthand = "to"
    to: Name


class WantedEvent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["created", "deleted", "changed", "children"]
    path: Path


class Events(Particulars):
    word = "events"
    watch: Name
    expect: tuple[WantedEvent, ...] = Field(min_length=1)
    within: Length = 2_000


class NoEvents(Particulars):
    word = "no_events"
    shorthand = "watch"
    watch: Name


class Until(Particulars):
    """`do` is filled in by whoever reads the file: a step of its own."""

    word = "until"
    do: Any
    is_: Expected = Field(alias="is", min_length=1)
    every: Length = 10
    within: Length = AWAIT_MS


class Expect(Particulars):
    word = "expect"
    shorthand = "results"
    results: dict[Name, Expected] = Field(min_length=1)


class Harm(Particulars):
    word = "harm"
    if_: dict[Name, Expected] = Field(alias="if", min_length=1)
    because: str


# The ensemble.


class Hold(Particulars):
    word = "hold"
    link: str
    only: str = ""
    next: Annotated[int, Field(strict=True, ge=1)] | None = None


class Release(Particulars):
    word = "release"
    shorthand = "link"
    link: str


class Delay(Particulars):
    word = "delay"
    link: str
    by: Length
    jitter: Length | None = None
    only: str = ""


class Clear(Particulars):
    word = "clear"
    shorthand = "link"
    link: str


class Cut(Particulars):
    word = "cut"
    shorthand = "link"
    link: str


class Heal(Particulars):
    word = "heal"
    shorthand = "link"
    link: str


class Isolate(Particulars):
    word = "isolate"
    shorthand = "member"
    member: MemberWord


class Rejoin(Particulars):
    word = "rejoin"
    shorthand = "member"
    member: MemberWord


class Reset(Particulars):
    word = "reset"
    shorthand = "link"
    link: str


class HoldClosing(Particulars):
    word = "hold_closing"
    shorthand = "held"
    held: Literal[True]


class ReleaseClosing(Particulars):
    word = "release_closing"
    shorthand = "released"
    released: Literal[True]


class Kill(Particulars):
    word = "kill"
    shorthand = "member"
    member: MemberWord


class Start(Particulars):
    word = "start"
    shorthand = "member"
    member: MemberWord


class Pause(Particulars):
    word = "pause"
    shorthand = "member"
    member: MemberWord


class ResumeMember(Particulars):
    word = "resume_member"
    shorthand = "member"
    member: MemberWord


class Await(Particulars):
    """Exactly one of `trace`, `serving`, `leader`. `on` None: any member."""

    word = "await"
    trace: TraceKind | None = None
    session: Name | None = None
    on: MembersWord | None = None
    serving: MembersWord | None = None
    leader: Literal["any", "new"] | None = None
    within: Length = AWAIT_MS

    def model_post_init(self, _: Any) -> None:
        """Refuse none and several."""
        if sum(value is not None for value in (self.trace, self.serving, self.leader)) != 1:
            raise ValueError("one of trace, serving, leader expected")


class Wait(Particulars):
    word = "wait"
    shorthand = "length"
    length: Length


class Note(Particulars):
    word = "note"
    shorthand = "text"
    text: str


SESSIONS = (Open, Silence, Wake, Crash, DropConnection, Resume, Present, Close, Expire)
OPERATIONS = (Create, Delete, Set, Get, Exists, Children, Sync, Watch, Multi)
LOOKING = (Answer, Unanswered, Events, NoEvents, Until, Expect, Harm)
ENSEMBLE = (
    *(Hold, Release, Delay, Clear, Cut, Heal, Isolate, Rejoin, Reset, HoldClosing),
    *(ReleaseClosing, Kill, Start, Pause, ResumeMember, Await, Wait, Note),
)
WORDS: dict[str, type[Particulars]] = {
    kind.word: kind for kind in (*SESSIONS, *OPERATIONS, *LOOKING, *ENSEMBLE)
}
