"""`orchestrator scenario …`: run, list, show, begin and check scenarios."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.options import AsJson, answer
from orchestrator.errors import InvalidInput

EXIT_BAD = 2
EXIT_INTERRUPTED = 130


class Where(StrEnum):
    """What scenarios are played on."""

    PROCESSES = "processes"
    SIMULATOR = "simulator"
    BOTH = "both"


def register(app: typer.Typer) -> None:
    """Add `scenario`."""
    scenarios = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Play experiments that are written down, on processes or in virtual time.",
    )
    scenarios.command("run")(run)
    scenarios.command("list")(list_scenarios)
    scenarios.command("show")(show)
    scenarios.command("new")(new)
    scenarios.command("lint")(lint)
    app.add_typer(scenarios, name="scenario")


NAMES_HELP = "Packaged scenarios by name, or files."
Names = Annotated[list[str] | None, typer.Argument(help=NAMES_HELP, metavar="NAME_OR_FILE...")]
Name = Annotated[str, typer.Argument(help="A packaged scenario, or a file.")]


def run(
    names: Names = None,
    on: Annotated[Where, typer.Option("--on", help="What to play on.")] = Where.PROCESSES,
    is_all: Annotated[bool, typer.Option("--all", help="Every packaged scenario.")] = False,
    times: Annotated[int, typer.Option("--times", "-n", min=1, help="Play each so often.")] = 1,
    variant: Annotated[str | None, typer.Option(help="Only this variant.")] = None,
    seed: Annotated[int, typer.Option(help="The simulator's; each further time, the next.")] = 1,
    history: Annotated[
        Path | None,
        typer.Option(help="Keep the history, as JSON lines; of several runs, one file each."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw each variant into an HTML page; of several, one page each."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play scenarios and tell the verdict of each variant.

    Exit status 0 if all passed, 1 if a variant failed, 2 if one is inconclusive or a file is
    wrong.

    \b
    Examples:
      orchestrator scenario run w2-lagging-follower
      orchestrator scenario run mine.yaml --on both --times 20
      orchestrator scenario run w2-lagging-follower --variant plain --picture race.html
      orchestrator scenario run --all --on simulator --json
    """
    from orchestrator.scenario.batch import Batch
    from orchestrator.scenario.keeping import Keeping
    from orchestrator.scenario.reading import catalogue
    from orchestrator.scenario.run import load_scenario
    from orchestrator.scenario.show import Teller, progress

    chosen = catalogue() if is_all else list(names or ())
    if not chosen:
        raise InvalidInput("no scenario named; see 'orchestrator scenario list', or say --all")
    if is_all and names:
        raise InvalidInput(f"--all and {names[0]}: say one of the two")
    scenarios = [load_scenario(name) for name in chosen]
    places = ["simulator", "processes"] if on is Where.BOTH else [on.value]
    batch = Batch(scenarios, places, times=times, variant=variant, seed=seed)
    keeping = Keeping(history, picture, runs=batch.size)
    batch.with_messages = keeping.wants_messages
    teller = Teller(keeping, as_json=as_json)
    try:
        with progress(batch.size) as say:
            asyncio.run(batch.run(teller.tell, say))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    teller.conclude()
    raise typer.Exit(batch.exit_status)


def list_scenarios(as_json: AsJson = False) -> None:
    """List the packaged scenarios.

    \b
    Example:
      orchestrator scenario list
    """
    from orchestrator.display import aligned
    from orchestrator.scenario.reading import catalogue
    from orchestrator.scenario.run import load_scenario
    from orchestrator.scenario.show import summary_json

    found = [load_scenario(name) for name in catalogue()]
    rows: list[tuple[str, ...]] = [
        (s.name, " ".join(s.head.windows), str(len(s.head.variants)), s.head.title) for s in found
    ]
    text = aligned(("name", "windows", "variants", "title"), rows)
    answer(as_json, text, {"scenarios": [summary_json(scenario) for scenario in found]})


def show(name: Name, as_json: AsJson = False) -> None:
    """Show a scenario: its file, where it was met, and its variants.

    \b
    Example:
      orchestrator scenario show w2-lagging-follower
    """
    from orchestrator.scenario.reading import find_text
    from orchestrator.scenario.run import load_scenario
    from orchestrator.scenario.show import summary, summary_json

    scenario = load_scenario(name)
    file, text = find_text(name)
    values = {**summary_json(scenario), "file": file, "text": text}
    answer(as_json, f"{summary(scenario)}\n\n{file}:\n\n{text.rstrip()}", values)


def new(
    name: Annotated[str, typer.Argument(help="Of the scenario: lower case, digits, hyphens.")],
) -> None:
    """Begin a scenario: write NAME.yaml here, with comments, which runs as it is.

    \b
    Example:
      orchestrator scenario new my-race && orchestrator scenario run my-race.yaml
    """
    from orchestrator.scenario.reading import template

    text = template(name)
    file = Path(f"{name}.yaml")
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise InvalidInput(f"{file} is there already; choose another name") from None
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}") from None
    sys.stdout.write(f"{file} written; play it with 'orchestrator scenario run {file}'\n")


def lint(
    files: Annotated[list[str], typer.Argument(help=NAMES_HELP, metavar="NAME_OR_FILE...")],
    as_json: AsJson = False,
) -> None:
    """Find what could never work, without playing anything. Exit status 0, or 2 for problems.

    \b
    Example:
      orchestrator scenario lint mine.yaml
    """
    from orchestrator.scenario.reading import ScenarioProblems
    from orchestrator.scenario.run import load_scenario

    lines: list[str] = []
    found: list[dict[str, str | int]] = []
    for file in files:
        try:
            load_scenario(file)
        except ScenarioProblems as problems:
            lines += problems.lines()
            found += [
                {"file": problems.file, "line": problem.line, "problem": problem.text}
                for problem in problems.problems
            ]
    if as_json:
        sys.stdout.write(json.dumps({"problems": found}) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines or ["no problems"]))
    raise typer.Exit(EXIT_BAD if found else 0)
