"""The Locust users: services that end, watchers of their znodes, readers that look them up.

Owns what each does in a round, and what of it Locust counts as a request. A stale answer is a
result, not a failure; failures in Locust's statistics are real errors. What goes wrong while a
restart that was asked for is under way is counted apart, as a void round.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import NoReturn

from locust import User, task
from locust.env import Environment
from locust.exception import StopUser

from client.errors import LagkeeperError, NoNodeError, SessionExpiredError, error_for
from client.events import SessionState
from client.sync import Client
from loadtests.laboratory import READER_TIMEOUT_MS, Laboratory, Post
from loadtests.members import Place
from loadtests.readers import OPEN_SESSION, Look, Reader, Told, read, wait_until_fresh
from loadtests.rival import Rival
from loadtests.services import Service, Void
from loadtests.stale_reads import Kind, Observation

ASKED_FOR = "restart asked for"
_POLL_S = 0.002
_SEEN_POLL_S = 0.02
# Longer than any service lives and takes to be told: a watcher must not wait for ever.
_OVER_BOUND_S = 60.0
_GONE = (SessionState.EXPIRED, SessionState.CLOSED)


class Program(User):
    """What all have in common; `laboratory` is set while a test runs."""

    abstract = True
    laboratory: Laboratory | None = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._session: Client | None = None
        self._session_at = ""

    @property
    def lab(self) -> Laboratory:
        """The test that runs; without one the user ends."""
        if self.laboratory is None:
            raise StopUser
        return self.laboratory

    def on_stop(self) -> None:
        """Close the open session, so that its member is rid of it at once."""
        if self._session is not None:
            self._session.close()

    def open_session(self, place: Place) -> Client:
        """This user's own session on that member, kept for all its rounds."""
        session = self._session
        if session is not None and session.state not in _GONE and self._session_at == place.address:
            return session
        if session is not None:
            session.close()
        with self.request("session", "open session, to read with"):
            self._session = self.lab.client(place.address).start()
            self._session_at = place.address
            return self._session

    @contextmanager
    def round(self) -> Iterator[None]:
        """Count a round that comes to nothing, and rest: whoever cannot read must not spin."""
        began = time.monotonic()
        try:
            yield
        except Void as void:
            is_asked_for = self.lab.was_disturbed(began)
            self.lab.counts.add_void(ASKED_FOR if is_asked_for else str(void))
            time.sleep(self.lab.random.uniform(0.5, 1.5))

    @contextmanager
    def request(self, request_type: str, name: str) -> Iterator[None]:
        """Count what happens inside as one request; an error is a failure and voids the round."""
        began = time.monotonic()
        try:
            yield
        except LagkeeperError as error:
            self.fail(request_type, name, began, error)
        self.count(request_type, name, (time.monotonic() - began) * 1000)

    def fail(self, request_type: str, name: str, began: float, error: LagkeeperError) -> NoReturn:
        """Count an error, unless it was asked for, and void the round."""
        if self.lab.was_disturbed(began):
            raise Void(ASKED_FOR) from error
        # Without its path, of which each is used once: Locust keeps a line for each text.
        told = error_for(error.code, error.operation, "", error.detail)
        self.count(request_type, name, (time.monotonic() - began) * 1000, told)
        raise Void("error") from error

    def count(
        self, request_type: str, name: str, ms: float, error: LagkeeperError | None = None
    ) -> None:
        """A line in Locust's statistics."""
        self.environment.events.request.fire(
            request_type=request_type,
            name=name,
            response_time=ms,
            response_length=0,
            exception=error,
            context={},
        )

    def follow_stale(
        self, kind: Kind, look: Look, client: Client, told: Told
    ) -> tuple[float | None, bool]:
        """How long the stale answers go on, ms, None if without end; and whether that is known.

        Its row in Locust's statistics counts the stale reads.
        """
        try:
            with self.request("stale", kind.name):
                bound_s = self.lab.knobs.window_bound_ms / 1000
                return wait_until_fresh(look, client, told, _POLL_S, bound_s), True
        except Void:
            return None, False  # the answer was stale all the same


class ServiceUser(Program):
    """A program that registers, lives, goes down, is told, and looks whether its znode is gone."""

    weight = 8

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._reader: Reader | None = None
        self._rival: Rival | None = None
        self._rounds = 0

    def on_stop(self) -> None:
        """Close the sessions that outlive a round."""
        super().on_stop()
        if self._rival is not None:
            self._rival.close()

    @task
    def live_and_end(self) -> None:
        """One round: one session of the service."""
        laboratory = self.lab
        if self._reader is None:
            self._reader = laboratory.take_reader()
        with self.round():
            post = laboratory.post_of(self._reader)
            witness = self.open_session(post.place) if post.reader.is_open else None
            with self.request("session", "register a service"):
                service = laboratory.open_service()
            try:
                told = self._live(post, witness, service)
                laboratory.counts.add(post.kind, self._look(post, witness, service, told))
            finally:
                laboratory.let_go(service)

    def _live(self, post: Post, witness: Client | None, service: Service) -> Told:
        """Be up for a while, go down, be told."""
        laboratory = self.lab
        self._wait_until_seen(post, witness, service)
        if post.reader.mitigation.has_rival:
            self._contend(post, service)
        # Spread: services that were spawned together would end together for good.
        lifetime_s = laboratory.knobs.lifetime_s * laboratory.random.uniform(0.75, 1.25)
        self._rounds += 1
        service.woken.wait(lifetime_s * (laboratory.random.random() if self._rounds == 1 else 1))
        if service.went_down_at is None and service.client.state in _GONE:
            error = SessionExpiredError("live", "", "though its client was alive")
            self.fail("session", "live", service.began, error)
        service.go_down(service.end)
        with self.request("session", "go down until told"):
            return laboratory.learn(service)

    def _wait_until_seen(self, post: Post, witness: Client | None, service: Service) -> None:
        """A fresh answer about a znode that never was there would prove nothing."""
        deadline = time.monotonic() + self.lab.knobs.window_bound_ms / 1000
        expected = Told(service.session_id, service.path, 0.0)
        with self.request("read", "until the registration is seen"):
            client = witness or self.lab.checker(post.place)
            while read(client, expected) is None:
                if time.monotonic() > deadline:
                    raise Void("znode not seen before the end")
                time.sleep(_SEEN_POLL_S)

    def _contend(self, post: Post, service: Service) -> None:
        with self.request("session", "rival watches"):
            if self._rival is not None and self._rival.is_over():
                self._rival.close()
                self._rival = None
            if self._rival is None:
                address = self.lab.members.addresses[self.lab.members.leader]
                self._rival = Rival(address, READER_TIMEOUT_MS, self.lab.history)
            self._rival.contend(service.path)

    def _look(
        self, post: Post, witness: Client | None, service: Service, told: Told
    ) -> Observation:
        """Look for the znode; a wait or a new session first is part of the price."""
        cure, kind = post.reader.mitigation, post.kind
        began = time.monotonic()
        client = witness or self.lab.client(post.place.address)
        try:
            try:
                if cure.waits:
                    time.sleep(service.client.timeout_ms / 1000)
                if witness is None:
                    client.start()
                    self.lab.make_global(client, post.reader)
                invoked_at = time.monotonic()
                zxid = cure.look(client, told)
            except LagkeeperError as error:
                self.fail(kind.operation, kind.name, began, error)
            price_ms = (time.monotonic() - began) * 1000
            window_ms, is_known = None, False
            if zxid is not None and cure.is_followed:
                window_ms, is_known = self.follow_stale(kind, cure.look, client, told)
                if cure.is_noticed:
                    price_ms = (time.monotonic() - began) * 1000
            self.count(kind.operation, kind.name, price_ms)
            is_harmful = cure.has_rival and self._is_rival_harmed()
            if cure.registers and (zxid is None or window_ms is not None or not cure.is_followed):
                self._clean_up(client, told)
            lag = None if zxid is None else self.lab.lag(service, zxid)
            seen = Observation(zxid is not None, window_ms, price_ms, lag, is_harmful, is_known)
            self.lab.audit_read(kind, client, told, invoked_at, seen)
            return seen
        finally:
            if witness is None:
                client.close()

    def _is_rival_harmed(self) -> bool:
        assert self._rival is not None
        with self.request("read", "rival looks for its znode"):
            return self._rival.lost_its_znode()

    def _clean_up(self, client: Client, told: Told) -> None:
        with self.request("write", "delete"), suppress(NoNodeError):
            client.delete(told.path)


class WatcherUser(Program):
    """A program that relies on a watch: is it told of the znode's end before the owner is?"""

    weight = 1

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._role = ""

    @task
    def watch_one(self) -> None:
        """Watch a service's znode until the service's own program was told of its end."""
        laboratory = self.lab
        self._role = self._role or laboratory.take_role(type(self).__name__)
        service = laboratory.registry.pick(laboratory.random)
        if service is None or not service.is_alive():
            time.sleep(0.1)
            return
        with self.round():
            place = laboratory.place_of(self._role)
            client = self.open_session(place)
            fired = Event()
            with self.request("read", "set a watch"):
                stat = client.exists(service.path, watch=lambda _: fired.set())
            if stat is None or not service.is_over.wait(_OVER_BOUND_S) or service.told is None:
                return
            kind = Kind(OPEN_SESSION, place.words, operation="watch")
            laboratory.counts.add(kind, self._late(kind, fired, service.told))

    def _late(self, kind: Kind, fired: Event, told: Told) -> Observation:
        is_late = not fired.is_set()
        if is_late:
            fired.wait(self.lab.knobs.window_bound_ms / 1000)
        late_ms = (time.monotonic() - told.at) * 1000 if is_late else 0.0
        self.count(kind.operation, kind.name, late_ms)
        return Observation(is_late, late_ms if fired.is_set() else None)


class ReaderUser(Program):
    """A program that looks services up now and then, and takes what it finds for alive."""

    weight = 1

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._role = ""

    def wait_time(self) -> float:
        """Seconds until the next lookup."""
        return self.lab.knobs.read_every_s * self.lab.random.uniform(0.75, 1.25)

    @task
    def look_one_up(self) -> None:
        """Read the znode of any service; stale only if it was known before that it is gone."""
        laboratory = self.lab
        self._role = self._role or laboratory.take_role(type(self).__name__)
        service = laboratory.registry.pick(laboratory.random)
        if service is None:
            return
        with self.round():
            place = laboratory.place_of(self._role)
            client = self.open_session(place)
            kind = Kind(f"{OPEN_SESSION} at any time", place.words)
            told, began = service.told, time.monotonic()
            asked = told or Told(service.session_id, service.path, began)
            with self.request(kind.operation, kind.name):
                zxid = read(client, asked)
            price_ms = (time.monotonic() - began) * 1000
            if told is None or zxid is None:
                fresh = Observation(False, latency_ms=price_ms)
                laboratory.counts.add(kind, fresh)
                if told is not None:
                    laboratory.audit_read(kind, client, told, began, fresh)
                return
            window_ms, is_known = self.follow_stale(kind, read, client, told)
            lag = laboratory.lag(service, zxid)
            seen = Observation(True, window_ms, price_ms, lag, has_window=is_known)
            laboratory.counts.add(kind, seen)
            laboratory.audit_read(kind, client, told, began, seen)
