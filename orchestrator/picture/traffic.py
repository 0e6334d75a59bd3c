"""The messages between members in a scene: whose story each is part of, and what is noise."""

from __future__ import annotations

from orchestrator.picture.evidence import Evidence
from orchestrator.picture.messages import Message
from orchestrator.picture.names import show_id
from orchestrator.picture.scene import Arrow, Scene, show_moment

# Not part of any client's story, wherever they are.
NOISE = frozenset({"PING", "NOTIFICATION"})
BROADCAST = frozenset({"PROPOSAL", "ACK", "COMMIT", "INFORM", "REQUEST"})
ON_ITS_WAY_MS = 2.0


def draw_message(scene: Scene, evidence: Evidence, message: Message) -> None:
    """Add a message; one end or the other may lie outside of the window."""
    sent = None if message.sent_ms is None else (message.sent_ms, float(message.sent_order))
    left = None
    if message.left_ms is not None and message.left_ms <= evidence.end_ms:
        left = (message.left_ms, float(message.left_order))
    received = None
    # Its arrival may lie behind the window.
    if message.received_ms is not None and message.received_ms <= evidence.end_ms:
        received = (message.received_ms, float(message.received_order))
    session_id = message.session_id or evidence.session_by_zxid.get(message.zxid, 0)
    scene.arrows.append(
        Arrow(
            *(f"m{message.sender}", f"m{message.receiver}", sent, left, received),
            label=f"{message.title} {message.zxid}".strip(),
            short=message.packet,
            look="message",
            group=message.packet,
            tip=_message_tip(scene, message),
            session=session_id,
            is_kept=message.is_kept,
            is_noise=_is_noise(evidence, message, session_id),
            is_lost=message.received_ms is None and not _is_at_the_end(evidence, message),
        )
    )


def _is_at_the_end(evidence: Evidence, message: Message) -> bool:
    """Whether the traces end so soon after it was sent that it may just be on its way."""
    began_ms = message.left_ms or message.sent_ms or 0.0
    return evidence.survey.end_ms - began_ms < ON_ITS_WAY_MS


def _is_noise(evidence: Evidence, message: Message, session_id: int) -> bool:
    if message.packet in NOISE:
        return message.packet == "PING" or bool(evidence.subjects)
    if not evidence.subjects:
        return False
    if session_id in evidence.sessions:
        return False
    if message.packet in BROADCAST:
        return message.zxid not in evidence.zxids_drawn
    return message.packet == "REVALIDATE"


def _message_tip(scene: Scene, message: Message) -> str:
    lines = [f"{message.title} {message.sender}→{message.receiver}"]
    if message.sent_ms is None:
        lines.append("sent before tracing began, or unknown")
    else:
        lines.append(f"sent at {show_moment(scene, message.sent_ms)}")
    if message.is_kept:
        until = "to the end" if message.left_ms is None else show_moment(scene, message.left_ms)
        lines.append(f"kept back by a rule of the link until {until}")
    if message.received_ms is not None:
        lines.append(f"received at {show_moment(scene, message.received_ms)}")
    else:
        lines.append("never received, as far as the traces go")
    known = ("zxid", "path", "is_valid", "number")
    lines += [f"{name} {message.fields[name]}" for name in known if name in message.fields]
    if message.session_id:
        lines.append(f"session {show_id(message.session_id)}")
    return "\n".join(lines)
