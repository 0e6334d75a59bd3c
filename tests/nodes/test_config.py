"""A configuration survives its file; one that cannot be says which key."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from nodes.config import (
    FOUR_LETTER_WORDS,
    ConfigError,
    ProcessConfig,
    WireConfig,
    check_config,
    load_config,
    save_config,
    words_of,
)
from nodes.core.config import MemberConfig

GOOD = ProcessConfig(
    core=MemberConfig(sid=1, voters=(1, 2), observers=(3,), local_sessions_enabled=True),
    port=4000,
    data_dir="/nowhere",
    peers={2: "127.0.0.1:4001", 3: "127.0.0.1:4002"},
    wire=WireConfig(port=4100, four_letter_words="*", tls_port=4200),
)


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    save_config(GOOD, tmp_path / "member.json")
    assert load_config(tmp_path / "member.json") == GOOD


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prot": 1}, "prot: unknown key"),
        ({"port": "4000"}, "port: must be int"),
        ({"port": 70000}, "port: must be 0 to 65535"),
        ({"core": {"sid": 9, "voters": [1]}}, "core.sid: 9"),
        ({"core": {"voters": [1]}}, "sid"),
        ({"core": {"sid": 1, "voters": 1}}, "core.voters"),
        ({"core": {"sid": 1, "voters": [1, 1]}}, "twice"),
        ({"core": {"sid": 1, "voters": [1], "tick_time": 5}}, "core.tick_time: unknown key"),
        ({"core": {"sid": 1, "voters": [1], "tick_time_ms": 0}}, "core.tick_time_ms"),
        ({"core": {"sid": 1, "voters": [1], "local_sessions_enabled": 1}}, "must be bool"),
        ({"core": 7}, "core"),
        ({"peers": {"2": "127.0.0.1:1"}}, "no address for member 3"),
        ({"peers": {"two": "127.0.0.1:1"}}, "peers"),
    ],
)
def test_a_config_that_cannot_be_says_why(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    path = tmp_path / "member.json"
    path.write_text(json.dumps({**asdict(GOOD), **changes}))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        load_config(tmp_path / "bad.json")


def test_session_timeouts_are_in_order() -> None:
    core = replace(GOOD.core, max_session_timeout_ms=1)
    with pytest.raises(ConfigError, match="max_session_timeout_ms"):
        check_config(replace(GOOD, core=core))


def test_a_whitelist_of_words_that_do_not_exist_is_refused() -> None:
    assert words_of("srvr, mntr") == {"srvr", "mntr"}
    assert words_of("") == frozenset()
    assert words_of("*") == set(FOUR_LETTER_WORDS)
    with pytest.raises(ConfigError, match="no word 'rosh'; known are conf"):
        words_of("srvr,rosh")
