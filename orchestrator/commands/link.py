"""`orchestrator link …`: rules on links, and what they touched."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import DEFAULT_DIRECTORY, AsJson, Directory, answer

Links = Annotated[
    str, typer.Argument(help="'3->1', with * for any end; several with commas.", metavar="LINKS")
]
Only = Annotated[
    str, typer.Option(help="Only this kind or transaction type.", metavar="KIND[txnType]")
]
Next = Annotated[
    int, typer.Option(help="Only the next so many that match; 0: all.", metavar="N", min=0)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    links = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Delay, hold, cut or break links between members.",
    )
    for command in (set_rule, list_links, hold, release, cut, heal, reset, clear):
        links.command(_NAMES.get(command.__name__, command.__name__))(command)
    app.add_typer(links, name="link")


def set_rule(
    words: Annotated[
        list[str],
        typer.Argument(
            help="The links as for hold, then delay=, jitter=, distribution=, hold, cut, only=,"
            " next=, probability=; in one argument or in several.",
            metavar="LINKS RULE...",
        ),
    ],
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Add a rule; it replaces one with the same action and match.

    \b
    Examples:
      orchestrator link set '3->1 delay=50ms jitter=5ms distribution=normal'
      orchestrator link set '*->2' 'hold only=COMMIT[closeSession] next=1'
      orchestrator link set '1->2,1->3' delay=1.5s only=PROPOSAL probability=0.1
    """
    from orchestrator.ensemble import Ensemble

    links, _, text = " ".join(words).strip().partition(" ")
    with Ensemble.attach(directory) as ensemble:
        found = ensemble.link(links).set(text)
    answer(as_json, f"{', '.join(found)}: {text}", {"links": found, "rule": text})


def list_links(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List every link with its rules, and what they touched.

    \b
    Example:
      orchestrator link list
    """
    from orchestrator.display import aligned
    from orchestrator.ensemble import Ensemble
    from orchestrator.views import LINK_COLUMNS, link_rows, links_json

    with Ensemble.attach(directory) as ensemble:
        view = ensemble.status()
    text = aligned(LINK_COLUMNS, link_rows(view, with_idle=True))
    answer(as_json, text, {"links": links_json(view)})


def hold(
    links: Links,
    only: Only = "",
    next: Next = 0,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Keep messages, and all behind them except pings, until release.

    \b
    Examples:
      orchestrator link hold '3->1'
      orchestrator link hold '3->1' --only 'COMMIT[closeSession]' --next 1
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        found = ensemble.link(links).hold(only=only, next=next)
    answer(as_json, f"{', '.join(found)}: held", {"links": found})


def release(
    links: Links, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """End holds: what waited goes on at once, in order.

    \b
    Example:
      orchestrator link release '3->1'
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        released = ensemble.link(links).release()
    answer(as_json, f"{links}: {released} messages released", {"released": released})


def cut(links: Links, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Silence links, pings too, until heal.

    \b
    Example:
      orchestrator link cut '1->*,*->1'
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        found = ensemble.link(links).cut()
    answer(as_json, f"{', '.join(found)}: cut", {"links": found})


def heal(links: Links, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """End cuts: what waited goes on at once, in order.

    \b
    Example:
      orchestrator link heal '*->*'
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        released = ensemble.link(links).heal()
    answer(as_json, f"{links}: healed, {released} messages released", {"released": released})


def reset(links: Links, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Break links once: both sides notice, what is on its way is lost.

    \b
    Example:
      orchestrator link reset '3->1'
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        lost = ensemble.link(links).reset()
    answer(as_json, f"{links}: reset, {lost} messages lost", {"lost": lost})


def clear(
    links: Annotated[str, typer.Argument(help="'3->1', …; all without it.")] = "*->*",
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Take every rule off.

    \b
    Examples:
      orchestrator link clear
      orchestrator link clear '3->1'
    """
    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        released = ensemble.link(links).clear()
    answer(as_json, f"{links}: cleared, {released} messages released", {"released": released})


_NAMES = {"set_rule": "set", "list_links": "list"}
