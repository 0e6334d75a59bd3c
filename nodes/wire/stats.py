"""What the words stat and cons tell of one connection."""

from __future__ import annotations

from nodes.core.counters import Latency

# ZooKeeper's `Request.op2String` and its callers, as cons shows them.
_NAMES = {
    1: "CREA",
    2: "DELE",
    3: "EXIS",
    4: "GETD",
    5: "SETD",
    6: "GETA",
    7: "SETA",
    8: "GETC",
    9: "SYNC",
    11: "PING",
    12: "GETC",
    13: "CHEC",
    14: "MULT",
    15: "CREA",
    16: "RECO",
    17: "CHKW",
    18: "REMW",
    19: "CREA",
    20: "DELE",
    21: "CREA",
    22: "MLTR",
    101: "SETW",
    103: "GETE",
    104: "GETACN",
    105: "STW2",
    106: "ADDW",
    107: "HOMI",
    -10: "SESS",
    -11: "CLOS",
}


class ConnectionStats:
    """Counts since the connection began, or since they were reset (crst)."""

    __slots__ = (
        "_last_opcode",
        "last_latency_ms",
        "last_response_ms",
        "last_xid",
        "last_zxid",
        "latency",
        "received",
        "sent",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Count from nothing again."""
        self.received = self.sent = 0
        self._last_opcode = 0
        self.last_xid = self.last_zxid = 0
        self.last_response_ms = self.last_latency_ms = 0
        self.latency = Latency()

    @property
    def last_op(self) -> str:
        """The last operation answered."""
        return _NAMES.get(self._last_opcode, "NA")

    def on_reply(self, opcode: int, xid: int, zxid: int, asked_s: float, now_s: float) -> None:
        """A request is answered. The xids of pings and their like are not remembered."""
        self.sent += 1
        self._last_opcode = opcode
        if xid >= 0:
            self.last_xid = xid
        self.last_zxid = zxid
        self.last_response_ms = int(now_s * 1000)
        self.last_latency_ms = int((now_s - asked_s) * 1000)
        self.latency.add(self.last_latency_ms)
