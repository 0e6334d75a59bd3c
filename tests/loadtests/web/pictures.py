"""Takes the pictures of the tab in docs/images, from a real run of a minute and a half.

    python -m tests.loadtests.web.pictures

Light: a rule is set by the page's own form, and reads on the slow member have become stale. Dark:
the rule is cleared again, and they are not any more. A busy machine shows in them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from orchestrator.ensemble import Ensemble
from tests.loadtests.web.browser import by_id, chromium, photograph, wait_for
from tests.loadtests.web.site import Site, locust_web_ui

IMAGES = Path(__file__).parents[3] / "docs" / "images"
RULE = "delay=250ms jitter=30ms distribution=normal"
WIDTH = 1360
# Sessions are told 80 ms after the mark: an undelayed member has applied the end by then.
LOAD = (
    *("-u", "90", "-r", "40", "--stop-timeout", "2", "ServiceUser"),
    *("--lifetime", "2.5", "--reconnect-after", "80"),
    *("--ends", "silence=2,crash=2,close=1,cut=1"),
    *("--readers", "open,new,open@leader", "--mitigations", "none,sync,compare"),
)


def main() -> None:
    """Run it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    limits = {"init_limit": 200, "sync_limit": 100, "max_session_timeout_ms": 30_000}
    with (
        tempfile.TemporaryDirectory() as directory,
        Ensemble(members=3, directory=f"{directory}/ensemble", **limits) as ensemble,  # type: ignore[arg-type]
    ):
        leader = ensemble.leader()
        slow = next(sid for sid in (1, 2, 3) if sid != leader)
        where = ("--dir", f"{directory}/ensemble", "--slow-member", str(slow))
        with (
            locust_web_ui(ensemble, Path(directory) / "log", *where, *LOAD) as site,
            chromium() as browser,
        ):
            _take(site, browser, f"{leader}->{slow}")


def _take(site: Site, browser: Chrome, link: str) -> None:
    browser.set_window_size(WIDTH, 1000)
    browser.get(site.url)
    wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "[type=submit]"))[0].click()
    tabs = wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "[role=tab]"))
    next(tab for tab in tabs if tab.text.lower() == "stale reads").click()
    browser.switch_to.frame(wait_for(lambda: by_id(browser, "stale-reads")))
    time.sleep(30)
    by_id(browser, "link").send_keys(link)
    by_id(browser, "rule").send_keys(RULE)
    browser.find_element(By.CSS_SELECTOR, "#rule-form [type=submit]").click()
    time.sleep(40)
    photograph(browser, IMAGES / "stale-reads-light.png")
    browser.find_elements(By.CSS_SELECTOR, "header button")[-1].click()
    browser.switch_to.frame("stale-reads")
    by_id(browser, "clear-all").click()
    time.sleep(20)
    photograph(browser, IMAGES / "stale-reads-dark.png")
    site.post("/stop", {})


if __name__ == "__main__":
    main()
