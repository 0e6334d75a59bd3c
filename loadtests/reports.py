"""How the counters of several processes become one: they travel in Locust's own messages.

Owns what a worker adds to its report to the master, and the sum on the master. Each report carries
what was counted since the one before, so that the master adds up; the last one of a test says so.
Knows nothing of Locust's classes.
"""

from __future__ import annotations

from typing import Any

from loadtests.read_audit import AuditCounts
from loadtests.record import Recorder
from loadtests.stale_reads import StaleReads

KEY = "stale_reads"


class Share:
    """What one worker counts; `requests` and `stale` are its totals so far.

    `audit`, if there is one, goes with the last report: only then it is settled.
    """

    def __init__(self, counts: StaleReads, audit: AuditCounts | None = None) -> None:
        self.requests = 0
        self.stale = 0
        self._counts = counts
        self._audit = audit

    def report(self, data: dict[str, Any], missing: list[str], is_last: bool) -> None:
        """Put what was counted since the last time into a report."""
        taken = self._counts.take()
        self.requests += sum(row.requests for row in taken.rows.values())
        self.stale += sum(row.stale for row in taken.rows.values())
        data[KEY] = {"counts": taken.as_message(), "missing": missing, "is_last": is_last}
        if self._audit is not None and is_last:
            data[KEY]["audit"] = self._audit.as_message()


class Sum:
    """The sum over all workers of one test; `waiting` have not sent their last report."""

    def __init__(self, recorder: Recorder, workers: set[str]) -> None:
        self.waiting = workers
        self._recorder = recorder

    def on_report(self, worker: str, data: dict[str, Any]) -> None:
        """Add a worker's report; one without our part is Locust's alone."""
        part = data.get(KEY)
        if part is None:
            return
        self._recorder.counts.merge(StaleReads.from_message(part["counts"]))
        if "audit" in part:
            self._recorder.audit = self._recorder.audit or AuditCounts()
            self._recorder.audit.merge(AuditCounts.from_message(part["audit"]))
        for sentence in part["missing"]:
            self._recorder.lack(sentence)
        if part["is_last"]:
            self.waiting.discard(worker)
        else:
            # A worker may join while the test runs.
            self.waiting.add(worker)
