"""The Python API of an ensemble: start one or attach to one, disturb it, look at it.

    with Ensemble(members=3) as ensemble:
        ensemble.link("3->1").delay(ms=50)
        ensemble.kill(2)

Synchronous. Asks the ensemble's keeper over gRPC for everything, whoever started it; the keeper is
a process of its own, which ends with this program. Raises `OrchestratorError`, one line each.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from lagkeeper.v1 import admin_pb2, orchestrator_pb2
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse
from lagkeeper.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from orchestrator.asking import ask
from orchestrator.config import load_config
from orchestrator.directory import find_keeper
from orchestrator.errors import InvalidInput, NotAnswering, NotPossible
from orchestrator.held_window import held_window
from orchestrator.known_sessions import KnownSession, known_sessions
from orchestrator.launch import LaunchedKeeper, launch
from orchestrator.link import Link, touched_counts
from orchestrator.member_traces import Traces, first_trace
from orchestrator.views import leader_of, zookeeper_hosts

POLL_S = 0.01


class Ensemble:
    """An ensemble that serves from `__enter__` (or `start_all`) to `__exit__` (or `close`).

    The keywords are the fields of `config.EnsembleConfig`; without `directory` it works in a
    temporary one, removed at the end. `Ensemble.attach` gives one that another process keeps, and
    which `close` leaves running.
    """

    def __init__(self, config_file: str | Path | None = None, **settings: Any) -> None:
        self._is_temporary = "directory" not in settings and config_file is None
        if self._is_temporary:
            settings["directory"] = tempfile.mkdtemp(prefix="lagkeeper-")
        try:
            self.config = load_config(Path(config_file) if config_file else None, settings)
        except BaseException:
            if self._is_temporary:
                shutil.rmtree(settings["directory"], ignore_errors=True)
            raise
        self._keeper: LaunchedKeeper | None = None
        self._connected: _Connection | None = None
        self._touched_before: dict[tuple[int, str], int] = {}

    @classmethod
    def attach(cls, directory: str | Path = ".lagkeeper") -> Self:
        """The ensemble that `orchestrator up --dir DIRECTORY` keeps. Raises NotPossible if none."""
        keeper = find_keeper(Path(directory))
        ensemble = cls.__new__(cls)
        ensemble._is_temporary = False
        ensemble._keeper = None
        ensemble._connected = _Connection(keeper.address)
        ensemble._touched_before = {}
        return ensemble

    def __enter__(self) -> Self:
        if self._connected is None:
            self.start_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start_all(self) -> None:
        """Start every member and return when all serve."""
        self._keeper = launch(self.config, is_tethered=True, is_temporary=self._is_temporary)
        self._connected = _Connection(self._keeper.address)

    def close(self) -> None:
        """End the ensemble, if this program started it. May be called twice."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None
        if self._keeper is not None:
            self._keeper.end()
            self._keeper = None
            if self._is_temporary:
                # The keeper removes it, unless somebody killed the keeper.
                shutil.rmtree(self.config.directory, ignore_errors=True)

    @property
    def _stub(self) -> OrchestratorServiceStub:
        return self._connection.stub

    @property
    def _connection(self) -> _Connection:
        if self._connected is None:
            raise NotPossible("the ensemble does not run: use it inside 'with Ensemble(...)'")
        return self._connected

    def status(self, *, with_digest: bool = False) -> GetEnsembleResponse:
        """Every member, its process, its own view and its links, as they are now.

        `with_digest`: also a digest of each member's tree, which takes time for a large one.
        """
        request = orchestrator_pb2.GetEnsembleRequest(with_digest=with_digest)
        return ask(self._stub.GetEnsemble, request)

    @property
    def members(self) -> list[str]:
        """host:port of every member, in the order of their sids: what a client connects to."""
        return list(self._connection.addresses().values())

    @property
    def zookeeper_hosts(self) -> str:
        """host:port of every member's ZooKeeper protocol with commas, as ZooKeeper clients want."""
        return zookeeper_hosts(self.status())

    def zk_address(self, sid: int) -> str:
        """host:port of a member's ZooKeeper protocol."""
        self.address(sid)
        return next(member.zk_address for member in self.status().members if member.sid == sid)

    def address(self, sid: int) -> str:
        """host:port of a member."""
        addresses = self._connection.addresses()
        if sid not in addresses:
            raise InvalidInput(f"no member {sid}; members are {', '.join(map(str, addresses))}")
        return addresses[sid]

    def leader(self) -> int:
        """The sid of the member that leads. Raises NotPossible if none does."""
        leader = leader_of(self.status())
        if leader is None:
            raise NotPossible("no member leads now")
        return leader

    def link(self, links: str) -> Link:
        """The links `3->1`, with `*` for any end, or several with commas."""
        return Link(self._stub, links, self._touched_before)

    def forget_touched(self) -> GetEnsembleResponse:
        """Let `Link.touched` count from here on. Returns the status of this instant."""
        status = self.status()
        self._touched_before = touched_counts(status)
        return status

    def kill(self, sid: int) -> None:
        """SIGKILL; returns when the process is gone."""
        self._signal(sid, orchestrator_pb2.MEMBER_SIGNAL_KILL)

    def stop(self, sid: int) -> None:
        """SIGTERM; returns when the process has ended."""
        self._signal(sid, orchestrator_pb2.MEMBER_SIGNAL_STOP)

    def start(self, sid: int) -> None:
        """Start a member again on its own directory and port; returns when it answers."""
        self._signal(sid, orchestrator_pb2.MEMBER_SIGNAL_START)

    def pause(self, sid: int) -> None:
        """SIGSTOP."""
        self._signal(sid, orchestrator_pb2.MEMBER_SIGNAL_PAUSE)

    def resume(self, sid: int) -> None:
        """SIGCONT."""
        self._signal(sid, orchestrator_pb2.MEMBER_SIGNAL_RESUME)

    def expire(self, session_id: int) -> int:
        """Expire a session now. Returns the leader, which did it."""
        request = orchestrator_pb2.ExpireSessionRequest(session_id=session_id)
        return ask(self._stub.ExpireSession, request).leader

    def sessions(self) -> list[KnownSession]:
        """The sessions that members know, each with where its client is connected.

        As the leader has applied them, and as the others have that it does not know of.
        """
        status = self.status()
        leader = leader_of(status)
        running = [member for member in status.members if member.process == "running"]
        running.sort(key=lambda member: member.sid != leader)
        return known_sessions({member.sid: member.address for member in running})

    def hold_closing(self) -> int:
        """Stall the leader between marking sessions closing and submitting closeSession (W0)."""
        request = orchestrator_pb2.StallClosingRequest(is_held=True)
        return ask(self._stub.StallClosing, request).leader

    def release_closing(self) -> int:
        """Let the stalled expiry go on."""
        request = orchestrator_pb2.StallClosingRequest(is_held=False)
        return ask(self._stub.StallClosing, request).leader

    def window(
        self, name: str, session_id: int, on: int | None = None
    ) -> AbstractContextManager[int]:
        """Expire a session and stop on the way: inside `with`, the window stays open.

        W0: the leader has marked it closing, nothing is submitted. W1: closeSession is proposed,
        no quorum has it. W2: it is committed, and member `on` has not applied it. Gives the
        leader's sid; the end of `with` lets it go on. What else passes a held link waits, too.
        """
        return held_window(self, name, session_id, on)

    def shut_down(self) -> None:
        """End the ensemble, whoever keeps it; returns when every member has ended."""
        ask(self._stub.Shutdown, orchestrator_pb2.ShutdownRequest())

    def wait_until(
        self, predicate: Callable[[GetEnsembleResponse], bool], timeout_s: float = 10
    ) -> GetEnsembleResponse:
        """Return the first status that satisfies the predicate. Raises NotAnswering if late."""
        deadline = time.monotonic() + timeout_s
        while not predicate(status := self.status()):
            if time.monotonic() > deadline:
                raise NotAnswering(f"waited {timeout_s:g} s in vain; members: {_shown(status)}")
            time.sleep(POLL_S)
        return status

    def wait_until_serving(self, timeout_s: float = 30) -> GetEnsembleResponse:
        """Return when every member that runs serves, and one of them leads."""
        return self.wait_until(
            lambda status: (
                leader_of(status) is not None
                and all(m.status.is_serving for m in status.members if m.process == "running")
            ),
            timeout_s,
        )

    def traces(self, sid: int, kinds: Sequence[str] = (), *, with_past: bool = False) -> Traces:
        """Follow what a member traces. Returns when subscribed: what happens next is in it."""
        return Traces(self.address(sid), kinds, with_past)

    def wait_for_trace(
        self, kind: str, session_id: int | None = None, on: int | None = None, timeout_s: float = 10
    ) -> admin_pb2.TraceRecord:
        """Return once a member has traced `kind` (of a session): the first that it remembers.

        `on` None: once every member that runs has; returns the last one's. Raises NotAnswering.
        """
        deadline = time.monotonic() + timeout_s
        running = [it.sid for it in self.status().members if it.process == "running"]
        records = []
        for sid in running if on is None else [on]:
            left_s = max(0.05, deadline - time.monotonic())
            record = first_trace(self.address(sid), kind, session_id, left_s)
            if record is None:
                of = "" if session_id is None else f" of session {session_id:#x}"
                raise NotAnswering(f"member {sid} did not trace {kind}{of} within {timeout_s:g} s")
            records.append(record)
        return max(records, key=lambda record: record.at_ms)

    def _signal(self, sid: int, signal: orchestrator_pb2.MemberSignal.ValueType) -> None:
        self.address(sid)  # raises for an unknown member, which may not even fit into the request
        request = orchestrator_pb2.SignalMemberRequest(sid=sid, signal=signal)
        ask(self._stub.SignalMember, request)


class _Connection:
    """The line to a keeper's service."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self.stub = OrchestratorServiceStub(self._channel)
        self._addresses: dict[int, str] = {}

    def addresses(self) -> dict[int, str]:
        """Members' addresses by sid; they stay the same for an ensemble's life."""
        if not self._addresses:
            view = ask(self.stub.GetEnsemble, orchestrator_pb2.GetEnsembleRequest())
            self._addresses = {member.sid: member.address for member in view.members}
        return self._addresses

    def close(self) -> None:
        self._channel.close()


def _shown(status: GetEnsembleResponse) -> str:
    return ", ".join(
        f"{member.sid} {member.process} {member.status.state or 'silent'}"
        for member in status.members
    )
