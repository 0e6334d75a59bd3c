"""A configuration is right, or its error names the place and what would be right."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from pathlib import Path

import pytest

from orchestrator.config import EnsembleConfig, load_config
from orchestrator.errors import InvalidInput


def complaint(file: Path | None, **overrides: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_config(file, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_voters_come_first_and_observers_behind() -> None:
    config = load_config(None, {"members": 3, "observers": 2})
    assert config.voters == (1, 2, 3)
    assert config.observer_sids == (4, 5)


def test_session_timeouts_are_2_and_20_ticks_unless_said() -> None:
    assert load_config(None, {"tick_time_ms": 100}).session_timeouts_ms == (200, 2000)
    said = load_config(None, {"tick_time_ms": 100, "min_session_timeout_ms": "1s"})
    assert said.session_timeouts_ms == (1000, 2000)


def test_flags_override_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "lab.yaml", "members: 5\nobservers: 1\ntick_time_ms: 1s\n")
    config = load_config(file, {"members": 3})
    assert (config.members, config.observers, config.tick_time_ms) == (3, 1, 1000)


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    yaml = written(tmp_path, "a.yaml", "members: 1\nlinks: []\nport_base: 4000\n")
    toml = written(tmp_path, "a.toml", "members = 1\nlinks = []\nport_base = 4000\n")
    assert load_config(yaml, {}) == load_config(toml, {})


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "a.yml", ""), {}) == EnsembleConfig()


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("observers: 1\nmembers: 0\n", "line 2, members", "greater than or equal to 1"),
        ("members: true\n", "line 1, members", "valid integer"),
        ("\ntick_time_ms: soon\n", "line 2, tick_time_ms", "'soon' is no length of time"),
        ("tickTime: 3\n", "line 1, tickTime", "unknown key; known ones are members"),
        ("links:\n  - 1->2 hold\n  - 1->9 hold\n", "line 3, links", "no member '9'"),
        ("links:\n  - 1->2 hold=3\n", "line 2, links", "'hold=3'"),
        ("members: [\n", "line 2, column 1", "not YAML"),
        ("- 3\n", "bad.yaml", "keys and values expected"),
        ("members: 3\nmembers: 5\n", "line 2, members", "said twice"),
        (f"links: {'[' * 3000}{']' * 3000}\n", "bad.yaml", "too deeply nested"),
        ("port_base: 65533\n", "bad.yaml", "the highest that does is 65532"),
    ],
)
def test_yaml_errors_name_file_line_and_key(
    tmp_path: Path, text: str, place: str, what: str
) -> None:
    said = complaint(written(tmp_path, "bad.yaml", text))
    assert "bad.yaml" in said
    assert place in said
    assert what in said


def test_toml_errors_name_file_and_line_or_key(tmp_path: Path) -> None:
    said = complaint(written(tmp_path, "bad.toml", "members = 3\nobservers = \n"))
    assert "bad.toml" in said
    assert "line 2" in said
    said = complaint(written(tmp_path, "bad.toml", "sync_limit = 0\n"))
    assert "bad.toml, sync_limit" in said


def test_every_error_is_told_not_only_the_first(tmp_path: Path) -> None:
    said = complaint(written(tmp_path, "bad.yaml", "members: 0\nsync_limit: 0\n"))
    assert "line 1, members" in said
    assert "line 2, sync_limit" in said


def test_a_key_that_does_not_exist_is_named_as_it_is() -> None:
    assert complaint(None, read_only_mode=True).startswith("read_only_mode: unknown key")


def test_the_super_user_has_a_hash_and_is_told_how_to_make_one() -> None:
    hashed = "super:" + b64encode(sha1(b"super:secret", usedforsecurity=False).digest()).decode()
    assert load_config(None, {"super_digest": hashed}).super_digest == hashed
    for wrong in ("super:secret", hashed.removeprefix("super:"), "ann" + hashed, hashed[:-1]):
        said = complaint(None, super_digest=wrong)
        assert said.startswith("--super-digest: 'super:' expected")
        assert "openssl sha1 -binary | base64" in said


def test_a_wrong_flag_is_named_as_the_flag() -> None:
    assert complaint(None, tick_time_ms="often").startswith("--tick-time: ")
    assert complaint(None, links=("1->2 delay=5",)).startswith("--link: ")


@pytest.mark.parametrize(
    ("name", "what"),
    [("none.yaml", "cannot read"), ("lab.ini", "format '.ini' is unknown")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, what: str) -> None:
    if name == "lab.ini":
        written(tmp_path, name, "members=3")
    said = complaint(tmp_path / name)
    assert name in said
    assert what in said


def test_values_must_fit_together() -> None:
    said = complaint(None, min_session_timeout_ms=500, max_session_timeout_ms=400)
    assert "min_session_timeout_ms is 500, above max_session_timeout_ms, 400" in said
    said = complaint(None, local_sessions_upgrading_enabled=True)
    assert "needs local_sessions_enabled" in said


def test_kinds_of_ports_keep_apart() -> None:
    said = complaint(None, port_base=4000, zk_port_base=4002)
    assert "zk_port_base 4002 and port_base 4000 overlap for 3 members" in said
    assert load_config(None, {"port_base": 4000, "zk_port_base": 4003}).port_base == 4000
    said = complaint(None, zk_tls_port_base=4000)
    assert "zk_tls_port_base, zk_tls_certificate and zk_tls_key go together" in said


def test_a_four_letter_word_that_does_not_exist_is_named_with_those_that_do() -> None:
    said = complaint(None, four_letter_words="srvr,rosh")
    assert said.startswith("--four-letter-words: no word 'rosh'; known are conf")
