"""Between members and on disk: core packets, transactions and snapshots to protobuf and back.

Owns the mapping to `peer.proto`. What clients say is in `nodes.client_codec`. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, assert_never

from google.protobuf.message import DecodeError
from lagkeeper.v1 import client_pb2, peer_pb2

from nodes.client_codec import MalformedFrame, decode_op, encode_op
from nodes.core import messages as core
from nodes.core import txns
from nodes.core.acl import AclList, share
from nodes.core.errors import ErrorCode
from nodes.core.requests import OPEN_ACL, Acl, CreateSession, Id, MalformedWrite
from nodes.result_codec import fill_acl


class MalformedPacket(Exception):
    """A peer, or the disk, gave bytes that are no packet of this protocol."""


class TxnCodec:
    """Transactions as bytes, each encoded at most once while it is fresh.

    The same bytes go to every follower, to every observer and into the log; a follower logs the
    bytes that it received. Fresh is the last few thousand transactions or few MiB.
    """

    MAX_TXNS = 4096
    MAX_BYTES = 4 << 20

    def __init__(self) -> None:
        self._fresh: dict[int, tuple[txns.Txn, bytes]] = {}
        self._bytes = 0

    def encode(self, txn: txns.Txn) -> bytes:
        """Return the bytes of `txn`, which must not change any more."""
        known = self._fresh.get(txn.zxid)
        # By identity: two leaders may give one zxid to different transactions.
        if known is not None and known[0] is txn:
            return known[1]
        encoded = encode_txn(txn)
        self._remember(txn, encoded)
        return encoded

    def decode(self, encoded: bytes) -> txns.Txn:
        """Return the transaction in these bytes; raises MalformedPacket."""
        txn = decode_txn(encoded)
        self._remember(txn, encoded)
        return txn

    def _remember(self, txn: txns.Txn, encoded: bytes) -> None:
        if len(self._fresh) >= self.MAX_TXNS or self._bytes >= self.MAX_BYTES:
            self._fresh.clear()
            self._bytes = 0
        self._fresh[txn.zxid] = (txn, encoded)
        self._bytes += len(encoded)


def encode_txn(txn: txns.Txn) -> bytes:
    """Return `txn` as the bytes of a `Txn` of peer.proto."""
    out = peer_pb2.Txn(session_id=txn.session_id, cxid=txn.cxid, zxid=txn.zxid, time_ms=txn.time_ms)
    _fill_body(out.body, txn.body)
    return out.SerializeToString()


def decode_txn(encoded: bytes) -> txns.Txn:
    """Return the transaction in these bytes; raises MalformedPacket."""
    try:
        got = peer_pb2.Txn.FromString(encoded)
    except DecodeError as error:
        raise MalformedPacket(f"not a transaction: {error}") from None
    return txns.Txn(got.session_id, got.cxid, got.zxid, got.time_ms, _read_body(got.body))


def _fill_body(out: peer_pb2.TxnBody, body: txns.TxnBody) -> None:
    match body:
        case txns.CreateTxn():
            out.create.path = body.path
            if body.data is not None:
                out.create.data = body.data
            out.create.is_ephemeral = body.is_ephemeral
            out.create.parent_cversion = body.parent_cversion
            if body.acl is not OPEN_ACL:
                _fill_acl(out.create, body.acl)
            if body.ttl_ms:
                out.create.ttl_ms = body.ttl_ms
        case txns.SetDataTxn():
            out.set_data.path = body.path
            if body.data is not None:
                out.set_data.data = body.data
            out.set_data.version = body.version
        case txns.DeleteTxn():
            out.delete = body.path
        case txns.CheckTxn():
            out.check = body.path
        case txns.ErrorTxn():
            out.error = body.error
        case txns.MultiTxn():
            out.multi.SetInParent()
            for part in body.bodies:
                _fill_body(out.multi.bodies.add(), part)
        case txns.SetAclTxn():
            out.set_acl.path = body.path
            _fill_acl(out.set_acl, body.acl)
            out.set_acl.aversion = body.aversion
        case txns.CreateSessionTxn():
            out.create_session = body.timeout_ms
        case txns.CloseSessionTxn():
            out.close_session.SetInParent()
            out.close_session.paths.extend(body.paths)
        case _:
            assert_never(body)


class _HasAcl(Protocol):
    """What is guarded by an access list; none on the wire is the open one, which most have."""

    @property
    def acl(self) -> client_pb2.AclList: ...


def _fill_acl(out: _HasAcl, acl: AclList) -> None:
    if acl is not OPEN_ACL:
        out.acl.SetInParent()
        fill_acl(out.acl.entries, acl)


def _read_acl(got: client_pb2.AclList) -> AclList:
    return share(tuple(Acl(entry.perms, Id(entry.id.scheme, entry.id.id)) for entry in got.entries))


def _read_body(got: peer_pb2.TxnBody) -> txns.TxnBody:
    match got.WhichOneof("body"):
        case "multi":
            bodies = tuple(_read_simple(part) for part in got.multi.bodies)
            return txns.MultiTxn(bodies)
        case "create_session":
            return txns.CreateSessionTxn(got.create_session)
        case "set_acl":
            given = got.set_acl
            acl = _read_acl(given.acl) if given.HasField("acl") else OPEN_ACL
            return txns.SetAclTxn(given.path, acl, given.aversion)
        case "close_session":
            return txns.CloseSessionTxn(tuple(got.close_session.paths))
        case _:
            return _read_simple(got)


def _read_simple(
    got: peer_pb2.TxnBody,
) -> txns.CreateTxn | txns.DeleteTxn | txns.SetDataTxn | txns.CheckTxn | txns.ErrorTxn:
    match got.WhichOneof("body"):
        case "create":
            made = got.create
            data = made.data if made.HasField("data") else None
            acl = _read_acl(made.acl) if made.HasField("acl") else OPEN_ACL
            cversion = made.parent_cversion
            return txns.CreateTxn(made.path, data, made.is_ephemeral, cversion, acl, made.ttl_ms)
        case "set_data":
            change = got.set_data
            data = change.data if change.HasField("data") else None
            return txns.SetDataTxn(change.path, data, change.version)
        case "delete":
            return txns.DeleteTxn(got.delete)
        case "check":
            return txns.CheckTxn(got.check)
        case "error":
            return txns.ErrorTxn(_error_code(got.error))
        case other:
            raise MalformedPacket(f"not a transaction body: {other}")


def _error_code(number: int) -> ErrorCode:
    try:
        return ErrorCode(number)
    except ValueError:
        raise MalformedPacket(f"not an error code: {number}") from None


def fill_snapshot(out: peer_pb2.Snapshot, snapshot: txns.Snapshot) -> None:
    """Write `snapshot` into `out`."""
    out.zxid = snapshot.zxid
    for znode in snapshot.znodes:
        image = out.znodes.add(
            path=znode.path,
            czxid=znode.czxid,
            mzxid=znode.mzxid,
            pzxid=znode.pzxid,
            ctime=znode.ctime,
            mtime=znode.mtime,
            version=znode.version,
            cversion=znode.cversion,
            aversion=znode.aversion,
            ephemeral_owner=znode.ephemeral_owner,
            ttl_ms=znode.ttl_ms,
        )
        _fill_acl(image, znode.acl)
        if znode.data is not None:
            image.data = znode.data
    for session_id, timeout_ms in snapshot.sessions:
        out.sessions.add(session_id=session_id, timeout_ms=timeout_ms)


def read_snapshot(got: peer_pb2.Snapshot) -> txns.Snapshot:
    """Return the snapshot in `got`."""
    znodes = tuple(
        txns.ZnodeImage(
            path=image.path,
            data=image.data if image.HasField("data") else None,
            czxid=image.czxid,
            mzxid=image.mzxid,
            pzxid=image.pzxid,
            ctime=image.ctime,
            mtime=image.mtime,
            version=image.version,
            cversion=image.cversion,
            aversion=image.aversion,
            ephemeral_owner=image.ephemeral_owner,
            acl=_read_acl(image.acl) if image.HasField("acl") else OPEN_ACL,
            ttl_ms=image.ttl_ms,
        )
        for image in got.znodes
    )
    sessions = tuple((touch.session_id, touch.timeout_ms) for touch in got.sessions)
    return txns.Snapshot(got.zxid, znodes, sessions)


def fill_envelope(
    out: peer_pb2.Envelope, connection: int, message: core.Message, txn_codec: TxnCodec
) -> None:
    """Write a packet into `out`. The txn_type of Ack and Commit does not travel."""
    out.connection = connection
    match message:
        case core.Proposal():
            out.proposal = txn_codec.encode(message.txn)
        case core.Ack():
            out.ack.zxid = message.zxid
        case core.Commit():
            out.commit.zxid = message.zxid
        case core.Request():
            _fill_request(out.request, message)
        case core.Inform():
            out.inform = txn_codec.encode(message.txn)
        case core.Ping():
            out.ping.SetInParent()
            for session_id, timeout_ms in message.touches:
                out.ping.touches.add(session_id=session_id, timeout_ms=timeout_ms)
        case core.SyncPacket():
            out.sync.SetInParent()
        case core.Revalidate():
            out.revalidate.session_id = message.session_id
            out.revalidate.timeout_ms = message.timeout_ms
        case core.Revalidated():
            out.revalidated.session_id = message.session_id
            out.revalidated.is_valid = message.is_valid
        case _:
            _fill_rare(out, message)


_Rare = (
    core.Notification
    | core.FollowerInfo
    | core.ObserverInfo
    | core.LeaderInfo
    | core.AckEpoch
    | core.Diff
    | core.Trunc
    | core.Snap
    | core.NewLeader
    | core.UpToDate
    | core.Fin
)


def _fill_rare(out: peer_pb2.Envelope, message: _Rare) -> None:
    """Write a packet of election, discovery or synchronization."""
    match message:
        case core.Notification():
            out.notification.state = message.state
            out.notification.leader = message.leader
            out.notification.zxid = message.zxid
            out.notification.election_epoch = message.election_epoch
            out.notification.peer_epoch = message.peer_epoch
        case core.FollowerInfo():
            out.follower_info.SetInParent()
            out.follower_info.accepted_epoch = message.accepted_epoch
        case core.ObserverInfo():
            out.observer_info.SetInParent()
            out.observer_info.accepted_epoch = message.accepted_epoch
        case core.LeaderInfo():
            out.leader_info.epoch = message.epoch
        case core.AckEpoch():
            out.ack_epoch.current_epoch = message.current_epoch
            out.ack_epoch.last_zxid = message.last_zxid
        case core.Diff():
            out.diff.zxid = message.zxid
        case core.Trunc():
            out.trunc.zxid = message.zxid
        case core.Snap():
            out.snap.SetInParent()
            fill_snapshot(out.snap, message.snapshot)
        case core.NewLeader():
            out.new_leader.zxid = message.zxid
        case core.UpToDate():
            out.up_to_date.zxid = message.zxid
        case core.Fin():
            out.fin.SetInParent()
        case _:
            assert_never(message)


def _fill_request(out: peer_pb2.ForwardedRequest, message: core.Request) -> None:
    out.session_id = message.session_id
    out.ids.extend(_join_ids(message.ids))
    if isinstance(message.op, CreateSession):
        out.create_session_timeout_ms = message.op.timeout_ms
        # Kept for its cxid alone.
        out.request.xid = message.cxid
    elif isinstance(message.op, MalformedWrite):
        out.is_malformed = True
        out.request.xid = message.cxid
    else:
        encode_op(out.request, message.cxid, message.op)


# Nearly every request comes from one of few identities; few are kept, since one may be as large
# as a request.
@lru_cache(maxsize=64)
def _join_ids(ids: tuple[Id, ...]) -> tuple[str, ...]:
    return tuple(f"{who.scheme}:{who.id}" for who in ids)


@lru_cache(maxsize=64)
def _split_ids(joined: tuple[str, ...]) -> tuple[Id, ...]:
    parts = (text.partition(":") for text in joined)
    return tuple(Id(scheme, id_) for scheme, _, id_ in parts)


# So that a peer that lies about it costs little.
MAX_RUN = 1 << 20


def continues(message: core.Message, previous: core.Message | None) -> bool:
    """Whether a packet says of the next zxid what the one before it says: they share an envelope.

    Under load nearly all acks and commits do, and an envelope costs more than all else of them.
    """
    if isinstance(message, core.Ack):
        return isinstance(previous, core.Ack) and message.zxid == previous.zxid + 1
    if isinstance(message, core.Commit):
        return isinstance(previous, core.Commit) and message.zxid == previous.zxid + 1
    return False


def read_run(first: core.Message, more: int) -> list[core.Message]:
    """Return the `more` packets that share the envelope of `first`; raises MalformedPacket."""
    if not isinstance(first, core.Ack | core.Commit) or more > MAX_RUN:
        raise MalformedPacket(f"a run of {more} behind {first.kind}")
    kind, zxid = type(first), first.zxid
    return [kind(zxid + ahead) for ahead in range(1, more + 1)]


def read_envelope(got: peer_pb2.Envelope, txn_codec: TxnCodec) -> core.Message:
    """Return the packet in `got`; raises MalformedPacket."""
    packet = got.WhichOneof("packet")
    reader = _READERS.get(packet or "")
    if reader is None:
        raise MalformedPacket("an envelope without a packet known here")
    return reader(got, txn_codec)


def _read_request(got: peer_pb2.ForwardedRequest) -> core.Request:
    request: client_pb2.Request = got.request
    ids = _split_ids(tuple(got.ids))
    if got.HasField("create_session_timeout_ms"):
        op = CreateSession(got.create_session_timeout_ms)
        return core.Request(got.session_id, request.xid, op, ids)
    if got.is_malformed:
        return core.Request(got.session_id, request.xid, MalformedWrite(), ids)
    try:
        return core.Request(got.session_id, request.xid, decode_op(request), ids)
    except MalformedFrame as error:
        raise MalformedPacket(f"a forwarded request: {error}") from None


def _read_notification(got: peer_pb2.Notification) -> core.Notification:
    try:
        state = core.ServerState(got.state)
    except ValueError:
        raise MalformedPacket(f"not a server state: {got.state}") from None
    return core.Notification(state, got.leader, got.zxid, got.election_epoch, got.peer_epoch)


_READERS: dict[str, Callable[[peer_pb2.Envelope, TxnCodec], core.Message]] = {
    "notification": lambda e, _: _read_notification(e.notification),
    "follower_info": lambda e, _: core.FollowerInfo(e.follower_info.accepted_epoch),
    "observer_info": lambda e, _: core.ObserverInfo(e.observer_info.accepted_epoch),
    "leader_info": lambda e, _: core.LeaderInfo(e.leader_info.epoch),
    "ack_epoch": lambda e, _: core.AckEpoch(e.ack_epoch.current_epoch, e.ack_epoch.last_zxid),
    "diff": lambda e, _: core.Diff(e.diff.zxid),
    "trunc": lambda e, _: core.Trunc(e.trunc.zxid),
    "snap": lambda e, _: core.Snap(read_snapshot(e.snap)),
    "new_leader": lambda e, _: core.NewLeader(e.new_leader.zxid),
    "up_to_date": lambda e, _: core.UpToDate(e.up_to_date.zxid),
    "request": lambda e, _: _read_request(e.request),
    "proposal": lambda e, codec: core.Proposal(codec.decode(e.proposal)),
    "ack": lambda e, _: core.Ack(e.ack.zxid),
    "commit": lambda e, _: core.Commit(e.commit.zxid),
    "inform": lambda e, codec: core.Inform(codec.decode(e.inform)),
    "ping": lambda e, _: core.Ping(tuple((t.session_id, t.timeout_ms) for t in e.ping.touches)),
    "revalidate": lambda e, _: core.Revalidate(e.revalidate.session_id, e.revalidate.timeout_ms),
    "revalidated": lambda e, _: core.Revalidated(e.revalidated.session_id, e.revalidated.is_valid),
    "sync": lambda e, _: core.SyncPacket(),
    "fin": lambda e, _: core.Fin(),
}
