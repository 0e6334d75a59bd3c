"""Follow everything below a path with one watch that stays, also across reconnects.

python examples/persistent_watch.py 127.0.0.1:7001,127.0.0.1:7002 /services
python examples/persistent_watch.py 127.0.0.1:7001 /services --seconds 60
"""

import argparse
import sys
import time

from client.errors import LagkeeperError
from client.events import SessionEvent
from client.ops import WatchEvent, WatchMode
from client.sync import Client
from client.watches import EventType


def run(members: str, path: str, seconds: float) -> None:
    """Watch for some time, print what comes."""

    def on_event(event: WatchEvent) -> None:
        print(f"{EventType(event.type).name} {event.path}", flush=True)

    def on_session_event(event: SessionEvent) -> None:
        # A persistent watch is set again after a reconnect, but what happened in between is not
        # told: whoever keeps a copy of the tree has to read it again.
        if event is SessionEvent.DISCONNECTED:
            print("disconnected: changes may be missed from here", flush=True)

    with Client(members, listener=on_session_event) as client:
        client.add_watch(path, on_event, WatchMode.PERSISTENT_RECURSIVE)
        print(f"watching {path} on {client.member}", flush=True)
        time.sleep(seconds)
        client.remove_watches(path, on_event)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Follow everything below a path.")
    parser.add_argument("members", help="addresses of members: host:port[,host:port...]")
    parser.add_argument("path", nargs="?", default="/", help="what to watch (default: /)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long (default: 10)")
    arguments = parser.parse_args()
    try:
        run(arguments.members, arguments.path, arguments.seconds)
    except LagkeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
