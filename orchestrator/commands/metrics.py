"""`orchestrator metrics`: tell Prometheus where an ensemble's metrics are."""

from __future__ import annotations

from typing import Any

import typer

from orchestrator.commands.options import DEFAULT_DIRECTORY, AsJson, Directory, answer

# Windows last milliseconds, runs a minute: Prometheus' own minute would miss most of it.
_SCRAPE_EVERY = "1s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("metrics")(metrics)


def metrics(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Print a configuration with which Prometheus finds every member's /metrics.

    \b
    Examples:
      orchestrator metrics > prometheus.yml && prometheus --config.file prometheus.yml
      curl $(orchestrator metrics --json | jq -r '.urls[0]')

    docs/grafana/lagkeeper.json is a Grafana dashboard for it.
    """
    import yaml

    from orchestrator.ensemble import Ensemble

    with Ensemble.attach(directory) as ensemble:
        view = ensemble.status()
    urls = [member.metrics_url for member in view.members]
    answer(as_json, yaml.safe_dump(_scrape_config(urls), sort_keys=False).rstrip(), {"urls": urls})


def _scrape_config(urls: list[str]) -> dict[str, Any]:
    targets = [url.removeprefix("http://").removesuffix("/metrics") for url in urls]
    job = {
        "job_name": "lagkeeper",
        "scrape_interval": _SCRAPE_EVERY,
        "static_configs": [{"targets": targets}],
    }
    return {"scrape_configs": [job]}
