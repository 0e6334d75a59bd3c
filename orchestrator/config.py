"""An ensemble's configuration: read from YAML or TOML, overridden by flags, validated once.

Every error names the file, the line where the format gives one, the key, what was wrong and what
would be right. Nothing here starts a process or picks a port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator.errors import InvalidInput

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min)?")
# SHA-1 is 20 bytes: 27 characters of base64 and one that fills up.
_SUPER_DIGEST = re.compile(r"super:[A-Za-z0-9+/]{27}=")
_Lines = dict[tuple[str | int, ...], int]
_UNIT_MS = {None: 1, "ms": 1, "s": 1000, "min": 60_000}


def duration_ms(value: object) -> object:
    """'200ms', '2s' or '1min' as whole milliseconds; a bare number is milliseconds already.

    Raises ValueError for a text that is no length of time; leaves everything else to the caller.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"'{value}' is no length of time; write for example 200ms, 2s or 1min")
    length_ms = float(match[1]) * _UNIT_MS[match[2]]
    # Hundreds of digits are infinite as a float; whoever asks for it has its own maximum.
    return round(min(length_ms, 1e15))


DurationMs = Annotated[int, BeforeValidator(duration_ms), Field(gt=0, le=3_600_000, strict=True)]
# Strict: YAML's `true` would pass as 1 otherwise.
Whole = Annotated[int, Field(strict=True)]


class EnsembleConfig(BaseModel):
    """Fixed for the life of an ensemble. Voters have the sids 1..members, observers those behind.

    Invariants: at least one voter; the session timeouts are in order;
    every member has a port of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: Whole = Field(default=3, ge=1, le=127, description="voting members")
    observers: Whole = Field(default=0, ge=0, le=127, description="members without a vote")
    tick_time_ms: DurationMs = Field(default=200, description="the unit of all other times")
    init_limit: Whole = Field(default=50, ge=1, description="ticks a learner may take to connect")
    sync_limit: Whole = Field(default=10, ge=1, description="ticks a learner may be silent")
    min_session_timeout_ms: DurationMs | None = Field(default=None, description="2 ticks")
    max_session_timeout_ms: DurationMs | None = Field(default=None, description="20 ticks")
    snap_count: Whole = Field(default=100_000, ge=1, description="transactions to a snapshot")
    local_sessions_enabled: bool = False
    local_sessions_upgrading_enabled: bool = False
    read_only_mode_enabled: bool = False
    extended_types_enabled: bool = False
    container_check_interval_ms: DurationMs = Field(
        default=60_000, description="how often empty containers and old TTL znodes are deleted"
    )
    enforce_quota: bool = False
    super_digest: str = Field(default="", description="super:HASH")
    host: str = Field(default="127.0.0.1", min_length=1)
    port_base: Whole | None = Field(default=None, ge=1, le=65_535, description="port = base + sid")
    zk_port_base: Whole | None = Field(default=None, ge=1, le=65_535)
    zk_tls_port_base: Whole | None = Field(default=None, ge=1, le=65_535)
    metrics_host: str = Field(default="127.0.0.1", min_length=1, description="of /metrics")
    metrics_port_base: Whole | None = Field(default=None, ge=1, le=65_535)
    zk_tls_certificate: Path | None = Field(default=None, description="PEM, with its chain")
    zk_tls_key: Path | None = Field(default=None, description="PEM, without a passphrase")
    max_client_cnxns: Whole = Field(default=60, ge=0, description="of a client's host; 0: any")
    four_letter_words: str = Field(default="srvr", description="words with commas, or *")
    directory: Path = Path(".lagkeeper")
    links: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.session_timeouts_ms[0] > self.session_timeouts_ms[1]:
            low, high = self.session_timeouts_ms
            raise ValueError(
                f"min_session_timeout_ms is {low}, above max_session_timeout_ms, {high}"
            )
        self._check_ports()
        if self.local_sessions_upgrading_enabled and not self.local_sessions_enabled:
            raise ValueError("local_sessions_upgrading_enabled needs local_sessions_enabled: true")
        return self

    def _check_ports(self) -> None:
        count = self.sids[-1]
        named = [(name, base) for name, base in self.port_bases.items() if base is not None]
        for place, (name, base) in enumerate(named):
            if base + count > 65_535:
                raise ValueError(
                    f"{name} {base} leaves no port for member {count};"
                    f" the highest that does is {65_535 - count}"
                )
            for other, other_base in named[:place]:
                if abs(base - other_base) < count:
                    raise ValueError(
                        f"{name} {base} and {other} {other_base} overlap for {count} members;"
                        f" choose them {count} or more apart"
                    )
        tls = (self.zk_tls_port_base, self.zk_tls_certificate, self.zk_tls_key)
        if None in tls and tls != (None, None, None):
            raise ValueError(
                "zk_tls_port_base, zk_tls_certificate and zk_tls_key go together: give all three"
            )

    @field_validator("four_letter_words")
    @classmethod
    def _is_a_whitelist(cls, words: str) -> str:
        from nodes.config import ConfigError, words_of

        try:
            words_of(words)
        except ConfigError as error:
            raise ValueError(str(error).partition(": ")[2]) from None
        return words

    @field_validator("super_digest")
    @classmethod
    def _is_a_digest(cls, digest: str) -> str:
        # The password in its place would be taken without a word, and never let anybody in.
        if digest and not _SUPER_DIGEST.fullmatch(digest):
            raise ValueError(
                "'super:' expected, and behind it what"
                " `printf super:PASSWORD | openssl sha1 -binary | base64` prints"
            )
        return digest

    @property
    def port_bases(self) -> dict[str, int | None]:
        """The base of each kind of port by its key; None where free ones are to be found."""
        return {
            "port_base": self.port_base,
            "zk_port_base": self.zk_port_base,
            "zk_tls_port_base": self.zk_tls_port_base,
            "metrics_port_base": self.metrics_port_base,
        }

    @property
    def voters(self) -> tuple[int, ...]:
        """Sids of the voting members."""
        return tuple(range(1, self.members + 1))

    @property
    def observer_sids(self) -> tuple[int, ...]:
        """Sids of the observers."""
        return tuple(range(self.members + 1, self.members + self.observers + 1))

    @property
    def sids(self) -> tuple[int, ...]:
        """Every member, voters first."""
        return self.voters + self.observer_sids

    @property
    def session_timeouts_ms(self) -> tuple[int, int]:
        """The smallest and the largest session timeout, 2 and 20 ticks unless said otherwise."""
        return (
            self.min_session_timeout_ms or 2 * self.tick_time_ms,
            self.max_session_timeout_ms or 20 * self.tick_time_ms,
        )


def load_config(file: Path | None, overrides: Mapping[str, Any]) -> EnsembleConfig:
    """The configuration in `file` (YAML or TOML by its suffix; None: the defaults), with the
    overrides on top. Raises InvalidInput, one line that names the place.
    """
    values: dict[str, Any] = {}
    lines: _Lines = {}
    if file is not None:
        values, lines = _read(file)
    try:
        config = EnsembleConfig.model_validate({**values, **overrides})
    except ValidationError as error:
        complaints = []
        for one in error.errors(include_url=False):
            loc = tuple(one["loc"])
            complaints.append(_with_place(_place(loc, file, lines, overrides), complaint(one)))
        raise InvalidInput("; ".join(complaints)) from None
    if config.links:
        _check_links(config, file, lines, overrides)
    return config


def _check_links(
    config: EnsembleConfig, file: Path | None, lines: _Lines, overrides: Mapping[str, Any]
) -> None:
    from nodes.rules import RuleError, parse_link_rule

    for index, text in enumerate(config.links):
        try:
            parse_link_rule(text, config.sids)
        except RuleError as error:
            place = _place(("links", index), file, lines, overrides)
            raise InvalidInput(_with_place(place, str(error))) from None


def _read(file: Path) -> tuple[dict[str, Any], _Lines]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file}, byte {error.start}: not UTF-8 text") from None
    match file.suffix:
        case ".yaml" | ".yml":
            values, lines = _read_yaml(file, text)
        case ".toml":
            values, lines = _read_toml(file, text), {}
        case suffix:
            raise InvalidInput(
                f"{file}: the format '{suffix}' is unknown; name it .yaml, .yml or .toml"
            )
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise InvalidInput(f"{file}: keys and values expected, such as 'members: 3'")
    return values, lines


def _read_yaml(file: Path, text: str) -> tuple[Any, _Lines]:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidInput(f"{file}{place}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidInput(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InvalidInput(f"{file}: too deeply nested") from None
    lines: _Lines = {}
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            line = key.start_mark.line + 1
            if (key.value,) in lines:
                raise InvalidInput(f"{file}, line {line}, {key.value}: said twice")
            lines[(key.value,)] = line
            if isinstance(value, yaml.SequenceNode):
                for index, item in enumerate(value.value):
                    lines[(key.value, index)] = item.start_mark.line + 1
    return values, lines


def _read_toml(file: Path, text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{file}: not TOML: {error}") from None
    except RecursionError:
        raise InvalidInput(f"{file}: too deeply nested") from None


def _place(
    loc: tuple[str | int, ...], file: Path | None, lines: _Lines, overrides: Mapping[str, Any]
) -> str:
    """Where a value came from: a flag, or a file with the line if it is known."""
    key = str(loc[0]) if loc else ""
    if key in overrides:
        return _flag(key) if key in EnsembleConfig.model_fields else key
    if file is None:
        return key
    line = lines.get(loc[:2]) or lines.get(loc[:1])
    return ", ".join(part for part in (str(file), f"line {line}" if line else "", key) if part)


def _with_place(place: str, what: str) -> str:
    return f"{place}: {what}" if place else what


def complaint(error: Any) -> str:
    """What pydantic found wrong (one of its `errors()`), as a clause with what would be right."""
    if error["type"] == "extra_forbidden":
        return f"unknown key; known ones are {', '.join(EnsembleConfig.model_fields)}"
    what: str = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return what
    return f"{what[0].lower()}{what[1:]}, not {error.get('input')!r}"


def _flag(key: str) -> str:
    """The flag that sets a key, as the operator typed it."""
    flags = {"directory": "dir", "links": "link", "local_sessions_enabled": "local-sessions"}
    return "--" + flags.get(key, key.removesuffix("_ms").replace("_", "-"))
