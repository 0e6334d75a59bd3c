"""The command line: finds the command's module, runs it, and turns what fails into one line.

Each command lives in a module of its own with a function `register(app)`. Only the module of the
command that is run gets loaded, since `up` must not pay for what others import.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

import typer

from orchestrator.errors import OrchestratorError

# A new command is one more line here.
COMMANDS = {
    "up": "orchestrator.commands.up",
    "status": "orchestrator.commands.inspect",
    "down": "orchestrator.commands.inspect",
    "metrics": "orchestrator.commands.metrics",
    "link": "orchestrator.commands.link",
    "kill": "orchestrator.commands.member",
    "stop": "orchestrator.commands.member",
    "start": "orchestrator.commands.member",
    "pause": "orchestrator.commands.member",
    "resume": "orchestrator.commands.member",
    "expire": "orchestrator.commands.session",
    "closing": "orchestrator.commands.session",
    "race": "orchestrator.race.command",
    "bench": "orchestrator.bench",
    "scale": "orchestrator.scale",
    "trace": "orchestrator.picture.command",
    "sim": "orchestrator.simulator.command",
    "chaos": "orchestrator.chaos.command",
    "check": "orchestrator.checker.command",
    "scenario": "orchestrator.scenario.command",
    "load": "orchestrator.load.command",
    "report": "orchestrator.commands.report",
    "history": "orchestrator.history.command",
}
EXIT_BAD = 2


def build(command: str | None) -> typer.Typer:
    """The command line with this command, or with all of them if it is none of ours."""
    app = typer.Typer(
        name="orchestrator",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_about)
    chosen = [COMMANDS[command]] if command in COMMANDS else list(COMMANDS.values())
    for module in dict.fromkeys(chosen):
        importlib.import_module(module).register(app)
    return app


def _about() -> None:
    """Start an ensemble of real processes, disturb it link by link, and see what clients see.

    Commands that act on a running ensemble find it by its directory: --dir, .lagkeeper unless
    said otherwise.
    """


def run() -> None:
    """Run the command line of this process, and exit with its status."""
    arguments = sys.argv[1:]
    command = next((word for word in arguments if not word.startswith("-")), None)
    try:
        status = build(command)(arguments, standalone_mode=False)
    except OrchestratorError as error:
        _fail(str(error))
    except BrokenPipeError:
        # Whoever read our output went away, as `head` does; say nothing more, there either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_BAD)
    except Exception as error:
        # By name: Typer carries a Click of its own.
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            sys.exit(EXIT_BAD)
        _fail(_usage(error))
    sys.exit(status if isinstance(status, int) else 0)


def _usage(error: Any) -> str:
    """What is wrong with the command line itself; other errors are ours and stay as they are."""
    if not hasattr(error, "format_message"):
        raise error
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "orchestrator"
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    return f"{message}; see '{path} --help'"


def _fail(message: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"orchestrator: {' '.join(message.split())}\n")
    sys.exit(EXIT_BAD)
