"""The addresses of members as people write them: `host:port`, separated by commas."""

from __future__ import annotations

from collections.abc import Iterable

from client.errors import BadArgumentsError


def parse_members(members: str | Iterable[str]) -> tuple[str, ...]:
    """Return the addresses in the order given; BadArgumentsError names the one that is wrong."""
    parts = members.split(",") if isinstance(members, str) else list(members)
    addresses = tuple(str(part).strip() for part in parts)
    if not any(addresses):
        raise BadArgumentsError("connect", "", "no member given; write host:port[,host:port...]")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadArgumentsError("connect", "", f"{address!r} is not host:port")
    return addresses
