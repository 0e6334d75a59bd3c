"""The tab in a real browser: on a running Locust, a real ensemble, real expiries."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.loadtests.web.browser import (
    answering,
    by_id,
    complaints,
    photograph,
    texts,
    wait_for,
)
from tests.loadtests.web.records import HOSTILE, links, record
from tests.loadtests.web.site import Site

pytestmark = pytest.mark.processes
CHARTS = ("ratio", "alive", "touched")


def order(browser: Chrome, link: str, rule: str) -> str:
    """Fill in the form and set the rule; return what the page then says."""
    for name, words in (("link", link), ("rule", rule)):
        by_id(browser, name).clear()
        by_id(browser, name).send_keys(words)
    before = by_id(browser, "answer").text
    browser.find_element(By.CSS_SELECTOR, "#rule-form [type=submit]").click()
    wait_for(lambda: by_id(browser, "answer").text != before)
    return by_id(browser, "answer").text


def counted(browser: Chrome, title: str) -> tuple[int, int]:
    """Reads and stale reads of the first row of that title: (0, 0) before there is one."""
    rows: list[list[str]] = browser.execute_script(
        "return [...document.querySelectorAll('#readers tbody tr:not(.group)')].map("
        "(row) => [...row.children].slice(0, 4).map((cell) => cell.textContent))"
    )
    reads, stale = next((row[2:] for row in rows if row[0] == title), ("0", "0"))
    return int(reads.replace(",", "")), int(stale.replace(",", ""))


def background(browser: Chrome) -> str:
    """The page's own colour."""
    found: str = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return found


def test_swarm_rule_and_stale_reads_are_seen_live(
    site: Site, browser: Chrome, leader_link: str, artefacts: Path
) -> None:
    browser.get(site.url)
    wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "[type=submit]"))[0].click()
    tabs = wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "[role=tab]"))
    next(tab for tab in tabs if tab.text.lower() == "stale reads").click()
    browser.switch_to.frame(wait_for(lambda: by_id(browser, "stale-reads")))
    title = "read: open session"
    wait_for(lambda: counted(browser, title)[0])
    reads, _ = counted(browser, title)
    wait_for(lambda: counted(browser, title)[0] > reads)
    assert texts(browser, "#rules tr") == []

    assert order(browser, leader_link, "delay=300ms") == f"{leader_link}: delay=300ms is in force"
    rows = wait_for(lambda: texts(browser, "#rules tr"))
    assert rows[0].startswith(f"{leader_link}delay=300ms")
    wait_for(lambda: texts(browser, "#rules td.number")[0] != "0")
    assert site.ensemble.link(leader_link).touched() > 0
    # On a busy machine some are stale without any rule, too.
    stale = counted(browser, title)[1]
    wait_for(lambda: counted(browser, title)[1] > stale + 1)
    wait_for(lambda: all(texts(browser, f"#{chart} :is(.line, .dot)") for chart in CHARTS))
    assert background(browser) == "rgb(255, 255, 255)"
    photograph(browser, artefacts / "stale-reads-light.png")

    # Locust's own switch is the last button of its header.
    browser.find_elements(By.CSS_SELECTOR, "header button")[-1].click()
    photograph(browser, artefacts / "stale-reads-dark.png")
    browser.switch_to.frame("stale-reads")
    wait_for(lambda: background(browser) == "rgb(18, 18, 18)")
    by_id(browser, "clear-link").click()
    wait_for(lambda: not texts(browser, "#rules tr"))
    browser.switch_to.default_content()
    browser.find_elements(By.CSS_SELECTOR, "[role=tab]")[0].click()
    wait_for(lambda: not by_id(browser, "stale-reads").is_displayed())
    assert complaints(browser) == []

    assert site.post("/stop", {}).status == 200
    browser.get(f"{site.url}/stale-reads/")
    wait_for(lambda: by_id(browser, "files").is_displayed())
    links = [link.get_attribute("href") or "" for link in browser.find_elements(By.TAG_NAME, "a")]
    kept = {link.rsplit("/")[-1]: site.get(link.removeprefix(site.url)) for link in links}
    assert f"{leader_link}: delay=300ms" in unescape(kept["report.html"].text)
    assert len(kept["table.csv"].text.splitlines()) > len(CHARTS)
    assert kept["record.json"].json["schema"] == "lagkeeper-load/1"


def test_refused_rule_is_told_in_the_ensembles_words(
    site: Site, browser: Chrome, leader_link: str
) -> None:
    browser.get(f"{site.url}/stale-reads/")
    wait_for(lambda: texts(browser, "#members li"))
    assert order(browser, leader_link, "delay=50") == "delay=50: without a unit; one of us, ms, s"
    assert by_id(browser, "rule").get_attribute("aria-invalid") == "true"
    assert "9" in order(browser, "3->9", "cut")
    assert texts(browser, "#rules tr") == []
    order(browser, leader_link, "delay=5ms")
    assert by_id(browser, "rule").get_attribute("aria-invalid") is None
    wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "#rules button"))[0].click()
    wait_for(lambda: not texts(browser, "#rules tr"))
    assert len(complaints(browser)) == 2  # the two refusals


def test_page_of_another_origin_cannot_change_a_rule(
    site: Site, browser: Chrome, leader_link: str
) -> None:
    site.ensemble.link(leader_link).set("delay=5ms")
    # To a browser this is another site, and Locust's own page allows it to send what it likes.
    browser.get(f"http://localhost:{site.port}/")
    status = browser.execute_async_script(
        "const done = arguments[1];"
        "fetch(arguments[0], {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify({links: '*->*'})}).then((r) => done(r.status), (e) => done(`${e}`))",
        f"{site.url}/stale-reads/links/clear",
    )
    assert status == 403
    assert len(complaints(browser)) == 1
    rules = [
        rule for m in site.ensemble.status().members for k in m.status.links for rule in k.rules
    ]
    assert len(rules) == 1


def test_text_from_elsewhere_stays_text(site: Site, browser: Chrome) -> None:
    with answering(browser, record(HOSTILE), links(HOSTILE)):
        browser.get(f"{site.url}/stale-reads/")
        wait_for(lambda: texts(browser, "#events li") and texts(browser, "#rules tr"))
        assert browser.find_elements(By.CSS_SELECTOR, "img, script:not([src]), #owned") == []
        assert HOSTILE in "".join(texts(browser, "#members li, #rules code"))
        parts = ("verdict", "readers", "events", "missing", "void", "group", "touched")
        for part in parts:
            selector = f"#{part}"
            assert HOSTILE in "".join(texts(browser, selector)), selector
        assert complaints(browser) == []


def test_every_part_of_a_record_is_shown(site: Site, browser: Chrome, artefacts: Path) -> None:
    with answering(browser, record(), links()):
        browser.get(f"{site.url}/stale-reads/")
        wait_for(lambda: texts(browser, "#readers tbody tr"))
        assert "read: open sessionnone40200.500" in texts(browser, "#readers tbody tr")[1]
        assert texts(browser, ".empty:not([hidden])") == []
        windows = ["W0", "W1", "W2 on member 1", "W2 on member 2"]
        assert texts(browser, "#windows .row-title") == windows
        assert "12 sessions, gone in 87.5 ms" in texts(browser, "#tiles dd")
        assert any("0.500 (20 of 40)" in text for text in texts(browser, "#ratio-legend li"))
        controls = browser.find_elements(By.CSS_SELECTOR, "input, select, button, svg[role=img]")
        names = [control.accessible_name for control in controls]
        assert names
        assert "" not in names
        photograph(browser, artefacts / "record.png")


def test_nothing_yet_is_said_in_words(site: Site, browser: Chrome) -> None:
    with answering(browser, None, {"members": [], "links": []}):
        browser.get(f"{site.url}/stale-reads/")
        wait_for(lambda: "No test has run yet" in by_id(browser, "verdict").text)
        assert len(texts(browser, ".empty:not([hidden])")) == 6
        assert complaints(browser) == []


def compute(browser: Chrome, expression: str, samples: list[dict[str, Any]]) -> Any:
    """What the page's own functions over samples make of these."""
    return browser.execute_async_script(
        "const [samples, done] = arguments;"
        f"import('./static/series.js').then((series) => done(series.{expression}))",
        samples,
    )


def test_ratio_of_a_stretch_is_that_of_its_own_reads(site: Site, browser: Chrome) -> None:
    browser.get(f"{site.url}/stale-reads/")
    points = compute(
        browser,
        "ratioPoints(samples, 'r', 2)",
        [
            {"t": 1, "readers": {"r": [10, 0]}},
            {"t": 2, "readers": {"r": [20, 5]}},
            {"t": 3, "readers": {"r": [20, 5]}},
            {"t": 4, "readers": {"r": [20, 5]}},
            # Begun anew: fewer than before.
            {"t": 5, "readers": {"r": [4, 4]}},
        ],
    )
    assert [(point["t"], point["value"], point["words"]) for point in points] == [
        (1, 0.25, "5 of 20"),
        (3, None, "0 of 0"),
        (5, 1, "4 of 4"),
    ]


def test_rule_touches_nothing_before_it_was_set(site: Site, browser: Chrome) -> None:
    browser.get(f"{site.url}/stale-reads/")
    since_the_third = [{"t": t, "n": n} for t, n in ((1, None), (2, None), (3, 50), (4, 60))]
    rate = "ratePoints(samples, (sample) => sample.n, 2, false)"
    assert compute(browser, rate, since_the_third) == [{"t": 3, "value": 30}]
    # Of a rule that is older than the run, only what it touched since counts.
    assert compute(browser, rate, since_the_third[2:]) == [{"t": 3, "value": 10}]
