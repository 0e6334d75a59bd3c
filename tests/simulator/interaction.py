"""Plays interaction scripts: commands to a simulated ensemble, and below each what it printed.

A script is text. A block is a command, a line `----`, then the output up to an empty line; a
line that begins with `#` is a comment. `play` returns the script with the output as it is now,
so a script holds exactly if `play` returns it unchanged. What is printed carries no instants,
only order, and clients' names for session ids.
"""

from __future__ import annotations

from nodes.core.config import MemberConfig
from nodes.core.messages import ServerState
from nodes.core.requests import (
    EPHEMERAL,
    SEQUENTIAL,
    CloseSession,
    Create,
    Delete,
    Exists,
    GetChildren,
    GetData,
    Op,
    Ping,
    SetData,
    Sync,
)
from nodes.links import parse_links, show_rule
from orchestrator.simulator.elections import elect
from tests.simulator.packets import WatchedWorld
from tests.simulator.stage import Client, ScriptError, Stage, show_status, state_of

OPTIONS = {"observers": 0, "tick": 100, "sync-limit": 5, "init-limit": 10}


def play(script: str, name: str) -> str:
    """Return `script` with each command's output as it is now.

    Raises ScriptError for a malformed command, with the script's name and the line.
    """
    stage = Commands()
    out: list[str] = []
    lines = script.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        out.append(line)
        if not line.strip() or line.startswith("#"):
            continue
        try:
            printed = stage.run(line)
        except (ScriptError, ValueError, LookupError) as error:
            raise ScriptError(f"{name}:{number}: {error}") from error
        out += ["----", *(printed or ["ok"])]
        while number < len(lines) and lines[number].strip():
            number += 1
    return "\n".join(out) + "\n"


class Commands(Stage):
    """What a script may say: `_do_<command>`, whose first line is its usage."""

    # Members.

    def _do_seed(self, seed: str) -> None:
        """seed N"""
        self._seed = int(seed)

    def _do_log(self, *kinds: str) -> None:
        """log all | none | KIND-PREFIX ..."""
        self._print_traces()
        self._kinds = {"all": ("",), "none": None}.get(" ".join(kinds), kinds)

    def _do_packets(self, *kinds: str) -> None:
        """packets none | KIND ..."""
        self._packets = () if kinds == ("none",) else kinds

    def _do_repeat(self, count: str, *command: str) -> None:
        """repeat N COMMAND ... (only what the last one prints is shown)"""
        for _ in range(int(count)):
            self._print_traces()
            self._printed = []
            self._carry_out(command)

    def _do_add_members(self, count: str, *options: str) -> None:
        """add-members N [observers=N] [tick=MS] [sync-limit=N] [init-limit=N] [local-sessions]

        With `down`, none of them is started.
        """
        numbers = dict(OPTIONS)
        flags = {"local-sessions": False, "down": False}
        for option in options:
            name, _, value = option.partition("=")
            if name in numbers:
                numbers[name] = int(value)
            elif option in flags:
                flags[option] = True
            else:
                raise ScriptError(f"{option!r}: not an option of add-members")
        voters = int(count)
        config = MemberConfig(
            sid=1,
            voters=tuple(range(1, voters + 1)),
            observers=tuple(range(voters + 1, voters + 1 + numbers["observers"])),
            tick_time_ms=numbers["tick"],
            init_limit=numbers["init-limit"],
            sync_limit=numbers["sync-limit"],
            min_session_timeout_ms=2 * numbers["tick"],
            max_session_timeout_ms=1_000_000,
            local_sessions_enabled=flags["local-sessions"],
            local_sessions_upgrading_enabled=flags["local-sessions"],
        )
        self._world = WatchedWorld(self._seed, config)
        self._world.on_send = self._on_send
        if not flags["down"]:
            self.world.start()

    def _do_start(self, *sids: str) -> None:
        """start [SID ...]"""
        self.world.start([int(sid) for sid in sids] or None)

    def _do_crash(self, sid: str, keeping: str = "keeping=0") -> None:
        """crash SID [keeping=UNSYNCED-WRITES]"""
        self.world.crash(int(sid), int(keeping.removeprefix("keeping=")))
        self._do_tick(1)

    def _do_restart(self, sid: str) -> None:
        """restart SID"""
        self.world.restart(int(sid))

    def _do_pause(self, sid: str) -> None:
        """pause SID"""
        self.world.pause(int(sid))

    def _do_resume(self, sid: str) -> None:
        """resume SID"""
        self.world.resume(int(sid))
        self._do_tick(1)

    def _do_elect(self, sid: str) -> None:
        """elect SID"""
        elect(self.world, int(sid))

    def _do_disk(self, sid: str, delay: str) -> None:
        """disk SID delay=MS"""
        self.world.hosts[int(sid)].disk.delay_ms = float(delay.removeprefix("delay="))

    def _do_expire(self, name: str) -> None:
        """expire CLIENT"""
        self.world.expire(self._client(name).connection.session_id)
        self._do_tick(5)

    def _do_exhaust_zxids(self, left: str) -> None:
        """exhaust-zxids LEFT"""
        self.exhaust_zxids(int(left))

    def _do_hold_closing(self) -> None:
        """hold-closing"""
        self.world.hold_closing()

    def _do_release_closing(self) -> None:
        """release-closing"""
        self.world.release_closing()
        self._do_tick(5)

    # Time.

    def _do_tick(self, span_ms: str | float) -> None:
        """tick MS"""
        self.world.run_for(float(span_ms))

    def _do_deliver(self) -> None:
        """deliver"""
        self.world.run_until_idle()

    def _do_run(self, _until: str, *what: str) -> None:
        """run until serving | leading SID | STATE SID | idle | traced KIND CLIENT | closed CLIENT

        A STATE is LOOKING, FOLLOWING, OBSERVING or LEADING.
        """
        match what:
            case ("serving",):
                self._say(f"{self.world.run_until_serving()} leads")
            case ("leading", sid):
                self.world.run_until(lambda: self.world.leader() == int(sid), what=f"{sid} leads")
            case ("idle",):
                self.world.run_until_idle()
            case ("traced", kind, name):
                session_id = self._client(name).connection.session_id
                self.world.run_until_traced(kind, session_id)
            case (state, sid) if state in ServerState.__members__:
                host = self.world.hosts[int(sid)]
                self.world.run_until(lambda: state_of(host) == state, what=f"{sid} {state}")
            case ("closed", name):
                connection = self._client(name).connection
                self.world.run_until(lambda: connection.is_closed, what=f"{name} closed")
            case _:
                raise ScriptError(f"run until what? {self._do_run.__doc__}")

    # Links.

    def _rule(self, links: str, rule: str) -> None:
        for sender, receiver in parse_links(links, self.world.sids):
            self.world.link(sender, receiver).set_rule(rule)

    def _do_hold(self, links: str, *words: str) -> None:
        """hold LINKS [only=KIND[TXN]] [next=N]"""
        self._rule(links, " ".join(("hold", *words)))

    def _do_cut(self, links: str, *words: str) -> None:
        """cut LINKS [only=KIND[TXN]] [next=N]"""
        self._rule(links, " ".join(("cut", *words)))

    def _do_delay(self, links: str, *words: str) -> None:
        """delay LINKS TIME [jitter=TIME] [only=KIND[TXN]]"""
        self._rule(links, "delay=" + " ".join(words))

    def _do_release(self, links: str = "*->*", action: str = "") -> None:
        """release [LINKS] [delay | hold | cut]"""
        released = sum(
            self.world.link(sender, receiver).clear_rules(action)
            for sender, receiver in parse_links(links, self.world.sids)
        )
        self._say(f"released {released}")
        self._do_tick(5)

    def _do_links(self) -> None:
        """links"""
        for link in self.world.links.values():
            for active in link.rules:
                rule = show_rule(active.rule)
                self._say(f"{link} {rule}: touched={active.touched} waiting={link.waiting}")

    def _do_reset(self, links: str) -> None:
        """reset LINKS"""
        for sender, receiver in parse_links(links, self.world.sids):
            self.world.reset(sender, receiver)
        self._do_tick(1)

    def _do_isolate(self, sid: str) -> None:
        """isolate SID"""
        self.world.isolate(int(sid))

    # Clients.

    def _do_connect(self, name: str, _to: str, sid: str, *words: str) -> None:
        """connect CLIENT to SID [timeout MS] [as CLIENT] [zxid EPOCH:COUNTER]"""
        options = dict(zip(words[::2], words[1::2], strict=True))
        old = self._client(options["as"]).connection if "as" in options else None
        epoch, _, counter = options.get("zxid", "0:0").partition(":")
        connection = self.world.connect(
            int(sid),
            int(options.get("timeout", 4000)),
            session_id=old.session_id if old else 0,
            password=old.password if old else b"",
            last_zxid=int(epoch) << 32 | int(counter),
        )
        client = self._clients[name] = Client(name, connection)
        connection.on_frame = lambda frame: self._on_frame(client, frame)
        self._await(client, lambda: connection.is_answered)
        if connection.is_expired:
            self._await(client, lambda: False)

    def _do_silence(self, name: str) -> None:
        """silence CLIENT"""
        self._client(name).connection.is_silent = True

    def _do_drop(self, name: str) -> None:
        """drop CLIENT"""
        self._client(name).connection.drop()
        self._do_tick(1)

    def _ask(self, name: str, said: str, op: Op) -> None:
        client = self._client(name)
        connection = client.connection
        if connection.is_closed:
            raise ScriptError(f"{name} is closed")
        xid = connection.submit(op)
        client.asked[xid] = said
        self._await(client, lambda: xid in connection.replies)

    def _do_create(self, name: str, path: str, *words: str) -> None:
        """create CLIENT PATH [ephemeral] [sequential] [data=TEXT]"""
        flags, data = 0, b""
        for word in words:
            if word.startswith("data="):
                data = word.removeprefix("data=").encode()
            else:
                flags |= {"ephemeral": EPHEMERAL, "sequential": SEQUENTIAL}[word]
        self._ask(name, f"create {path}", Create(path, data, flags))

    def _do_delete(self, name: str, path: str, version: str = "-1") -> None:
        """delete CLIENT PATH [VERSION]"""
        self._ask(name, f"delete {path}", Delete(path, int(version)))

    def _do_set(self, name: str, path: str, data: str) -> None:
        """set CLIENT PATH DATA"""
        self._ask(name, f"set {path}", SetData(path, data.encode()))

    def _do_read(self, name: str, path: str, watch: str = "") -> None:
        """read CLIENT PATH [watch]"""
        self._ask(name, f"read {path}", GetData(path, watch == "watch"))

    def _do_exists(self, name: str, path: str, watch: str = "") -> None:
        """exists CLIENT PATH [watch]"""
        self._ask(name, f"exists {path}", Exists(path, watch == "watch"))

    def _do_children(self, name: str, path: str, watch: str = "") -> None:
        """children CLIENT PATH [watch]"""
        self._ask(name, f"children {path}", GetChildren(path, watch == "watch"))

    def _do_sync(self, name: str, path: str = "/") -> None:
        """sync CLIENT [PATH]"""
        self._ask(name, f"sync {path}", Sync(path))

    def _do_ping(self, name: str) -> None:
        """ping CLIENT"""
        self._ask(name, "ping", Ping())

    def _do_close(self, name: str) -> None:
        """close CLIENT"""
        self._ask(name, "close", CloseSession())

    # Looking.

    def _do_status(self) -> None:
        """status"""
        for host in self.world.hosts.values():
            self._say(show_status(host))

    def _do_compare(self) -> None:
        """compare"""
        sids_by_digest: dict[str, list[str]] = {}
        for sid, host in self.world.hosts.items():
            if host.is_up:
                sids_by_digest.setdefault(host.member.digest(), []).append(str(sid))
        groups = [" = ".join(sids) for sids in sids_by_digest.values()]
        self._say("trees: " + ", ".join(groups))
