"""A kazoo application that loses its leadership to the race, and the cure.

It leads while its session owns an ephemeral znode, and it looks through a session of its own,
opened earlier, on another member. Told that its session expired, it looks who leads now. Behind
a slow link it sees its own dead znode, takes it for somebody else's, and stands by: nobody leads.
With `--cure` it compares the znode's owner with its old session, and creates the znode itself.

orchestrator up --link '3->1 delay=400ms'      # say that member 3 leads
python examples/kazoo_leader/leader.py 127.0.0.1:2184 127.0.0.1:2182 [--cure]
orchestrator expire SESSION                    # as it printed
"""

import argparse
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NodeExistsError
from kazoo.handlers.threading import KazooTimeoutError

PATH = "/kazoo-leader"
SETTLE_S = 1.5


def address(text: str) -> str:
    """Check what was typed."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not host:port")
    return text


def connect(member: str) -> KazooClient:
    """Open a session on one member."""
    client = KazooClient(member, timeout=10)
    client.start(timeout=10)
    return client


def somebody_leads(lookout: KazooClient, dead_session: int, *, is_cured: bool) -> bool:
    """What the session opened earlier shows, which may be the past."""
    stat = lookout.exists(PATH)
    if stat is None:
        return False
    # The znode of a session that one knows to be dead is no leader's.
    return not (is_cured and stat.ephemeralOwner == dead_session)


def lead(candidate: KazooClient) -> None:
    """Create the znode; where it is still there, it is on its way out."""
    while True:
        try:
            candidate.create(PATH, ephemeral=True)
            return
        except NodeExistsError:
            time.sleep(0.05)


def run(member: str, lookout_member: str, *, is_cured: bool) -> None:
    """Lead, be expired, look, decide."""
    candidate, lookout = connect(member), connect(lookout_member)
    expired, back = threading.Event(), threading.Event()

    def on_state(state: str) -> None:
        if state == KazooState.LOST:
            expired.set()
        elif state == KazooState.CONNECTED and expired.is_set():
            back.set()

    try:
        lead(candidate)
        lookout.sync(PATH)
        session = candidate.client_id[0]
        candidate.add_listener(on_state)
        print(f"leading in session {session:#x}", flush=True)
        expired.wait()
        if somebody_leads(lookout, session, is_cured=is_cured):
            print("expired; somebody else leads: standing by")
        else:
            print("expired; nobody leads: leading again")
            back.wait()
            lead(candidate)
        time.sleep(SETTLE_S)
        lookout.sync(PATH)
        print("in the end", "somebody leads" if lookout.exists(PATH) else "nobody leads")
    finally:
        for client in (candidate, lookout):
            client.stop()
            client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Lose leadership to the race, or do not.")
    parser.add_argument(
        "member", type=address, help="wire address of the member to lead through: host:port"
    )
    parser.add_argument(
        "lookout", type=address, help="wire address of the member to look through: host:port"
    )
    parser.add_argument("--cure", action="store_true", help="compare owners before giving way")
    arguments = parser.parse_args()
    try:
        run(arguments.member, arguments.lookout, is_cured=arguments.cure)
    except (KazooException, KazooTimeoutError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        sys.exit(2)
