"""What happens once in a test, however many processes carry the load: looks, rules, faults.

Owns the threads that look at the ensemble once a second, and the faults that were asked for:
link rules for the run, storms, restarts one by one. Runs where the record is made: on the master,
or in the only process. Knows nothing of Locust: it is handed what it needs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from lagkeeper.v1.admin_pb2 import TraceRecord

from loadtests.audit import WINDOW_KINDS, WindowTally
from loadtests.knobs import Knobs, SetupError
from loadtests.lookout import Lookout
from loadtests.members import Members, find_members
from loadtests.record import MemberSetup, Recorder
from loadtests.storms import Storms
from loadtests.trace_feed import TraceFeed
from loadtests.web.ensemble import open_links
from orchestrator.ensemble import Ensemble
from orchestrator.errors import OrchestratorError
from orchestrator.rules import find_links, wire_rule
from orchestrator.views import links_json

STORM, RESTART = "lagkeeper-storm", "lagkeeper-restart"
LOOK_EVERY_S = 1.0
# A client that lost its member tries again after a second at most.
_RECONNECTED_S = 2.0
_SUBSCRIBE_S = 20.0
_SERVING_S = 60.0
_JOIN_S = 5.0
# A process that has not answered by then is not waited for.
_READY_S = 30.0

Ask = Callable[[str, dict[str, Any]], None]


class Conductor:
    """One test. `ask` sends a message to all processes with users. Raises SetupError.

    `on_gone` is called once if the ensemble goes away.
    """

    def __init__(
        self,
        knobs: Knobs,
        recorder: Recorder,
        users: Callable[[], int],
        ask: Ask,
        on_gone: Callable[[str], None],
    ) -> None:
        self._knobs = knobs
        self._recorder = recorder
        self._users = users
        self._ask = ask
        self._on_gone = on_gone
        self._has_started = False
        self._ready, self._ended = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        # What was in force before, by link, to be put back at the end.
        self._rules_before: dict[str, list[str]] = {}
        self._closing = ExitStack()
        try:
            self._prepare()
        except OrchestratorError as error:
            self.end()
            raise SetupError(str(error)) from None
        except BaseException:
            self.end()
            raise

    def _prepare(self) -> None:
        knobs, recorder = self._knobs, self._recorder
        members = find_members(knobs)
        if knobs.shape == "restart":
            self._closing.enter_context(Ensemble.attach(knobs.directory))
        self._links = self._closing.enter_context(
            open_links(",".join(knobs.members), str(knobs.directory))
        )
        self._lookout = Lookout(recorder, self._links.view)
        self._lookout.look(0, 0)
        self._check_rules(members)
        if knobs.link_rules and not knobs.link_rule_after_s:
            self._set_rules()
            members = find_members(knobs)
        self.members: Members = members
        recorder.members = [
            MemberSetup(sid=sid, address=members.addresses[sid], role=members.roles[sid])
            for sid in sorted(members.addresses)
        ]
        self._windows = WindowTally(len(members.addresses))
        self._storms = Storms(members.addresses)
        recorder.windows, recorder.storms = self._windows.histograms, self._storms.all
        self._feed = TraceFeed(members.addresses.values(), WINDOW_KINDS, self._on_trace)
        self._closing.callback(self._feed.close)
        if not self._feed.wait_until_subscribed(_SUBSCRIBE_S):
            raise SetupError("a member does not stream its traces")

    def start(self) -> None:
        """Begin to look, and to do what was asked for in its time."""
        knobs, self._has_started = self._knobs, True
        self._spawn(self._keep_looking)
        if knobs.link_rules and knobs.link_rule_after_s:
            self._spawn(self._set_rules_later)
        if knobs.shape == "storm":
            self._spawn(self._keep_storming)
        if knobs.shape == "restart":
            self._spawn(self._restart_all)

    def all_are_ready(self) -> None:
        """Every process with users has found the ensemble, or done what a restart asks of it.

        The times of faults count from now.
        """
        self._ready.set()

    def end(self) -> None:
        """Put back the rules, take a last look, let go of everything."""
        self._ended.set()
        self._ready.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
        self._threads = []
        try:
            if self._rules_before:
                self._put_rules_back()
            if self._has_started and not self._lookout.is_gone:
                self._look()
        except OrchestratorError as error:
            self._recorder.lack(f"the link rules of the run could not be taken off: {error}")
        self._closing.close()

    @property
    def has_new_leader(self) -> bool:
        """Whether the leader changed though no restart was asked for."""
        return self._lookout.has_new_leader and self._knobs.shape != "restart"

    def strike(self, number: int, sessions: list[int]) -> None:
        """A process tells which of its sessions a storm has struck."""
        self._storms.strike(number, sessions)

    def _on_trace(self, trace: TraceRecord) -> None:
        self._windows.add(trace)
        self._storms.add(trace)

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _is_over_after(self, pause_s: float) -> bool:
        """Wait so long, counted from the beginning of the load; whether the test ended."""
        self._ready.wait(_READY_S)
        return self._ended.wait(pause_s)

    # Looking

    def _keep_looking(self) -> None:
        due = time.monotonic()
        while not self._lookout.is_gone:
            self._look()
            due += LOOK_EVERY_S
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return
        self._on_gone(self._recorder.missing[-1])

    def _look(self) -> None:
        self._storms.settle()
        self._lookout.look(self._users(), self._storms.marked)

    # Link rules

    def _check_rules(self, members: Members) -> None:
        for text in self._knobs.link_rules:
            links, _, rule = text.partition(" ")
            try:
                find_links(links, members.addresses)
                wire_rule(rule)
            except OrchestratorError as error:
                raise SetupError(f"--link-rule '{text}': {error}") from None

    def _set_rules(self) -> None:
        view = self._links.view()
        before = {link["link"]: [r["rule"] for r in link["rules"]] for link in links_json(view)}
        for text in self._knobs.link_rules:
            links, _, rule = text.partition(" ")
            for link in self._links.set_rule(links, rule):
                self._rules_before.setdefault(link, before.get(link, []))

    def _set_rules_later(self) -> None:
        if self._is_over_after(self._knobs.link_rule_after_s):
            return
        try:
            self._set_rules()
        except OrchestratorError as error:
            self._recorder.lack(f"--link-rule was not set: {error}")

    def _put_rules_back(self) -> None:
        rules, self._rules_before = self._rules_before, {}
        for link, before in rules.items():
            self._links.clear(link)
            for rule in before:
                self._links.set_rule(link, rule)

    # Storms and restarts

    def _keep_storming(self) -> None:
        knobs, number = self._knobs, 0
        pause_s = knobs.fault_after_s
        while not self._is_over_after(pause_s):
            number += 1
            self._storms.begin(number, self._recorder.t)
            text = f"{knobs.storm_percent:g} % of all services crash at once"
            self._recorder.note("storm", text)
            self._ask(STORM, {"number": number, "percent": knobs.storm_percent})
            if not knobs.storm_every_s:
                return
            pause_s = knobs.storm_every_s

    def _restart_all(self) -> None:
        """The learners first: each restart of a leader costs an election."""
        pause_s = self._knobs.fault_after_s
        leader = self.members.leader
        order = sorted(self.members.addresses, key=lambda sid: (sid == leader, sid))
        with Ensemble.attach(self._knobs.directory) as ensemble:
            for sid in order:
                if self._is_over_after(pause_s):
                    return
                self._tell_of_restart(is_on=True)
                if self._ended.is_set():
                    return
                try:
                    self._restart(ensemble, sid)
                except OrchestratorError as error:
                    self._recorder.lack(f"the restart of member {sid} failed: {error}")
                    return
                finally:
                    self._tell_of_restart(is_on=False)
                pause_s = self._knobs.restart_pause_s

    def _tell_of_restart(self, *, is_on: bool) -> None:
        """Tell all processes, and wait: whoever heard late would count what was asked for."""
        if self._ended.is_set():
            return
        self._ready.clear()
        self._ask(RESTART, {"is_on": is_on})
        self._ready.wait(_READY_S)

    def _restart(self, ensemble: Ensemble, sid: int) -> None:
        began = time.monotonic()
        self._recorder.note("restart", f"member {sid} is stopped and started again")
        ensemble.stop(sid)
        ensemble.start(sid)
        ensemble.wait_until_serving(_SERVING_S)
        took_s = time.monotonic() - began
        self._recorder.note("restart", f"member {sid} serves again after {took_s:.1f} s")
        # On a busy machine clients need longer, too.
        self._ended.wait(max(_RECONNECTED_S, took_s))
