"""/metrics of a member for Prometheus: an HTTP port of its own, on threads of its own.

Owns the port and the names of what is ours (`lagkeeper_...`). Measures nothing: `nodes.metrics`
does, on the event loop, as long as it takes to copy the numbers; writing them is the threads'.
prometheus-client is loaded when somebody asks for the first time, so that members start as fast
without it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nodes.metrics import WINDOW_BOUNDS_S, Gathered, Histogram

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import Metric

_ANSWER_S = 5.0
_CLIENT_S = 5.0


class MetricsPort:
    """Invariant: from `start` to `close` the port answers, whatever the event loop does."""

    def __init__(self, host: str, port: int) -> None:
        """Take the port; raises OSError if it cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.get_running_loop()
        self._gather: Callable[[], Gathered]
        self._server: WSGIServer | None = None
        self._is_closed = False

    def start(self, gather: Callable[[], Gathered]) -> None:
        """Answer from now on; `gather` is called on the event loop that runs."""
        self._gather = gather
        self._loop.add_reader(self._socket, self._on_first)

    async def close(self) -> None:
        """Answer no more."""
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        if self._server is not None:
            await asyncio.to_thread(self._server.shutdown)
        self._socket.close()

    def _on_first(self) -> None:
        """Somebody connects for the first time: it waits until the thread takes its call."""
        self._loop.remove_reader(self._socket)
        threading.Thread(target=self._serve, name="metrics", daemon=True).start()

    def _serve(self) -> None:
        try:
            server = _make_server(self._socket, self._collect)
        except OSError:
            return  # closed while prometheus-client was being loaded
        if not self._is_closed:
            self._server = server
            server.serve_forever(poll_interval=0.1)

    def _collect(self) -> Iterator[Metric]:
        """The families, of numbers that are all of one instant."""
        asked = asyncio.run_coroutine_threadsafe(self._gather_on_loop(), self._loop)
        return families(asked.result(_ANSWER_S))

    async def _gather_on_loop(self) -> Gathered:
        return self._gather()


def _make_server(listening: socket.socket, collect: Callable[[], Iterable[Metric]]) -> WSGIServer:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
    from prometheus_client.registry import Collector

    class Member(Collector):
        def collect(self) -> Iterable[Metric]:
            return collect()

        def describe(self) -> Iterable[Metric]:
            return ()

    class Handler(WSGIRequestHandler):
        # A client that says nothing keeps its thread no longer than this.
        timeout = _CLIENT_S

        def log_message(self, format: str, *args: Any) -> None:
            """Members keep no access log."""

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away, or was too slow."""

    registry = CollectorRegistry()
    registry.register(Member())
    ProcessCollector(registry=registry)
    server = Server(listening.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_name, server.server_port = listening.getsockname()[:2]
    server.setup_environ()
    server.set_app(_or_unavailable(make_wsgi_app(registry)))
    return server


def _or_unavailable(app: Any) -> Any:
    """The same, but 503 while the member is too busy to say anything."""

    def answer(environ: Any, start_response: Any) -> Any:
        try:
            return app(environ, start_response)
        except (TimeoutError, RuntimeError):  # busy; or its loop has ended
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"the member is busy\n"]

    return answer


def families(gathered: Gathered) -> Iterator[Metric]:
    """Every metric of a member: ZooKeeper's, then ours."""
    from prometheus_client import Metric
    from prometheus_client.core import GaugeMetricFamily, SummaryMetricFamily

    values = gathered.zookeeper
    for name, value in values.gauges.items():
        yield GaugeMetricFamily(name, f"ZooKeeper's {name}", value)
    for name, count in values.counters.items():
        # ZooKeeper's counters have no _total; as a counter, the library would give them one.
        untyped = Metric(name, f"ZooKeeper's {name}, a counter", "unknown")
        untyped.add_sample(name, {}, count)
        yield untyped
    for name, (count, total) in values.summaries.items():
        yield SummaryMetricFamily(name, f"ZooKeeper's {name}", count, total)
    yield from _member(gathered)
    yield from _links(gathered)
    yield from _windows(gathered.windows)


def _member(gathered: Gathered) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    status = gathered.status
    info = GaugeMetricFamily("lagkeeper_member", "1; who it is", labels=("sid", "state", "phase"))
    info.add_metric((str(status.sid), status.state.name, status.phase), 1)
    yield info
    for name, about, value in (
        ("serving", "whether it serves clients", status.is_serving),
        ("epoch", "the epoch it is in", status.epoch),
        ("last_zxid", "the last transaction applied", status.last_zxid),
        ("last_logged_zxid", "the last transaction logged", status.last_logged_zxid),
        ("outstanding_proposals", "proposed, not committed", status.outstanding_proposals),
        ("closing_sessions", "marked closing, not applied", status.closing_sessions),
        ("closing_is_held", "whether expiry is stalled before submit", status.closing_is_held),
        ("disk_delay_seconds", "the delay of every log sync", gathered.disk_delay_s),
    ):
        yield GaugeMetricFamily(f"lagkeeper_{name}", about, float(value))
    expired = CounterMetricFamily(
        "lagkeeper_sessions_expired", "Sessions that this member expired", labels=("kind",)
    )
    expired.add_metric(("global",), gathered.sessions_expired)
    expired.add_metric(("local",), gathered.local_sessions_expired)
    yield expired


def _links(gathered: Gathered) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    connected = GaugeMetricFamily("lagkeeper_link_connected", "1 while open", labels=("link",))
    waiting = GaugeMetricFamily(
        "lagkeeper_link_waiting", "Messages delayed, held or cut", labels=("link",)
    )
    sent = CounterMetricFamily(
        "lagkeeper_link_sent", "Messages sent, by kind", labels=("link", "kind")
    )
    touched = CounterMetricFamily(
        "lagkeeper_link_touched", "Messages that a rule touched", labels=("link", "rule")
    )
    for link in gathered.links:
        connected.add_metric((link.name,), link.is_connected)
        waiting.add_metric((link.name,), link.waiting)
        for kind, count in sorted(link.sent_by_kind.items()):
            sent.add_metric((link.name, kind), count)
        for rule, count in link.touched.items():
            touched.add_metric((link.name, rule), count)
    yield from (connected, waiting, sent, touched)


def _windows(windows: dict[str, Histogram]) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "lagkeeper_window_seconds",
        "W0 marked to submitted, W1 to committed (both on the leader), W2 to applied here",
        labels=("window",),
    )
    for name, histogram in windows.items():
        buckets, below = [], 0
        for bound, count in zip((*WINDOW_BOUNDS_S, float("inf")), histogram.counts, strict=True):
            below += count
            buckets.append((str(bound) if bound != float("inf") else "+Inf", below))
        family.add_metric((name,), buckets, histogram.total_s)
    yield family
