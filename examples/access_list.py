"""Protect a znode with a password: its owner may do everything, the world may read.

python examples/access_list.py 127.0.0.1:7001,127.0.0.1:7002
"""

import argparse
import sys

from client.acl import CREATOR_ALL_ACL, READ_ACL
from client.errors import LagkeeperError, NoAuthError
from client.sync import Client


def run(members: str) -> None:
    """Create as one user, try as nobody, clean up."""
    with Client(members) as owner, Client(members) as stranger:
        owner.add_auth("digest", b"me:secret")
        path = owner.create("/protected-", b"v1", sequential=True, acl=CREATOR_ALL_ACL + READ_ACL)
        for entry in owner.get_acl(path)[0]:
            print(f"{path}: {entry.perms} for {entry.id.scheme} {entry.id.id}")
        # The znode is committed, but the stranger's member may not have applied it yet.
        stranger.sync()
        print(f"the stranger reads {stranger.get(path)[0]!r}")
        try:
            stranger.set(path, b"v2")
        except NoAuthError as error:
            print(f"the stranger writes: {error}")
        who = ", ".join(f"{one.scheme} {one.id}" for one in owner.who_am_i())
        print(f"the owner, who is {who}, writes: version {owner.set(path, b'v2').version}")
        owner.delete(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Protect a znode with a password.")
    parser.add_argument("members", help="addresses of members: host:port[,host:port...]")
    try:
        run(parser.parse_args().members)
    except LagkeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
