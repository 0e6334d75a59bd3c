"""Makes an ensemble as new between two tests: its links, processes, sessions and znodes.

Asks for no more than what the test left behind: one question if it left nothing. Decides that a
state cannot be mended (`Unclean`), not what becomes of the ensemble then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from lagkeeper.v1 import admin_pb2
from lagkeeper.v1.admin_pb2_grpc import AdminServiceStub
from lagkeeper.v1.orchestrator_pb2 import GetEnsembleResponse

from client.acl import Acl
from client.errors import LagkeeperError
from client.ops import AclResult, ChildrenResult, DataResult, Delete, GetAcl, GetChildren, GetData
from client.replies import result_of
from client.sync import Client
from orchestrator.ensemble import Ensemble
from orchestrator.errors import NotAnswering, OrchestratorError
from orchestrator.views import leader_of

# What is there from the beginning and cannot be deleted, parents first.
SYSTEM = ("/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota")
# A client that has just been closed may still be seen for a moment; one that was forgotten stays.
LEAVING_S = 5.0
PATIENCE_S = 10.0
DELETES = 500
# Of a zxid: what counts transactions in an epoch.
COUNTER = 0xFFFFFFFF


class Unclean(Exception):
    """Why an ensemble cannot be used for the next test, as a clause."""


@dataclass(frozen=True)
class Origin:
    """An ensemble as it was before its first test."""

    leader: int
    znodes: int
    zxid: int
    system: dict[str, tuple[bytes | None, tuple[Acl, ...]]]


def origin_of(ensemble: Ensemble, password: str) -> Origin:
    """Look at a new ensemble; `password` is the super user's, empty if it is not known."""
    with _client(ensemble, password) as client:
        system = _read_system(client)
    leader = _leader_status(_settled(ensemble))
    assert leader is not None, "settled"
    return Origin(leader.sid, leader.znodes, leader.last_zxid, system)


def clean(ensemble: Ensemble, origin: Origin, password: str) -> None:
    """Make an ensemble as it was. Raises Unclean if that cannot be, or takes too long."""
    try:
        status = mend(ensemble, ensemble.status())
        _check_mended(status, origin)
        if any(member.status.connections for member in status.members):
            _wait_for_clients_to_leave(ensemble)
        if not _is_as_new(status, origin):
            _expire_sessions(ensemble, origin.leader)
            if ensemble.config.local_sessions_enabled:
                # A global session opens behind every closeSession on its way; a local one does not.
                _settled(ensemble)
            with _client(ensemble, password) as client:
                _wipe(client, origin)
            _check_wiped(_settled(ensemble), origin)
    except (OrchestratorError, LagkeeperError, grpc.RpcError) as error:
        raise Unclean(_in_one_line(error)) from error


def mend(ensemble: Ensemble, status: GetEnsembleResponse) -> GetEnsembleResponse:
    """Take rules off, let members run, let the expiry go on. Returns how it is then.

    A member that ended by itself stays as it is: that is no fault that somebody asked for.
    """
    paused = [member.sid for member in status.members if member.process == "paused"]
    ended = [member.sid for member in status.members if member.process in ("killed", "stopped")]
    for sid in paused:
        ensemble.resume(sid)
    if links := "*->*" if paused or ended else _ruled(status):
        ensemble.link(links).clear()
    for sid in ended:
        ensemble.start(sid)
    if any(member.status.closing_is_held for member in status.members):
        ensemble.release_closing()
    elif not paused and not ended and all(member.status.is_serving for member in status.members):
        return status
    return ensemble.wait_until_serving(PATIENCE_S)


def _ruled(status: GetEnsembleResponse) -> str:
    """The links with rules. Those of a member that does not run are remembered, and not seen."""
    links = [link for member in status.members for link in member.status.links if link.rules]
    return ",".join(f"{link.sender}->{link.receiver}" for link in links)


def _check_mended(status: GetEnsembleResponse, origin: Origin) -> None:
    leader = leader_of(status)
    if leader != origin.leader:
        # Tests name links by it.
        raise Unclean(f"member {leader} leads now, not {origin.leader}")
    for member in status.members:
        if not member.pid:
            raise Unclean(f"member {member.sid} ended by itself: {member.last_error or 'unknown'}")
        if member.status.closing_is_held:
            raise Unclean(f"member {member.sid} still holds the closing of sessions")
        if member.status.disk_delay_ms:
            raise Unclean(f"the disk of member {member.sid} is delayed")


def _wait_for_clients_to_leave(ensemble: Ensemble) -> None:
    try:
        ensemble.wait_until(lambda it: not any(m.status.connections for m in it.members), LEAVING_S)
    except NotAnswering:
        status = ensemble.status()
        where = [
            f"{m.sid} ({m.status.connections})" for m in status.members if m.status.connections
        ]
        raise Unclean(
            f"clients are still connected to member {', '.join(where)};"
            " close them before the test ends"
        ) from None


def _is_as_new(status: GetEnsembleResponse, origin: Origin) -> bool:
    leader = _leader_status(status)
    return (
        leader is not None
        and leader.last_zxid == origin.zxid
        and not leader.outstanding_proposals
        and not any(member.status.local_sessions for member in status.members)
    )


def _expire_sessions(ensemble: Ensemble, leader: int) -> None:
    with grpc.insecure_channel(ensemble.address(leader)) as channel:
        stub = AdminServiceStub(channel)
        left = stub.ListSessions(admin_pb2.ListSessionsRequest(), timeout=PATIENCE_S).sessions
        asked = [
            stub.Expire.future(admin_pb2.ExpireRequest(session_id=it.session_id))
            for it in left
            if not it.is_local
        ]
        for answer in asked:
            # Closed meanwhile by itself: so much the better.
            if answer.code() is not grpc.StatusCode.NOT_FOUND:
                answer.result()


@contextmanager
def _client(ensemble: Ensemble, password: str) -> Iterator[Client]:
    with Client(ensemble.members) as client:
        if password:
            client.add_auth("digest", f"super:{password}".encode())
        yield client


def _wipe(client: Client, origin: Origin) -> None:
    found = [path for path in _every_path(client) if path not in SYSTEM]
    found.sort(key=lambda path: path.count("/"), reverse=True)
    for begin in range(0, len(found), DELETES):
        client.multi([Delete(path) for path in found[begin : begin + DELETES]])
    now = _read_system(client)
    for path, (data, acl) in origin.system.items():
        if now[path][0] != data:
            client.set(path, data)
        if now[path][1] != acl:
            client.set_acl(path, acl)


def _every_path(client: Client) -> Iterable[str]:
    level = ["/"]
    while level:
        yield from level
        asked = [(path, op := GetChildren(path), client.submit(op)) for path in level]
        level = [
            f"{path.rstrip('/')}/{name}"
            for path, op, answer in asked
            for name in result_of(op, answer.result(), ChildrenResult).names
        ]


def _read_system(client: Client) -> dict[str, tuple[bytes | None, tuple[Acl, ...]]]:
    asked = [
        (path, data := GetData(path), client.submit(data), acl := GetAcl(path), client.submit(acl))
        for path in SYSTEM
    ]
    return {
        path: (
            result_of(data, data_answer.result(), DataResult).data,
            result_of(acl, acl_answer.result(), AclResult).acl,
        )
        for path, data, data_answer, acl, acl_answer in asked
    }


def _settled(ensemble: Ensemble) -> GetEnsembleResponse:
    """Wait until every member has applied everything and nobody is connected."""

    def is_settled(status: GetEnsembleResponse) -> bool:
        leader = _leader_status(status)
        if leader is None or leader.outstanding_proposals or leader.closing_sessions:
            return False
        # Without a transaction in its epoch the leader's zxid is nobody else's; all are in step.
        is_first = not leader.last_zxid & COUNTER
        views = [member.status for member in status.members]
        return all(
            view.is_serving
            and not view.connections
            and (is_first or view.last_zxid == leader.last_zxid)
            for view in views
        )

    return ensemble.wait_until(is_settled, PATIENCE_S)


def _leader_status(status: GetEnsembleResponse) -> admin_pb2.GetStatusResponse | None:
    leader = leader_of(status)
    return next((it.status for it in status.members if it.sid == leader), None)


def _check_wiped(status: GetEnsembleResponse, origin: Origin) -> None:
    for member in status.members:
        view = member.status
        left = {
            "znodes": view.znodes - origin.znodes,
            "sessions": view.global_sessions + view.local_sessions,
            "watches": view.watches,
        }
        if said := [f"{count} {what}" for what, count in left.items() if count]:
            raise Unclean(f"member {member.sid} still has {', '.join(said)}")


def _in_one_line(error: Exception) -> str:
    text = error.details() if isinstance(error, grpc.RpcError) else str(error)
    return " ".join(str(text or type(error).__name__).split())
