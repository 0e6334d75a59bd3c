"""Watches every step of every member and what clients are told; raises at the first violation.

It reads events, effects and the plain data of replicas. It shares no code with the core: it
has its own tree, its own idea of a quorum and of what a zxid is made of, and it never asks a
member whether something is right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodes.core.config import MemberConfig
from nodes.core.effects import (
    CloseConnection,
    ConnectReply,
    Effect,
    Persist,
    PersistSnapshot,
    Reply,
    Send,
    Trace,
    WriteSnapshotPart,
)
from nodes.core.events import (
    ConnectionLost,
    ConnectRequested,
    Event,
    LogTruncated,
    Persisted,
    Received,
    Started,
    Submitted,
)
from nodes.core.messages import NewLeader, Snap
from nodes.core.requests import Acl, DataResult, Exists, GetData, Op
from nodes.core.txns import CloseSessionTxn, CreateTxn, MultiTxn, Recovered, Snapshot, Txn
from orchestrator.simulator.host import Host
from orchestrator.simulator.invariants import Invariant, Violation, show_zxid
from orchestrator.simulator.ledger import Ledger
from orchestrator.simulator.model import Model, Row


class Znode(Protocol):
    """What the judge reads of a member's znode."""

    data: bytes | None
    version: int
    ephemeral_owner: int
    czxid: int
    mzxid: int
    acl: tuple[Acl, ...]
    aversion: int


@dataclass(slots=True)
class Witness:
    """What the judge knows of one member. `delivered` counts transactions of the ledger.

    `base` is what it had when it stopped serving, started, or got another history.
    """

    sid: int
    base: tuple[Txn, ...] = ()
    is_serving: bool = False
    epoch: int = 0
    is_leading: bool = False
    last_zxid: int = 0
    delivered: int = 0
    model: Model = field(default_factory=Model)
    touched: list[str] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)


class Judge:
    """Invariant: for a serving member, `Witness.model` is the ledger up to `delivered`."""

    def __init__(self, hosts: Mapping[int, Host], config: MemberConfig) -> None:
        self.steps = 0
        self._hosts = hosts
        self._voters = config.voters
        # A local session is its member's own to open and to expire, and no member else knows it.
        self._has_local_sessions = config.local_sessions_enabled
        self.ledger = Ledger(self._count_holders, len(self._voters))
        self._witnesses = {sid: Witness(sid) for sid in hosts}
        # By identity: two leaders may send snapshots of equal content and unequal history.
        self._chains: dict[int, tuple[Snapshot, tuple[Txn, ...]]] = {}
        self._own_chains: dict[tuple[int, int], tuple[Txn, ...]] = {}
        self._asked: dict[int, int] = {}
        self._unanswered: dict[int, deque[tuple[int, Op]]] = {}
        self._marked: set[tuple[int, int]] = set()

    # What is seen.

    def on_step(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """A member has made a step; its effects are not carried out yet."""
        self.steps += 1
        witness = self._witnesses[host.sid]
        kind = type(event)
        if kind is Received or kind is Persisted:
            pass  # Most events, and no news of clients.
        elif kind is Submitted:
            assert isinstance(event, Submitted)
            if event.xid > 0:
                self._unanswered.setdefault(event.connection, deque()).append((event.xid, event.op))
        elif kind is ConnectRequested:
            assert isinstance(event, ConnectRequested)
            self._asked[event.connection] = event.session_id
        elif kind is ConnectionLost:
            assert isinstance(event, ConnectionLost)
            self._forget(event.connection)
        elif kind is Started:
            witness.base = self._base_of(host.sid, host.disk.recover())
            witness.is_serving = False
        elif kind is LogTruncated:
            assert isinstance(event, LogTruncated)
            if event.recovered is not None:
                witness.base = self._base_of(host.sid, event.recovered)
        for effect in effects:
            self._on_effect(host, witness, effect)
        if witness.is_serving and host.replica.last_zxid != witness.last_zxid:
            self._advance(host, witness, host.replica.last_zxid)

    def _on_effect(self, host: Host, witness: Witness, effect: Effect) -> None:
        match effect:
            case Send(message=message):
                if type(message) is NewLeader:
                    self.ledger.lead(host.sid, message.zxid >> 32)
                elif type(message) is Snap:
                    self._note_snapshot(host, witness, message.snapshot)
            case Trace(kind=kind, fields=fields):
                self._on_trace(host, witness, kind, fields)
            case Persist(txn=txn):
                self.ledger.log(host.sid, txn)
            case Reply():
                self._on_reply(host, witness, effect)
            case ConnectReply():
                self._advance(host, witness, host.replica.last_zxid)
                self._on_connect_reply(witness, effect)
            case PersistSnapshot(snapshot=snapshot):
                # Its history has come with it; the log in memory is empty now.
                witness.base = self._chain_of(host.sid, snapshot)
            case WriteSnapshotPart(zxid=zxid, is_last=True):
                chain = self._chain(host, witness)
                self._own_chains[host.sid, zxid] = tuple(t for t in chain if t.zxid <= zxid)
            case CloseConnection(connection=connection):
                self._forget(connection)
            case _:
                pass

    def _on_trace(
        self, host: Host, witness: Witness, kind: str, fields: dict[str, int | str | bool]
    ) -> None:
        if kind == "serving":
            witness.is_leading = fields["state"] == "LEADING"
            witness.epoch = int(fields["epoch"])
            self._adopt(host, witness)
        elif kind == "state" and witness.is_serving:
            witness.is_serving = False
            witness.base = tuple(self.ledger.delivered[: witness.delivered])
        elif kind in ("close_marked", "close_proposed") and witness.is_leading:
            self._marked.add((witness.epoch, int(fields["session_id"])))

    def _forget(self, connection: int) -> None:
        self._asked.pop(connection, None)
        self._unanswered.pop(connection, None)

    # Histories.

    def _chain_of(self, sid: int, snapshot: Snapshot | None) -> tuple[Txn, ...]:
        """Return the history in a snapshot that lies on the disk of member `sid`."""
        if snapshot is None:
            return ()
        received = self._chains.get(id(snapshot))
        return self._own_chains[sid, snapshot.zxid] if received is None else received[1]

    def _note_snapshot(self, host: Host, witness: Witness, snapshot: Snapshot) -> None:
        """Remember of which transactions a snapshot is made: it does not tell itself."""
        self._chains[id(snapshot)] = (snapshot, self._chain(host, witness))

    def _chain(self, host: Host, witness: Witness) -> tuple[Txn, ...]:
        """Return all that a member has applied. Its log in memory may not reach back to `base`."""
        known: Sequence[Txn] = witness.base
        if witness.is_serving:
            known = self.ledger.delivered[: witness.delivered]
        last_zxid = known[-1].zxid if known else 0
        return (*known, *(txn for txn in host.replica.committed_log if txn.zxid > last_zxid))

    def _base_of(self, sid: int, recovered: Recovered) -> tuple[Txn, ...]:
        return (*self._chain_of(sid, recovered.snapshot), *recovered.txns)

    def _count_holders(self, zxid: int) -> int:
        return sum(1 for sid in self._voters if self._holds(self._hosts[sid], zxid))

    def _holds(self, host: Host, zxid: int) -> bool:
        if zxid in host.disk.zxids:
            return True
        snapshot = host.disk.snapshot
        if snapshot is None or zxid > snapshot.zxid:
            return False
        return any(txn.zxid == zxid for txn in reversed(self._chain_of(host.sid, snapshot)))

    def _adopt(self, host: Host, witness: Witness) -> None:
        """The member begins to serve: all that it has becomes delivered."""
        chain = self._chain(host, witness)
        if witness.is_leading:
            self.ledger.lead(host.sid, witness.epoch)
        self.ledger.adopt(host.sid, chain, is_leading=witness.is_leading)
        witness.is_serving = True
        witness.delivered = len(chain)
        witness.last_zxid = host.replica.last_zxid
        witness.model = Model(chain)
        witness.touched.clear()
        witness.owners.clear()
        self._compare_all(host, witness)

    def _advance(self, host: Host, witness: Witness, zxid: int) -> None:
        """Deliver what the member has applied since, up to `zxid`."""
        fresh: list[Txn] = []
        for txn in reversed(host.replica.committed_log):
            if txn.zxid <= witness.last_zxid:
                break
            if txn.zxid <= zxid:
                fresh.append(txn)
        for txn in reversed(fresh):
            self.ledger.deliver(host.sid, witness.delivered, txn)
            witness.delivered += 1
            witness.touched += witness.model.fold(txn)
            if type(txn.body) in (CreateTxn, MultiTxn, CloseSessionTxn):
                witness.owners.append(txn.session_id)
        witness.last_zxid = max(witness.last_zxid, zxid)
        if host.replica.last_zxid == zxid:
            self._compare_touched(host, witness)

    # Trees. A step may apply several transactions: compared is what it leaves.

    def _compare_touched(self, host: Host, witness: Witness) -> None:
        tree = host.replica.tree
        for owner in witness.owners:
            self._check_owner(host, owner)
        for path in witness.touched:
            node = witness.model.nodes.get(path)
            znode = tree.find(path)
            expected = None if node is None else node.row()
            found = None if znode is None else row_of(znode, tree.containers.get(path, 0))
            if expected != found:
                detail = f"member {host.sid} has {path} as {found}, not {expected}"
                raise Violation(Invariant.SAME_TREE, detail)
        witness.touched.clear()
        witness.owners.clear()

    def _compare_all(self, host: Host, witness: Witness) -> None:
        replica, model = host.replica, witness.model
        for owner in replica.tree.ephemerals:
            self._check_owner(host, owner)
        for path, node in model.nodes.items():
            znode = replica.tree.find(path)
            ttl_ms = replica.tree.containers.get(path, 0)
            if znode is None or row_of(znode, ttl_ms) != node.row():
                detail = f"member {host.sid} differs at {path}, whose row is {node.row()}"
                raise Violation(Invariant.SAME_TREE, detail)
        # Besides these, every tree has /, /zookeeper and two below it; the root counts twice.
        surplus = replica.tree.node_count - 5 - len(model.nodes)
        if surplus:
            detail = f"member {host.sid} has {surplus} znodes too many"
            raise Violation(Invariant.SAME_TREE, detail)

    def _check_owner(self, host: Host, owner: int) -> None:
        replica = host.replica
        owned = replica.tree.ephemerals.get(owner)
        if not owned or owner in replica.sessions:
            return
        is_closed = owner in self.ledger.closed
        invariant = Invariant.CLOSED_OWNER if is_closed else Invariant.LIVE_OWNER
        raise Violation(invariant, f"{list(owned)} of {owner:#x} on member {host.sid}")

    # What members tell clients.

    def _on_connect_reply(self, witness: Witness, reply: ConnectReply) -> None:
        asked = self._asked.pop(reply.connection, 0)
        session_id = reply.session_id or asked
        if self._has_local_sessions and session_id not in self.ledger.opened:
            return
        if reply.session_id == 0:
            if not self._may_be_expired(witness, asked):
                detail = f"{asked:#x}: member {witness.sid} calls it expired, the leader does not"
                raise Violation(Invariant.EXPIRY, detail)
        elif reply.session_id not in self.ledger.opened:
            detail = f"{reply.session_id:#x}: member {witness.sid} opened it uncommitted"
            raise Violation(Invariant.OPENING, detail)

    def _may_be_expired(self, witness: Witness, session_id: int) -> bool:
        """Whether the leader of the member's epoch may say so.

        That leader may be deposed and not know it. Then it has marked sessions that live on, and
        it has never heard of those that were opened since, as in ZooKeeper (section 1.10).
        """
        is_marked = (witness.epoch, session_id) in self._marked
        is_younger = self.ledger.opened.get(session_id, 0) >> 32 > witness.epoch
        return is_marked or is_younger or session_id in self.ledger.closed

    def _on_reply(self, host: Host, witness: Witness, reply: Reply) -> None:
        if reply.xid <= 0:
            return
        if reply.zxid > witness.last_zxid:
            self._advance(host, witness, reply.zxid)
        waiting = self._unanswered.get(reply.connection)
        while self._has_local_sessions and waiting and waiting[0][0] != reply.xid:
            # A session that moves while it is upgraded: its new member drops what it asks for
            # until the createSession is applied there (`LearnerSessionTracker.touchSession`).
            waiting.popleft()
        if not waiting or waiting[0][0] != reply.xid:
            first = waiting[0][0] if waiting else "nothing"
            detail = f"member {host.sid} answers request {reply.xid}, and {first} is next"
            raise Violation(Invariant.SESSION_FIFO, detail)
        _, op = waiting.popleft()
        if isinstance(op, GetData | Exists) and witness.last_zxid == reply.zxid:
            self._check_read(witness, op, reply)

    def _check_read(self, witness: Witness, op: GetData | Exists, reply: Reply) -> None:
        node = witness.model.nodes.get(op.path)
        stat = getattr(reply.result, "stat", None)
        found = None if stat is None else (stat.version, stat.ephemeral_owner, stat.czxid)
        expected = None if node is None else (node.version, node.owner, node.czxid)
        if isinstance(reply.result, DataResult) and node is not None:
            is_same = found == expected and reply.result.data == node.data
        else:
            is_same = found == expected
        if not is_same:
            zxid = show_zxid(reply.zxid)
            detail = f"member {witness.sid} shows {op.path} at {zxid} as {found}, not {expected}"
            raise Violation(Invariant.READS, detail)

    # The end.

    @property
    def is_even(self) -> bool:
        """Whether every member serves and has delivered everything."""
        count = len(self.ledger.delivered)
        return all(w.is_serving and w.delivered == count for w in self._witnesses.values())

    def at_end(self) -> None:
        """Everything is healed and quiet: every member must have everything."""
        ledger = self.ledger
        for sid, witness in self._witnesses.items():
            if not witness.is_serving:
                raise Violation(Invariant.RECOVERY, f"member {sid} does not serve")
            chain = {txn.zxid for txn in self._chain(self._hosts[sid], witness)}
            for zxid in ledger.acknowledged:
                if zxid not in chain:
                    detail = f"{show_zxid(zxid)} is not on member {sid}"
                    raise Violation(Invariant.ACKNOWLEDGED, detail)
            if witness.delivered != len(ledger.delivered):
                detail = f"member {sid} has {witness.delivered} of {len(ledger.delivered)}"
                raise Violation(Invariant.AGREEMENT, detail)
            self._compare_all(self._hosts[sid], witness)


def row_of(znode: Znode, ttl_ms: int) -> Row:
    """Return what is compared of a member's znode, as `Node.row` does for the judge's."""
    owner = znode.ephemeral_owner
    stat = (znode.version, owner, znode.czxid, znode.mzxid, znode.aversion, ttl_ms)
    return (znode.data, znode.acl, stat)
