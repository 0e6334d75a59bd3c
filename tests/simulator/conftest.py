"""`pytest tests/simulator --rewrite` writes the expected outputs of the scripts anew."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write what the interaction scripts print now as what is expected of them",
    )


@pytest.fixture
def is_rewriting(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("rewrite", default=False))
