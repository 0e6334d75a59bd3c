"""`python -m nodes CONFIG.json`: one member in this process."""

from __future__ import annotations

import sys
from pathlib import Path

from nodes.config import ConfigError, load_config

USAGE = "usage: python -m nodes CONFIG.json"


def main(arguments: list[str]) -> None:
    """Be the member that the file describes; exit status 2 if it cannot be."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise SystemExit(_complain(USAGE))
    try:
        config = load_config(Path(arguments[0]))
    except ConfigError as error:
        raise SystemExit(_complain(str(error))) from None
    from nodes.process import run_member

    run_member(config)


def _complain(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 2


if __name__ == "__main__":
    main(sys.argv[1:])
