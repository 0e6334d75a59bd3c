"""Chromium without a screen, and where it looks at the tab."""

from __future__ import annotations

import json
import os
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

PATIENCE_S = 45.0
Seen = TypeVar("Seen")


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser; skips the test where there is none."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--hide-scrollbars", "--window-size=1500,1000"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Its sandbox refuses to run for root.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=ChromeService(driver)) as browser:
        yield browser


def wait_for(look: Callable[[], Seen], patience_s: float = PATIENCE_S) -> Seen:
    """Look until there is something to see; what was seen last is in the failure."""
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s in vain, seen: {seen!r}"
        time.sleep(0.1)
    return seen


def by_id(browser: Chrome, name: str) -> WebElement:
    """An element of the document or frame at hand."""
    return browser.find_element(By.ID, name)


def texts(browser: Chrome, selector: str) -> list[str]:
    """The text of every element that matches, read at one instant: the page keeps changing."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim())"
    found: list[str] = browser.execute_script(script, selector)
    return found


# As the server does, it sends only samples that are new.
_FETCH = """
window.fetch = async (path) => {
  const { pathname, searchParams } = new URL(path, location);
  const answer = answers[pathname.split("/").pop()];
  const since = Number(searchParams.get("since") ?? -1);
  const samples = answer?.samples?.filter(({ t }) => t > since);
  const body = JSON.stringify(samples ? { ...answer, samples } : answer);
  return new Response(body, { headers: { "Content-Type": "application/json" } });
};
"""


@contextmanager
def answering(browser: Chrome, record: Any, links: Any) -> Iterator[None]:
    """Let pages hear these instead of what their server says."""
    source = f"const answers = {json.dumps({'data': record, 'links': links})};{_FETCH}"
    order = "Page.addScriptToEvaluateOnNewDocument"
    script = browser.execute_cdp_cmd(order, {"source": source})
    try:
        yield
    finally:
        browser.execute_cdp_cmd(order.replace("add", "remove"), script)


def complaints(browser: Chrome) -> list[str]:
    """What the browser's console holds against the page since it was asked last."""
    entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def photograph(browser: Chrome, file: Path) -> None:
    """The whole page, not only what fits into the window."""
    browser.switch_to.default_content()
    size: dict[str, int] = browser.execute_script(
        "const page = document.documentElement;"
        "return {width: page.clientWidth, height: page.scrollHeight}"
    )
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot",
        {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "scale": 1, **size}},
    )
    file.write_bytes(b64decode(shot["data"]))
