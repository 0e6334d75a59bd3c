"""One ensemble for the tests that need real members."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from orchestrator.ensemble import Ensemble
from orchestrator.ports import free_ports

TICK_MS = 200


@dataclass(frozen=True)
class Lab:
    """Three members, also over TLS; `authority` is the file that clients trust."""

    ensemble: Ensemble
    authority: Path

    def address(self, sid: int) -> tuple[str, int]:
        """Where a member speaks ZooKeeper's protocol."""
        host, _, port = self.ensemble.zk_address(sid).rpartition(":")
        return host, int(port)

    @property
    def follower(self) -> int:
        """A member that does not lead."""
        return 1 if self.ensemble.leader() != 1 else 2


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Every word but wchc is allowed, srvr without being named."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(directory / "authority.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(directory / "certificate.pem"))
    certificate.private_key_pem.write_to_path(str(directory / "key.pem"))
    # A base above which three ports are likely to be free, as these were.
    base = free_ports("127.0.0.1", 1)[0] - 2
    words = "ruok,stat,conf,cons,crst,dirs,dump,envi,gtmk,isro,mntr,srst,wchs,wchp"
    with Ensemble(
        members=3,
        tick_time_ms=TICK_MS,
        four_letter_words=words,
        zk_tls_port_base=base,
        zk_tls_certificate=directory / "certificate.pem",
        zk_tls_key=directory / "key.pem",
    ) as ensemble:
        yield Lab(ensemble, directory / "authority.pem")
