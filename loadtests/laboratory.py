"""What all users of one Locust process share during one test.

Owns the members found, the closings awaited, the counters, the services that the process knows,
and the parent of all znodes. Every client of the process shares one stream per member
(`client.sync_line`), which is held from begin to end. Knows nothing of Locust.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from client.errors import LagkeeperError, NodeExistsError
from client.events import SessionState
from client.recording import HistoryWriter
from client.sync import Client
from client.sync_line import shared_lines
from loadtests.close_marks import CloseMarks, lag_of
from loadtests.knobs import Knobs, SetupError
from loadtests.members import Members, Place, find_members, status_of
from loadtests.read_audit import ReadAudit
from loadtests.readers import LOCAL_SESSION, NEW_SESSION, Reader, Told
from loadtests.services import Registry, Service, Void, open_service
from loadtests.stale_reads import Kind, Observation, StaleReads

PARENT = "/expiring"
_SUBSCRIBE_S = 20.0
_COMMIT_S = 5.0
_REMEMBER_S = 5.0
# Sessions of readers outlive a busy moment; members clamp this to their maximum.
READER_TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Post:
    """What a user reads with: the reader, on which member, counted in which row."""

    reader: Reader
    place: Place
    kind: Kind


class Laboratory:
    """One test. Raises SetupError if it cannot begin. `history`: what all its clients write to,
    as one program, since a looker knows what any service of the process was told.
    """

    def __init__(self, knobs: Knobs, random: Random, history: HistoryWriter | None = None) -> None:
        self.knobs = knobs
        self.random = random
        self._writer = history
        self.history = None if history is None else history.program(1)
        self.members: Members = find_members(knobs)
        self.counts = StaleReads()
        # Sentences for the record: what the test lacks, or does otherwise than it was asked to.
        self.missing: list[str] = []
        self.registry = Registry(_REMEMBER_S)
        self.has_local_sessions = False
        self._ends = list(knobs.ends), list(knobs.ends.values())
        self._numbers = itertools.count(1)
        self._turns: dict[str, Iterator[int]] = {}
        self._is_disturbed = False
        self._disturbed_until = 0.0
        self._lines = shared_lines()
        self._lines.hold()
        self._marks = CloseMarks(self.members.addresses.values())
        self._checkers: dict[str, Client] = {}
        self._checkers_turn = threading.Lock()
        self.audit: ReadAudit | None = None
        if knobs.audit:
            self.audit = ReadAudit(self.members.addresses.values(), knobs.window_bound_ms)
        try:
            self._prepare()
            self._readers = self._possible_readers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the streams."""
        for checker in self._checkers.values():
            checker.close()
        self._marks.close()
        if self.audit is not None:
            self.audit.close()
        self._lines.release()

    # Who does what

    def take_reader(self) -> Reader:
        """The next kind of reader, in turn, so that each kind gets its share of the users."""
        return self._readers[self._take_turn("reader") % len(self._readers)]

    def post_of(self, reader: Reader) -> Post:
        """Where it reads now: roles move when the leader was asked to restart. Raises Void."""
        place = self.place_of(reader.role)
        return Post(reader, place, reader.kind(place.words))

    def take_role(self, who: str) -> str:
        """The role of the next member to hold the session of such a program, in turn."""
        roles = list(self.members.places)
        return roles[self._take_turn(who) % len(roles)]

    def _take_turn(self, who: str) -> int:
        # Processes begin at different places, so that few users in each do not do the same.
        first = self.random.randrange(1000)
        return next(self._turns.setdefault(who, itertools.count(first)))

    def place_of(self, role: str) -> Place:
        """Who plays the role now. Raises Void."""
        place = self.members.places.get(role)
        if place is None:
            raise Void(f"no member is {role} now")
        return place

    def client(self, address: str, timeout_ms: int = READER_TIMEOUT_MS) -> Client:
        """A client that is not started yet, and that writes to the history if there is one."""
        return Client(address, timeout_ms, history=self.history)

    def end_history(self) -> None:
        """Write the rest of the history, before the lasting sessions are closed."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            self.missing.append(f"the history could not be written: {error.strerror}")

    def checker(self, place: Place) -> Client:
        """A session that all users of the process share, for reads that nobody counts."""
        # One at a time: users that are spawned together would each open one.
        with self._checkers_turn:
            client = self._checkers.get(place.address)
            if client is None or client.state in (SessionState.EXPIRED, SessionState.CLOSED):
                client = self.client(place.address).start()
                self._checkers[place.address] = client
            return client

    # The life of a service

    def open_service(self) -> Service:
        """A new service, registered. Raises LagkeeperError."""
        (end,) = self.random.choices(*self._ends)
        path = f"{PARENT}/{os.getpid()}-{time.monotonic_ns()}-{next(self._numbers)}"
        member = self.random.choice(self.members.victims)
        timeout_ms = self.knobs.session_timeout_ms
        service = open_service(member, path, timeout_ms, end, self._marks.expect, self.history)
        self.registry.add(service)
        return service

    def learn(self, service: Service) -> Told:
        """Wait until its program is told. Raises Void if it is not, and LagkeeperError.

        An expiry takes at most the timeout, a tick for the bucket, and half a tick for a
        follower to report the last touch.
        """
        knobs = self.knobs
        poll_after_s = None
        if knobs.told_by == "poll":
            poll_after_s = (service.client.timeout_ms + 1.5 * knobs.tick_time_ms) / 1000
        told = service.learn(knobs.reconnect_after_ms / 1000, poll_after_s)
        self.counts.add_end(service.end)
        return told

    def lag(self, service: Service, reply_zxid: int) -> int | None:
        """How many transactions a stale reply was behind the service's closeSession."""
        if not service.closing.committed.wait(_COMMIT_S):
            return None
        return lag_of(reply_zxid, service.closing.zxid)

    def audit_read(
        self, kind: Kind, client: Client, told: Told, invoked_at: float, seen: Observation
    ) -> None:
        """Have a read counted a second time; of a create, members trace no read."""
        if self.audit is not None and kind.operation in ("read", "delete"):
            self.audit.look(client.session_id, told, invoked_at, seen)

    def let_go(self, service: Service) -> None:
        """It is of no interest any more."""
        service.is_over.set()
        self._marks.forget(service.session_id)
        self.registry.let_go(service)
        service.client.close()

    def storm(self, percent: float) -> list[int]:
        """Let so many of the services that are up crash at once; return their sessions.

        All were busy to the last: else their expiries would be spread over a third of the
        timeout, by when each sent its last ping.
        """
        alive = self.registry.alive()
        struck = self.random.sample(alive, round(len(alive) * percent / 100))
        for service in struck:
            service.touch()
            service.go_down("crash")
        return [service.session_id for service in struck]

    # Disturbances that were asked for

    def begin_disturbance(self) -> None:
        """From now on clients lose their members because somebody asked for that."""
        self._is_disturbed = True

    def end_disturbance(self) -> None:
        """All members are back. Who leads, and who is slow, may have changed."""
        try:
            self.members = find_members(self.knobs)
        except SetupError as error:
            self.missing.append(f"the roles after a restart: {error}")
        self._is_disturbed = False
        self._disturbed_until = time.monotonic()

    def was_disturbed(self, since: float) -> bool:
        """Whether there was a disturbance then (monotonic, s) or later."""
        return self._is_disturbed or self._disturbed_until >= since

    # To begin with

    def _prepare(self) -> None:
        if not self._marks.wait_until_subscribed(_SUBSCRIBE_S):
            raise SetupError("a member does not stream its traces")
        if self.audit is not None and not self.audit.wait_until_subscribed(_SUBSCRIBE_S):
            raise SetupError("--audit: a member does not trace its reads")
        address = self.members.victims[0]
        try:
            with self.client(address, self.knobs.session_timeout_ms) as client:
                self._note_timeout(client.timeout_ms)
                self.has_local_sessions = status_of(address).local_sessions > 0
                client.create(PARENT)
        except NodeExistsError:
            pass
        except LagkeeperError as error:
            raise SetupError(f"cannot begin: {error}") from None

    def _note_timeout(self, granted_ms: int) -> None:
        """Members clamp what is asked for; a record with the wish alone would not be true."""
        asked_ms = self.knobs.session_timeout_ms
        if granted_ms != asked_ms:
            self.missing.append(
                f"sessions have a timeout of {granted_ms} ms, not the {asked_ms} ms of"
                " --session-timeout, which is beyond the ensemble's limits"
            )

    def _possible_readers(self) -> list[Reader]:
        possible = []
        impossible: dict[str, list[str]] = {}
        for reader in self.knobs.readers:
            place = self.members.places.get(reader.role)
            if place is None:
                impossible.setdefault(f"no member is {reader.role}", []).append(_shown(reader))
            elif reader.session == LOCAL_SESSION and not self.has_local_sessions:
                impossible.setdefault("sessions are never local", []).append(_shown(reader))
            else:
                self.counts.announce(reader.kind(place.words))
                possible.append(reader)
        for why, kinds in impossible.items():
            self.missing.append(f"left out: {why}: {'; '.join(kinds)}")
        if not possible:
            raise SetupError(f"no reader is possible; {'; '.join(impossible)} in this ensemble")
        return possible

    def make_global(self, client: Client, reader: Reader) -> None:
        """See that a new session is a global one, where sessions begin as local ones.

        An ephemeral znode upgrades it; the session's end takes it away.
        """
        if reader.session == NEW_SESSION and self.has_local_sessions:
            client.create(f"{PARENT}/global-", ephemeral=True, sequential=True)


def _shown(reader: Reader) -> str:
    return reader.kind(reader.role).name
