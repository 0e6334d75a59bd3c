"""Lets a script see the packets of the protocol: a world that tells what is sent, and its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nodes.core.effects import Effect, Send
from nodes.core.messages import (
    Ack,
    AckEpoch,
    Commit,
    Diff,
    FollowerInfo,
    Inform,
    LeaderInfo,
    Message,
    NewLeader,
    Notification,
    ObserverInfo,
    Proposal,
    Snap,
    Trunc,
    UpToDate,
)
from nodes.core.zxid import show_zxid
from orchestrator.simulator.world import World


class WatchedWorld(World):
    """A world that tells `on_send(sender, receiver, message)` before it sends."""

    on_send: Callable[[int, int, Message], None] = staticmethod(lambda *_: None)

    def _carry_out(self, sid: int, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                self.on_send(sid, effect.peer, effect.message)
            super()._carry_out(sid, (effect,))


def show_packet(message: Message) -> str:
    """Return a packet as one line, without what a script cannot know beforehand."""
    match message:
        case Proposal(txn=txn) | Inform(txn=txn):
            words = f"{show_zxid(txn.zxid)} {txn.body.type}"
        case Ack(zxid=zxid, txn_type=txn_type) | Commit(zxid=zxid, txn_type=txn_type):
            words = f"{show_zxid(zxid)} {txn_type}".rstrip()
        case Diff(zxid=zxid) | Trunc(zxid=zxid) | NewLeader(zxid=zxid) | UpToDate(zxid=zxid):
            words = show_zxid(zxid)
        case Snap(snapshot=snapshot):
            words = show_zxid(snapshot.zxid)
        case FollowerInfo(accepted_epoch=epoch) | ObserverInfo(accepted_epoch=epoch):
            words = f"accepted_epoch={epoch}"
        case LeaderInfo(epoch=epoch):
            words = f"epoch={epoch}"
        case AckEpoch(current_epoch=epoch, last_zxid=zxid):
            words = f"current_epoch={epoch} last_zxid={show_zxid(zxid)}"
        case Notification(state=state, leader=leader, zxid=zxid, election_epoch=clock):
            words = f"{state.name} leader={leader} zxid={show_zxid(zxid)} election_epoch={clock}"
        case _:
            return message.kind
    return f"{message.kind} {words}"
