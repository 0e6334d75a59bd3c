"""Who is refused, request by request."""

from __future__ import annotations

import pytest

from loadtests.web.guard import refusal

HOST = "127.0.0.1:8089"
HERE = f"http://{HOST}"
JSON = "application/json"


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("same-origin", HERE),
        # Behind a proxy that rewrites Host, what the browser itself says still counts.
        ("same-origin", "https://load.example"),
        (None, HERE),
        (None, None),
    ],
)
def test_own_page_and_programs_may_change_rules(site: str | None, origin: str | None) -> None:
    assert refusal(site=site, origin=origin, host=HOST, mimetype=JSON) is None


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("cross-site", "https://evil.example"),
        ("same-site", "http://127.0.0.1:9000"),
        ("none", None),
        ("cross-site", HERE),
        (None, "https://evil.example"),
        (None, "http://127.0.0.1:9000"),
        (None, f"https://evil.example/?{HOST}"),
        (None, f"http://{HOST}.evil.example"),
        (None, f"http://{HOST}@evil.example"),
        (None, "null"),
        (None, ""),
    ],
)
def test_page_of_another_origin_may_not(site: str | None, origin: str | None) -> None:
    refused = refusal(site=site, origin=origin, host=HOST, mimetype=JSON)
    assert refused is not None
    assert refused[0] == 403


@pytest.mark.parametrize("mimetype", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_what_a_plain_form_can_send_is_refused(mimetype: str) -> None:
    refused = refusal(site=None, origin=None, host=HOST, mimetype=mimetype)
    assert refused is not None
    assert refused[0] == 415
    assert JSON in refused[1]
