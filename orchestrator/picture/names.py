"""Names for sessions, clients and members, the same in lanes, labels and sentences."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.picture.evidence import Evidence
from orchestrator.picture.scene import CLIENT, MEMBER, Lane, show_ms

_LONG_PATH = 18


@dataclass(slots=True)
class Names:
    """`sessions`: what to call a session that is drawn; `lane_of_session`: its client's lane."""

    sessions: dict[int, str] = field(default_factory=dict)
    lane_of_session: dict[int, str] = field(default_factory=dict)
    leader: int = 0

    def session(self, session_id: int) -> str:
        """What to call a session in a label."""
        return self.sessions.get(session_id) or f"session {show_id(session_id)}"

    def possessive(self, session_id: int) -> str:
        """What to call a session in a sentence: `victim's session`."""
        name = self.session(session_id)
        return name if name.startswith("session ") else f"{name}'s session"

    def program(self, session_id: int) -> str:
        """What to call the program that a session is the identity of."""
        name = self.session(session_id)
        return f"the program of {name}" if name.startswith("session ") else name

    @staticmethod
    def path(path: str) -> str:
        """A path, or the end of a long one."""
        return path if len(path) <= _LONG_PATH else f"…/{path.rpartition('/')[2]}"

    @staticmethod
    def after(span_ms: float) -> str:
        """How much later: `61.2 ms after`."""
        return f"{show_ms(span_ms)} after" if span_ms >= 0.05 else "right after"


def show_id(session_id: int) -> str:
    """What tells session ids apart: the member that gave it, in front, and the count at its end."""
    text = f"{session_id:x}"
    return f"0x{text}" if len(text) <= 6 else f"0x{text[:-14]}…{text[-4:]}"


def name_sessions(evidence: Evidence) -> Names:
    """Call each drawn session by its own name if it has one, else by its client or its id."""
    names = Names(leader=_leader_of(evidence))
    known = evidence.survey.sessions
    clients: dict[int, int] = {}
    for operation in evidence.operations:
        clients.setdefault(operation.session_id, operation.client)
    for session_id in evidence.sessions:
        session = known.get(session_id)
        if session is not None and session.name:
            names.sessions[session_id] = session.name
            names.lane_of_session[session_id] = f"c-{session.name}"
            continue
        client = session.client if session is not None else clients.get(session_id, 0)
        names.sessions[session_id] = f"session {show_id(session_id)}"
        names.lane_of_session[session_id] = f"c{client}" if client else f"s{session_id:x}"
    return names


def _leader_of(evidence: Evidence) -> int:
    if evidence.subject is not None and evidence.subject.leader:
        return evidence.subject.leader
    closings = evidence.survey.closings.values()
    if leader := next((each.leader for each in closings if each.leader), 0):
        return leader
    proposers = [m.sender for m in evidence.messages if m.packet in ("PROPOSAL", "COMMIT")]
    return max(set(proposers), key=proposers.count) if proposers else 0


def lay_lanes(evidence: Evidence, names: Names) -> list[Lane]:
    """Clients of the leader to the left, members from the leader to the last, other clients right.

    The member that answered the stale read is last, so that its reader stands next to it.
    """
    members = _members(evidence, names)
    homes = _homes(evidence)
    first = members[0].sid if members else 0
    left: dict[str, Lane] = {}
    right: dict[str, Lane] = {}
    for session_id in evidence.sessions:
        key = names.lane_of_session[session_id]
        home = homes.get(session_id, 0)
        is_left = home in (0, first) and not (
            evidence.stale is not None and session_id == evidence.stale.reading.session_id
        )
        side = left if is_left and key not in right else right
        if key in left:
            continue
        side.setdefault(key, _client_lane(evidence, names, session_id, key))
    place = {lane.sid: index for index, lane in enumerate(members)}
    on_the_right = sorted(
        right.values(), key=lambda lane: -place.get(_home_of_lane(lane, names, homes), 0)
    )
    return [*left.values(), *members, *on_the_right]


def _members(evidence: Evidence, names: Names) -> list[Lane]:
    sids = set(evidence.survey.sids)
    for message in evidence.messages:
        sids |= {message.sender, message.receiver}
    sids.discard(0)
    survey = evidence.survey
    last = survey.sid_of(evidence.stale.reading.member) if evidence.stale else _laggard(evidence)
    order = sorted(sids, key=lambda sid: (sid == last, sid != names.leader, sid))
    if last == names.leader:
        order = sorted(sids, key=lambda sid: (sid != names.leader, sid))
    return [
        Lane(f"m{sid}", survey.member(sid), "leader" if sid == names.leader else "", MEMBER, sid)
        for sid in order
    ]


def _laggard(evidence: Evidence) -> int:
    """The member that applied the end of the session in question last; 0: not known."""
    applied = evidence.subject.applied_ms if evidence.subject is not None else {}
    return max(applied, key=lambda sid: applied[sid], default=0)


def _homes(evidence: Evidence) -> dict[int, int]:
    """The member that a session was on last before the end of the window, by the records."""
    homes: dict[int, int] = {}
    for session_id in evidence.sessions:
        session = evidence.survey.sessions.get(session_id)
        sid = evidence.survey.sid_of(session.member) if session is not None else 0
        homes[session_id] = sid or evidence.survey.connected.get(session_id, 0)
    for operation in evidence.operations:
        if sid := evidence.survey.sid_of(operation.member):
            homes.setdefault(operation.session_id, sid)
            homes[operation.session_id] = homes[operation.session_id] or sid
    return homes


def _home_of_lane(lane: Lane, names: Names, homes: dict[int, int]) -> int:
    for session_id, key in names.lane_of_session.items():
        if key == lane.key:
            return homes.get(session_id, 0)
    return 0


def _client_lane(evidence: Evidence, names: Names, session_id: int, key: str) -> Lane:
    session = evidence.survey.sessions.get(session_id)
    name = names.session(session_id)
    if session is not None and session.name:
        return Lane(key, session.name, "client", CLIENT)
    if key.startswith("c"):
        return Lane(key, f"client {key[1:]}", name, CLIENT)
    return Lane(key, show_id(session_id), "session", CLIENT)
