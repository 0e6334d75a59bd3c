"""What a trace says of a packet: plain fields, the same at both ends of a link.

Pure; it describes and decides nothing. Who sends or receives, and when, its shells add.
"""

from __future__ import annotations

from nodes.core.messages import (
    Ack,
    Commit,
    Diff,
    Inform,
    Message,
    NewLeader,
    Proposal,
    Request,
    Revalidate,
    Revalidated,
    Trunc,
    UpToDate,
)
from nodes.core.txns import Txn
from nodes.core.zxid import show_zxid

SENT = "message_sent"
# Of a message that a rule kept back: the instant at which the rules let it go.
LEFT = "message_left"
RECEIVED = "message_received"
MESSAGE_TRACES = frozenset({SENT, LEFT, RECEIVED})


def describe(message: Message) -> dict[str, int | str | bool]:
    """Name the packet, and, if it has them, its transaction's type and zxid, session and path.

    What only the sender knows (an ACK's txn_type) is missing at the receiver's end.
    """
    fields: dict[str, int | str | bool] = {"packet": message.kind}
    if txn_type := getattr(message, "txn_type", ""):
        fields["txn_type"] = txn_type
    match message:
        case Proposal(txn=txn) | Inform(txn=txn):
            fields |= _of_txn(txn)
        case Request(session_id=session_id, op=op):
            fields["session_id"] = session_id
            fields |= _path_of(op)
        case Revalidate(session_id=session_id):
            fields["session_id"] = session_id
        case Revalidated(session_id=session_id, is_valid=is_valid):
            fields |= {"session_id": session_id, "is_valid": is_valid}
        case (
            Ack(zxid=zxid)
            | Commit(zxid=zxid)
            | NewLeader(zxid=zxid)
            | UpToDate(zxid=zxid)
            | Diff(zxid=zxid)
            | Trunc(zxid=zxid)
        ):
            fields["zxid"] = show_zxid(zxid)
        case _:
            pass
    return fields


def _of_txn(txn: Txn) -> dict[str, int | str | bool]:
    return {"zxid": show_zxid(txn.zxid), "session_id": txn.session_id, **_path_of(txn.body)}


def _path_of(thing: object) -> dict[str, int | str | bool]:
    path = getattr(thing, "path", "")
    return {"path": path} if path else {}
