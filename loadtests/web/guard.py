"""Who may change something through the web UI: the page that this very server sent, and programs.

Owns the refusal of requests that another site's page made in somebody's browser. Authenticates
nobody: that is Locust's `--web-login`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

JSON = "application/json"


def refusal(
    *, site: str | None, origin: str | None, host: str, mimetype: str
) -> tuple[int, str] | None:
    """Status and reason if a request must not change anything; None if it may.

    `site`, `origin` and `host` are its headers Sec-Fetch-Site, Origin and Host. Locust answers
    every preflight with "any origin, any header", so a JSON content type alone keeps no foreign
    page out. Browsers say where a request comes from in headers that no script can set:
    Sec-Fetch-Site to trustworthy addresses, Origin to all. A program sends neither.
    """
    if site is not None:
        is_foreign = site != "same-origin"
    else:
        is_foreign = origin is not None and urlsplit(origin).netloc != host
    if is_foreign:
        return 403, f"a page of another origin ({origin or site}) may not change link rules"
    if mimetype != JSON:
        return 415, f"Content-Type is {mimetype or 'missing'}; it must be {JSON}"
    return None
