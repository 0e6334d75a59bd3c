"""`orchestrator status` and `orchestrator down`."""

from __future__ import annotations

import typer

from orchestrator.commands.options import DEFAULT_DIRECTORY, AsJson, Directory, answer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("down")(down)


def status(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Show members, sessions, and link rules with what they touched.

    \b
    Examples:
      orchestrator status
      orchestrator status --json | jq '.members[] | {sid, state: .status.state}'
    """
    from orchestrator.display import plain_text
    from orchestrator.ensemble import Ensemble
    from orchestrator.views import as_json as view_json

    with Ensemble.attach(directory) as ensemble:
        view = ensemble.status()
    answer(as_json, plain_text(view), view_json(view))


def down(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Stop every member and the orchestrator that keeps them.

    \b
    Example:
      orchestrator down --dir /tmp/lab
    """
    from orchestrator.directory import wait_until_free
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        ensemble.shut_down()
    wait_until_free(directory)
    answer(as_json, f"the ensemble in {directory} has ended", {"directory": str(directory)})
