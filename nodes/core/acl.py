"""Access lists: who may do what, and which lists a znode may be given (ZooKeeper's `checkACL`,
`fixupACL` and authentication providers).

Pure functions of lists and identities. Knows no znode and no connection; says nothing about what
a refusal means.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1

from nodes.core.requests import OPEN_ACL, Acl, Id

READ = 1
WRITE = 2
CREATE = 4
DELETE = 8
ADMIN = 16
ALL = 31

AclList = tuple[Acl, ...]

ANYONE = Id("world", "anyone")
READ_ACL_UNSAFE: AclList = (Acl(READ, ANYONE),)
SUPER = Id("super", "")

_DIGEST = "digest"
_IP = "ip"
_USUAL_ENTRIES = 16
_USUAL_SIZE = 1024
_LONGEST_NETWORK = 64
# Of a connection's identities: thousands of proofs, and each of its writes carries them all.
_MAX_IDS_SIZE = 64 << 10
_NUMBER = re.compile(r"[+-]?[0-9]+")


def check(acl: AclList, perm: int, ids: Sequence[Id]) -> bool:
    """Return whether somebody who is all of `ids` has one of the bits of `perm` by `acl`.

    An empty list is open. Callers on a hot path ask `acl is OPEN_ACL` first.
    """
    if acl is OPEN_ACL or not acl or SUPER in ids:
        return True
    for entry in acl:
        if entry.perms & perm:
            whom = entry.id
            if whom == ANYONE or any(_matches(who, whom) for who in ids):
                return True
    return False


def fix_up(acl: AclList, ids: Sequence[Id]) -> AclList | None:
    """Return the list that a znode gets when it is given `acl` by `ids`; None if it is invalid.

    Duplicates go, and "auth" becomes the caller's identities that were proven: an address is not.
    """
    if acl is OPEN_ACL:
        return acl
    fixed: list[Acl] = []
    for entry in dict.fromkeys(acl):
        whom = entry.id
        if whom == ANYONE:
            fixed.append(entry)
        elif whom.scheme == "auth":
            proven = [Acl(entry.perms, who) for who in ids if who.scheme == _DIGEST]
            if not proven:
                return None
            fixed += proven
        elif _is_valid(whom):
            fixed.append(entry)
        else:
            return None
    return share(tuple(fixed)) if fixed else None


@lru_cache(maxsize=1024)
def _shared(acl: AclList) -> AclList:
    return OPEN_ACL if acl == OPEN_ACL else acl


def share(acl: AclList) -> AclList:
    """Return an equal list, the same one for most znodes that have it; the open one always.

    Large ones are not kept: they may be as large as a request, and are nobody's usual list.
    """
    is_usual = len(acl) <= _USUAL_ENTRIES and sum(len(entry.id.id) for entry in acl) <= _USUAL_SIZE
    return _shared(acl) if is_usual else acl


def masked(acl: AclList) -> AclList:
    """Return the list as those see it who may not administer it: without password digests."""
    return tuple(
        Acl(entry.perms, Id(_DIGEST, entry.id.id.partition(":")[0] + ":x"))
        if entry.id.scheme == _DIGEST and ":" in entry.id.id
        else entry
        for entry in acl
    )


def authenticate(scheme: str, auth: bytes, address: str, super_digest: str) -> tuple[Id, ...]:
    """Return who one is by this proof; nobody if the scheme is unknown.

    As in ZooKeeper any user and password are somebody; only what they may do differs.
    `super_digest` is the digest id of the super user, empty if there is none.
    """
    if scheme == _IP:
        return (Id(_IP, address),)
    if scheme != _DIGEST:
        return ()
    digest = digest_id(auth.decode("utf-8", "replace"))
    who = Id(_DIGEST, digest)
    return (SUPER, who) if super_digest and digest == super_digest else (who,)


def joined(ids: tuple[Id, ...], proven: Sequence[Id]) -> tuple[Id, ...] | None:
    """Return `ids` and, behind them, what is new of `proven`; None if that is too much to carry."""
    all_ids = ids + tuple(who for who in proven if who not in ids)
    return all_ids if sum(len(who.id) for who in all_ids) <= _MAX_IDS_SIZE else None


def digest_id(credentials: str) -> str:
    """Return the id of "user:password" in the digest scheme: the password only as its hash."""
    hashed = sha1(credentials.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return f"{credentials.partition(':')[0]}:{b64encode(hashed).decode()}"


def user_name(who: Id) -> str:
    """Return the part of an identity that is no secret, as whoAmI shows it."""
    if who.scheme == _DIGEST:
        return who.id.partition(":")[0]
    return who.id


def _is_valid(whom: Id) -> bool:
    if whom.scheme == _DIGEST:
        # As Java splits: what is empty at the end does not count.
        return len(whom.id.rstrip(":").split(":")) == 2
    return whom.scheme == _IP and _network(whom.id) is not None


def _matches(who: Id, whom: Id) -> bool:
    if who.scheme != whom.scheme:
        return False
    if who.scheme == _DIGEST:
        return who.id == whom.id
    if who.scheme != _IP:
        return False
    network, address = _network(whom.id), _address(who.id)
    if network is None or address is None:
        return False
    base, bits = network
    return base >> 32 - bits == address >> 32 - bits


def _network(text: str) -> tuple[int, int] | None:
    """Return base and length of a.b.c.d[/bits]. IPv4 only, as in ZooKeeper 3.8."""
    if len(text) > _LONGEST_NETWORK:
        return None
    base, slash, length = text.partition("/")
    address = _address(base)
    bits = _number(length) if slash else 32
    return None if address is None or not 0 <= bits <= 32 else (address, bits)


def _address(text: str) -> int | None:
    parts = [_number(part) for part in text.split(".")]
    if len(parts) != 4 or not all(0 <= part <= 255 for part in parts):
        return None
    return int.from_bytes(bytes(parts))


def _number(text: str) -> int:
    """Return a number as Java's parseInt reads it; -1 for what is none."""
    return int(text) if len(text) < 12 and _NUMBER.fullmatch(text) else -1
