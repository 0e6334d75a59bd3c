"""`orchestrator` and `python -m orchestrator`. Light: every member's process imports it again."""

from __future__ import annotations

import os
import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    # gRPC tells of every connection that a stopped member closes, in the middle of our output.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # As members do (`nodes.process`): half the context switches for each message.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
    try:
        from orchestrator.cli import run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
