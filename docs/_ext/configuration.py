"""The keys of an ensemble's configuration, as the program reads them."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from orchestrator.config import EnsembleConfig


def as_markdown() -> str:
    """A row for each key."""
    rows = ["| key | default | what |", "|---|---|---|"]
    for name, field in EnsembleConfig.model_fields.items():
        default = field.default
        shown = "" if default in (PydanticUndefined, None, "", ()) else f"`{_shown(default)}`"
        rows.append(f"| `{name}` | {shown} | {field.description or ''} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
