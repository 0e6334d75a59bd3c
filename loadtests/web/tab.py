"""The routes of the tab "Stale reads", and how it gets into Locust's web UI.

Owns the tab's entry, the page and its data, and the orders to set and clear link rules. Locust's
UI lets an extension add a tab, but only a table of statistics into it; so a script of ours shows
our own page there, in a frame. The page stands on its own, too: /stale-reads/.

Nothing here waits for the ensemble except the requests that ask it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request
from locust.env import Environment
from locust.web import WebUI

from loadtests.record import current
from loadtests.report.page import html_of
from loadtests.report.schema import parse
from loadtests.report.table import csv_of
from loadtests.web.ensemble import describe, open_links
from loadtests.web.guard import refusal
from orchestrator.errors import InvalidInput, NotAnswering, NotPossible, OrchestratorError

TITLE, KEY = "Stale reads", "stale-reads"
PATH = f"/{KEY}"
# The browser itself keeps the page from loading or sending anything elsewhere, and from running
# a script that a member's name or a rule's text might smuggle in.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_SCRIPT = f'<script type="module" src=".{PATH}/static/tab.js"></script>'
_LONGEST_ORDER = 4096
_STATUS = {InvalidInput: 400, NotPossible: 409, NotAnswering: 503}
_logger = logging.getLogger(__name__)

View = Callable[..., Any]


def add_stale_reads_tab(environment: Environment, **_: Any) -> None:
    """Add the tab, if Locust runs with its web UI. A listener of Locust's `init` event."""
    web_ui = environment.web_ui
    if web_ui is None:
        return
    entries = web_ui.template_args
    entries.setdefault("extended_tabs", []).append({"title": TITLE, "key": KEY})
    # For Locust's own tab "Download Data".
    entries.setdefault("extended_csv_files", []).extend(
        {"title": f"Download stale reads ({what})", "href": f".{PATH}/files/{name}"}
        for name, (what, _, _) in _FILES.items()
    )
    assert web_ui.app is not None
    web_ui.app.after_request(_with_script)
    web_ui.app.register_blueprint(_routes(environment, web_ui))


def _with_script(response: Response) -> Response:
    """Add our script to Locust's own page."""
    if request.endpoint != "locust.index" or response.mimetype != "text/html":
        return response
    page = response.get_data(as_text=True)
    if response.status_code == 200 and "</body>" not in page:
        _logger.warning("this release's page has no place for the tab; see %s/ instead", PATH)
    response.set_data(page.replace("</body>", f"{_SCRIPT}</body>"))
    return response


def _routes(environment: Environment, web_ui: WebUI) -> Blueprint:
    assert web_ui.app is not None
    base = web_ui.app.blueprints["locust"].url_prefix or ""
    routes = Blueprint(
        "stale_reads",
        __name__,
        url_prefix=base.rstrip("/") + PATH,
        static_folder="static",
        static_url_path="/static",
    )
    orders = _Orders(environment)
    views: tuple[tuple[str, str, View], ...] = (
        ("GET", "/", lambda: routes.send_static_file("page.html")),
        ("GET", "/data", _data),
        ("GET", "/files/<name>", _file),
        ("GET", "/links", orders.show),
        ("POST", "/links/set", orders.set_rule),
        ("POST", "/links/clear", orders.clear),
    )
    for method, path, view in views:
        endpoint = f"{method} {path}".replace("/", "_")
        # Inside of the login's wrapper, which takes every error for one of its own.
        guarded = web_ui.auth_required_if_enabled(_telling(view))  # type: ignore[no-untyped-call]
        routes.add_url_rule(path, endpoint, guarded, methods=[method])
    routes.before_request(_refuse_foreign_orders)
    routes.after_request(_with_policy)
    return routes


def _data() -> Response:
    """The record of the test that runs or ran last, null before the first.

    Of its samples only those after `?since=SECONDS`: a long run has thousands.
    """
    recorder = current()
    if recorder is None:
        return jsonify(None)
    record = recorder.snapshot()
    since = request.args.get("since", -1.0, type=float)
    samples = [sample for sample in record["samples"] if sample["t"] > since]
    return jsonify({**record, "samples": samples})


def _file(name: str) -> Response:
    """The record as a file to keep, in one of the forms that a report has."""
    recorder = current()
    if name not in _FILES:
        raise InvalidInput(f"no file {name!r}; there are {', '.join(_FILES)}")
    if recorder is None:
        raise NotPossible("no test has run yet, so there is nothing to report")
    _, mimetype, form = _FILES[name]
    # As JSON has it: a report must be the same whether it is made now or of a saved record.
    values = json.loads(json.dumps(recorder.snapshot()))
    response = Response(form(values), mimetype=mimetype)
    response.headers["Content-Disposition"] = f"attachment; filename=stale-reads-{name}"
    return response


# By name: what it is, its type, and how it is made of the record's values.
_FILES: dict[str, tuple[str, str, Callable[[dict[str, Any]], str]]] = {
    "report.html": ("report", "text/html", lambda values: html_of(parse(values, "this run"))),
    "table.csv": ("CSV", "text/csv", lambda values: csv_of(parse(values, "this run"))),
    "record.json": ("JSON", "application/json", lambda values: json.dumps(values, indent=1)),
}


class _Orders:
    """What the page may ask of the ensemble that Locust's options name at that time."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def show(self) -> Response:
        """Members, links and rules."""
        with open_links(*self._where()) as links:
            return jsonify(describe(links.view()))

    def set_rule(self) -> Response:
        """Set `rule` on `links`."""
        order = _order("links", "rule")
        with open_links(*self._where()) as links:
            found = links.set_rule(order["links"], order["rule"])
        return jsonify({"links": found, "rule": order["rule"]})

    def clear(self) -> Response:
        """Take every rule off `links`."""
        order = _order("links")
        with open_links(*self._where()) as links:
            return jsonify({"links": order["links"], "released": links.clear(order["links"])})

    def _where(self) -> tuple[str, str]:
        options = self._environment.parsed_options
        assert options is not None
        return options.members, options.dir


def _order(*names: str) -> dict[str, str]:
    """The texts of that name in the request. Raises InvalidInput if it has none."""
    values = request.get_json(silent=True)
    if not isinstance(values, dict):
        raise InvalidInput("the request's body is not a JSON object")
    for name in names:
        if not isinstance(values.get(name), str) or not values[name].strip():
            raise InvalidInput(f"{name}: say which, as a text such as {_EXAMPLES[name]}")
    return {name: values[name].strip() for name in names}


_EXAMPLES = {"links": "3->1, *->1 or 1->2,1->3", "rule": "delay=50ms, hold or cut"}


def _refuse_foreign_orders() -> tuple[Response, int] | None:
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if request.content_length is None or request.content_length > _LONGEST_ORDER:
        return jsonify({"error": f"an order has at most {_LONGEST_ORDER} bytes, and says so"}), 413
    headers = request.headers
    refused = refusal(
        site=headers.get("Sec-Fetch-Site"),
        origin=headers.get("Origin"),
        host=request.host,
        mimetype=request.mimetype,
    )
    return None if refused is None else (jsonify({"error": refused[1]}), refused[0])


def _with_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-cache"
    return response


def _telling(view: View) -> View:
    """Answer with the error's line where there is one."""

    def answer(**values: str) -> Any:
        try:
            return view(**values)
        except OrchestratorError as error:
            return jsonify({"error": str(error)}), _STATUS.get(type(error), 500)

    return answer
