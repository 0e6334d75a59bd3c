"""Access lists: who may do what with a znode, in ZooKeeper's words.

Owns the entries, the usual lists and the form of a digest identity. Checks nothing: whether a
list is valid, and what it allows, is the members' to say.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1

READ = 1
WRITE = 2
CREATE = 4
DELETE = 8
ADMIN = 16
ALL = 31


@dataclass(slots=True, frozen=True)
class Id:
    """Who somebody is: a scheme (world, auth, digest, ip, super) and an id in it."""

    scheme: str
    id: str


@dataclass(slots=True, frozen=True)
class Acl:
    """An entry of an access list; `perms` is the sum of READ, WRITE, CREATE, DELETE, ADMIN."""

    perms: int
    id: Id


ANYONE = Id("world", "anyone")
# Stands for every identity that the creator has added to its session, and needs one.
AUTH_IDS = Id("auth", "")

OPEN_ACL = (Acl(ALL, ANYONE),)
READ_ACL = (Acl(READ, ANYONE),)
CREATOR_ALL_ACL = (Acl(ALL, AUTH_IDS),)


def digest_id(user: str, password: str) -> Id:
    """Return the identity that `add_auth("digest", b"user:password")` gives."""
    hashed = sha1(f"{user}:{password}".encode(), usedforsecurity=False).digest()
    return Id("digest", f"{user}:{b64encode(hashed).decode()}")
