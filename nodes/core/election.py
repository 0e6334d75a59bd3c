"""Fast leader election (`FastLeaderElection`): votes until a quorum agrees on one.

Owns the logical clock and the vote. It ends by naming a leader; whether that member manages
to lead is discovery's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.core.context import Context
from nodes.core.messages import Notification, ServerState
from nodes.core.quorum import is_quorum
from nodes.core.zxid import show_zxid

FIRST_RESEND_MS = 200
LAST_RESEND_MS = 60_000
_BELOW_ALL = -(1 << 63)


@dataclass(slots=True)
class Vote:
    """A member's choice. Better is: newer peer epoch, then greater zxid, then greater sid."""

    leader: int
    zxid: int
    election_epoch: int
    peer_epoch: int
    state: ServerState = ServerState.LOOKING

    def is_better_than(self, other: Vote) -> bool:
        """`totalOrderPredicate`."""
        return (self.peer_epoch, self.zxid, self.leader) > (
            other.peer_epoch,
            other.zxid,
            other.leader,
        )

    def agrees_with(self, other: Vote) -> bool:
        """`Vote.equals`: outside LOOKING the zxid and the clock say nothing any more.

        A leader's own vote moves on with its epoch, so comparing them would keep a joiner
        out of a healthy ensemble for ever (ZOOKEEPER-1805).
        """
        if self.leader != other.leader or self.peer_epoch != other.peer_epoch:
            return False
        if ServerState.LOOKING not in (self.state, other.state):
            return True
        return self.zxid == other.zxid and self.election_epoch == other.election_epoch


class Election:
    """Votes of one member. `vote` is what it proposes while LOOKING, and what it chose after."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.clock = 0
        self.vote = Vote(context.config.sid, 0, 0, 0)
        self._own = self.vote
        self._votes: dict[int, Vote] = {}
        self._outside: dict[int, Vote] = {}
        self._resend_ms = float(FIRST_RESEND_MS)
        self._resend_at = 0.0
        self._decide_at: float | None = None

    def begin(self, last_zxid: int, current_epoch: int) -> None:
        """Enter LOOKING with a vote for oneself; an observer votes for nobody."""
        self.clock += 1
        self._own = self._initial(last_zxid, current_epoch)
        self._votes.clear()
        self._outside.clear()
        self._resend_ms = float(FIRST_RESEND_MS)
        self._propose(self._own)

    def deadline(self) -> float:
        """When to resend, or to decide."""
        return self._resend_at if self._decide_at is None else self._decide_at

    def on_deadline(self) -> Vote | None:
        """Return the chosen vote if the election is over, else resend."""
        if self._decide_at is not None:
            return self._decide() if self._context.now_ms >= self._decide_at else None
        if self._context.now_ms >= self._resend_at:
            self._resend_ms = min(2 * self._resend_ms, LAST_RESEND_MS)
            self._broadcast()
        return None

    def on_notification(self, peer: int, message: Notification) -> Vote | None:
        """Take a vote while LOOKING; return the chosen vote if that ends the election."""
        if peer not in self._context.config.voters:
            # Only one that looks: two members that answer each other would never stop.
            if message.state is ServerState.LOOKING:
                self.send_to(peer, ServerState.LOOKING)
            return None
        if message.leader not in self._context.config.voters:
            return None
        self._resend_at = self._context.now_ms + self._resend_ms
        vote = Vote(
            message.leader,
            message.zxid,
            message.election_epoch,
            message.peer_epoch,
            message.state,
        )
        match message.state:
            case ServerState.LOOKING:
                return self._on_looking(peer, vote)
            case ServerState.FOLLOWING | ServerState.LEADING:
                return self._on_settled(peer, vote)
            case ServerState.OBSERVING:
                return None

    def _on_looking(self, peer: int, vote: Vote) -> Vote | None:
        if vote.election_epoch < self.clock:
            # A voter answers whatever an observer sends, so an observer must not answer back.
            if not self._context.config.is_observer:
                self.send_to(peer, ServerState.LOOKING)
            return None
        if vote.election_epoch > self.clock:
            self.clock = vote.election_epoch
            self._votes.clear()
            self._decide_at = None
            self._propose(vote if vote.is_better_than(self._own) else self._own)
        elif vote.is_better_than(self.vote):
            self._propose(vote)
        self._votes[peer] = vote
        self._conclude()
        return None

    def _conclude(self) -> None:
        """With a quorum behind the vote, wait a little: a better one may be on its way."""
        if self._decide_at is None and self._has_quorum(self._votes, self.vote):
            self._decide_at = self._context.now_ms + self._context.config.finalize_wait_ms

    def _on_settled(self, peer: int, vote: Vote) -> Vote | None:
        """A member that already follows or leads: join it if a quorum says the same."""
        if vote.election_epoch == self.clock:
            self._votes[peer] = vote
            if self._is_led(self._votes, vote):
                return self._choose(vote)
        self._outside[peer] = vote
        if self._is_led(self._outside, vote):
            self.clock = vote.election_epoch
            return self._choose(vote)
        return None

    def _is_led(self, votes: dict[int, Vote], vote: Vote) -> bool:
        """A quorum names the leader, and the leader itself says that it leads.

        Without the second half a member would follow one that has just stepped down, on the
        word of followers that do not know it yet (`checkLeader`).
        """
        if not self._has_quorum(votes, vote):
            return False
        if vote.leader == self._context.config.sid:
            return vote.election_epoch == self.clock
        leader = votes.get(vote.leader)
        return leader is not None and leader.state is ServerState.LEADING

    def _has_quorum(self, votes: dict[int, Vote], vote: Vote) -> bool:
        agreeing = [sid for sid, other in votes.items() if other.agrees_with(vote)]
        return is_quorum(agreeing, self._context.config.voters)

    def _decide(self) -> Vote:
        return self._choose(self.vote)

    def _choose(self, vote: Vote) -> Vote:
        self._decide_at = None
        self.vote = Vote(vote.leader, vote.zxid, self.clock, vote.peer_epoch)
        self._context.trace(
            "elected", leader=vote.leader, zxid=show_zxid(vote.zxid), election_epoch=self.clock
        )
        return self.vote

    def ask_again_soon(self) -> None:
        """The silence that made resending rare is over: a link has come up.

        Whoever is back elects within moments and then tells nobody unasked; a member that goes
        on doubling, above all an observer, would find the new leader up to a minute later.
        """
        self._resend_ms = float(FIRST_RESEND_MS)
        self._resend_at = min(self._resend_at, self._context.now_ms + self._resend_ms)

    def enter_epoch(self, epoch: int) -> None:
        """The chosen leader's epoch: what a joiner must hear of it."""
        self.vote.peer_epoch = epoch

    def _initial(self, last_zxid: int, current_epoch: int) -> Vote:
        sid = self._context.config.sid
        if self._context.config.is_observer:
            return Vote(sid, _BELOW_ALL, self.clock, _BELOW_ALL)
        return Vote(sid, last_zxid, self.clock, current_epoch)

    def _propose(self, vote: Vote) -> None:
        sid = self._context.config.sid
        self.vote = Vote(vote.leader, vote.zxid, self.clock, vote.peer_epoch)
        self._decide_at = None
        if not self._context.config.is_observer:
            self._votes[sid] = self.vote
        self._broadcast()
        self._conclude()

    def _broadcast(self) -> None:
        self._resend_at = self._context.now_ms + self._resend_ms
        for sid in self._context.config.voters:
            if sid != self._context.config.sid:
                self.send_to(sid, ServerState.LOOKING)

    def send_to(self, peer: int, state: ServerState) -> None:
        """Tell `peer` the current vote, as a member in `state`."""
        vote = self.vote
        self._context.send(
            peer,
            0,
            Notification(state, vote.leader, vote.zxid, vote.election_epoch, vote.peer_epoch),
        )
