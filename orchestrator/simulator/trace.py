"""Owns what is remembered of a run: who, when, what. It judges nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

Fields = dict[str, int | str | bool]


@dataclass(slots=True, frozen=True)
class Record:
    """Something that happened; `sid` 0 is the world itself."""

    at_ms: float
    sid: int
    kind: str
    fields: Fields

    def __str__(self) -> str:
        """Return the record as one line."""
        fields = "".join(f" {name}={value}" for name, value in self.fields.items())
        return f"{self.at_ms:.3f} {self.sid} {self.kind}{fields}"


@dataclass(slots=True)
class TraceLog:
    """Every record of a run, in the order in which it happened."""

    records: list[Record] = field(default_factory=list)

    def add(self, at_ms: float, sid: int, kind: str, fields: Fields) -> None:
        """Remember it."""
        self.records.append(Record(at_ms, sid, kind, fields))

    def of(self, kind: str, sid: int | None = None, since: int = 0) -> Iterator[Record]:
        """Yield the records of this kind, from number `since` on, of one member or of all."""
        for record in self.records[since:]:
            if record.kind == kind and sid in (None, record.sid):
                yield record

    def digest(self) -> str:
        """Return the SHA-256 of the whole trace, instants to the last bit included."""
        hasher = hashlib.sha256()
        for record in self.records:
            line = f"{record.at_ms!r} {record.sid} {record.kind} {record.fields!r}\n"
            hasher.update(line.encode())
        return hasher.hexdigest()
