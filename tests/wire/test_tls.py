"""Certificates that cannot be are refused in one line that names the file."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from nodes.config import ConfigError
from nodes.wire.tls import load_tls


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return issue(tmp_path, "now")


def issue(directory: Path, name: str, **dates: datetime) -> tuple[Path, Path]:
    issued = trustme.CA().issue_cert("127.0.0.1", **dates)  # type: ignore[arg-type]
    certificate, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_tls(str(certificate), str(key))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_certificate_and_its_key_make_a_server(files: tuple[Path, Path]) -> None:
    context = load_tls(*map(str, files))
    assert context.verify_mode is ssl.CERT_NONE


def test_a_file_that_is_not_there(files: tuple[Path, Path], tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    assert refusal(missing, files[1]) == f"{missing}: for TLS: No such file or directory"
    assert refusal(files[0], missing) == f"{missing}: for TLS: No such file or directory"


def test_a_file_that_is_something_else(files: tuple[Path, Path], tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n")
    assert refusal(text, files[1]).startswith(f"{text}, {files[1]}: not a certificate")
    assert refusal(files[0], text).startswith(f"{files[0]}, {text}: not a certificate")


def test_the_key_of_another_certificate(files: tuple[Path, Path], tmp_path: Path) -> None:
    _, other = issue(tmp_path, "other")
    assert refusal(files[0], other) == f"{other}: is not the key of the certificate {files[0]}"


def test_a_key_with_a_passphrase_does_not_wait_for_it(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    key = load_pem_private_key(files[1].read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    assert refusal(files[0], locked) == f"{locked}: has a passphrase; give a key without one"


def test_dates(tmp_path: Path) -> None:
    old = issue(tmp_path, "old", not_before=datetime(2020, 1, 1), not_after=datetime(2021, 1, 1))
    assert refusal(*old) == f"{old[0]}: certificate has expired"
    new = issue(tmp_path, "new", not_before=datetime(2199, 1, 1), not_after=datetime(2200, 1, 1))
    assert refusal(*new) == f"{new[0]}: certificate is not yet valid"
