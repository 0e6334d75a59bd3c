"""Ports for members: free ones, none handed out twice, or those above a base. Keeps none open."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InvalidInput, NotPossible

if TYPE_CHECKING:
    from orchestrator.config import EnsembleConfig

LOWEST = 20_000


class _TakenError(Exception):
    """Another program has the port."""


@dataclass(slots=True, frozen=True)
class MemberPorts:
    """One member's: its own services, ZooKeeper's protocol, that over TLS (0: none), /metrics."""

    own: int
    zk: int
    zk_tls: int = 0
    metrics: int = 0


def member_ports(config: EnsembleConfig) -> list[MemberPorts]:
    """Every member's ports, in the order of the sids: above the bases given, else free ones.

    Raises NotPossible that names the port which cannot be had.
    """
    hosts = dict.fromkeys(config.port_bases, config.host)
    hosts["metrics_port_base"] = config.metrics_host
    found = {
        key: ports_above(hosts[key], base, config.sids, "--" + key.replace("_", "-"))
        for key, base in config.port_bases.items()
        if base is not None
    }
    taken = {port for ports in found.values() for port in ports}
    for key in ("port_base", "zk_port_base", "metrics_port_base"):
        if key not in found:
            found[key] = free_ports(hosts[key], len(config.sids), taken)
            taken.update(found[key])
    names = [key.removesuffix("port_base").removesuffix("_") or "own" for key in found]
    rows = zip(*found.values(), strict=True)
    return [MemberPorts(**dict(zip(names, row, strict=True))) for row in rows]


def free_ports(host: str, count: int, taken: Collection[int] = ()) -> list[int]:
    """So many different ports that were free a moment ago, none of them in `taken`.

    All are bound at once before any is let go: bound one after the other, the same one may come
    twice. They lie below those that the kernel gives to outgoing connections, or while a member
    is down, some connection (even one that its own peers attempt) could take its port.
    """
    sockets: list[socket.socket] = []
    candidates = random.sample(range(LOWEST, _first_ephemeral()), k=20 * count)
    try:
        for port in candidates:
            if len(sockets) == count:
                break
            if port in taken:
                continue
            with contextlib.suppress(_TakenError):
                sockets.append(_bound(host, port))
        while len(sockets) < count:
            sockets.append(_bound(host, 0))
        return [s.getsockname()[1] for s in sockets]
    except OSError as error:
        raise InvalidInput(f"cannot listen on host '{host}': {error.strerror}") from None
    finally:
        for bound in sockets:
            bound.close()


def _first_ephemeral() -> int:
    """The lowest port that outgoing connections may get."""
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        return max(int(text.split()[0]), LOWEST + 10_000)
    except (OSError, ValueError, IndexError):
        return 32_768


def ports_above(host: str, base: int, sids: Sequence[int], flag: str = "--port-base") -> list[int]:
    """base + sid for each member. Raises NotPossible that names the port which cannot be had."""
    for sid in sids:
        try:
            _bound(host, base + sid).close()
        except _TakenError:
            why = "is taken by another program"
        except PermissionError:
            why = "needs more rights than this user has"
        except OSError as error:
            raise InvalidInput(f"cannot listen on host '{host}': {error.strerror}") from None
        else:
            continue
        raise NotPossible(
            f"port {base + sid} of member {sid} {why};"
            f" choose another {flag}, or none for free ports"
        )
    return [base + sid for sid in sids]


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without it a port whose last connections are in TIME_WAIT would count as taken.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise _TakenError from None
        raise
    return bound
