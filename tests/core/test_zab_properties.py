"""What must hold whatever happens: the properties of ZooKeeper's own TLA+ document for Zab.

A hypothesis machine drives three to five members, packet by packet and write by write, with
broken links and crashes that lose what was not synced. "Delivered" means: applied on a member
that serves.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from nodes.core.config import MemberConfig
from nodes.core.effects import Effect, Persist
from nodes.core.errors import ErrorCode
from nodes.core.messages import ServerState
from nodes.core.requests import EPHEMERAL, SEQUENTIAL, Create
from nodes.core.status import Status
from nodes.core.txns import Txn
from nodes.core.zxid import counter_of, epoch_of

from .network import Network

TICK_MS = 100


class Zab(RuleBasedStateMachine):
    """Keeps, over the whole run, who led which epoch, what was broadcast and what delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.leader_of: dict[int, int] = {}
        self.broadcast: dict[int, Txn] = {}
        self.broadcast_by_epoch: dict[int, list[int]] = {}
        self.delivered: list[int] = []
        self.digests: dict[int, str] = {}
        self.connections = 0

    @initialize(voters=st.integers(3, 5), observers=st.integers(0, 1))
    def begin(self, voters: int, observers: int) -> None:
        config = MemberConfig(
            0,
            tuple(range(1, voters + 1)),
            tuple(range(voters + 1, voters + observers + 1)),
            tick_time_ms=TICK_MS,
            init_limit=10,
            sync_limit=4,
            min_session_timeout_ms=200,
            max_session_timeout_ms=2000,
            snap_count=4,
        )
        self.network = Network(config)
        self.network.on_effects = self.note
        for sid in self.network.sids:
            self.network.start(sid)
        self.network.run(600)

    # What is seen on the way.

    def note(self, sid: int, effects: list[Effect]) -> None:
        """Whoever logs a transaction first must be its epoch's leader, who broadcasts it."""
        status = self.network.members[sid].status()
        if status.state is ServerState.LEADING and status.is_serving:
            self.note_leader(sid, status)
        for effect in effects:
            if isinstance(effect, Persist):
                self.note_logged(sid, effect.txn)

    def note_leader(self, sid: int, status: Status) -> None:
        """Leadership; and primary integrity, the moment that an epoch begins."""
        known = self.leader_of.setdefault(status.epoch, sid)
        assert known == sid, f"leadership: {known} and {sid} both lead epoch {status.epoch}"
        if status.epoch not in self.broadcast_by_epoch:
            self.broadcast_by_epoch[status.epoch] = []
            self.histories_agree()
            base, history = self.history(sid)
            missing = [z for z in self.delivered if z > base and z not in history]
            assert not missing, f"primary integrity: leader {sid} lacks {missing}"

    def note_logged(self, sid: int, txn: Txn) -> None:
        epoch = epoch_of(txn.zxid)
        if txn.zxid not in self.broadcast:
            assert self.leader_of.get(epoch) == sid, f"integrity: {sid} made up {txn}"
            self.broadcast_by_epoch[epoch].append(txn.zxid)
        known = self.broadcast.setdefault(txn.zxid, txn)
        assert known == txn, "integrity: two transactions with one zxid"

    def history(self, sid: int) -> tuple[int, list[int]]:
        """What a member has applied: the zxid of its snapshot, and the zxids after it."""
        replica = self.network.members[sid]._replica
        return replica.snapshot_zxid, [txn.zxid for txn in replica.committed_log]

    def check_history(self, sid: int) -> None:
        """Prefix consistency, agreement, total order: one history, of which each has a prefix."""
        base, history = self.history(sid)
        known = [zxid for zxid in self.delivered if zxid > base]
        common = min(len(known), len(history))
        assert history[:common] == known[:common], f"prefix consistency: member {sid}"
        self.delivered += history[common:]

    # Rules.

    @rule(steps=st.lists(st.integers(0, 99), min_size=1, max_size=12))
    def deliver(self, steps: list[int]) -> None:
        for step in steps:
            links = self.network.deliverable()
            if links:
                self.network.deliver(links[step % len(links)])

    @rule(pick=st.integers(0, 99), count=st.integers(1, 4))
    def sync(self, pick: int, count: int) -> None:
        busy = [s for s in self.network.members if self.network.disks[s].waiting]
        if busy:
            self.network.sync(busy[pick % len(busy)], count)

    @rule(pick=st.integers(0, 99))
    def notice(self, pick: int) -> None:
        waiting = [sid for sid in self.network.members if self.network.notices[sid]]
        if waiting:
            self.network.notice(waiting[pick % len(waiting)])

    @rule(pick=st.integers(0, 99))
    def reset(self, pick: int) -> None:
        links = list(self.network.open_links)
        if links:
            self.network.break_off(links[pick % len(links)])

    @rule()
    def reopen(self) -> None:
        self.network.reopen()

    @rule(pick=st.integers(0, 99), survivors=st.integers(0, 3))
    def crash(self, pick: int, survivors: int) -> None:
        up = list(self.network.members)
        if up:
            self.network.crash(up[pick % len(up)], survivors)

    @precondition(lambda self: len(self.network.members) < len(self.network.sids))
    @rule(pick=st.integers(0, 99))
    def restart(self, pick: int) -> None:
        down = [sid for sid in self.network.sids if sid not in self.network.members]
        self.network.start(down[pick % len(down)])

    @rule(length_ms=st.sampled_from([1, 50, 100, 200, 500]))
    def advance(self, length_ms: int) -> None:
        """Time passes without anything being delivered."""
        self.network.now_ms += length_ms
        self.network.wake()

    @rule(length_ms=st.sampled_from([50, 250, 600, 1500]))
    def run_well(self, length_ms: int) -> None:
        self.network.run(length_ms)

    @rule(pick=st.integers(0, 99), is_ephemeral=st.booleans())
    def submit(self, pick: int, is_ephemeral: bool) -> None:
        """A new client on a serving member; its request waits for its session."""
        serving = [s for s, m in self.network.members.items() if m.status().is_serving]
        if not serving:
            return
        sid = serving[pick % len(serving)]
        self.connections += 1
        self.network.connect(sid, self.connections, 1000)
        flags = SEQUENTIAL | (EPHEMERAL if is_ephemeral else 0)
        self.network.submit(sid, self.connections, 1, Create("/n-", b"", flags))

    # Invariants.

    @invariant()
    def histories_agree(self) -> None:
        members = self.network.members
        serving = [sid for sid, member in members.items() if member.status().is_serving]
        # A member that was sent a snapshot cannot tell what is in it: ask the others first.
        for sid in sorted(serving, key=self.history):
            member = members[sid]
            self.check_history(sid)
            base, history = self.history(sid)
            state = history[-1] if history else base if counter_of(base) else 0
            if state:
                digest = self.digests.setdefault(state, member.digest())
                assert digest == member.digest(), f"agreement: member {sid} at {state:#x}"

    @invariant()
    def only_what_was_broadcast_is_delivered(self) -> None:
        """Integrity."""
        assert all(zxid in self.broadcast for zxid in self.delivered)
        assert len(set(self.delivered)) == len(self.delivered)

    @invariant()
    def epochs_are_delivered_in_order(self) -> None:
        """Global primary order."""
        epochs = [epoch_of(zxid) for zxid in self.delivered]
        assert epochs == sorted(epochs)

    @invariant()
    def each_primarys_transactions_are_delivered_in_its_order(self) -> None:
        """Local primary order: of every epoch a prefix, without a gap."""
        for epoch, broadcast in self.broadcast_by_epoch.items():
            delivered = [zxid for zxid in self.delivered if epoch_of(zxid) == epoch]
            assert delivered == broadcast[: len(delivered)]

    @invariant()
    def acknowledged_writes_are_delivered(self) -> None:
        """A client's good news is never taken back."""
        self.histories_agree()
        for _, answer in self.network.answers:
            error = getattr(answer, "error", None)
            if error == ErrorCode.OK:
                zxid = getattr(answer, "zxid", 0)
                assert counter_of(zxid) == 0 or zxid in self.delivered
        self.network.answers.clear()

    def teardown(self) -> None:
        """Left in peace, every ensemble serves again and all members have the same tree."""
        if not hasattr(self, "network"):
            return
        for sid in self.network.sids:
            if sid not in self.network.members:
                self.network.start(sid)
        for _ in range(40):
            self.network.run(500)
            if all(m.status().is_serving for m in self.network.members.values()):
                break
        self.network.run(500)
        statuses = [m.status() for m in self.network.members.values()]
        assert all(status.is_serving for status in statuses), statuses
        assert len({m.digest() for m in self.network.members.values()}) == 1
        self.histories_agree()


TestZab = Zab.TestCase
TestZab.settings = settings(
    max_examples=50,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
