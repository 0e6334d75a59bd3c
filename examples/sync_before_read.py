"""Write through one member, read through another: without sync the read may be stale.

python examples/sync_before_read.py 127.0.0.1:7001 127.0.0.1:7002
"""

import argparse
import sys

from client.errors import LagkeeperError
from client.sync import Client


def run(writing: str, reading: str, rounds: int) -> None:
    """Count the reads that miss a write which has already been answered."""
    stale = {"plain": 0, "sync": 0}
    with Client(writing) as writer, Client(reading) as reader:
        path = writer.create("/counter-", b"0", sequential=True)
        reader.sync()
        for number in range(1, rounds + 1):
            for kind in stale:
                value = b"%d %s" % (number, kind.encode())
                writer.set(path, value)
                if kind == "sync":
                    reader.sync(path)
                stale[kind] += reader.get(path)[0] != value
        writer.delete(path)
    for kind, count in stale.items():
        print(f"{kind:>5}: {count} of {rounds} reads stale")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare reads with and without sync.")
    parser.add_argument("writing", help="address of the member to write to: host:port")
    parser.add_argument("reading", help="address of the member to read from: host:port")
    parser.add_argument("--rounds", type=int, default=100, help="reads of each kind")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: must be 1 or more")
    try:
        run(arguments.writing, arguments.reading, arguments.rounds)
    except LagkeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
