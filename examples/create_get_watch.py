"""Create a znode, read it, and be told when it changes.

python examples/create_get_watch.py 127.0.0.1:7001,127.0.0.1:7002
"""

import argparse
import sys
import threading

from client.errors import LagkeeperError
from client.ops import WatchEvent
from client.sync import Client
from client.watches import EventType


def run(members: str) -> None:
    """Create, get, watch, set, delete."""
    changed = threading.Event()

    def on_event(event: WatchEvent) -> None:
        print(f"watch: {EventType(event.type).name} {event.path}")
        changed.set()

    with Client(members) as client:
        print(f"session {client.session_id:#x} on {client.member}, {client.timeout_ms} ms")
        path = client.create("/example-", b"first", sequential=True)
        data, stat = client.get(path, watch=on_event)
        print(f"get: {path} is {data!r}, version {stat.version}")
        stat = client.set(path, b"second", version=stat.version)
        changed.wait(5)
        print(f"set: version {stat.version}")
        client.delete(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Create a znode, read it, watch it.")
    parser.add_argument("members", help="addresses of members: host:port[,host:port...]")
    try:
        run(parser.parse_args().members)
    except LagkeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
