"""Access lists: who matches which entry, and which lists are valid."""

from __future__ import annotations

import pytest

from nodes.core.acl import (
    ADMIN,
    ALL,
    CREATE,
    DELETE,
    READ,
    SUPER,
    WRITE,
    AclList,
    _shared,
    authenticate,
    check,
    digest_id,
    fix_up,
    masked,
    user_name,
)
from nodes.core.requests import OPEN_ACL, Acl, Id

ANN = Id("digest", digest_id("ann:secret"))
BOB = Id("digest", digest_id("bob:secret"))
HOME = Id("ip", "192.168.7.9")
IPV6 = Id("ip", "2001:db8::1")


def only(who: Id, perms: int = ALL) -> AclList:
    return (Acl(perms, who),)


def test_digest_is_the_users_name_and_the_hash_of_all() -> None:
    """`DigestAuthenticationProvider.generateDigest`; the value is ZooKeeper's own."""
    assert digest_id("super:test") == "super:D/InIHSb7yEEbrWz8b9l71RjZJU="


@pytest.mark.parametrize(
    ("acl", "perm", "ids", "may"),
    [
        (OPEN_ACL, ADMIN, (), True),
        ((), ADMIN, (), True),
        (only(Id("world", "anyone"), READ), READ, (), True),
        (only(Id("world", "anyone"), READ), WRITE, (ANN,), False),
        (only(Id("world", "someone")), READ, (ANN,), False),
        (only(ANN), WRITE, (ANN,), True),
        (only(ANN), WRITE, (HOME, ANN), True),
        (only(ANN), WRITE, (BOB,), False),
        (only(ANN, READ | CREATE), CREATE, (ANN,), True),
        (only(ANN, READ | CREATE), DELETE, (ANN,), False),
        # One bit of several is enough, as for getACL.
        (only(ANN, ADMIN), READ | ADMIN, (ANN,), True),
        # The bit and the identity must be in one entry.
        ((Acl(READ, ANN), Acl(WRITE, BOB)), WRITE, (ANN,), False),
        ((Acl(READ, ANN), Acl(WRITE, BOB)), WRITE, (ANN, BOB), True),
        (only(BOB), ALL, (SUPER, ANN), True),
        (only(Id("super", "")), READ, (ANN,), False),
        (only(Id("auth", "")), READ, (ANN,), False),
    ],
)
def test_check(acl: AclList, perm: int, ids: tuple[Id, ...], may: bool) -> None:
    """`ZooKeeperServer.checkACL`."""
    assert check(acl, perm, ids) is may


@pytest.mark.parametrize(
    ("network", "address", "matches"),
    [
        ("192.168.7.9", HOME, True),
        ("192.168.7.8", HOME, False),
        ("192.168.0.0/16", HOME, True),
        ("192.168.0.0/24", HOME, False),
        ("192.168.7.8/31", HOME, True),
        ("192.168.7.10/31", HOME, False),
        ("0.0.0.0/0", HOME, True),
        ("192.168.7.9/32", HOME, True),
        ("0.0.0.0/0", IPV6, False),
        ("0.0.0.0/0", Id("digest", "192.168.7.9"), False),
    ],
)
def test_addresses_match_by_network(network: str, address: Id, matches: bool) -> None:
    """`IPAuthenticationProvider.matches`."""
    assert check(only(Id("ip", network)), READ, (address,)) is matches


@pytest.mark.parametrize(
    "whom",
    [
        Id("world", "somebody"),
        Id("nosuch", "x"),
        Id("super", ""),
        Id("digest", ""),
        Id("digest", "ann"),
        Id("digest", "ann:"),
        Id("digest", "ann:b:c"),
        Id("ip", ""),
        Id("ip", "1.2.3"),
        Id("ip", "1.2.3.4.5"),
        Id("ip", "1.2.3.256"),
        Id("ip", "1.2.3.x"),
        Id("ip", "1.2.3.4/33"),
        Id("ip", "1.2.3.4/-1"),
        Id("ip", "1.2.3.4/"),
        Id("ip", "1.2.3.4/1/2"),
        Id("ip", "." * 100_000),
        Id("ip", "::1"),
        Id("auth", ""),
    ],
)
def test_invalid_entries_are_refused(whom: Id) -> None:
    """`PrepRequestProcessor.fixupACL`; an address is no proof, so "auth" has nobody here."""
    assert fix_up(only(whom), (HOME,)) is None
    assert fix_up((*OPEN_ACL, *only(whom)), (HOME,)) is None


@pytest.mark.parametrize(
    ("given", "ids", "kept"),
    [
        (OPEN_ACL, (), OPEN_ACL),
        (only(Id("ip", "10.0.0.0/8"), READ), (), only(Id("ip", "10.0.0.0/8"), READ)),
        (only(Id("digest", ":b")), (), only(Id("digest", ":b"))),
        (only(Id("digest", "a:b:")), (), only(Id("digest", "a:b:"))),
        (only(Id("auth", "whatever"), READ), (HOME, ANN), only(ANN, READ)),
        (
            (Acl(READ, Id("auth", "")), *only(BOB)),
            (ANN, BOB),
            (Acl(READ, ANN), Acl(READ, BOB), *only(BOB)),
        ),
        (only(Id("auth", "")), (SUPER, ANN), only(ANN)),
        (only(ANN) * 3 + only(ANN, READ), (), only(ANN) + only(ANN, READ)),
    ],
)
def test_fix_up(given: AclList, ids: tuple[Id, ...], kept: AclList) -> None:
    assert fix_up(given, ids) == kept


def test_an_empty_list_is_refused() -> None:
    assert fix_up((), (ANN,)) is None


def test_equal_lists_are_one_list() -> None:
    """The open one above all: the fast paths compare by identity."""
    assert fix_up((Acl(31, Id("world", "anyone")),), ()) is OPEN_ACL
    first = fix_up(only(Id("digest", "a:b")), ())
    assert first is fix_up(only(Id("digest", "a:b")), ())


def test_masked_hides_digests_only() -> None:
    """`GetACLResponse` for whoever may not administer."""
    acl = (Acl(READ, Id("digest", "ann:a:b")), Acl(READ, HOME), Acl(READ, Id("digest", "x")))
    assert masked(acl) == (
        Acl(READ, Id("digest", "ann:x")),
        Acl(READ, HOME),
        Acl(READ, Id("digest", "x")),
    )


@pytest.mark.parametrize(
    ("scheme", "auth", "ids"),
    [
        ("digest", b"ann:secret", (ANN,)),
        ("digest", b"foo", (Id("digest", digest_id("foo")),)),
        ("digest", b"super:test", (SUPER, Id("digest", digest_id("super:test")))),
        ("digest", b"super:other", (Id("digest", digest_id("super:other")),)),
        ("ip", b"1.2.3.4", (HOME,)),
        ("world", b"anyone", ()),
        ("super", b"", ()),
        ("nosuch", b"", ()),
    ],
)
def test_authenticate(scheme: str, auth: bytes, ids: tuple[Id, ...]) -> None:
    """`handleAuthentication` of each provider: what one claims is never one's address."""
    assert authenticate(scheme, auth, HOME.id, digest_id("super:test")) == ids


def test_nobody_is_super_unless_it_is_configured() -> None:
    assert authenticate("digest", b"super:test", "", "")[0] != SUPER


def test_who_am_i_tells_no_secret() -> None:
    assert [user_name(who) for who in (ANN, HOME, SUPER)] == ["ann", "192.168.7.9", ""]


def test_large_lists_are_not_kept_for_sharing() -> None:
    """Or whoever sends enough of them, valid or not, fills the memory of the leader."""
    many = tuple(Acl(READ, Id("digest", f"user{number}:x")) for number in range(100))
    long = (Acl(READ, Id("digest", "x" * 100_000 + ":x")),)
    before = _shared.cache_info().currsize
    for acl in (many, long):
        assert fix_up(acl, ()) == acl
    assert _shared.cache_info().currsize == before
