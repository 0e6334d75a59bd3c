"""One ensemble and one Locust for all tests of the tab: both are slow to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from orchestrator.ensemble import Ensemble
from tests.loadtests.web.browser import chromium
from tests.loadtests.web.site import Site, locust_web_ui


@pytest.fixture(scope="package")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    # Long limits: a busy machine must cost time, not links and readers' sessions.
    limits: dict[str, Any] = {
        "init_limit": 200,
        "sync_limit": 100,
        "max_session_timeout_ms": 20_000,
    }
    directory = tmp_path_factory.mktemp("web") / "ensemble"
    with Ensemble(members=3, tick_time_ms=50, directory=directory, **limits) as started:
        yield started


@pytest.fixture(scope="package")
def site(ensemble: Ensemble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    log = tmp_path_factory.mktemp("locust") / "locust.log"
    with locust_web_ui(
        ensemble,
        log,
        *("--dir", str(ensemble.config.directory)),
        *("-u", "21", "-r", "21", "--stop-timeout", "2"),
        *("--session-timeout", "900", "--lifetime", "1", "--read-every", "1"),
        *("--readers", "open,new", "--mitigations", "none,sync"),
    ) as started:
        yield started


@pytest.fixture(scope="package")
def browser() -> Iterator[Chrome]:
    with chromium() as started:
        yield started


@pytest.fixture
def leader_link(ensemble: Ensemble) -> Iterator[str]:
    """The link on which commits travel to the first follower; without rules before and after."""
    leader = ensemble.leader()
    follower = next(sid for sid in (1, 2, 3) if sid != leader)
    ensemble.link("*->*").clear()
    yield f"{leader}->{follower}"
    ensemble.link("*->*").clear()


@pytest.fixture(scope="package")
def artefacts(pytestconfig: pytest.Config) -> Path:
    """Where screenshots are left for whoever wants to look."""
    directory = pytestconfig.rootpath / "artefacts"
    directory.mkdir(exist_ok=True)
    return directory
