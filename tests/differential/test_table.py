"""The numbers of the observables are in the names of the scripts: none may be missing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.differential.meant import section

FIDELITY = Path(__file__).parents[2] / "docs" / "fidelity.md"
OBSERVABLES = set(range(1, 46))


def test_every_observable_has_a_script() -> None:
    names = [
        name
        for path in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    covered = {int(number) for name in names for number in re.findall(r"_(\d\d)(?=_)", name)}
    assert covered == OBSERVABLES


def test_the_documents_have_the_table_of_meant_differences() -> None:
    document = FIDELITY.read_text(encoding="utf-8")
    assert section() in document, "run `make fidelity`"
