"""What one process of the ensemble needs to know, as plain data and as a JSON file.

The core's settings are `nodes.core.config`; here is what surrounds them: addresses and files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from nodes.core.config import MemberConfig

FOUR_LETTER_WORDS = (
    *("conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok"),
    *("srst", "srvr", "stat", "wchc", "wchp", "wchs"),
)


class ConfigError(ValueError):
    """A configuration that cannot be; says which file and key, in one line."""


@dataclass(slots=True, frozen=True)
class WireConfig:
    """Where and how ZooKeeper's own protocol is spoken; port 0 is none.

    `max_client_cnxns` connections for each client's host, 0 for any number; `four_letter_words`
    is ZooKeeper's whitelist: words with commas, or `*`. TLS needs both files.
    """

    port: int = 0
    max_client_cnxns: int = 60
    four_letter_words: str = "srvr"
    tls_port: int = 0
    certificate: str = ""
    key: str = ""


@dataclass(slots=True, frozen=True)
class ProcessConfig:
    """Invariant: `peers` has an address (`host:port`) for every other member of the ensemble.

    `port` 0 lets the system choose one (for tests of a single member). `metrics_port` 0: none.
    """

    core: MemberConfig
    port: int
    data_dir: str
    host: str = "127.0.0.1"
    peers: dict[int, str] = field(default_factory=dict)
    wire: WireConfig = field(default_factory=WireConfig)
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"


def words_of(whitelist: str) -> frozenset[str]:
    """The words that a whitelist allows. Raises ConfigError that names the unknown one."""
    wanted = {word.strip() for word in whitelist.split(",")} - {""}
    if "*" in wanted:
        return frozenset(FOUR_LETTER_WORDS)
    for word in sorted(wanted.difference(FOUR_LETTER_WORDS)):
        known = ", ".join(FOUR_LETTER_WORDS)
        raise ConfigError(f"four_letter_words: no word '{word}'; known are {known}, or * for all")
    return frozenset(wanted)


def show_address(host: str, port: int) -> str:
    """host:port as gRPC reads it, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def save_config(config: ProcessConfig, path: Path) -> None:
    """Write `config` as JSON."""
    path.write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def load_config(path: Path) -> ProcessConfig:
    """Read what `save_config` wrote; raises ConfigError naming file and key."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    try:
        return check_config(_assemble(raw))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _assemble(raw: object) -> ProcessConfig:
    given = _known(raw, ProcessConfig, "")
    core = _known(given.get("core", {}), MemberConfig, "core.")
    for name in ("voters", "observers"):
        if name in core:
            core[name] = _sids(core[name], f"core.{name}")
    peers = given.get("peers", {})
    if not isinstance(peers, dict):
        raise ConfigError(f"peers: not an object: {peers!r}")
    if not all(str(sid).isdecimal() for sid in peers):
        raise ConfigError(f"peers: keys must be members' ids: {sorted(peers)}")
    given["peers"] = {int(sid): address for sid, address in peers.items()}
    wire = _known(given.get("wire", {}), WireConfig, "wire.")
    try:
        given["core"] = MemberConfig(**core)
        given["wire"] = WireConfig(**wire)
        return ProcessConfig(**given)
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s:").strip()
        raise ConfigError(f"missing: {missing}") from None


def _known(raw: object, kind: type[Any], prefix: str) -> dict[str, Any]:
    """Return the keys of `raw`, which must be fields of the dataclass `kind` of fitting type."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{prefix.rstrip('.') or 'the file'}: not an object")
    types = {f.name: f.type for f in fields(kind)}
    for name, value in raw.items():
        if name not in types:
            valid = ", ".join(types)
            raise ConfigError(f"{prefix}{name}: unknown key; valid are {valid}")
        wanted = _PLAIN.get(str(types[name]))
        # By exact type: True is an int to Python, but no number to people.
        if wanted and type(value) not in wanted:
            raise ConfigError(f"{prefix}{name}: must be {types[name]}, not {value!r}")
    return dict(raw)


_PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "float": (int, float),
}


def _sids(value: object, name: str) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{name}: not a list of members: {value!r}")
    if not all(isinstance(sid, int) and sid > 0 for sid in value):
        raise ConfigError(f"{name}: members are whole numbers above 0: {value!r}")
    return tuple(value)


def check_config(config: ProcessConfig) -> ProcessConfig:
    """Return `config` if its parts fit together; raises ConfigError naming the key."""
    core = config.core
    everyone = core.voters + core.observers
    if len(set(everyone)) != len(everyone):
        raise ConfigError("core.voters: a member is named twice")
    if core.sid not in everyone:
        raise ConfigError(f"core.sid: {core.sid} is neither in core.voters nor in core.observers")
    if not core.voters:
        raise ConfigError("core.voters: an ensemble needs a voter")
    if missing := [sid for sid in core.peers if sid not in config.peers]:
        raise ConfigError(f"peers: no address for member {missing[0]}")
    ports = {"port": config.port, "wire.port": config.wire.port}
    ports["metrics_port"] = config.metrics_port
    for name, port in {**ports, "wire.tls_port": config.wire.tls_port}.items():
        if not 0 <= port <= 65535:
            raise ConfigError(f"{name}: must be 0 to 65535, not {port}")
    words_of(config.wire.four_letter_words)
    if config.wire.max_client_cnxns < 0:
        raise ConfigError("wire.max_client_cnxns: must be 0 or above")
    above_0 = (
        "tick_time_ms",
        "init_limit",
        "sync_limit",
        "min_session_timeout_ms",
        "snap_count",
        "container_check_interval_ms",
        "container_max_per_minute",
    )
    for name in above_0:
        if getattr(core, name) <= 0:
            raise ConfigError(f"core.{name}: must be above 0, not {getattr(core, name)}")
    if core.max_session_timeout_ms < core.min_session_timeout_ms:
        raise ConfigError("core.max_session_timeout_ms: below min_session_timeout_ms")
    return config
