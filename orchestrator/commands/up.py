"""`orchestrator up`: start an ensemble and keep it, in front of the terminal or behind it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.errors import InvalidInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


def up(
    members: Annotated[
        int | None, typer.Option(help="Voting members.  [default: 3]", metavar="N")
    ] = None,
    observers: Annotated[
        int | None, typer.Option(help="Members without a vote.  [default: 0]", metavar="M")
    ] = None,
    tick_time: Annotated[
        str | None,
        typer.Option(
            help="The unit of all times: session timeouts are 2 to 20 ticks.  [default: 200ms]",
            metavar="TIME",
        ),
    ] = None,
    init_limit: Annotated[
        int | None, typer.Option(help="Ticks to connect and sync with a leader.  [default: 50]")
    ] = None,
    sync_limit: Annotated[
        int | None, typer.Option(help="Ticks a member may be silent.  [default: 10]")
    ] = None,
    min_session_timeout: Annotated[
        str | None, typer.Option(help="[default: 2 ticks]", metavar="TIME")
    ] = None,
    max_session_timeout: Annotated[
        str | None, typer.Option(help="[default: 20 ticks]", metavar="TIME")
    ] = None,
    local_sessions: Annotated[
        bool,
        typer.Option("--local-sessions", help="New sessions are local, upgraded when needed."),
    ] = False,
    read_only_mode: Annotated[
        bool,
        typer.Option("--read-only-mode", help="Members without a quorum serve reads to some."),
    ] = False,
    extended_types: Annotated[
        bool, typer.Option("--extended-types", help="Znodes may have a time to live.")
    ] = False,
    enforce_quota: Annotated[
        bool, typer.Option("--enforce-quota", help="Hard quotas refuse writes.")
    ] = False,
    super_digest: Annotated[
        str | None,
        typer.Option(
            help="Who may do everything: super:HASH, where HASH is what"
            " `printf super:PASSWORD | openssl sha1 -binary | base64` prints.",
            metavar="ID",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Where members listen.  [default: 127.0.0.1]")
    ] = None,
    port_base: Annotated[
        int | None,
        typer.Option(help="Member n listens on P + n.  [default: free ports]", metavar="P"),
    ] = None,
    zk_port_base: Annotated[
        int | None,
        typer.Option(
            help="ZooKeeper's own protocol: member n listens on P + n.  [default: free ports]",
            metavar="P",
        ),
    ] = None,
    zk_tls_port_base: Annotated[
        int | None,
        typer.Option(help="The same over TLS, with the two files below.", metavar="P"),
    ] = None,
    zk_tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM: the members' certificate, its chain behind it.")
    ] = None,
    zk_tls_key: Annotated[
        Path | None, typer.Option(help="PEM: the certificate's key, without a passphrase.")
    ] = None,
    metrics_port_base: Annotated[
        int | None,
        typer.Option(
            help="/metrics for Prometheus: member n's is on P + n.  [default: free ports]",
            metavar="P",
        ),
    ] = None,
    metrics_host: Annotated[
        str | None, typer.Option(help="Where /metrics is served.  [default: 127.0.0.1]")
    ] = None,
    max_client_cnxns: Annotated[
        int | None,
        typer.Option(
            help="ZooKeeper connections from one host to one member; 0: any number.  [default: 60]",
            metavar="N",
        ),
    ] = None,
    four_letter_words: Annotated[
        str | None,
        typer.Option(
            help="Which are answered, with commas, or * for all.  [default: srvr]", metavar="WORDS"
        ),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(help="A rule for links, e.g. '3->1 delay=50ms'. Repeatable.", metavar="RULE"),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where it lives.  [default: .lagkeeper]", metavar="DIR"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML or TOML; flags override it.", metavar="FILE"),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it serves.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object when it serves, one for each change.")
    ] = False,
) -> None:
    """Start an ensemble and show it until Ctrl-C, which stops everything.

    \b
    Examples:
      orchestrator up
      orchestrator up --members 5 --observers 1 --tick-time 500ms
      orchestrator up --link '3->1 delay=50ms jitter=5ms' --link '*->2 hold only=COMMIT next=1'
      orchestrator up --zk-port-base 21810 --four-letter-words '*'
      orchestrator up --detach --dir /tmp/lab && orchestrator status --dir /tmp/lab

    A configuration file has the same keys, in snake_case, times in milliseconds or as text:

    \b
      members: 3
      tick_time_ms: 200ms
      local_sessions_enabled: true
      links: ["3->1 delay=50ms"]
    """
    from orchestrator.config import load_config

    given: dict[str, Any] = {
        "members": members,
        "observers": observers,
        "tick_time_ms": tick_time,
        "init_limit": init_limit,
        "sync_limit": sync_limit,
        "min_session_timeout_ms": min_session_timeout,
        "max_session_timeout_ms": max_session_timeout,
        "super_digest": super_digest,
        "host": host,
        "port_base": port_base,
        "zk_port_base": zk_port_base,
        "zk_tls_port_base": zk_tls_port_base,
        "zk_tls_certificate": zk_tls_certificate,
        "zk_tls_key": zk_tls_key,
        "metrics_port_base": metrics_port_base,
        "metrics_host": metrics_host,
        "max_client_cnxns": max_client_cnxns,
        "four_letter_words": four_letter_words,
        "links": tuple(link) if link else None,
        "directory": directory,
    }
    if local_sessions:
        given["local_sessions_enabled"] = given["local_sessions_upgrading_enabled"] = True
    switches = {
        "read_only_mode_enabled": read_only_mode,
        "extended_types_enabled": extended_types,
        "enforce_quota": enforce_quota,
    }
    # A flag not given leaves the word to the file.
    given |= {key: True for key, is_on in switches.items() if is_on}
    settings = load_config(
        config, {key: value for key, value in given.items() if value is not None}
    )
    if settings.directory.exists() and not settings.directory.is_dir():
        raise InvalidInput(f"--dir: {settings.directory} is no directory; choose another")
    if detach:
        _detach(settings, as_json)
    else:
        _stay(settings, as_json)


def _stay(settings: Any, as_json: bool) -> None:
    from orchestrator.display import JsonLines, Lines, LiveTable
    from orchestrator.keeper import keep

    if as_json or not sys.stdout.isatty():
        keep(settings, JsonLines() if as_json else Lines())
        return
    table = LiveTable()
    try:
        keep(settings, table)
    finally:
        table.close()


def _detach(settings: Any, as_json: bool) -> None:
    from orchestrator.display import plain_text
    from orchestrator.ensemble import Ensemble
    from orchestrator.launch import launch
    from orchestrator.views import as_json as view_json

    def on_wait(text: str) -> None:
        sys.stderr.write(f"orchestrator: {text}\n")

    keeper = launch(settings, is_tethered=False, on_wait=on_wait)
    with Ensemble.attach(settings.directory) as ensemble:
        view = ensemble.status()
    from orchestrator.commands.options import answer

    answer(
        as_json,
        f"{plain_text(view)}\nend it with 'orchestrator down --dir {settings.directory}'",
        {**view_json(view), "address": keeper.address},
    )
