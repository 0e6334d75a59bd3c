"""`orchestrator expire SESSION` and `orchestrator closing hold|release`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import DEFAULT_DIRECTORY, AsJson, Directory, answer
from orchestrator.errors import InvalidInput


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("expire")(expire)
    closing = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Stall the leader between deciding that sessions expired and closing them.",
    )
    closing.command("hold")(hold)
    closing.command("release")(release)
    app.add_typer(closing, name="closing")


def expire(
    session: Annotated[str, typer.Argument(help="Its id, decimal or 0x hex.", metavar="SESSION")],
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Expire a session now, as if its timeout had passed.

    \b
    Example:
      orchestrator expire 0x1000a2b3c4d0000
    """
    from orchestrator.ensemble import Ensemble

    session_id = read_session_id(session)
    with Ensemble.attach(directory) as ensemble:
        leader = ensemble.expire(session_id)
    values = {"session_id": session_id, "leader": leader}
    answer(as_json, f"leader {leader} expires session 0x{session_id & _MASK:x}", values)


def hold(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """From now on sessions are marked closing, but not closed, until release (window W0).

    \b
    Example:
      orchestrator closing hold
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        leader = ensemble.hold_closing()
    answer(as_json, f"leader {leader} holds the closing of sessions", {"leader": leader})


def release(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Close what is marked closing, and go on as usual.

    \b
    Example:
      orchestrator closing release
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        leader = ensemble.release_closing()
    answer(as_json, f"leader {leader} closes sessions again", {"leader": leader})


_MASK = 0xFFFF_FFFF_FFFF_FFFF


def read_session_id(text: str) -> int:
    """The signed 64-bit id that `text` says, decimal or 0x hex. Raises InvalidInput."""
    try:
        value = int(text, 0)
    except ValueError:
        value = None
    if value is None or not -(2**63) <= value < 2**64:
        raise InvalidInput(
            f"'{text}' is no session id; write 64 bits, decimal or hex, e.g. 0x1000a2b3c4d0000"
        )
    # ZooKeeper prints ids unsigned in hex and keeps them signed.
    return value - 2**64 if value >= 2**63 else value
