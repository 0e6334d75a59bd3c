"""Register an ephemeral znode, fall silent, and see from another session how it goes.

python examples/ephemeral_expiry.py 127.0.0.1:7001,127.0.0.1:7002
"""

import argparse
import asyncio
import sys
import time

from client.aio import AsyncClient, connect_once
from client.errors import LagkeeperError


async def run(members: str) -> None:
    """Let one client expire under the eyes of another."""
    async with AsyncClient(members) as observer:
        worker = await AsyncClient(members, timeout_ms=2000).start()
        path = await worker.create("/worker-", b"alive", ephemeral=True, sequential=True)
        print(f"{path} belongs to session {worker.session_id:#x}")

        gone = asyncio.Event()
        await observer.exists(path, watch=lambda _: gone.set())
        member = worker.member or members
        started = time.monotonic()
        await worker.go_silent()
        await asyncio.wait_for(gone.wait(), 10 + 3 * worker.timeout_ms / 1000)
        print(f"{path} went {time.monotonic() - started:.2f} s after the last word")

        verdict = await connect_once(member, worker.session_id, worker.password, worker.timeout_ms)
        print(f"its session, asked for at {member}: {verdict.answer.value}")
        await worker.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="See an ephemeral znode go with its session.")
    parser.add_argument("members", help="addresses of members: host:port[,host:port...]")
    try:
        asyncio.run(run(parser.parse_args().members))
    except (LagkeeperError, TimeoutError) as error:
        print(f"error: {error or 'the znode is still there'}", file=sys.stderr)
        sys.exit(2)
