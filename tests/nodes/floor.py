"""What no member can be faster than: `python -m tests.nodes.floor`.

A message over gRPC and back, between two processes, alone and many in one; a sync of the disk. All
as members do it: the same event loop, the same settings of gRPC, the same call to the disk.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

# It sets gRPC as members have it, before gRPC is loaded.
import nodes.process  # noqa: F401

# isort: split
import grpc
import grpc.aio
import uvloop

Call = grpc.aio.StreamStreamCall[bytes, bytes]
METHOD = "/floor/Echo"
MESSAGE = b"x" * 160
PACKED = 64
ALONE, MANY, SYNCS = 2000, 1000, 300


def serve(tell: Connection) -> None:
    """Be the other process: give every message back."""
    uvloop.run(_serve(tell))


async def _serve(tell: Connection) -> None:
    async def echo(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        while (message := await context.read()) is not grpc.aio.EOF:
            await context.write(message)

    server = grpc.aio.server()
    handler: Any = grpc.stream_stream_rpc_method_handler(echo)
    generic = grpc.method_handlers_generic_handler("floor", {"Echo": handler})
    server.add_generic_rpc_handlers((generic,))
    tell.send(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()


async def round_trip_ms(port: int) -> float:
    """One message at a time, there and back: the median."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Call = channel.stream_stream(METHOD)()
        times_ms = []
        for _ in range(ALONE):
            began = time.perf_counter()
            await call.write(MESSAGE)
            await call.read()
            times_ms.append((time.perf_counter() - began) * 1000)
        call.cancel()
    return median(times_ms)


async def packed_a_second(port: int) -> float:
    """Many messages in one stream write, there and back."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Call = channel.stream_stream(METHOD)()
        began = time.perf_counter()
        for _ in range(MANY):
            await call.write(MESSAGE * PACKED)
            await call.read()
        spent_s = time.perf_counter() - began
        call.cancel()
    return MANY * PACKED / spent_s


def sync_ms() -> float:
    """fdatasync behind 4 KiB more of a file: the median."""
    times_ms = []
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as directory,
        Path(directory, "log").open("ab") as file,
    ):
        for _ in range(SYNCS):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times_ms.append((time.perf_counter() - began) * 1000)
    return median(times_ms)


def main() -> None:
    """Print the table."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        port = mine.recv()
        alone_ms = uvloop.run(round_trip_ms(port))
        packed = uvloop.run(packed_a_second(port))
    finally:
        process.kill()
        process.join()
    print(f"{alone_ms:8.2f} ms  a message of {len(MESSAGE)} bytes over gRPC and back, alone")  # noqa: T201
    print(f"{1e6 / packed:8.2f} us  the same, {PACKED} in one stream write, each")  # noqa: T201
    print(f"{sync_ms():8.2f} ms  fdatasync of 4 KiB")  # noqa: T201


if __name__ == "__main__":
    main()
