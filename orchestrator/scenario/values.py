"""The words of scenario files, and the forms their values take.

Owns lists of what is valid and the types of fields, each with an error that says what is right.
Knows no step.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from client.errors import ERRORS_BY_CODE
from orchestrator.config import DurationMs

ROLES = ("leader", "follower", "other", "observer", "new leader")
TRACES = (
    "close_marked",
    "close_submitted",
    "close_proposed",
    "close_committed",
    "close_applied",
    "local_session_expired",
    "session_connected",
    "session_upgraded",
    "connection_refused",
    "request_dropped",
    "learner_synchronizing",
    "learner_dropped",
    "serving",
    "serving_read_only",
    "state",
)
# Of these a session is named, and each session is of one variant.
SESSION_TRACES = TRACES[: TRACES.index("learner_synchronizing")]
VERDICTS = ("alive", "expired", "closed")
# Of a znode that no session of the variant owns: who else.
NO_SESSIONS = ("nobody", "stranger")
EVENT_TYPES = ("created", "deleted", "changed", "children")
COMPARISONS = ("not", "contains", "less_than", "at_least")
# What an answer may say, by name: the type of a plain value, for whoever compares it.
FIELDS: dict[str, type] = {
    "error": str,
    "answered": bool,
    "exists": bool,
    "data": str,
    "owner": str,
    "version": int,
    "czxid": int,
    "mzxid": int,
    "children": list,
    "path": str,
    "name": str,
    "zxid": int,
    "verdict": str,
    "timeout": str,
}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
REFERENCE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\.([a-z]+)\}")


def snake(word: str) -> str:
    """ZooKeeper's name of an error as scenario files have it: NodeExists is node_exists."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower()


def show_length(length_ms: float) -> str:
    """A length of time as files have it: `400ms`, `2s`."""
    return f"{length_ms / 1000:g}s" if length_ms % 1000 == 0 else f"{length_ms:g}ms"


ERRORS = ("ok", *sorted(snake(error.word) for error in ERRORS_BY_CODE.values()))


def _name(value: object) -> object:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError(f"'{value}' is no name; letters, digits, - and _, a letter first")
    return value


def _member(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (value in ROLES or value.isdecimal()):
        raise ValueError(f"'{value}' is no member; one of {', '.join(ROLES)}, or a sid")
    return value


def _members(value: object) -> object:
    return value if value == "all" else _member(value)


def _text(value: object) -> object:
    # 1 and 1.5 are numbers in YAML; data is text, and nobody means anything else.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _version(value: object) -> object:
    if not _is_number(value, -1, 2**31 - 1):
        raise ValueError(
            f"'{value}' is no version; -1 (any), a whole number below 2^31, or '{{RESULT.version}}'"
        )
    return value


def _zxid(value: object) -> object:
    if not _is_number(value, 0, 2**63 - 1):
        raise ValueError(f"'{value}' is no zxid; a whole number below 2^63 or '{{RESULT.zxid}}'")
    return value


def _is_number(value: object, least: int, most: int) -> bool:
    if isinstance(value, str):
        return REFERENCE.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _trace(value: object) -> object:
    if value not in TRACES:
        raise ValueError(f"no trace '{value}'; one of {', '.join(TRACES)}")
    return value


def _path(value: object) -> object:
    if isinstance(value, str) and not (value.startswith("/") or REFERENCE.match(value)):
        raise ValueError(f"'{value}' is no path; it begins with '/' or with '{{RESULT.path}}'")
    if isinstance(value, str) and "{" in REFERENCE.sub("", value):
        raise ValueError(f"'{value}': a brace begins '{{RESULT.path}}' or '{{RESULT.name}}'")
    return value


Name = Annotated[str, BeforeValidator(_name)]
MemberWord = Annotated[str, BeforeValidator(_member)]
MembersWord = Annotated[str, BeforeValidator(_members)]
Text = Annotated[str, BeforeValidator(_text)]
Path = Annotated[str, BeforeValidator(_path)]
Version = Annotated[int | str, BeforeValidator(_version)]
Zxid = Annotated[int | str, BeforeValidator(_zxid)]
TraceKind = Annotated[str, BeforeValidator(_trace)]
Length = DurationMs
Yes = Annotated[bool, Field(strict=True)]
