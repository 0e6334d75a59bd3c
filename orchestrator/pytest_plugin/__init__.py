"""The pytest plugin: an ensemble as a fixture, to test what one's own application does on expiry.

Owns what pytest sees: fixtures, the marker, an option, hooks. Loaded with every run of pytest
wherever Lagkeeper is installed, so it imports nothing but pytest until a test asks for an ensemble.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from orchestrator.ensemble import Ensemble
    from orchestrator.pytest_plugin.pool import Lease, Pool

MARKER = (
    "lagkeeper(link=TEXT or [TEXT, ...], strict_rules=False, members=3, tick_time_ms=200, ...): "
    "the ensemble that the test gets, and the link rules that are in force from its beginning; "
    "see docs/testing-your-application.md"
)
KEPT_IN = ".lagkeeper-failures"
NOTES_KEY = "lagkeeper_notes"
_POOL: pytest.StashKey[Pool] = pytest.StashKey()
_LEASE: pytest.StashKey[Lease] = pytest.StashKey()
_NOTES: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to keep what explains a failure."""
    what = "where the traces and the picture of a failed test's ensemble are kept"
    group = parser.getgroup("lagkeeper")
    group.addoption("--lagkeeper-keep", metavar="DIR", help=f"{what} (default: {KEPT_IN})")
    parser.addini("lagkeeper_keep", what, default=KEPT_IN)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)
    config.stash[_NOTES] = []


def pytest_unconfigure(config: pytest.Config) -> None:
    """End every ensemble, however the run ended."""
    pool = config.stash.get(_POOL, None)
    if pool is not None:
        pool.close()


@pytest.fixture
def ensemble(request: pytest.FixtureRequest) -> Iterator[Ensemble]:
    """A running ensemble (`orchestrator.ensemble.Ensemble`), as new: no session, znode or rule.

    Members, ticks, link rules, ...: `@pytest.mark.lagkeeper(members=5, link="3->1 delay=50ms")`.
    """
    from orchestrator.errors import OrchestratorError
    from orchestrator.pytest_plugin.pool import Pool
    from orchestrator.pytest_plugin.settings import WrongMarker, settings_of

    stash, node = request.config.stash, request.node
    if _POOL not in stash:
        stash[_POOL] = Pool(stash[_NOTES].append)
    try:
        lease = stash[_POOL].lease(settings_of(node), node.nodeid)
    except (OrchestratorError, WrongMarker) as error:
        raise pytest.fail.Exception(f"no ensemble: {error}", pytrace=False) from None
    node.stash[_LEASE] = lease
    try:
        lease.set_rules()
        yield lease.ensemble
    finally:
        stash[_POOL].give_back(lease)


@pytest.fixture
def zookeeper_hosts(ensemble: Ensemble) -> str:
    """`host:port,host:port,...` of the ensemble, for any ZooKeeper client."""
    return ensemble.zookeeper_hosts


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse a marker that cannot be, at its place, before any test runs."""
    report = yield
    marked = [
        item
        for item in report.result or ()
        if isinstance(item, pytest.Item) and item.get_closest_marker("lagkeeper") is not None
    ]
    if marked:
        from orchestrator.pytest_plugin.settings import complaints

        if wrong := complaints(marked):
            report.outcome, report.result, report.longrepr = "failed", [], "\n".join(wrong)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A rule of the marker that touched nothing: the test tried nothing."""
    outcome = yield
    lease = item.stash.get(_LEASE, None)
    if lease is not None and (untouched := lease.untouched_rules()):
        said = f"{', '.join(untouched)} touched no message, so the test tried nothing"
        if lease.settings.has_strict_rules:
            pytest.fail(f"the rule {said}", pytrace=False)
        item.config.stash[_NOTES].append(f"{item.nodeid}: the rule {said}")
    return outcome


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Lift what is left in force, before fixtures close clients that would wait for it."""
    lease = item.stash.get(_LEASE, None)
    if lease is not None:
        lease.mend()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what explains a failure, while the ensemble still is as the test left it."""
    report = yield
    lease = item.stash.get(_LEASE, None)
    if report.failed and lease is not None:
        from orchestrator.pytest_plugin.keeping import keep

        directory = item.config.getoption("lagkeeper_keep") or item.config.getini("lagkeeper_keep")
        report.sections.append(("lagkeeper", keep(lease, item.config.rootpath / Path(directory))))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its notes to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[NOTES_KEY] = session.config.stash[_NOTES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over a worker's notes."""
    node.config.stash[_NOTES] += getattr(node, "workeroutput", {}).get(NOTES_KEY, ())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was not as it should be, though no test failed by it."""
    if notes := config.stash[_NOTES]:
        terminalreporter.section("lagkeeper")
        for note in notes:
            terminalreporter.line(note)
