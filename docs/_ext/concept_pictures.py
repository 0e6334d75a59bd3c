"""What the pictures of docs/concepts.md show. `python docs/_ext/concept_pictures.py` writes them.

With --check it writes nothing and fails if a committed picture is not what this file draws.
"""

from __future__ import annotations

import sys
from pathlib import Path

from diagrams import Diagram

FOLDER = Path(__file__).resolve().parents[1] / "images" / "concepts"

CLIENT = "client"
READER = "reader"
VICTIM = "its program"
LEADER = "leader 3"
ONE = "follower 1"
TWO = "follower 2"
MEMBERS = [ONE, LEADER, TWO]


def write() -> Diagram:
    """A write through a follower."""
    d = Diagram("The life of a write", [CLIENT, *MEMBERS])
    d.message(CLIENT, 3, ONE, 10, "create /lock")
    d.message(ONE, 11, LEADER, 19, "REQUEST", "left")
    d.message(LEADER, 22, ONE, 34, "PROPOSAL", along=0.6)
    d.message(LEADER, 22, TWO, 34, "PROPOSAL", along=0.6)
    d.note(LEADER, 22, "gets a zxid", below=True)
    d.words(TWO, 40, "logs, syncs")
    d.message(TWO, 46, LEADER, 57, "ACK")
    d.note(LEADER, 58, "a majority has it: committed", below=True)
    d.message(LEADER, 60, ONE, 72, "COMMIT")
    d.message(LEADER, 60, TWO, 72, "COMMIT", along=0.75)
    d.znode(LEADER, 60, 100)
    d.znode(ONE, 72, 100)
    d.znode(TWO, 72, 100)
    d.message(ONE, 73, CLIENT, 82, "created", "good")
    return d


def local_reads() -> Diagram:
    """A read asks one member alone."""
    d = Diagram("A read asks one member alone", [READER, *MEMBERS])
    d.znode(ONE, 0, 68)
    d.znode(LEADER, 0, 20)
    d.znode(TWO, 0, 32)
    d.note(LEADER, 20, "delete /lock: committed", below=True)
    d.message(LEADER, 20, TWO, 32, "COMMIT", along=0.8)
    d.message(LEADER, 20, ONE, 68, "COMMIT, late", "late", 0.55)
    d.message(READER, 40, ONE, 47, "exists /lock?", "left")
    d.message(ONE, 48, READER, 55, "yes", "bad")
    d.message(READER, 74, ONE, 81, "exists /lock?", "left")
    d.message(ONE, 82, READER, 89, "no", "good")
    return d


def session() -> Diagram:
    """What keeps a session alive."""
    d = Diagram("What keeps a session alive", [CLIENT, ONE, LEADER])
    for begin in (2, 34):
        d.message(CLIENT, begin, ONE, begin + 6, "ping")
        d.message(ONE, begin + 12, LEADER, begin + 19, "touched: session")
    d.note(CLIENT, 48, "hangs: says no more", "bad")
    d.window("session timeout", 53, 88, LEADER, LEADER)
    d.note(LEADER, 90, "due", "bad", below=True)
    return d


def windows() -> Diagram:
    """Expiry, and its three windows."""
    d = Diagram("The three windows of an expiry", [VICTIM, *MEMBERS])
    d.znode(ONE, 0, 92, told=12)
    d.znode(LEADER, 0, 62, told=12)
    d.znode(TWO, 0, 74, told=12)
    d.window("W0", 12, 28, ONE, TWO)
    d.window("W1", 28, 62, ONE, TWO)
    d.window("W2 on follower 1", 62, 92, ONE, ONE)
    d.note(VICTIM, 12, "from here on it is told: expired", "bad")
    d.note(LEADER, 12, "marked")
    d.note(LEADER, 28, "submitted, proposed")
    d.message(LEADER, 29, TWO, 40, "PROPOSAL", along=0.6)
    d.message(TWO, 48, LEADER, 61, "ACK", "left")
    d.note(LEADER, 62, "committed", below=True)
    d.message(LEADER, 62, TWO, 74, "COMMIT", along=0.75)
    d.message(LEADER, 62, ONE, 92, "COMMIT, delayed", "late", 0.6)
    return d


def race() -> Diagram:
    """The verdict overtakes the commit."""
    d = Diagram("The verdict overtakes the commit", [READER, ONE, LEADER, VICTIM])
    d.znode(ONE, 0, 94, told=59)
    d.znode(LEADER, 0, 20)
    d.window("W2 on follower 1", 20, 94, ONE, ONE)
    d.note(LEADER, 20, "closeSession committed", below=True)
    d.message(LEADER, 20, ONE, 94, "COMMIT[closeSession], delayed", "late", 0.55)
    d.message(VICTIM, 46, LEADER, 52, "my session?", "left")
    d.message(LEADER, 53, VICTIM, 59, "expired", "bad")
    d.message(READER, 66, ONE, 72, "exists /lock?", "left")
    d.message(ONE, 73, READER, 79, "yes: stale", "bad")
    return d


def new_session() -> Diagram:
    """Opening a session is a transaction."""
    d = Diagram("Opening a session waits for what was committed before", [READER, ONE, LEADER])
    d.znode(ONE, 0, 74, told=12)
    d.znode(LEADER, 0, 12)
    d.note(LEADER, 12, "closeSession committed", below=True)
    d.message(LEADER, 12, ONE, 74, "COMMIT[closeSession], delayed", "late left", 0.66)
    d.message(READER, 18, ONE, 24, "open a session", "left")
    d.message(ONE, 25, LEADER, 31, "")
    d.message(LEADER, 34, ONE, 79, "COMMIT[createSession], behind it", "late", 0.45)
    d.message(ONE, 80, READER, 86, "opened", "good")
    d.note(READER, 92, "then exists: no", "good")
    return d


def sync() -> Diagram:
    """Sync through a follower."""
    d = Diagram("sync through a follower", [READER, ONE, LEADER])
    d.znode(ONE, 0, 74, told=12)
    d.znode(LEADER, 0, 12)
    d.note(LEADER, 12, "closeSession committed", below=True)
    d.message(LEADER, 12, ONE, 74, "COMMIT[closeSession], delayed", "late left", 0.66)
    d.message(READER, 18, ONE, 24, "sync", "left")
    d.message(ONE, 25, LEADER, 31, "")
    d.message(LEADER, 33, ONE, 78, "SYNC, behind it on the same link", "late", 0.45)
    d.message(ONE, 79, READER, 85, "synced", "good")
    d.note(READER, 92, "then exists: no", "good")
    return d


def sync_on_the_leader() -> Diagram:
    """In W1 sync on the leader waits for nothing."""
    d = Diagram("W1: sync on the leader waits for nothing", [READER, LEADER, TWO])
    d.znode(LEADER, 0, 82, told=12)
    d.znode(TWO, 0, 92, told=12)
    d.window("W1", 12, 82, LEADER, LEADER)
    d.note(LEADER, 12, "closeSession proposed", below=True)
    d.message(LEADER, 12, TWO, 22, "", along=0.7)
    d.message(TWO, 26, LEADER, 82, "ACK, delayed", "late", 0.5)
    d.message(READER, 30, LEADER, 36, "sync", "left")
    d.message(LEADER, 37, READER, 43, "synced")
    d.message(READER, 60, LEADER, 66, "exists?", "left")
    d.message(LEADER, 67, READER, 73, "yes: stale", "bad")
    return d


def marked_only() -> Diagram:
    """In W0 nothing but waiting helps."""
    d = Diagram("W0: nothing has a place in the order yet", [READER, LEADER, VICTIM])
    d.znode(LEADER, 0, 94, told=38)
    d.window("W0", 10, 88, LEADER, LEADER)
    d.note(LEADER, 10, "marked closing", below=True)
    d.message(VICTIM, 27, LEADER, 32, "my session?", "left")
    d.message(LEADER, 33, VICTIM, 38, "expired", "bad")
    d.message(READER, 40, LEADER, 46, "new session, sync, exists?", "left")
    d.message(LEADER, 53, READER, 59, "yes", "bad")
    d.message(READER, 66, LEADER, 72, "create", "left")
    d.message(LEADER, 73, READER, 79, "NodeExists", "bad")
    d.note(LEADER, 88, "submitted at last", below=True)
    return d


def forgotten() -> Diagram:
    """A verdict is forgotten with its leader."""
    old, new = "old leader 3", "new leader 2"
    d = Diagram("A verdict is forgotten with its leader", [VICTIM, old, new, READER])
    d.znode(old, 0, 58, told=51)
    d.znode(new, 0, 96, told=51)
    d.note(old, 10, "marked closing", "bad", below=True)
    d.window("cut off from the others", 8, 58, old, old)
    d.message(VICTIM, 38, old, 44, "my session?", "left")
    d.message(old, 45, VICTIM, 51, "expired", "bad")
    d.note(new, 52, "elected: every session gets a full timeout")
    d.message(READER, 66, new, 72, "sync, exists?", "left")
    d.message(new, 74, READER, 80, "yes", "bad")
    d.note(new, 96, "expired again", below=True)
    return d


PICTURES = {
    "write": write,
    "local-reads": local_reads,
    "session": session,
    "windows": windows,
    "race": race,
    "new-session": new_session,
    "sync": sync,
    "sync-on-the-leader": sync_on_the_leader,
    "marked-only": marked_only,
    "verdict-forgotten": forgotten,
}


def main() -> int:
    """Write or check every picture."""
    is_check = sys.argv[1:] == ["--check"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, draw in PICTURES.items():
        path = FOLDER / f"{name}.svg"
        drawn = draw().svg()
        if not is_check:
            path.write_text(drawn)
        elif not path.exists() or path.read_text() != drawn:
            stale.append(path.name)
    if stale:
        sys.stderr.write(f"not as drawn: {', '.join(stale)}; run `make diagrams`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
