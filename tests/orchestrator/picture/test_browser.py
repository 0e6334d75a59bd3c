"""The page in a real browser: hover, filters, zoom, keyboard; and without its script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from orchestrator.picture import picture
from tests.loadtests.web.browser import by_id, chromium, complaints
from tests.orchestrator.picture.stories import w2_story

SHOWN = """
const things = [...document.querySelectorAll(arguments[0])];
return things.filter((thing) => getComputedStyle(thing).display !== "none").length;
"""
_OVERLAPS = """
const texts = [...document.querySelectorAll("#diagram .marks text, #diagram .texts text")];
const boxes = texts.map((e) => e.getBoundingClientRect()).filter((b) => b.width);
let found = 0;
boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
  const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  found += x > 2 && y > 4;
}));
return found;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("picture") / "race.html"
    file.write_text(picture(w2_story().records), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as started:
        yield started


def shown(browser: Chrome, selector: str) -> int:
    found: int = browser.execute_script(SHOWN, selector)
    return found


def box(browser: Chrome, kind: str, value: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, f'[data-filter="{kind}"][value="{value}"]')


def test_hover_filters_zoom_and_keyboard(browser: Chrome, page: Path) -> None:
    browser.set_window_size(1280, 900)
    browser.get(page.as_uri())
    assert browser.execute_script(_OVERLAPS) == 0

    stale = browser.find_element(By.CSS_SELECTOR, ".mark.stale")
    ActionChains(browser).move_to_element(stale).perform()
    tip = by_id(browser, "tip")
    assert tip.is_displayed()
    assert "exists /lock" in tip.text
    assert "owner victim" in tip.text

    commits = '.arrow[data-group="COMMIT"]'
    assert shown(browser, commits) == 2
    box(browser, "group", "COMMIT").click()
    assert shown(browser, commits) == 0
    assert shown(browser, '.arrow[data-group="ACK"]') == 1
    box(browser, "group", "COMMIT").click()

    assert shown(browser, '.arrow[data-group="PING"]') == 0
    box(browser, "group", "PING").click()
    assert shown(browser, '.arrow[data-group="PING"]') == 1

    assert shown(browser, ".mark.stale") == 1
    box(browser, "session", "100000000000001").click()
    assert shown(browser, ".mark.stale") == 0
    box(browser, "session", "100000000000001").click()

    diagram, stage = by_id(browser, "diagram"), by_id(browser, "stage")
    width = diagram.rect["width"]
    by_id(browser, "in").click()
    assert diagram.rect["width"] == pytest.approx(1.25 * width, rel=0.01)
    stage.send_keys("0")
    assert diagram.rect["width"] == pytest.approx(width, rel=0.01)
    stage.send_keys("+", "+", "+", Keys.ARROW_RIGHT)
    assert browser.execute_script("return arguments[0].scrollLeft", stage) > 0
    by_id(browser, "fit").click()
    assert diagram.rect["width"] <= stage.rect["width"] + 1
    assert complaints(browser) == []


def test_without_its_script_the_picture_is_there(browser: Chrome, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(page.as_uri())
        assert by_id(browser, "diagram").is_displayed()
        assert not by_id(browser, "tools").is_displayed()
        assert "stale read" in by_id(browser, "caption").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
