"""Locust users whose sessions expire, and who then look whether their ephemeral znodes are gone.

    orchestrator up --link '3->1 delay=50ms'
    locust -f loadtests/locustfile.py --headless -u 200 -r 50 -t 30s
    locust -f loadtests/locustfile.py --web-host 127.0.0.1      # the same from its web UI
    locust -f loadtests/locustfile.py --headless -u 500 -r 50 -t 1m ServiceUser --shape storm

A ServiceUser registers an ephemeral znode, lives for a while, goes down in one of the `--ends`, is
told that its session is over, and looks for the znode in one way (`--readers` and `--mitigations`,
dealt out in turn). A WatcherUser relies on a watch instead; a ReaderUser looks services up at any
time. A stale read is a result, not a failure; failures in Locust's statistics are real errors.

When a client reconnects decides what it can see. Presenting the id of a session that is not yet
expired revives it, and coming late misses the window. `--told-by mark` (the default) waits for
the leader's trace that the session was marked closing, `--reconnect-after` ms more, and only then
presents the id: the race's best chance. `--told-by poll` waits until the session must have
expired, as a client does that knows nothing of the leader: on average one tick later.

A round counts only if the member in question showed the znode before the end: a fresh answer about
a znode that never was there would prove nothing.

One process makes the record (`--record`): the only one, or the master of several (`--processes N`,
`--master`); workers send it their counters in their reports.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import gevent
import grpc.experimental.gevent
import locust.runners
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, Runner, WorkerRunner

from loadtests.conductor import RESTART, STORM, Conductor
from loadtests.histories import begin_history, forget_parts, merge_histories
from loadtests.interrupts import interrupt_main
from loadtests.knobs import SetupError, add_knobs, knobs_said, read_knobs, record_path
from loadtests.laboratory import Laboratory
from loadtests.read_audit import sentence_on
from loadtests.readers import SLOW
from loadtests.record import Failure, Recorder, begin, current
from loadtests.reports import Share, Sum
from loadtests.shapes import AskedShape
from loadtests.stale_reads import StaleReads, console, table_of
from loadtests.users import Program, ReaderUser, ServiceUser, WatcherUser
from loadtests.web.tab import add_stale_reads_tab

__all__ = ["AskedShape", "ReaderUser", "ServiceUser", "WatcherUser"]

READY, STRUCK, FINISH = "lagkeeper-ready", "lagkeeper-struck", "lagkeeper-finish"
_LAST_REPORTS_S = 20.0
_MISSING_S = 5.0
_WORKER_PATIENCE_S = 15
_GREATEST_SEED = 2**31
_STREAMS = 1000
_logger = logging.getLogger(__name__)


class Running:
    """What this process holds of the test that runs; `refusal` says why it could not begin.

    `share` is a worker's, `sum` the master's; `conductor` is where the record is made.
    `awaited` are the workers that have not answered yet: to the beginning, or to a restart.
    """

    conductor: Conductor | None = None
    share: Share | None = None
    sum: Sum | None = None
    refusal: str | None = None
    awaited: set[str] = set()


def _on_parser(parser: LocustArgumentParser) -> None:
    add_knobs(parser)


def _on_init(environment: Environment, **_: Any) -> None:
    # Here and not on import: `--processes` forks between the two. And before the first channel:
    # gRPC's own waiting would block every greenlet otherwise.
    grpc.experimental.gevent.init_gevent()
    # gRPC waits for each open stream on a thread of this pool. It has ten: with all of them taken
    # by streams of traces, nothing else would ever be answered.
    gevent.get_hub().threadpool.maxsize = _STREAMS
    interrupt_main()
    runner = _runner(environment)
    if not isinstance(runner, MasterRunner):
        runner.register_message(STORM, _on_storm)
        runner.register_message(RESTART, _on_restart, concurrent=True)
        runner.register_message(FINISH, _on_finish, concurrent=True)
    if isinstance(runner, WorkerRunner):
        return
    # Locust gives a worker up, and the test with the last one, after 3 s without a sign of it: less
    # than a machine may stall for that is kept busy by thousands of clients.
    locust.runners.HEARTBEAT_LIVENESS = _WORKER_PATIENCE_S
    runner.register_message(READY, _on_ready)
    runner.register_message(STRUCK, _on_struck)
    add_stale_reads_tab(environment)


# The beginning of a test


def _on_test_start(environment: Environment, **_: Any) -> None:
    runner = _runner(environment)
    environment.process_exit_code = None
    Running.refusal = None
    try:
        if not isinstance(runner, WorkerRunner):
            _begin_record(environment, runner)
        if not isinstance(runner, MasterRunner):
            _begin_load(environment, runner)
            runner.send_message(READY)
    except SetupError as error:
        _refuse(environment, error)


def _begin_record(environment: Environment, runner: Runner) -> None:
    """Make the record, and see to what happens once: on the master, or in the only process."""
    options = environment.parsed_options
    assert options is not None
    options.seed = options.seed or SystemRandom().randrange(1, _GREATEST_SEED)
    workers = set(runner.clients) if isinstance(runner, MasterRunner) else set()
    recorder = Recorder(options.seed, knobs_said(options), max(1, len(workers)))
    recorder.failures = lambda: _failures(environment)
    begin(recorder)
    knobs = read_knobs(options)
    forget_parts(knobs.history)
    if knobs.shape == "ramp" and not isinstance(environment.shape_class, AskedShape):
        raise SetupError("--shape ramp: choose the shape AskedShape in the class picker")

    def give_up(why: str) -> None:
        _logger.error("%s", why)
        environment.process_exit_code = 1
        gevent.spawn(_end_test, environment)

    def ask(kind: str, data: dict[str, Any]) -> None:
        if kind == RESTART:
            Running.awaited = _workers(runner)
        runner.send_message(kind, data)

    Running.conductor = Conductor(knobs, recorder, lambda: runner.user_count, ask, give_up)
    Running.awaited = _workers(runner)
    Running.sum = Sum(recorder, workers) if isinstance(runner, MasterRunner) else None
    members = Running.conductor.members
    if knobs.link_rules and SLOW in members.places and members.places[SLOW].words == "slow member":
        # Told to the workers with the other knobs: they need not find it out for themselves.
        options.slow_member = members.places[SLOW].sid
    places = ", ".join(f"{p.words}: member {p.sid}" for p in members.places.values())
    _logger.info("%s; services are on %s; seed %d", places, knobs.victim_member, options.seed)
    Running.conductor.start()


def _workers(runner: Runner) -> set[str]:
    """Those that are still there; none if this is the only process."""
    nodes = runner.clients.all if isinstance(runner, MasterRunner) else ()
    return {node.id for node in nodes if node.state != STATE_MISSING}


def _begin_load(environment: Environment, runner: Runner) -> None:
    assert environment.parsed_options is not None
    knobs = read_knobs(environment.parsed_options)
    # A worker's share of the random choices: another one than its neighbour's, the same next time.
    index = getattr(runner, "worker_index", 0)
    worker = index if isinstance(runner, WorkerRunner) else None
    history = begin_history(knobs.history, worker)
    laboratory = Laboratory(knobs, Random(f"{knobs.seed}-{index}"), history)
    for sentence in laboratory.missing:
        _logger.warning("%s", sentence)
    recorder = current()
    if recorder is not None:
        recorder.counts = laboratory.counts
        for sentence in laboratory.missing:
            recorder.lack(sentence)
    audit = laboratory.audit.counts if laboratory.audit is not None else None
    if recorder is not None:
        recorder.audit = audit
    if isinstance(runner, WorkerRunner):
        Running.share = Share(laboratory.counts, audit)
    Program.laboratory = laboratory


def _on_ready(environment: Environment, msg: Any, **_: Any) -> None:
    Running.awaited.discard(msg.node_id)
    if Running.conductor is not None and not Running.awaited:
        Running.conductor.all_are_ready()


def _refuse(environment: Environment, error: SetupError) -> None:
    """Say why the test cannot begin and end it; the web UI stays, for another try.

    A worker goes on without: its users end at once, and its last report says why.
    """
    _logger.error("%s", error)
    Running.refusal = str(error)
    runner, recorder = _runner(environment), current()
    if isinstance(runner, WorkerRunner):
        runner.send_message(READY)
        return
    environment.process_exit_code = 2
    if recorder is not None:
        recorder.lack(f"the test could not begin: {error}")
    _end_record(environment)
    gevent.spawn(_end_test, environment)
    # Ends the greenlet that fires test_start, and that would go on to spawn users.
    raise gevent.GreenletExit


def _end_test(environment: Environment) -> None:
    runner = _runner(environment)
    if environment.web_ui:
        runner.stop()
    else:
        runner.quit()


# While it runs


def _on_storm(environment: Environment, msg: Any, **_: Any) -> None:
    if Program.laboratory is not None:
        struck = Program.laboratory.storm(msg.data["percent"])
        answer = {"number": msg.data["number"], "sessions": struck}
        _runner(environment).send_message(STRUCK, answer)


def _on_struck(environment: Environment, msg: Any, **_: Any) -> None:
    if Running.conductor is not None:
        Running.conductor.strike(msg.data["number"], msg.data["sessions"])


def _on_restart(environment: Environment, msg: Any, **_: Any) -> None:
    if Program.laboratory is not None:
        if msg.data["is_on"]:
            Program.laboratory.begin_disturbance()
        else:
            Program.laboratory.end_disturbance()
    _runner(environment).send_message(READY)


def _on_usage(environment: Environment, cpu_usage: float, **_: Any) -> None:
    runner, recorder = _runner(environment), current()
    nodes = runner.clients.all if isinstance(runner, MasterRunner) else ()
    if recorder is not None and Running.conductor is not None:
        recorder.note_cpu(max([cpu_usage, *(node.cpu_usage for node in nodes)]))


def _on_report_to_master(client_id: str, data: dict[str, Any], **_: Any) -> None:
    if Running.share is not None:
        Running.share.report(data, [], is_last=False)


def _on_worker_report(client_id: str, data: dict[str, Any], **_: Any) -> None:
    if Running.sum is not None:
        Running.sum.on_report(client_id, data)


# Its end


def _on_test_stop(environment: Environment, **_: Any) -> None:
    runner = _runner(environment)
    _finish_load()
    if isinstance(runner, WorkerRunner):
        _send_last_report(environment, runner)
    elif isinstance(runner, MasterRunner):
        _gather_last_reports(environment, runner)
        _merge_histories(environment)
    laboratory, Program.laboratory = Program.laboratory, None
    if laboratory is not None:
        laboratory.close()
    if not isinstance(runner, WorkerRunner):
        _end_record(environment)


def _finish_load() -> None:
    """See what this process found missing since it began, and settle the audit if there is one."""
    laboratory, recorder = Program.laboratory, current()
    if laboratory is None:
        return
    laboratory.end_history()
    if laboratory.audit is not None:
        for sentence in laboratory.audit.finish():
            _logger.warning("%s", sentence)
            laboratory.missing.append(sentence)
    if recorder is not None:
        for sentence in laboratory.missing:
            recorder.lack(sentence)


def _send_last_report(environment: Environment, runner: WorkerRunner) -> None:
    """A report as Locust sends them, at once: it has none for the end of a test."""
    share, Running.share = Running.share or Share(StaleReads()), None
    data: dict[str, Any] = {}
    fire: Any = environment.events.report_to_master.fire
    fire(client_id=runner.client_id, data=data)
    share.report(data, _missing_here(), is_last=True)
    _logger.info("this process counted %d rounds, %d of them stale", share.requests, share.stale)
    runner.send_message("stats", data)


def _missing_here() -> list[str]:
    missing = [f"a worker could not begin: {Running.refusal}"] if Running.refusal else []
    if Program.laboratory is not None:
        missing += Program.laboratory.missing
    return missing


def _on_finish(environment: Environment, **_: Any) -> None:
    _runner(environment).stop()


def _gather_last_reports(environment: Environment, runner: MasterRunner) -> None:
    """Wait for what the workers counted last: Locust itself ends without it."""
    gathered = Running.sum
    if gathered is None:
        return
    runner.send_message(FINISH)
    began = time.monotonic()
    longest_s = (environment.stop_timeout or 0) + _LAST_REPORTS_S
    while gathered.waiting and time.monotonic() < began + longest_s:
        # One whose heartbeat is late may only be busy; one that is dead must not be waited for.
        there = _workers(runner)
        if there.isdisjoint(gathered.waiting) and time.monotonic() > began + _MISSING_S:
            break
        gevent.sleep(0.05)
    recorder = current()
    for worker in sorted(gathered.waiting):
        if recorder is not None:
            recorder.lack(f"worker {worker} was lost, with what it counted last")
    Running.sum = None


def _merge_histories(environment: Environment) -> None:
    recorder, options = current(), environment.parsed_options
    assert options is not None
    wrong = merge_histories(Path(options.history) if options.history else None)
    if wrong is not None:
        _logger.error("%s", wrong)
        if recorder is not None:
            recorder.lack(wrong)


def _end_record(environment: Environment) -> None:
    """Close the record, write what was asked for, show the table."""
    recorder, options = current(), environment.parsed_options
    assert options is not None
    conductor, Running.conductor = Running.conductor, None
    if recorder is None or recorder.has_ended:
        return
    if conductor is not None:
        conductor.end()
        if conductor.has_new_leader:
            lost = "the leader changed during the test: the roles in the table did not hold"
            _logger.error("%s", lost)
            recorder.lack(lost)
            environment.process_exit_code = 1
    recorder.end()
    path = record_path(options)
    if path is not None:
        recorder.save(path)
    if Running.refusal is not None:
        return
    result = recorder.counts.as_json()
    if options.stale_json:
        text = json.dumps(result, indent=2) + "\n"
        Path(options.stale_json).write_text(text, encoding="utf-8")
    console().print(table_of(result, "What clients saw after they were told of a session's end"))
    if recorder.audit is not None:
        console().print(sentence_on(recorder.audit.as_json()))


def _failures(environment: Environment) -> list[Failure]:
    return [
        Failure(request_type=e.method, name=e.name, error=str(e.error), count=e.occurrences)
        for e in environment.stats.errors.values()
    ]


def _runner(environment: Environment) -> Runner:
    assert environment.runner is not None
    return environment.runner


def _listen() -> None:
    for event, listener in (
        (events.init_command_line_parser, _on_parser),
        (events.init, _on_init),
        (events.test_start, _on_test_start),
        (events.test_stop, _on_test_stop),
        (events.report_to_master, _on_report_to_master),
        (events.worker_report, _on_worker_report),
        (events.usage_monitor, _on_usage),
    ):
        hook: Any = event
        hook.add_listener(listener)


_listen()
