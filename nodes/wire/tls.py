"""TLS for the wire port: a member's certificate and key, loaded once, refused in one line."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from nodes.config import ConfigError

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_NOT_YET_VALID, _EXPIRED = 9, 10
# More than a handshake takes.
_FLIGHTS = 4


def load_tls(certificate: str, key: str) -> ssl.SSLContext:
    """Return the server's side of TLS, with the library's defaults.

    Raises ConfigError, naming the file: missing, unreadable, no PEM, expired, of another key.
    """
    for path in (certificate, key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Asked for a passphrase, OpenSSL would wait at a terminal that nobody sees.
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _PassphraseWanted:
        raise ConfigError(f"{key}: has a passphrase; give a key without one") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"{key}: is not the key of the certificate {certificate}") from None
        raise ConfigError(f"{certificate}, {key}: not a certificate and its key in PEM") from None
    _check_dates(context, certificate)
    return context


class _PassphraseWanted(Exception):
    pass


def _no_passphrase() -> str:
    raise _PassphraseWanted


def _check_readable(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path or 'no file'}: for TLS: {error.strerror}") from None


def _check_dates(server: ssl.SSLContext, certificate: str) -> None:
    """A certificate that no client would accept must not look as if it worked.

    The library tells dates to those who connect only: so connect once, in memory.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(_FLIGHTS):
        for side in sides:
            try:
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
            except ssl.SSLCertVerificationError as error:
                if error.verify_code in (_NOT_YET_VALID, _EXPIRED):
                    raise ConfigError(f"{certificate}: {error.verify_message}") from None
                return
