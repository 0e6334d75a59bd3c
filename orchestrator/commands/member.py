"""`orchestrator kill|stop|start|pause|resume MEMBER`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.options import DEFAULT_DIRECTORY, AsJson, Directory, answer

if TYPE_CHECKING:
    from orchestrator.ensemble import Ensemble

Member = Annotated[int, typer.Argument(help="The member's sid.", metavar="MEMBER")]

_HELP = {
    "kill": ("killed", "Kill a member (SIGKILL): it has no time to say anything."),
    "stop": ("stopped", "Stop a member (SIGTERM): it closes its log and its connections."),
    "start": ("started", "Start a member again, on its own directory and port."),
    "pause": ("paused", "Pause a member (SIGSTOP): its connections stay open, it says nothing."),
    "resume": ("resumed", "Let a paused member go on (SIGCONT)."),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, (outcome, about) in _HELP.items():
        example = f"\b\nExample:\n  orchestrator {name} 2"
        app.command(name, help=f"{about}\n\n{example}")(_command(name, outcome))


def _command(name: str, outcome: str) -> Callable[..., None]:
    def command(
        member: Member, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
    ) -> None:
        from orchestrator.ensemble import Ensemble

        with Ensemble.attach(directory) as ensemble:
            _do(ensemble, name, member)
        answer(as_json, f"member {member} {outcome}", {"member": member, "outcome": outcome})

    return command


def _do(ensemble: Ensemble, name: str, member: int) -> None:
    actions: dict[str, Callable[[int], None]] = {
        "kill": ensemble.kill,
        "stop": ensemble.stop,
        "start": ensemble.start,
        "pause": ensemble.pause,
        "resume": ensemble.resume,
    }
    actions[name](member)
